/* SPDX-License-Identifier: MIT
 * The data directory: can it be used, is there room, does a process work with it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/check_areas.h"

#define MIB ((uint64_t)1 << 20)

#define AREA "data"

/* By the room that is left, the largest first. */
static const struct {
    uint64_t least_mib;
    enum finding_level level;
    const char *means;
} rooms[] = {
    {1024, FINDING_OK, ""},
    {128, FINDING_WARNING, "captures and audit grow with the work: a full disk stops it"},
    {0, FINDING_PROBLEM, "a full disk stops it: free some space"},
};

static void tell_room(const char *directory, struct check_report *report)
{
    struct finding finding = {.area = AREA, .subject = "room", .level = FINDING_PROBLEM};
    struct statvfs disk;
    if (statvfs(directory, &disk) != 0) {
        check_report_tell(report, &finding, "%s: %s", directory, strerror(errno));
        return;
    }
    uint64_t free_mib = (uint64_t)disk.f_bavail * disk.f_frsize / MIB;
    size_t row = 0;
    while (free_mib < rooms[row].least_mib) {
        row++;
    }
    finding.level = rooms[row].level;
    finding.means = rooms[row].means;
    check_report_tell(report, &finding, "%llu MiB are free", (unsigned long long)free_mib);
}

/* A shared lock that is not waited for: who works with the directory notices nothing of it. */
static void tell_holder(const char *directory, struct check_report *report)
{
    struct finding finding = {.area = AREA, .subject = "holder", .level = FINDING_OK};
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/owner", directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT) {
        finding.level = FINDING_PROBLEM;
        check_report_tell(report, &finding, "%s: %s", path, strerror(errno));
    } else if (fd < 0) {
        check_report_tell(report, &finding, "nobody worked with it yet");
    } else if (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        finding.means = "as it should while `salvor run` goes on; a second one would not start";
        check_report_tell(report, &finding, "a process works with it");
    } else {
        check_report_tell(report, &finding, "no process works with it");
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* Where a directory that is not there yet will be made. */
static void put_parent(const char *path, char *out, size_t size)
{
    snprintf(out, size, "%s", path);
    size_t end = strlen(out);
    while (end > 1 && out[end - 1] == '/') {
        out[--end] = '\0';
    }
    char *slash = strrchr(out, '/');
    if (slash == NULL) {
        snprintf(out, size, ".");
    } else {
        slash[slash == out ? 1 : 0] = '\0';
    }
}

void check_data(const char *data, struct check_report *report)
{
    struct finding finding = {.area = AREA, .subject = "directory", .level = FINDING_OK};
    struct stat status;
    char parent[PATH_MAX];
    put_parent(data, parent, sizeof(parent));
    bool is_there = stat(data, &status) == 0;
    bool is_absent = !is_there && errno == ENOENT;
    const char *used = is_absent ? parent : data;
    if (is_there && !S_ISDIR(status.st_mode)) {
        errno = ENOTDIR;
    } else if ((is_there || is_absent) &&
               faccessat(AT_FDCWD, used, R_OK | W_OK | X_OK, AT_EACCESS) == 0) {
        check_report_tell(report, &finding,
                          is_there ? "%s can be used" : "%s will be made by the first start", data);
        if (is_there) {
            tell_holder(data, report);
        }
        tell_room(used, report);
        return;
    }
    finding.level = FINDING_PROBLEM;
    finding.means = "salvor.data has to be a directory that can be written";
    check_report_tell(report, &finding, "%s: %s", used, strerror(errno));
}
