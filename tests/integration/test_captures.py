#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Capture files of a running process: how they follow each other, which of them go, what is left,
and what `salvor capture inspect` tells of them, whole or not."""
import hashlib
import json
import os
import re
import shutil

from harness import (SALVOR, STREAM, Place, Redis, Salvor, check, check_equal, claim, main, run,
                     submit, wait_until)

TINY = {"capture": {"rotate_bytes": 4096, "keep_ms": 200}, "policy": {"backoff_ms": 0}}
KEPT = {"policy": {"backoff_ms": 0}}


def feed(redis, count=200):
    """Entries that do not compress well."""
    for number in range(count):
        redis.client.send("XADD", STREAM, "*", "type", "worker.heartbeat", "worker",
                          "w" + hashlib.sha256(b"%d" % number).hexdigest(), "trace",
                          os.urandom(20).hex())
    for _ in range(count):
        redis.client.reply()


def lose_a_job(redis, salvor, job):
    submit(redis, job)
    claim(redis, job, "w-" + job)
    redis.xadd("worker.lost", worker="w-" + job)
    wait_until(lambda: salvor.query("SELECT 1 FROM effect WHERE target = ? AND outcome = 'applied'",
                                    f"job:{job}"), f"the effect on {job} is settled")


def files_of(salvor):
    return sorted(name for name in os.listdir(salvor.capture) if name.endswith(".capture"))


def inspect(path, code=0):
    done = run(SALVOR, "capture", "inspect", path, "--json", code=code)
    return json.loads(done.stdout), done.stderr


def feed_until_removed(redis, salvor, count):
    def is_enough():
        if len(salvor.log("capture_removed")) >= count:
            return True
        feed(redis)
        salvor.wait_folded(redis)
        return False
    wait_until(is_enough, f"{count} files were removed")


def check_left(salvor, is_clean):
    """What is left is one capture, from the older of the two snapshots on at least, and its fold is
    what the audit holds. A killed process may have captured more than it committed."""
    older = salvor.query("SELECT min(ordinal) AS ordinal, count(*) AS count FROM snapshot")[0]
    told, _ = inspect(salvor.capture)
    check_equal(2, older["count"])
    check(0 < told["begins_behind"] <= older["ordinal"], told, older)
    check(told["ends"] == "whole" or not is_clean, told)
    check_equal(len(files_of(salvor)), told["files"])
    check_equal(int(files_of(salvor)[0].split(".")[0]), told["begins_behind"])
    check_equal(told["last_ordinal"] - told["begins_behind"], told["entries"])
    position = salvor.query("SELECT ordinal FROM position")[0]["ordinal"]
    check(position == told["last_ordinal"] or not is_clean and position < told["last_ordinal"], told)
    out = run(SALVOR, "replay", salvor.capture, "--audit", salvor.audit).stdout
    check(re.search(r"^the audit agrees: ", out, re.M), out)
    run(SALVOR, "audit", "verify", salvor.audit)


def test_old_files_go_while_it_runs_and_nothing_else():
    with Place() as place:
        redis = Redis(place)
        salvor = Salvor(place, redis, TINY)
        salvor.wait_log("in_charge")
        lose_a_job(redis, salvor, "j1")
        feed_until_removed(redis, salvor, 3)
        removed = salvor.log("capture_removed")
        check_equal("0000000000000000.capture", removed[0]["file"])
        check_equal({"capture.keep_ms"}, {fact["key"] for fact in removed})
        check_equal(sorted(fact["file"] for fact in removed), [fact["file"] for fact in removed],
                    "the oldest first")
        check(not {fact["file"] for fact in removed} & set(files_of(salvor)))
        told, _ = inspect(salvor.capture)  # while it is written
        check(told["begins_behind"] > 0 and told["ends"] in ("whole", "torn"), told)

        lose_a_job(redis, salvor, "j2")
        salvor.kill()
        check(not salvor.log("capture_not_removed"))
        check_left(salvor, is_clean=False)
        salvor.start()
        salvor.wait_log("in_charge")
        lose_a_job(redis, salvor, "j3")
        feed_until_removed(redis, salvor, 2)
        check_equal(0, salvor.stop())
        check_left(salvor, is_clean=True)
        check_equal(["j1", "j2", "j3"],
                    sorted(row["job"] for row in salvor.decisions(action="requeue")))


def test_a_file_that_cannot_be_removed_is_told_and_tried_again():
    with Place() as place:
        redis = Redis(place)
        salvor = Salvor(place, redis, TINY)
        salvor.wait_log("in_charge")
        # A directory in the place of the oldest file: it can be unlinked by nobody.
        first = os.path.join(salvor.capture, files_of(salvor)[0])
        kept = first + ".kept"
        os.rename(first, kept)
        os.mkdir(first)

        def is_told():
            if salvor.log("capture_not_removed"):
                return True
            feed(redis)
            salvor.wait_folded(redis)
            return False
        wait_until(is_told, "the file that cannot be removed is told")
        fact = salvor.log("capture_not_removed")[0]
        check("0000000000000000.capture: cannot be removed" in fact["problem"], fact)
        check(not salvor.log("capture_removed"), "none behind it is removed")
        os.rmdir(first)
        os.rename(kept, first)
        feed_until_removed(redis, salvor, 2)
        check_equal(os.path.basename(first), salvor.log("capture_removed")[0]["file"])
        check_equal(0, salvor.stop())
        check_left(salvor, is_clean=True)


def captured(place):
    redis = Redis(place)
    salvor = Salvor(place, redis, KEPT)
    salvor.wait_log("in_charge")
    lose_a_job(redis, salvor, "j1")
    redis.xadd("job.started", job="j1", worker="w1")  # no attempt
    redis.xadd("no.such.type", job="j1")
    feed(redis, 500)
    salvor.wait_folded(redis)
    check_equal(0, salvor.stop())
    check_equal(2, len(files_of(salvor)))  # the second begins with the stop's snapshot
    return salvor, os.path.join(salvor.capture, files_of(salvor)[0])


def test_inspect_tells_what_a_capture_holds():
    with Place() as place:
        salvor, path = captured(place)
        told, _ = inspect(path)
        out = run(SALVOR, "capture", "inspect", path, "--frames").stdout
        check_equal((0, 0, 0, "whole", 1), (told["partition"], told["begins_behind"],
                                            told["snapshot_bytes"], told["ends"], told["files"]))
        check_equal(os.path.getsize(path), told["bytes"])
        check_equal(1, told["events"]["epoch"])
        check_equal(1, told["events"]["worker.lost"])
        check_equal({"missing": 1, "unknown_type": 1}, told["undecodable"])
        check_equal(told["entries"],
                    sum(told["events"].values()) + sum(told["undecodable"].values()))
        check_equal(told["entries"], told["last_ordinal"])
        check_equal(told["frames"], len(re.findall(r"^frame ", out, re.M)))
        for line in ("ends        whole", "events      worker.lost          1",
                     f"entries     {told['entries']}", f"undecodable missing              1",
                     f"ids         {told['first_id']} to {told['last_id']}"):
            check(f"\n{line}\n" in out, line, out)
        listed = json.loads(run(SALVOR, "capture", "inspect", path, "--frames", "--json").stdout)
        frames = listed.pop("frame_list")
        check_equal(told, listed)
        check_equal(told["entries"], sum(frame["entries"] for frame in frames))
        check_equal(int(told["first_id"].split("-")[0]), frames[0]["first_ms"])
        check_equal(told["stored_bytes"], sum(frame["stored_bytes"] for frame in frames))


def test_inspect_tells_how_a_capture_is_not_whole():
    with Place() as place:
        salvor, path = captured(place)
        whole, _ = inspect(path)
        frames = json.loads(run(SALVOR, "capture", "inspect", path, "--frames",
                                "--json").stdout)["frame_list"]
        copy = os.path.join(place.folder, "copy.capture")

        shutil.copy(path, copy)
        os.truncate(copy, os.path.getsize(path) - 1)
        torn, _ = inspect(copy)
        check_equal(("torn", whole["entries"] - frames[-1]["entries"]),
                    (torn["ends"], torn["entries"]))
        check_equal(os.path.getsize(copy) - frames[-1]["byte"], torn["cut_bytes"])
        check("ends        torn: " in run(SALVOR, "capture", "inspect", copy).stdout)

        shutil.copy(path, copy)
        bad = frames[len(frames) // 2]
        with open(copy, "r+b") as file:
            file.seek(bad["byte"] + 80)
            byte = file.read(1)[0]
            file.seek(bad["byte"] + 80)
            file.write(bytes([byte ^ 4]))
        place_told = f"copy.capture: frame {bad['frame']} at byte {bad['byte']}: "
        damaged, error = inspect(copy, code=1)
        check_equal(("damaged", bad["first_ordinal"] - 1), (damaged["ends"], damaged["entries"]))
        check(place_told in damaged["damage"], damaged)
        check("salvor capture inspect: " in error and place_told in error, error)
        done = run(SALVOR, "capture", "inspect", copy, code=1)
        check(f"\nentries     {damaged['entries']}\n" in done.stdout, done.stdout)
        check("ends        damaged" in done.stdout and place_told in done.stderr)

        prelude = b"\x89SALVOR\n\x02\0\0\0"
        with open(copy, "r+b") as file:
            file.write(prelude + hashlib.sha256(prelude).digest()[:4])
        done = run(SALVOR, "capture", "inspect", copy, code=3)
        check("capture format 2; this program reads format 1: use a newer one" in done.stderr)
        check_equal("", done.stdout)
        with open(copy, "r+b") as file:
            file.write(b"notes")
        check("no capture file" in run(SALVOR, "capture", "inspect", copy, code=1).stderr)
        run(SALVOR, "capture", "inspect", os.path.join(place.folder, "nowhere"), code=3)
        check("no *.capture file" in run(SALVOR, "capture", "inspect", place.folder + "/redis",
                                         code=2).stderr)


main(test_old_files_go_while_it_runs_and_nothing_else,
     test_a_file_that_cannot_be_removed_is_told_and_tried_again,
     test_inspect_tells_what_a_capture_holds,
     test_inspect_tells_how_a_capture_is_not_whole)
