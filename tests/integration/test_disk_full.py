#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A full disk under the audit database, and one under the capture: the process ends and says why,
nothing was done that is not recorded, and with room again it goes on. Each lies on a small tmpfs of
its own, in a mount namespace that ends with the test."""
import contextlib
import errno
import os
import signal
import subprocess
import sys

from harness import (SALVOR, STREAM, Place, Redis, Salvor, check, check_equal, claim,
                     fresh_fold_agrees, main, prove, run, submit, wait_until)

CONFIG = {"salvor": {"tick_ms": 1000, "lease_ms": 60000}, "policy": {"backoff_ms": 0}}
INSIDE = "TEST_MOUNTS"
DISK_BYTES = 8 << 20
JOBS_MAX = 5000


def enter_namespace():
    """Runs this script again where it may mount; ends it as skipped where that is not permitted."""
    if os.environ.get(INSIDE):
        return
    for flags in ("-Urm", "-m"):
        told = subprocess.run(["unshare", flags, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs",
                               "/mnt"], capture_output=True, text=True, check=False)
        if told.returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp("unshare", ["unshare", flags, sys.executable, *sys.argv])
    print(f"no tmpfs can be mounted in a namespace of our own: {told.stderr.strip()}")
    sys.exit(77)


class Disk:
    """A small tmpfs, and a file that fills it."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", path)
        self.filler = os.path.join(path, "filler")

    def fill_but(self, left):
        status = os.statvfs(self.path)
        with open(self.filler, "wb", buffering=0) as file:
            file.write(b"x" * (status.f_bavail * status.f_bsize - left))

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        check(file.write(b"x" * size) > 0)
            try:
                file.write(b"x" * 4096)
            except OSError as error:
                check_equal(errno.ENOSPC, error.errno)
        check_equal(0, os.statvfs(self.path).f_bavail, "the disk is full")

    def free(self):
        os.remove(self.filler)

    def unmount(self):
        run("umount", "--lazy", self.path)  # after a failure the process may still work there


@contextlib.contextmanager
def disks(place):
    """The database's and the capture's."""
    data = os.path.join(place.folder, "data")
    both = []
    try:
        both.append(Disk(data))
        both.append(Disk(os.path.join(data, "capture-0")))
        yield both
        place.keep_captures()
    finally:
        place.keeps = False  # with the disks they are gone
        for disk in reversed(both):
            disk.unmount()


def lose(redis, job, worker):
    redis.call("MULTI")
    submit(redis, job)
    claim(redis, job, worker)
    # What does not fit in the rest of a file's last page.
    redis.xadd("worker.heartbeat", worker=worker, ballast=os.urandom(8192).hex())
    redis.xadd("worker.lost", worker=worker)
    redis.call("EXEC")


def wait_requeued(redis, salvor, job):
    wait_until(lambda: job in redis.pending(), f"{job} waits again")
    wait_until(lambda: salvor.query("SELECT 1 FROM effect WHERE target = ? AND outcome = 'applied'",
                                    f"job:{job}"), f"the effect on {job} is settled")


def settled(redis):
    return {fields["effect"] for _, fields in redis.entries() if fields["type"] == "effect.settled"}


def prove_end(salvor, file):
    """It ended by itself, with a message that names the file and the full disk."""
    check_equal(3, salvor.wait_end(), "an operating failure")
    failed = salvor.log("failed")
    check_equal(1, len(failed), *salvor.lines)
    check_equal("disk_full", failed[0]["code"], failed[0])
    check(file in failed[0]["message"], failed[0])
    check("full" in failed[0]["message"] or "No space left" in failed[0]["message"], failed[0])


def start(place, redis):
    salvor = Salvor(place, redis, CONFIG)
    salvor.wait_log("in_charge")
    lose(redis, "j1", "w1")
    wait_requeued(redis, salvor, "j1")
    return salvor


def freeze(redis, salvor):
    """Halts the process where it has nothing left to read: the next batch is the test's."""
    def is_idle():
        salvor.process.send_signal(signal.SIGSTOP)
        last = redis.call("XREVRANGE", STREAM, "+", "-", "COUNT", 1)[0][0]
        if salvor.query("SELECT 1 FROM position WHERE stream_id = ?", last):
            return True
        salvor.process.send_signal(signal.SIGCONT)
        return False
    wait_until(is_idle, "everything is folded")


def prove_resumed(place, redis, salvor, jobs):
    salvor.start()
    salvor.wait_log("in_charge")
    for job in jobs:
        wait_requeued(redis, salvor, job)
    check_equal(sorted(jobs), sorted(redis.pending()))
    check_equal([], salvor.query("SELECT * FROM effect WHERE outcome <> 'applied'"))
    check_equal(0, salvor.stop())
    prove(salvor)
    fresh_fold_agrees(place, redis, salvor)


def run_full(which, file):
    """`which` of the two disks is full when the loss of j2 is read."""
    with Place() as place, disks(place) as both:
        redis = Redis(place)
        salvor = start(place, redis)
        disk = both[which]
        freeze(redis, salvor)
        disk.fill()
        before = settled(redis)
        length = redis.call("XLEN", STREAM)
        lose(redis, "j2", "w2")
        salvor.process.send_signal(signal.SIGCONT)
        prove_end(salvor, file)
        check_equal(["j1"], redis.pending(), "nothing was done")
        # Tried again on the full disk: the same, however far it comes.
        salvor.start()
        prove_end(salvor, file)
        check_equal(["j1"], redis.pending(), "nothing was done the second time either")
        check_equal(before, settled(redis))
        disk.free()
        check_equal([], salvor.decisions("j2"), "the decisions on j2 are not recorded")
        captured = int(run(SALVOR, "replay", salvor.capture).stdout.split()[0]
                       .removeprefix("entries="))
        if which == 0:
            check(captured == length + 4, "the loss was captured and folded:", captured, length)
        else:
            check(captured <= length, "the loss was not even captured:", captured, length)
        prove_resumed(place, redis, salvor, ["j1", "j2"])


def test_a_full_disk_under_the_database():
    run_full(0, "audit-0.db")


def test_a_full_disk_under_the_capture():
    run_full(1, ".capture")


def run_filling(which, file):
    """The disk fills while jobs are lost and requeued all the time."""
    with Place() as place, disks(place) as both:
        redis = Redis(place)
        salvor = start(place, redis)
        both[which].fill_but(256 << 10)
        jobs = ["j1"]
        while salvor.process.poll() is None:
            check(len(jobs) < JOBS_MAX, "the disk fills in the end")
            jobs.append(f"j{len(jobs) + 1}")
            lose(redis, jobs[-1], f"w{len(jobs)}")
        prove_end(salvor, file)
        done, waiting = settled(redis), redis.pending()
        check(1 < len(waiting) < len(jobs), "some were done, not all:", len(waiting), len(jobs))
        both[which].free()
        recorded = {row["id"] for row in salvor.query("SELECT id FROM effect")}
        check_equal(set(), done - recorded, "what was done is recorded")
        requeued = {row["job"] for row in salvor.decisions(action="requeue")}
        check_equal(set(), set(waiting) - requeued, "what waits again was decided")
        prove_resumed(place, redis, salvor, jobs)


def test_a_disk_that_fills_under_the_database():
    run_filling(0, "audit-0.db")


def test_a_disk_that_fills_under_the_capture():
    run_filling(1, ".capture")


def run_full_at_a_stop(which, file):
    with Place() as place, disks(place) as both:
        redis = Redis(place)
        salvor = start(place, redis)
        freeze(redis, salvor)
        both[which].fill()
        salvor.process.send_signal(signal.SIGTERM)
        salvor.process.send_signal(signal.SIGCONT)
        prove_end(salvor, file)
        both[which].free()
        check_equal([], salvor.query("SELECT * FROM snapshot"), "no half snapshot is left")
        lose(redis, "j2", "w2")
        prove_resumed(place, redis, salvor, ["j1", "j2"])


def test_a_full_disk_under_the_snapshot_of_a_stop():
    run_full_at_a_stop(0, "audit-0.db")


def test_a_full_disk_under_the_capture_of_a_stop():
    run_full_at_a_stop(1, ".capture")


if __name__ == "__main__":
    enter_namespace()
    main(test_a_full_disk_under_the_database,
         test_a_full_disk_under_the_capture,
         test_a_disk_that_fills_under_the_database,
         test_a_disk_that_fills_under_the_capture,
         test_a_full_disk_under_the_snapshot_of_a_stop,
         test_a_full_disk_under_the_capture_of_a_stop)
