#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Captures made from Redis, and cut: what is recorded is the stream, entry by entry; a cut gives
the decisions that the whole gives, or is refused; a cut as a scenario gives them too."""
import json
import os
import re
import shutil
import signal
import subprocess

from harness import BUILD, SALVOR, STREAM, Place, Redis, check, check_equal, main, run, wait_until

BASE_MS = 1700000000000
SCENARIO = os.path.join(BUILD, "tests/tools/scenario")


class Story:
    """A stream written by hand, each entry under an id of our choosing: the n-th has BASE_MS + n.
    One leader, whose events get its name by themselves."""

    def __init__(self, redis, **policy):
        self.redis = redis
        self.count = 0
        self.add("epoch", epoch=1, timeline=1, reducers=2, ordinal=0, wall_ms=1, owner="ann")
        text = "".join(f"{key}={value}\n" for key, value in sorted(policy.items()))
        self.add("policy", text=text, origin="file", hash="cafe", owner="ann", epoch=1)

    @property
    def last(self):
        return f"{BASE_MS + self.count}-0"

    def add(self, type, **fields):
        self.count += 1
        words = [part for name, value in fields.items() for part in (name, value)]
        return self.redis.call("XADD", STREAM, self.last, "type", type, *words)

    def leader(self, type, **fields):
        return self.add(type, owner="ann", epoch=1, **fields)

    def tick(self, elapsed_ms=250, times=1, **fields):
        for _ in range(times):
            self.leader("tick", elapsed_ms=elapsed_ms, wall_ms=1, **fields)

    def hold(self, job, worker, attempt=1):
        self.add("job.claimed", job=job, worker=worker, attempt=attempt, claim=f"c{attempt}")
        self.add("job.started", job=job, worker=worker, attempt=attempt)

    def settle(self, n, k, outcome="applied", **fields):
        self.leader("effect.settled", effect=f"0.1.{BASE_MS + n}-0.{k}.1", outcome=outcome, **fields)


def tell_incident(redis):
    """w1 and w2 fall silent in one tick; w1's job is with a service, which has forgotten it. Beside
    it a healthy worker does its work. Returns the story and the entry in which they fell."""
    story = Story(redis, backoff_ms=0, worker_silent_ms=400000)
    for worker in "w1", "w2", "w3":
        story.add("worker.registered", worker=worker, heartbeat_ms=1000)
    story.hold("j2", "w2")
    story.hold("j 1", "w1")
    story.add("job.handed_off", job="j 1", worker="w1", attempt=1, service="comfyui",
              service_job="p1", tag="t")
    for turn in range(5):
        story.hold(f"other{turn}", "w3")
        story.tick(249 + turn % 3, times=2)
        story.add("worker.heartbeat", worker="w3")
        story.add("job.completed", job=f"other{turn}", worker="w3", attempt=1)
    while story.count < 60:
        story.add("worker.heartbeat", worker="w3")
    story.tick(125)
    story.tick(1500)  # both are silent: release, ask or requeue, in the order of their arrival
    fell = story.count
    story.settle(fell, 1, "stale", found="status=paused\nworker=w9\nattempt=1")
    story.leader("service.answered", question=f"0.1.{BASE_MS + fell}-0.2.1", job="j 1", attempt=1,
                 verdict="not_found", http=404)
    story.settle(fell, 3)
    story.settle(fell, 4)
    story.tick(250, times=4)
    story.settle(story.count - 6, 1)
    story.hold("j 1", "w4", attempt=2)
    story.add("job.completed", job="j 1", worker="w4", attempt=2, result="out \"1\"\\")
    story.add("worker.lost", worker="w2", id="lost1")
    story.count += 1
    story.redis.call("XADD", STREAM, story.last, "e", b"\xc0")
    return story, fell


def record(redis, out, *options, code=0):
    return run(SALVOR, "capture", "record", "--redis", redis.url, "--out", out, *options, code=code)


def cut(capture, *options, code=0):
    return run(SALVOR, "capture", "cut", capture, *options, code=code)


def decisions(capture):
    return run(SALVOR, "replay", capture, "--decisions").stdout.split("entries=")[0].splitlines()


def entries_of(capture):
    return json.loads(run(SALVOR, "replay", capture, "--json").stdout)["entries"]


def captured(folder):
    """Entries that a recording has written out so far."""
    is_begun = os.path.isdir(folder) and any(name.endswith(".capture") for name in
                                             os.listdir(folder))
    return entries_of(folder) if is_begun else 0


def of_job(rows, job):
    return [row for row in rows if f' job="{job}" ' in row]


def test_a_stream_is_recorded_as_it_is():
    with Place() as place:
        redis = Redis(place)
        story, fell = tell_incident(redis)
        redis.xadd("worker.heartbeat", worker="w3")
        big = "x" * 200000  # kept in part, as the live reader keeps it
        redis.xadd("worker.heartbeat", worker="w3", more=big)
        before = redis.dump()
        out = os.path.join(place.folder, "whole")
        told = json.loads(record(redis, out, "--json").stdout)
        count = len(redis.entries())
        check_equal(count, told["entries"])
        check_equal(0, told["begins_behind"])
        check_equal(before, redis.dump(), "Redis is only read")
        figures = json.loads(run(SALVOR, "replay", out, "--json").stdout)
        check_equal(count, figures["entries"])
        # A fold straight from the stream gives the same rows.
        fresh = os.path.join(place.folder, "fresh")
        run(os.path.join(BUILD, "tests/tools/fold_stream"), redis.url, STREAM, str(count), fresh)
        agreed = run(SALVOR, "replay", out, "--audit", os.path.join(fresh, "audit-0.db")).stdout
        check("the audit agrees: " in agreed, agreed)
        check_equal(figures["decisions"], int(re.search(r"agrees: decisions=(\d+)", agreed)[1]))
        check("holds captures already" in record(redis, out, code=2).stderr)
        check("needs --out" in run(SALVOR, "capture", "record", code=2).stderr)
        check("salvor:{7}:events" in
              record(redis, out + "7", "--partition", "7", code=3).stderr)


def test_rules_that_are_unknown_are_not_folded():
    with Place() as place:
        redis = Redis(place)
        story = Story(redis)
        story.add("epoch", epoch=2, timeline=1, reducers=99, ordinal=2, wall_ms=1, owner="ann")
        story.hold("j1", "w1")
        out = os.path.join(place.folder, "out")
        check("opened by reducers 99" in record(redis, out, code=3).stderr)


def test_a_recorded_part_carries_its_state():
    with Place() as place:
        redis = Redis(place)
        story, fell = tell_incident(redis)
        whole, part = (os.path.join(place.folder, name) for name in ("whole", "part"))
        record(redis, whole)
        rows = decisions(whole)
        config = os.path.join(place.folder, "salvor.yaml")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"redis": {"url": redis.url}}, file)
        told = run(SALVOR, "capture", "record", "-c", config, "--out", part, "--from", f"#{fell}",
                   "--until", f"{BASE_MS + fell + 2}-0").stdout
        check(f"3 entries, ordinals {fell} to {fell + 2}, ids {BASE_MS + fell}-0 to "
              f"{BASE_MS + fell + 2}-0" in told, told)
        first = next(i for i, row in enumerate(rows) if f"{BASE_MS + fell}-0.1" in row)
        given = decisions(part)
        check_equal(rows[first:first + len(given)], given)
        check(len(given) > 4, given)
        nothing = os.path.join(place.folder, "nothing")
        refused = record(redis, nothing, "--from", "@1900000000000", code=2).stderr
        check("no entry lies between" in refused and not os.path.exists(nothing), refused)


def test_a_stream_is_followed_until_somebody_stops_it():
    with Place() as place:
        redis = Redis(place)
        story, _ = tell_incident(redis)
        out = os.path.join(place.folder, "followed")
        process = subprocess.Popen([SALVOR, "capture", "record", "--redis", redis.url, "--out", out,
                                    "--follow", "--json"], stdout=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: captured(out) == len(redis.entries()), "it is caught up")
            for _ in range(5):
                redis.xadd("worker.heartbeat", worker="w3")
            count = len(redis.entries())
            wait_until(lambda: captured(out) == count, "all entries are written out")
            process.send_signal(signal.SIGINT)
            told = json.loads(process.communicate(timeout=30)[0])
        finally:
            process.kill()
        check_equal(0, process.returncode)
        check_equal((count, True), (told["entries"], told["stopped"]))
        check_equal(count, entries_of(out))


def test_a_recording_rotates_its_files():
    with Place() as place:
        redis = Redis(place)
        story, _ = tell_incident(redis)
        count = len(redis.entries())
        out = os.path.join(place.folder, "followed")
        process = subprocess.Popen([SALVOR, "capture", "record", "--redis", redis.url, "--out", out,
                                    "--follow", "--rotate-bytes", "4096", "--json", "--until",
                                    f"#{count + 2001}"], stdout=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: captured(out) == count, "it is caught up")
            for number in range(2000):
                redis.call("XADD", STREAM, "*", "type", "job.submitted", "job", os.urandom(30).hex())
            redis.xadd("worker.heartbeat", worker="w3")
            told = json.loads(process.communicate(timeout=30)[0])
        finally:
            process.kill()
        check_equal((count + 2001, 0, False), (told["entries"], told["begins_behind"], told["stopped"]))
        files = sorted(os.listdir(out))
        check(len(files) > 2, files)
        check_equal(count + 2001, entries_of(out), "the files are one capture")
        check(0 < entries_of(os.path.join(out, files[-1])) < 2000, "the last stands alone")


def test_a_stream_with_a_gap_is_not_taken_for_a_whole():
    with Place() as place:
        redis = Redis(place)
        tell_incident(redis)
        count = len(redis.entries())
        out = os.path.join(place.folder, "out")
        redis.call("XDEL", STREAM, f"{BASE_MS + 20}-0")
        told = record(redis, out, code=3).stderr
        check(f"1 of the {count} entries ever added are gone" in told and "capture-P" in told, told)
        redis.call("XTRIM", STREAM, "MAXLEN", count - 10)
        check_equal(count - 10, redis.call("XLEN", STREAM))
        check("10 of the" in record(redis, out, code=3).stderr)
        check(not os.path.exists(out), "nothing is left")


def test_entries_lost_while_following_are_told():
    with Place() as place:
        redis = Redis(place)
        tell_incident(redis)
        out = os.path.join(place.folder, "followed")
        count = len(redis.entries())
        process = subprocess.Popen([SALVOR, "capture", "record", "--redis", redis.url, "--out", out,
                                    "--follow"], stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: captured(out) == count, "it is caught up")
            process.send_signal(signal.SIGSTOP)
            # The read under way takes the first of them at most.
            for _ in range(20):
                last = redis.xadd("worker.heartbeat", worker="w3")
            redis.call("XTRIM", STREAM, "MAXLEN", 3)
            check_equal(3, len(redis.entries()), "entries were trimmed unread")
            process.send_signal(signal.SIGCONT)
            told = process.communicate(timeout=30)[1]
        finally:
            process.kill()
        check_equal(3, process.returncode)
        lost = re.search(r"(\d+) entries were trimmed or deleted before they were read, behind "
                         r"ordinal (\d+)", told)
        check(lost and 16 <= int(lost[1]) <= 17 and int(lost[2]) == count, told)
        check(f"ordinal {count}; it is whole up to there" in told, told)
        check_equal(count, entries_of(out), "nothing behind the hole is written")


def test_a_stream_that_is_not_there_is_named_or_waited_for():
    with Place() as place:
        redis = Redis(place)
        out = os.path.join(place.folder, "out")
        told = record(redis, out, "--partition", "7", code=3).stderr
        check("there is no stream salvor:{7}:events" in told and "--partition" in told, told)
        process = subprocess.Popen([SALVOR, "capture", "record", "--redis", redis.url, "--out", out,
                                    "--follow", "--json"], stdout=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: "blocked_clients:1" in redis.call("INFO", "clients"),
                       "it waits")
            tell_incident(redis)
            count = len(redis.entries())
            wait_until(lambda: captured(out) == count, "it is caught up")
            process.send_signal(signal.SIGINT)
            figures = json.loads(process.communicate(timeout=30)[0])
        finally:
            process.kill()
        check_equal((0, count), (figures["begins_behind"], figures["last_ordinal"]))


def test_a_password_is_never_shown():
    with Place() as place:
        out = os.path.join(place.folder, "out")
        done = run(SALVOR, "capture", "record", "--redis", "redis://ann:sesame@127.0.0.1:1/0",
                   "--out", out, code=3)
        check("sesame" not in done.stdout + done.stderr and "redis: " in done.stderr, done.stderr)
        done = run(SALVOR, "capture", "record", "--redis", "redis://ann:sesame@:x/0", "--out", out,
                   code=2)
        check("sesame" not in done.stdout + done.stderr, done.stderr)


def make_pieces(place, redis):
    """The whole as one file, and a folder of three files of it, each with its state."""
    story, fell = tell_incident(redis)
    whole, pieces = (os.path.join(place.folder, name) for name in ("whole", "pieces"))
    record(redis, whole)
    os.mkdir(pieces)
    for first, last in ((1, 30), (31, fell), (fell + 1, 1000)):
        piece = os.path.join(place.folder, f"piece{first}")
        cut(whole, "--from", f"#{first}", "--until", f"#{last}", "--out", piece)
        name, = os.listdir(piece)
        shutil.move(os.path.join(piece, name), os.path.join(pieces, name))
    check_equal(3, len(os.listdir(pieces)))
    return story, fell, whole, pieces


def test_a_range_is_cut_with_its_state():
    with Place() as place:
        redis = Redis(place)
        story, fell, whole, pieces = make_pieces(place, redis)
        rows = decisions(whole)
        check_equal(rows, decisions(pieces), "the pieces are the whole")
        for number, place_of in enumerate((f"#{fell}", f"@{BASE_MS + fell}", f"{BASE_MS + fell}-0",
                                           "2023-11-14T22:13:20.%03dZ" % fell)):
            for capture in (whole, pieces)[number // 2:]:
                out = os.path.join(place.folder, f"{number}-{os.path.basename(capture)}")
                told = json.loads(cut(capture, "--from", place_of, "--until", place_of, "--out",
                                      out, "--json").stdout)
                check_equal((1, fell - 1), (told["entries"], told["ordinal"]))
                given = decisions(out)
                check(len(given) == 4 and all(row in rows for row in given), given)
        refused = cut(whole, "--from", "@1900000000000", "--out", out + "x", code=2).stderr
        check("no entry lies between" in refused, refused)
        check("holds captures already" in cut(whole, "--out", out, code=2).stderr)
        check("needs --out DIR or --as-scenario" in cut(whole, code=2).stderr)


def test_one_job_is_cut_with_all_that_touches_it():
    with Place() as place:
        redis = Redis(place)
        story, fell, whole, pieces = make_pieces(place, redis)
        rows = decisions(whole)
        for capture in whole, pieces:
            for job in "j 1", "j2", "other3":
                out = os.path.join(place.folder, f"{os.path.basename(capture)} {job}")
                told = cut(capture, "--job", job, "--out", out).stdout
                wanted = of_job(rows, job)
                check(f"the cut gives the same {len(wanted)} decisions about {job}" in told, told)
                check_equal(wanted, of_job(decisions(out), job))
                check(entries_of(out) < entries_of(whole), "it is smaller")
        # From the middle, behind a snapshot in which the job is held: only its own are in it.
        out = os.path.join(place.folder, "middle")
        told = json.loads(cut(pieces, "--job", "j 1", "--from", "#50", "--out", out, "--json").stdout)
        check_equal(of_job(rows, "j 1"), of_job(decisions(out), "j 1"))
        check(told["workers"] < 4, told)
        refused = cut(whole, "--job", "nobody", "--out", out + "x", code=2).stderr
        check("nobody: no event names this job" in refused, refused)


def play(file):
    done = run(SCENARIO, file)
    check("1 scenarios, 0 differ" in done.stdout, done.stdout)
    with open(file, encoding="ascii") as lines:
        return lines.read()


def test_an_incident_becomes_a_scenario():
    with Place() as place:
        redis = Redis(place)
        story, fell, whole, pieces = make_pieces(place, redis)
        for number, (capture, job) in enumerate(((whole, "j 1"), (pieces, "j 1"), (whole, "j2"))):
            file = os.path.join(place.folder, f"{number}.txt")
            told = cut(capture, "--job", job, "--as-scenario", file).stdout
            check(f"{file}: " in told, told)
            text = play(file)
            events, _, given = text.partition("----\n")
            check(events.startswith(f"# Cut from {os.path.basename(capture)}, ids {BASE_MS + 1}-0"),
                  events)
            check_equal(len(of_job(decisions(whole), job)),
                        len(re.findall(rf"^0\.1\.\d+-0\.\d \w+ \w+ job={job} ", given, re.M)))
            check(re.search(r"^run \d+$", events, re.M) and "tick elapsed_ms=1500" in events, events)
            check("policy backoff_ms=0 worker_silent_ms=400000\n" in events, events)
        # j2 was decided about behind "j 1" in the same entry, other3 alone.
        check('answer "j 1" verdict=not_found' in events, events)
        alone = os.path.join(place.folder, "alone.txt")
        cut(whole, "--job", "other3", "--as-scenario", alone)
        check('"j 1"' not in play(alone) and "other3" in play(alone))
        # All of a small capture, the undecodable entry included; then what is no scenario.
        file = os.path.join(place.folder, "all.txt")
        out = os.path.join(place.folder, "all")
        told = json.loads(cut(pieces, "--as-scenario", file, "--out", out, "--json").stdout)
        text = play(file)
        check_equal(len(decisions(whole)), told["scenario_decisions"])
        for line in ('answer "j 1" verdict=not_found http=404', "settle w1 stale found=",
                     'result="out \\"1\\"\\\\"', "wrong_bytes c0"):
            check(line in text, line, text)
        check("cannot be made" in cut(pieces, "--as-scenario", file, code=2).stderr)
        late = os.path.join(place.folder, "late.txt")
        refused = cut(pieces, "--from", "#50", "--job", "j 1", "--as-scenario", late, code=2).stderr
        check("the snapshot holds 1 jobs, " in refused and not os.path.exists(late), refused)
        # A job that came later: the snapshot, narrowed to it, holds nothing.
        story.tick(250)
        story.add("worker.registered", worker="w7", heartbeat_ms=1000)
        story.hold("j7", "w7")
        story.tick(250, times=12)
        again = os.path.join(place.folder, "again")
        record(redis, again)
        cut(again, "--from", f"#{story.count - 15}", "--job", "j7", "--as-scenario", late)
        text = play(late)
        check("\nepoch\npolicy backoff_ms=0 worker_silent_ms=400000\nrun 250\nworker.registered worker=w7" in
              text and "\nrun 3000\n----\n" in text, text)
        left = [name for name in os.listdir(place.folder) if ".txt." in name]
        check_equal([], left, "no folder of ours is left")


def test_a_job_that_the_whole_fleet_decides_about_is_refused_or_whole():
    with Place() as place:
        redis = Redis(place)
        story = Story(redis, backoff_ms=0, mass_loss_min=5, mass_loss_percent=50)
        for number in range(12):
            story.add("worker.registered", worker=f"w{number}", heartbeat_ms=1000)
            story.hold(f"j{number}", f"w{number}")
        for worker in "a", "b", "c":
            story.add("worker.registered", worker=worker)
        story.tick(3000)
        story.tick(250, times=3)
        whole = os.path.join(place.folder, "whole")
        record(redis, whole)
        rows = decisions(whole)
        check(any(" action=hold " in row and ' job="" ' in row for row in rows), "the fleet is held")
        out, file = os.path.join(place.folder, "out"), os.path.join(place.folder, "file.txt")
        refused = cut(whole, "--job", "j0", "--out", out, "--as-scenario", file, code=1).stderr
        check(re.search(r"decision 0\.1\.\d+-0\.\d: .* in the capture, .* in the cut", refused),
              refused)
        check("--from and --until, without --job" in refused, refused)
        check(not os.path.exists(out) and not os.path.exists(file), "nothing was kept")
        # The last to be decided about takes all who came before it along.
        told = json.loads(cut(whole, "--job", "j11", "--out", out, "--json").stdout)
        check_equal((12, 12), (told["jobs"], told["workers"]))
        check_equal(of_job(rows, "j11"), of_job(decisions(out), "j11"))


main(test_a_stream_is_recorded_as_it_is,
     test_rules_that_are_unknown_are_not_folded,
     test_a_recorded_part_carries_its_state,
     test_a_stream_is_followed_until_somebody_stops_it,
     test_a_recording_rotates_its_files,
     test_a_stream_with_a_gap_is_not_taken_for_a_whole,
     test_entries_lost_while_following_are_told,
     test_a_stream_that_is_not_there_is_named_or_waited_for,
     test_a_password_is_never_shown,
     test_a_range_is_cut_with_its_state,
     test_one_job_is_cut_with_all_that_touches_it,
     test_an_incident_becomes_a_scenario,
     test_a_job_that_the_whole_fleet_decides_about_is_refused_or_whole)
