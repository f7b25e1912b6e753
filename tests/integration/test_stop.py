#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stopping, asked and not asked for: what is committed, who may lead next, and what a restart makes
of it, also in the middle of a long backlog and behind a torn capture."""
import os
import re
import shutil
import signal

from harness import (CONTROL, ROOT, SALVOR, STREAM, Place, Redis, Salvor, check, check_equal, claim,
                     fresh_fold_agrees, main, prove, run, submit, wait_until)

LONG_LEASE = {"salvor": {"lease_ms": 600000}, "policy": {"backoff_ms": 0}}
BACKLOG_JOBS = 10000
ENTRIES_A_JOB = 5


def lose_a_job(redis, salvor, job, worker):
    submit(redis, job)
    claim(redis, job, worker)
    redis.xadd("worker.lost", worker=worker)
    wait_until(lambda: job in redis.pending(), f"{job} waits again")
    wait_until(lambda: salvor.query("SELECT 1 FROM effect WHERE target = ? AND outcome = 'applied'",
                                    f"job:{job}"), f"the effect on {job} is settled")


def backlog(redis, first=0, count=BACKLOG_JOBS):
    """Jobs that are claimed, run and end; the worker of every hundredth is lost instead."""
    for number in range(first, first + count):
        job, worker = f"j{number}", f"w{number % 100}-{number // 5000}"
        is_lost = number % 100 == 99
        for words in (("job.claimed", "job", job, "worker", worker, "attempt", 1, "claim", "c"),
                      ("job.started", "job", job, "worker", worker, "attempt", 1),
                      ("job.progress", "job", job, "worker", worker, "attempt", 1, "progress", 50),
                      ("worker.heartbeat", "worker", worker, "job", job),
                      ("worker.lost", "worker", worker) if is_lost else
                      ("job.completed", "job", job, "worker", worker, "attempt", 1)):
            redis.client.send("XADD", STREAM, "*", "type", *words)
        for _ in range(ENTRIES_A_JOB):
            redis.client.reply()


def test_a_stop_commits_and_gives_the_lease_back():
    with Place() as place:
        redis = Redis(place)
        first = Salvor(place, redis, LONG_LEASE)
        first.wait_log("in_charge")
        lose_a_job(redis, first, "j1", "w1")
        backlog(redis, count=400)
        check_equal(0, first.stop(), "a clean stop")
        check_equal(int(first.log("stopped")[0]["ordinal"]),
                    first.query("SELECT ordinal FROM position")[0]["ordinal"],
                    "all that was folded is committed")
        first_rows = first.decisions()
        check_equal("0", redis.hash(CONTROL)["exp"], "the lease is given back")
        prove(first)

        # Whoever comes next, and knows nothing, folds everything from its beginning, at once.
        second = Salvor(place, redis, LONG_LEASE, data=os.path.join(place.folder, "second"))
        taken = second.wait_log("took_over")
        check_equal(("0", "0-0", "2"), (taken["ordinal"], taken["position"], taken["epoch"]))
        check_equal([], second.log("take_over_waits"))
        second.wait_log("in_charge")
        second.wait_folded(redis)
        check_equal(0, second.stop())
        check_equal(first_rows, second.decisions()[:len(first_rows)], "the same rows and hashes")
        fresh_fold_agrees(place, redis, second)


def test_a_lease_that_was_not_given_back_is_waited_for():
    with Place() as place:
        redis = Redis(place)
        first = Salvor(place, redis)
        first.wait_log("in_charge")
        first.kill()
        ends_ms = int(redis.hash(CONTROL)["exp"])
        second = Salvor(place, redis, data=os.path.join(place.folder, "second"))
        check("LEASED by" in second.wait_log("take_over_waits")["because"])
        second.wait_log("took_over")
        epochs = [id for id, fields in redis.entries() if fields["type"] == "epoch"]
        check(int(epochs[1].split("-")[0]) >= ends_ms, "only when the lease had ended", epochs)


def test_a_restart_folds_nothing_from_before_a_clean_stop():
    with Place() as place:
        redis = Redis(place)
        salvor = Salvor(place, redis, LONG_LEASE)
        salvor.wait_log("in_charge")
        lose_a_job(redis, salvor, "j1", "w1")
        check_equal(0, salvor.stop())
        stopped = salvor.log("stopped")[0]["ordinal"]
        check_equal([{"ordinal": int(stopped)}], salvor.query("SELECT ordinal FROM snapshot"))
        files = sorted(os.listdir(salvor.capture))
        check_equal([f"{0:016}.capture", f"{int(stopped):016}.capture"], files)
        # What came before the snapshot is not even there any more.
        os.remove(os.path.join(salvor.capture, files[0]))
        salvor.start()
        check_equal(stopped, salvor.wait_log("started")["ordinal"])
        salvor.wait_log("in_charge")
        lose_a_job(redis, salvor, "j2", "w2")
        check_equal(0, salvor.stop())
        check_equal(["requeue", "requeue"],
                    [row["action"] for row in salvor.decisions() if row["action"] == "requeue"])
        run(SALVOR, "audit", "verify", salvor.audit)
        fresh_fold_agrees(place, redis, salvor)


def test_what_may_be_trimmed_is_never_missed():
    with open(os.path.join(ROOT, "docs", "configuration.md"), encoding="utf-8") as page:
        query = re.search(r"sqlite3 -readonly \S+ '(SELECT [^']+)'", page.read())[1]
    with Place(keeps=False) as place:
        redis = Redis(place)
        salvor = Salvor(place, redis, LONG_LEASE)
        for job in ("j1", "j2", "j3"):
            salvor.wait_log("in_charge")
            lose_a_job(redis, salvor, job, "w-" + job)
            if job != "j3":
                check_equal(0, salvor.stop())
                salvor.start()
        check_equal(2, salvor.query("SELECT count(*) AS n FROM snapshot")[0]["n"])
        salvor.kill()
        # The worst that a restart can need: all that was captured is gone.
        shutil.rmtree(salvor.capture)
        oldest = salvor.query(query)[0]["stream_id"]
        check(redis.call("XTRIM", STREAM, "MINID", oldest) > 0, "something was trimmed")
        salvor.start()
        salvor.wait_log("in_charge")
        lose_a_job(redis, salvor, "j4", "w4")
        check_equal(0, salvor.stop())
        check("stream.lost" not in [fields["type"] for _, fields in redis.entries()])
        check_equal(4, len(salvor.decisions(action="requeue")))
        run(SALVOR, "audit", "verify", salvor.audit)


def test_one_process_works_with_a_data_folder():
    with Place() as place:
        redis = Redis(place)
        first = Salvor(place, redis)
        first.wait_log("in_charge")
        second = Salvor(place, redis)
        check_equal(3, second.wait_end(), "an operating failure")
        told = second.log("failed")[0]
        check("another process works with this data" in told["message"], told)
        check("owner" in told["message"], "it names the file:", told)
        check_equal("1", redis.hash(CONTROL)["epoch"], "nothing was taken over")
        lose_a_job(redis, first, "j1", "w1")
        check_equal(0, first.stop())
        prove(first)


def test_a_stop_is_heard_while_redis_is_away():
    with Place() as place:
        salvor = Salvor(place, None)
        salvor.wait_log("redis_away")
        check_equal(0, salvor.stop())
        check_equal("0", salvor.log("stopped")[0]["ordinal"])


def kill_at(salvor, point, visit):
    """Its last committed ordinal."""
    salvor.start({"SALVOR_CRASH_POINT": f"{point}:{visit}"})
    check_equal(-signal.SIGKILL, salvor.wait_end(), f"killed at {point}:{visit}")
    check_equal(point, salvor.log("crash_point")[0]["point"])
    return salvor.query("SELECT ordinal FROM position")[0]["ordinal"]


def test_killed_in_the_middle_of_a_backlog():
    with Place() as place:
        redis = Redis(place)
        salvor = Salvor(place, redis, LONG_LEASE)
        salvor.wait_log("in_charge")
        salvor.wait_folded(redis)
        salvor.kill()
        backlog(redis)
        total = BACKLOG_JOBS * ENTRIES_A_JOB
        check_equal(50000, total)
        before = 0
        for point, visit in (("reduced", 12), ("transaction", 9), ("capture_written", 14)):
            ordinal = kill_at(salvor, point, visit)
            check(before < ordinal < total, f"killed inside the backlog, at {ordinal}")
            before = ordinal
        salvor.start({"SALVOR_CRASH_POINT": ""})
        salvor.wait_log("took_over")
        salvor.kill()  # wherever it is
        salvor.start({"SALVOR_CRASH_POINT": ""})
        salvor.wait_log("in_charge", deadline_s=120)
        parked = BACKLOG_JOBS // 100
        wait_until(lambda: len(salvor.decisions(action="park")) == parked and
                   not salvor.query("SELECT 1 FROM effect WHERE settled_at_ms IS NULL"),
                   "every lost job is decided: the queue knows none of them", 120)
        check_equal(0, salvor.stop())
        entries = [(fields["type"], fields.get("epoch")) for _, fields in redis.entries()]
        acted = [type for type, _ in entries].index("effect.settled")
        check(acted > entries.index(("epoch", "5")), "nothing was done before all of it was folded")
        prove(salvor)
        fresh_fold_agrees(place, redis, salvor)


def test_a_torn_capture_is_read_again_from_redis():
    with Place() as place:
        redis = Redis(place)
        salvor = Salvor(place, redis, LONG_LEASE)
        salvor.wait_log("in_charge")
        lose_a_job(redis, salvor, "j1", "w1")
        salvor.kill()
        for number, torn_bytes in enumerate((1, 200, 2000)):
            backlog(redis, first=1000 * number, count=800)
            committed = kill_at(salvor, "committed", 8)  # so the last frame of the capture is, too
            file = os.path.join(salvor.capture, sorted(os.listdir(salvor.capture))[-1])
            check(os.path.getsize(file) > 3 * torn_bytes, "the capture is longer than its tear")
            os.truncate(file, os.path.getsize(file) - torn_bytes)
            whole = run(SALVOR, "replay", salvor.capture).stdout
            check(int(whole.split()[0].removeprefix("entries=")) < committed,
                  "committed entries are not in the capture any more:", committed, whole)
        salvor.start({"SALVOR_CRASH_POINT": ""})
        salvor.wait_log("in_charge")
        salvor.wait_folded(redis)
        check_equal(0, salvor.stop())
        prove(salvor)
        fresh_fold_agrees(place, redis, salvor)


if __name__ == "__main__":
    main(test_a_stop_commits_and_gives_the_lease_back,
         test_a_lease_that_was_not_given_back_is_waited_for,
         test_a_restart_folds_nothing_from_before_a_clean_stop,
         test_what_may_be_trimmed_is_never_missed,
         test_one_process_works_with_a_data_folder,
         test_a_stop_is_heard_while_redis_is_away,
         test_killed_in_the_middle_of_a_backlog,
         test_a_torn_capture_is_read_again_from_redis)
