#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prune, backup and export beside a running process under load: it goes on, the chain holds, a
restart and a replay agree; and what each of them prints and refuses."""
import contextlib
import csv
import io
import json
import os
import sqlite3
import threading

from harness import (BUILD, SALVOR, Client, Place, check, check_equal, claim, main, rescue, run,
                     submit, wait_until)

FAST = {"policy": {"backoff_ms": 0}}


def lose_worker(redis, number):
    """Decisions with effects: the job goes back, the worker is freed."""
    submit(redis, f"j{number}")
    claim(redis, f"j{number}", f"w{number}")
    redis.xadd("worker.lost", worker=f"w{number}")


def work(salvor):
    return salvor.query("SELECT max(seq) AS seq, (SELECT ordinal FROM position) AS ordinal,"
                        " count(*) FILTER (WHERE action = 'prune') AS prunes FROM decision")[0]


class Load:
    """Workers are lost one after the other, by a thread with a connection of its own."""

    def __init__(self, redis, first):
        self.redis, self.number, self.is_over = redis, first, threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        class Beside:
            client = Client(self.redis.path)
            call = client.call
            xadd = type(self.redis).xadd
        beside = Beside()
        try:
            while not self.is_over.is_set():
                lose_worker(beside, self.number)
                self.number += 1
        except Exception as failure:
            self.failure = failure
        beside.client.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *trace):
        self.is_over.set()
        self.thread.join()
        check(self.failure is None, "the load ended early:", self.failure)


def export(audit, *arguments):
    return run(SALVOR, "audit", "export", audit, *arguments).stdout


def lines(audit, *arguments):
    return [json.loads(line) for line in
            export(audit, "--format", "jsonl", *arguments).splitlines()]


def check_copy(salvor, path):
    """A backup of this moment: verified, and its export is what it says."""
    told = json.loads(run(SALVOR, "audit", "backup", salvor.audit, path, "--json").stdout)
    rows = lines(path)
    check_equal(told["decisions"], len(rows))
    check(told["ordinal"] >= rows[-1]["ordinal"], told, rows[-1])
    check_equal(os.path.getsize(path), told["bytes"])
    run(SALVOR, "audit", "verify", path)
    os.remove(path)


def test_upkeep_beside_a_process_under_load():
    with rescue(FAST) as (place, redis, salvor):
        for number in range(30):
            lose_worker(redis, number)
        salvor.wait_folded(redis)
        wait_until(lambda: salvor.query("SELECT count(*) AS n FROM effect WHERE settled_at_ms IS"
                                        " NULL")[0]["n"] == 0, "all effects are settled")
        out = run(SALVOR, "audit", "prune", "--before", "#100", salvor.audit).stdout
        check("0 decisions and 0 effects removed\nkept: all others; there is no snapshot" in out, out)
        check_equal(0, salvor.stop())  # leaves the snapshot that lets older rows go
        rows = work(salvor)["seq"]
        salvor.start()
        salvor.wait_log("in_charge")
        ordinals = [row["ordinal"] for row in salvor.query("SELECT ordinal FROM decision")]
        with Load(redis, 30):
            removed = 0
            for turn in (1, 2):
                before = work(salvor)
                wait_until(lambda: work(salvor)["seq"] > before["seq"] + 5, "the process writes")
                told = json.loads(run(SALVOR, "audit", "prune", salvor.audit, "--json", "--before",
                                      f"#{ordinals[rows * turn // 4]}").stdout)
                check(told["decisions"] > 0 and told["effects"] > 0, told)
                removed += told["decisions"]
                check_equal(removed, salvor.query("SELECT seq FROM pruned")[0]["seq"])
                check_equal(removed + 1, salvor.query("SELECT min(seq) AS n FROM decision")[0]["n"])
                check_copy(salvor, os.path.join(place.folder, f"copy-{turn}.db"))
                seqs = [int(row["seq"]) for row in csv.DictReader(io.StringIO(export(salvor.audit)))]
                check_equal(list(range(removed + 1, seqs[-1] + 1)), seqs, "rows, none missing")
                run(SALVOR, "audit", "verify", salvor.audit)
            after = work(salvor)
            check_equal(2, after["prunes"])
            # Behind the last prune the process has written on.
            wait_until(lambda: work(salvor)["seq"] > after["seq"] + 5, "the process still writes")
            check(salvor.process.poll() is None, "it has not ended")
        # More than may go: what a restart needs stays, and is named.
        out = run(SALVOR, "audit", "prune", "--before", "2100-01-01", salvor.audit).stdout
        check("kept: those from ordinal" in out and "snapshot" in out, out)
        check("were pruned; the chain goes on from there" in
              run(SALVOR, "audit", "verify", salvor.audit).stdout)
        salvor.wait_folded(redis)
        salvor.kill()  # the restart folds what follows the snapshot again, and compares
        salvor.start()
        salvor.wait_log("in_charge")
        salvor.wait_folded(redis)


def test_a_replay_tells_what_it_could_not_compare():
    with rescue(FAST) as (_, redis, salvor):
        for number in range(5):
            lose_worker(redis, number)
        # What has no outcome keeps its decision, and every one behind it.
        wait_until(lambda: salvor.query("SELECT count(*) FILTER (WHERE kind = 'requeue') = 5 AND"
                                        " count(*) = count(settled_at_ms) AS is_done FROM effect"
                                        )[0]["is_done"], "five requeues, and every effect settled")
        salvor.stop()
        total = work(salvor)["seq"]
        run(SALVOR, "audit", "prune", "--before", "2100-01-01", salvor.audit)
        gone = salvor.query("SELECT seq FROM pruned")[0]["seq"]
        check(0 < gone <= total, gone, total)
        out = run(SALVOR, "replay", salvor.capture, "--audit", salvor.audit).stdout
        check(f"not compared: {gone} decisions of the fold were pruned from the audit" in out, out)
        told = json.loads(run(SALVOR, "replay", salvor.capture, "--audit", salvor.audit,
                              "--json").stdout)
        check_equal((gone, total - gone), (told["pruned"], told["equal"]))
        salvor.start()
        salvor.wait_log("in_charge")


def test_old_rows_leave_by_the_key():
    keys = {"audit": {"keep_ms": 1}, "capture": {"rotate_ms": 1000}}
    with rescue({**FAST, **keys}) as (_, redis, salvor):
        for number in range(5):
            lose_worker(redis, number)
        wait_until(lambda: salvor.query("SELECT seq FROM pruned"), "rows leave")
        check(salvor.log("audit_pruned"), "it is told")
        lose_worker(redis, 5)  # and it goes on
        salvor.wait_decision("j5", action="requeue")
        salvor.stop()
        salvor.start(environment={"SALVOR_AUDIT_KEEP_MS": "x"})
        check_equal(2, salvor.wait_end())
        check("SALVOR_AUDIT_KEEP_MS: audit.keep_ms: \"x\"; allowed: a whole number from 0" in
              "\n".join(salvor.lines), salvor.lines)
        salvor.start()
        salvor.wait_log("in_charge")


def story(place):
    """An audit with an example of everything."""
    path = os.path.join(place.folder, "audit-0.db")
    run(os.path.join(BUILD, "tests/tools/make_audit"), path)
    return path


def test_what_is_exported():
    with Place() as place:
        audit = story(place)
        rows = list(csv.DictReader(io.StringIO(export(audit), newline="")))
        objects = lines(audit)
        check_equal(len(rows), len(objects))
        check(len(rows) > 20, len(rows))
        for row, told in zip(rows, objects):
            check_equal(list(row), list(told), "the same columns")
            check_equal(json.loads(row["evidence"]), told["evidence"])
            check(isinstance(told["seq"], int) and isinstance(told["evidence"], dict), told)
            check(told["superseded_by"] is None and row["superseded_by"] == "")
        for table, wanted in {"effect": "settled_at_ms", "policy": "text", "leadership": "owner",
                              "quarantine": "raw", "checkpoint": "state_hash"}.items():
            objects = lines(audit, "--table", table)
            rows = list(csv.DictReader(io.StringIO(export(audit, "--table", table), newline="")))
            check(objects and wanted in objects[0], table, objects)
            check_equal(len(objects), len(rows), table)
        check_equal("01047479706510776f726b65722e686561727462656174",
                    lines(audit, "--table", "quarantine")[0]["raw"])
        check_equal([None], sorted({effect["settled_at_ms"] for effect in
                                    lines(audit, "--table", "effect", "--job", "j7")}))
        check_equal({"j2"}, {told["job"] for told in lines(audit, "--job", "j2")})


def test_a_part_is_exported():
    with Place() as place:
        audit = story(place)
        all_rows = lines(audit)
        tenth = all_rows[9]
        for place_text in (f"#{tenth['ordinal']}", tenth["stream_id"], f"@{tenth['at_ms']}"):
            check_equal([row for row in all_rows if row["at_ms"] >= tenth["at_ms"]],
                        lines(audit, "--from", place_text))
            check_equal([row for row in all_rows if row["at_ms"] <= tenth["at_ms"]],
                        lines(audit, "--until", place_text))
        part = lines(audit, "--table", "effect", "--from", f"#{tenth['ordinal']}", "--until",
                     f"#{tenth['ordinal']}")
        check_equal([tenth["id"]], [effect["decision"] for effect in part])
        check_equal(1, len(lines(audit, "--table", "policy", "--from",
                                 lines(audit, "--table", "policy")[1]["stream_id"])))


def test_bytes_of_any_kind_are_told_in_ascii():
    with Place() as place:
        audit = story(place)
        with contextlib.closing(sqlite3.connect(audit, isolation_level=None)) as database:
            database.execute("UPDATE decision SET worker = CAST(x'1b5b33316d22ff2c0a' AS TEXT),"
                             " evidence = '{\"a\":' || char(10) || '1'"
                             " WHERE seq = (SELECT min(seq) FROM decision)")
        row = lines(audit)[0]
        check_equal("\x1b[31m\"\xff,\n", row["worker"])
        check_equal('{"a":\n1', row["evidence"])  # no JSON: told as a text
        text = export(audit)
        check(all(byte in "\r\n\t" or " " <= byte <= "~" for byte in text), "printable ASCII")
        row = next(csv.DictReader(io.StringIO(text, newline="")))
        check_equal('\\u001b[31m"\\u00ff,\n', row["worker"])


def test_what_is_refused():
    with Place() as place:
        audit = story(place)
        missing, empty = (os.path.join(place.folder, name) for name in ("missing", "empty"))
        open(empty, "w", encoding="utf-8").close()

        def told(code, *arguments):
            done = run(SALVOR, "audit", *arguments, code=code)
            return done.stdout + done.stderr
        check("needs --before PLACE" in told(2, "prune", audit))
        check("--before \"soon\": allowed: a time" in told(2, "prune", audit, "--before", "soon"))
        for path in missing, empty:
            told(3, "prune", path, "--before", "#1")
            told(3, "backup", path, missing + ".copy")
            told(3, "export", path)
        check_equal((False, 0), (os.path.exists(missing), os.path.getsize(empty)), "made nothing")
        check("needs DB OUT" in told(2, "backup", audit))
        check("is there already" in told(3, "backup", audit, empty))
        check_equal(0, os.path.getsize(empty))
        check("allowed: csv, jsonl" in told(2, "export", audit, "--format", "xml"))
        check("allowed: decision effect policy" in told(2, "export", audit, "--table", "snapshot"))
        check("know no ordinal" in told(2, "export", audit, "--table", "policy", "--from", "#1"))
        check("allowed: a job, with" in told(2, "export", audit, "--table", "policy", "--job", "j"))
        done = run("sh", "-c", f"{SALVOR} audit export {audit} >/dev/full", code=3)
        check("No space left on device" in done.stderr, done.stderr)


if __name__ == "__main__":
    main(test_upkeep_beside_a_process_under_load, test_a_replay_tells_what_it_could_not_compare,
         test_old_rows_leave_by_the_key, test_what_is_exported, test_a_part_is_exported,
         test_bytes_of_any_kind_are_told_in_ascii, test_what_is_refused)
