#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an engineer does with a capture: replay it, in part, into a database, against another, and
against the decisions that were kept. Everything offline, on the captures of tests/corpus."""
import fcntl
import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import termios
import time

from harness import BUILD, Place, ROOT, SALVOR, check, check_equal, main, run, wait_until

CORPUS = os.path.join(ROOT, "tests", "corpus")
MAKE_CAPTURE = os.path.join(BUILD, "tests", "tools", "make_capture")
FLEET = os.path.join(CORPUS, "five_incidents_of_a_fleet.capture")
SILENT = os.path.join(CORPUS, "a_fleet_falls_silent_at_once_and_comes_back.capture")
OPERATOR = "an_operator_takes_over"


def told(code, *arguments):
    done = run(SALVOR, *arguments, code=code)
    return done.stdout + done.stderr


def document(code, *arguments):
    return json.loads(run(SALVOR, *arguments, "--json", code=code).stdout)


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines(keepends=True)


def query(path, sql):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def copy_of_corpus(place):
    folder = os.path.join(place.folder, "corpus")
    shutil.copytree(CORPUS, folder)
    return folder


# --- the corpus ---

def test_the_corpus_is_decided_as_it_was():
    out = told(0, "replay", "--check", CORPUS)
    check("FAIL" not in out and ", 0 failed" in out, out)
    cases = document(0, "replay", "--check", CORPUS)["cases"]
    check(len(cases) >= 5 and all(case["verdict"] == "ok" for case in cases), cases)


def test_the_corpus_can_be_made_again():
    with Place() as place:
        scenarios = [name for name in os.listdir(CORPUS) if name.endswith(".scenario")]
        check(len(scenarios) >= 5, "there are scenarios")
        for name in scenarios:
            made = os.path.join(place.folder, "made.capture")
            run(MAKE_CAPTURE, os.path.join(CORPUS, name), made)
            kept = os.path.join(CORPUS, name[:-len(".scenario")] + ".capture")
            told_of = json.loads(run(SALVOR, "diff", kept, made, "--json", code=None).stdout)
            check_equal(None, told_of["first"], name)
            check(told_of["equal"] > 0, name)
            os.remove(made)


def test_another_decision_is_shown_as_a_reviewer_reads_it():
    with Place() as place:
        folder = copy_of_corpus(place)
        expected = os.path.join(folder, OPERATOR + ".expected")
        lines = lines_of(expected)
        comments = [line for line in lines if line.startswith("#")]
        check(comments and "reason=operator" in lines[len(comments)], lines)
        changed = lines[len(comments)].replace("reason=operator", "reason=job_failed")
        with open(expected, "w", encoding="utf-8") as file:
            file.writelines(comments + ["# why it is so\n", changed] + lines[len(comments) + 2:])
        out = told(1, "replay", "--check", folder)
        check(f"FAIL    {OPERATOR}:" in out and "cases, 1 failed" in out, out)
        hunk = [f"-{changed}", f"+{lines[len(comments)]}", f"+{lines[len(comments) + 1]}",
                f" {lines[len(comments) + 2]}"]
        places = [out.find(line) for line in hunk]
        check(all(at >= 0 for at in places) and places == sorted(places), out)
        check_equal(1, document(1, "replay", "--check", folder)["failed"])
        # Written anew, the lines that say what it was stay.
        out = told(0, "replay", "--check", folder, "--rewrite")
        check(f"written {OPERATOR}:" in out, out)
        check_equal(comments + ["# why it is so\n"] + lines[len(comments):], lines_of(expected))
        told(0, "replay", "--check", folder)


def test_another_capture_fails_the_case():
    with Place() as place:
        folder = copy_of_corpus(place)
        scenario = "".join(lines_of(os.path.join(folder, OPERATOR + ".scenario")))
        mutated = os.path.join(place.folder, "mutated.scenario")
        with open(mutated, "w", encoding="utf-8") as file:
            file.write(scenario.replace("operator.fail job=bad", "operator.complete job=bad"))
        run(MAKE_CAPTURE, mutated, os.path.join(folder, OPERATOR + ".capture"))
        out = told(1, "replay", "--check", folder)
        check(f"FAIL    {OPERATOR}:" in out and "\n+0.1." in out and "\n-0.1." in out, out)


def test_a_damaged_capture_is_no_regression_and_no_success():
    with Place() as place:
        folder = copy_of_corpus(place)
        path = os.path.join(folder, OPERATOR + ".capture")
        with open(path, "r+b") as file:
            file.seek(-5, os.SEEK_END)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))
        out = told(1, "replay", "--check", folder)
        check(f"BROKEN  {OPERATOR}:" in out, out)
        # A capture that cannot be read is never what is expected from here on.
        before = lines_of(os.path.join(folder, OPERATOR + ".expected"))
        told(1, "replay", "--check", folder, "--rewrite")
        check_equal(before, lines_of(os.path.join(folder, OPERATOR + ".expected")))


def test_a_case_without_its_pair_is_a_mistake():
    with Place() as place:
        folder = copy_of_corpus(place)
        os.rename(os.path.join(folder, OPERATOR + ".capture"), os.path.join(folder, "alone"))
        check(f"lacks its {OPERATOR}.capture" in told(2, "replay", "--check", folder))
        os.rename(os.path.join(folder, "alone"), os.path.join(folder, "alone.capture"))
        os.remove(os.path.join(folder, OPERATOR + ".expected"))
        check("lacks its alone.expected" in told(2, "replay", "--check", folder))
        # The first time it is written.
        told(0, "replay", "--check", folder, "--rewrite")
        told(0, "replay", "--check", folder)
        empty = os.path.join(place.folder, "empty")
        os.mkdir(empty)
        check("holds no case" in told(2, "replay", "--check", empty))
        told(2, "replay", "--check", os.path.join(place.folder, "missing"))


def test_options_that_say_nothing_together_are_refused():
    check("not with --audit" in told(2, "replay", "--check", CORPUS, "--audit", "x"))
    check("no further argument" in told(2, "replay", "--check", CORPUS, FLEET))
    check("belongs to --check" in told(2, "replay", FLEET, "--rewrite"))
    check("not with --db" in told(2, "replay", FLEET, "--decode-only", "--db", "x"))
    check("allowed: a time" in told(2, "replay", FLEET, "--from", "yesterday"))
    check("before the place to begin at" in told(2, "replay", FLEET, "--from", "#1000000"))


# --- a database ---

def test_a_database_holds_what_an_instance_would_keep():
    with Place() as place:
        out = os.path.join(place.folder, "out.db")
        figures = document(0, "replay", FLEET, "--db", out)
        check(f"{figures['decisions']} decisions, the chain holds" in told(0, "audit", "verify", out))
        check_equal([(figures["ordinal"],)], query(out, "SELECT ordinal FROM position"))
        check_equal([(figures["ordinal"], figures["state_hash"])],
                    query(out, "SELECT ordinal, state_hash FROM checkpoint"))
        check_equal([(figures["ordinal"], figures["state_hash"])],
                    query(out, "SELECT ordinal, sha256 FROM snapshot"))
        check(query(out, "SELECT * FROM leadership") and query(out, "SELECT * FROM policy"))
        check_equal([("complete", "applied")], query(
            out, "SELECT e.kind, e.outcome FROM decision AS d JOIN effect AS e ON e.decision = d.id"
                 " WHERE d.job = 'done-outside' AND d.action = 'complete'"))
        check("COMPLETE: " in told(0, "why", "done-outside", "--audit", out))
        told(0, "replay", FLEET, "--audit", out)
        check("is there already" in told(3, "replay", FLEET, "--db", out))
        told(0, "audit", "verify", out)
        bad = os.path.join(CORPUS, "entries_that_nobody_should_have_sent.capture")
        other = os.path.join(place.folder, "other.db")
        told(0, "replay", bad, "--db", other)
        check_equal([(9,)], query(other, "SELECT count(*) FROM quarantine"))


def test_a_part_of_a_capture_is_replayed_from_place_to_place():
    with Place() as place:
        out = os.path.join(place.folder, "out.db")
        whole = [line for line in told(0, "replay", FLEET, "--decisions").splitlines()
                 if " action=" in line]
        middle = whole[len(whole) // 2].split()[0]          # 0.1.MS-SEQ.N
        entry = middle.split(".")[2]
        behind = [line for line in whole if not line.startswith(f"0.1.{entry}")
                  and whole.index(line) > len(whole) // 2]
        first = next(number for number, line in enumerate(whole) if f".{entry}." in line)
        said = told(0, "replay", FLEET, "--decisions", "--from", entry, "--db", out).splitlines()
        check_equal(whole[first:], [line for line in said if " action=" in line])
        told(0, "audit", "verify", out)
        check_equal([(len(whole) - first,)], query(out, "SELECT count(*) FROM decision"))
        said = told(0, "replay", FLEET, "--decisions", "--until", entry).splitlines()
        check_equal(whole[:len(whole) - len(behind)], [line for line in said if " action=" in line])
        figures = document(0, "replay", FLEET, "--from", "#5", "--until", "#9")
        check_equal((5, 4, 9), tuple(figures[key] for key in ("entries", "first_ordinal", "ordinal")))


def test_an_interrupted_replay_ends_cleanly():
    with Place() as place:
        out = os.path.join(place.folder, "out.db")
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        # Its output is larger than the pipe and its own buffer: it waits for us with work to do.
        replay = subprocess.Popen([SALVOR, "replay", SILENT, "--decisions", "--batch", "1", "--db", out],
                                  stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)

        def is_full():
            size = fcntl.ioctl(reading, termios.FIONREAD, b"\0" * 4)
            return struct.unpack("i", size)[0] == 4096
        wait_until(is_full, "the pipe is full")
        replay.send_signal(signal.SIGINT)
        with os.fdopen(reading, encoding="utf-8") as file:
            said = file.read()
        check_equal((b"", 3), (replay.stderr.read(), replay.wait()))
        figures = said[said.index("entries="):].split()
        check(said.endswith(f"interrupted at {figures[2].replace('=', ' ')}\n"), said)
        told(0, "audit", "verify", out)
        folded = query(out, "SELECT ordinal FROM position")[0][0]
        check_equal(f"ordinal={folded}", figures[2])
        whole = document(0, "replay", SILENT)
        check(0 < folded < whole["ordinal"], folded)


# --- two of a kind ---

def test_an_end_includes_the_second_it_names_and_no_range_is_empty():
    cut = os.path.join(CORPUS, "network_cut.capture")
    middle = int(document(0, "replay", cut, "--until", "#90")["position"].split("-")[0]) // 1000
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(middle))
    wanted = document(0, "replay", cut, "--until", f"@{middle}999")
    check(document(0, "replay", cut, "--until", f"@{middle}000")["entries"] < wanted["entries"])
    check_equal(wanted["entries"], document(0, "replay", cut, "--until", second)["entries"])
    check_equal(document(0, "replay", cut)["entries"],
                document(0, "replay", cut, "--until", second[:10])["entries"])
    check("no entry lies between" in told(2, "replay", cut, "--until", "1970-01-01"))


def test_what_is_no_capture_or_audit_is_named_as_it_was_typed():
    with Place() as place:
        capture = os.path.join(place.folder, "data", "capture-0")
        os.mkdir(os.path.dirname(capture))
        told(0, "capture", "cut", SILENT, "--until", "#20", "--out", capture)
        check_equal(0o700, os.stat(capture).st_mode & 0o777)
        file = os.path.join(capture, os.listdir(capture)[0])
        check_equal(0o600, os.stat(file).st_mode & 0o777)
        check(f"its capture is {capture}" in told(2, "replay", os.path.dirname(capture)))
        with open(file, "r+b") as damaged:
            damaged.seek(-5, os.SEEK_END)
            damaged.write(b"12345")
        check(f"salvor replay: {file}: frame 1 at" in told(3, "replay", capture))
        check(f"salvor diff: {file}: frame 1 at" in told(3, "diff", capture, SILENT))
        for audit, why in ((file + "x", "no such file"), (capture, "is a directory"),
                           ("/dev/null", "not an audit database of Salvor")):
            check(f"{audit}: {why}" in told(3, "audit", "verify", audit))
        check("not with --json" in told(2, "replay", SILENT, "--decisions", "--json"))


def test_two_captures_part_at_a_known_field():
    with Place() as place:
        scenario = "".join(lines_of(os.path.join(CORPUS, OPERATOR + ".scenario")))
        other = os.path.join(place.folder, "other.scenario")
        with open(other, "w", encoding="utf-8") as file:
            file.write(scenario.replace("job=bad worker=w2 attempt=1", "job=bad worker=w9 attempt=1"))
        a = os.path.join(CORPUS, OPERATOR + ".capture")
        b = os.path.join(place.folder, "b.capture")
        run(MAKE_CAPTURE, other, b)
        check("entries are equal" in told(0, "diff", a, a))
        out = told(1, "diff", a, b)
        check("first divergence: entry 8-0 job.started, different; A at ordinal 8; B at ordinal 8\n"
              '  "worker"\n    A: "w2"\n    B: "w9"\n' in out, out)
        first = document(1, "diff", a, b)["first"]
        check_equal({"name": "worker", "a": "w2", "b": "w9"}, first["field"])
        # Their audits part where that worker first matters.
        databases = [os.path.join(place.folder, name) for name in ("a.db", "b.db")]
        for capture, database in zip((a, b), databases):
            told(0, "replay", capture, "--db", database)
        check("decisions are equal" in told(0, "diff", databases[0], databases[0]))
        out = told(1, "diff", *databases)
        check('job="bad", different' in out and "  \"worker\"\n    A: \"w2\"\n" in out, out)
        check(document(1, "diff", *databases)["otherwise"] > 0)
        check(f"salvor replay {a} --audit {databases[1]}" in told(2, "diff", databases[1], a))


def test_what_one_audit_has_let_go_is_no_difference():
    with Place() as place:
        databases = [os.path.join(place.folder, name) for name in ("a.db", "b.db")]
        for database in databases:
            told(0, "replay", SILENT, "--db", database)
        told(0, "audit", "prune", databases[0], "--before", "#100")
        all_rows = query(databases[1], "SELECT count(*) FROM decision")[0][0]
        figures = document(0, "diff", *databases)
        check(0 < figures["equal"] < all_rows, figures)
        check_equal(None, figures["first"])
        check("nothing is compared up to there" in told(0, "diff", *databases))
        # Of an audit that holds none of the decisions that the other holds, nothing is said.
        told(0, "replay", SILENT, "--until", "#20", "--db", databases[0] + "x")
        figures = document(2, "diff", databases[0], databases[0] + "x")
        check_equal((None, 0), (figures["same"], figures["equal"]))


def test_what_only_one_capture_covers_is_not_compared():
    with Place() as place:
        head, tail = (os.path.join(place.folder, name) for name in ("head", "tail"))
        told(0, "capture", "cut", SILENT, "--until", "#20", "--out", head)
        told(0, "capture", "cut", SILENT, "--from", "#21", "--out", tail)
        figures = document(0, "diff", SILENT, head)
        check_equal((True, 20), (figures["same"], figures["equal"]))
        check_equal(document(0, "replay", SILENT)["entries"] - 20,
                    figures["a"]["not_compared_behind"])
        for pair in (head, tail), (tail, head):
            check("nothing could be compared: no ordinal is in both" in told(2, "diff", *pair))
            check_equal(None, document(2, "diff", *pair)["same"])


if __name__ == "__main__":
    main(test_the_corpus_is_decided_as_it_was,
         test_the_corpus_can_be_made_again,
         test_another_decision_is_shown_as_a_reviewer_reads_it,
         test_another_capture_fails_the_case,
         test_a_damaged_capture_is_no_regression_and_no_success,
         test_a_case_without_its_pair_is_a_mistake,
         test_options_that_say_nothing_together_are_refused,
         test_a_database_holds_what_an_instance_would_keep,
         test_a_part_of_a_capture_is_replayed_from_place_to_place,
         test_an_interrupted_replay_ends_cleanly,
         test_an_end_includes_the_second_it_names_and_no_range_is_empty,
         test_what_is_no_capture_or_audit_is_named_as_it_was_typed,
         test_two_captures_part_at_a_known_field,
         test_what_one_audit_has_let_go_is_no_difference,
         test_what_only_one_capture_covers_is_not_compared)
