/* SPDX-License-Identifier: MIT */
#include "stream/patience.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"

bool patience_is_stopped(const struct patience *patience)
{
    return *patience->stop != 0;
}

uint64_t patience_next_ms(struct patience *patience)
{
    uint64_t whole_ms = patience->delay_ms == 0 ? PATIENCE_LEAST_MS : patience->delay_ms;
    patience->delay_ms = whole_ms * 2 > PATIENCE_MOST_MS ? PATIENCE_MOST_MS : whole_ms * 2;
    return whole_ms / 2 + hash_number(clock_boot_ns(), whole_ms) % (whole_ms / 2 + 1);
}

bool patience_wait(struct patience *patience)
{
    uint64_t now_ms = clock_boot_ms();
    uint64_t end_ms = now_ms + patience_next_ms(patience);
    while (now_ms < end_ms && !patience_is_stopped(patience)) {
        struct pollfd wait = {.fd = patience->wake_fd, .events = POLLIN};
        int ready = poll(&wait, 1, (int)(end_ms - now_ms));
        CHECK(ready >= 0 || errno == EINTR);
        if (ready > 0) {
            patience_drain(patience);
        }
        now_ms = clock_boot_ms();
    }
    return !patience_is_stopped(patience);
}

void patience_reset(struct patience *patience)
{
    patience->delay_ms = PATIENCE_LEAST_MS;
}

void patience_drain(const struct patience *patience)
{
    struct pollfd wait = {.fd = patience->wake_fd, .events = POLLIN};
    uint64_t count = 0;
    if (poll(&wait, 1, 0) > 0) {
        /* Read again by whoever looks for its cause: an answer, a stop. */
        CHECK(read(patience->wake_fd, &count, sizeof(count)) == sizeof(count) || errno == EAGAIN ||
              errno == EINTR);
    }
}
