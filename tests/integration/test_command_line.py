#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The command line: what each verb prints, what it refuses, and how it ends."""
import json
import os
import re

from harness import (DEADLINE_S, Place, ROOT, Redis, SALVOR, Salvor, check, check_equal, claim,
                     main, prove, rescue, run, submit, wait_until)

FAST = {"policy": {"backoff_ms": 0}}


def told(code, *arguments, **options):
    """Standard output and error of a call that must end with `code`."""
    done = run(SALVOR, *arguments, code=code, **options)
    return done.stdout + done.stderr


def test_usage_is_refused_with_what_is_allowed():
    check("Verbs:" in told(2), "no verb")
    check("unknown verb \"frob\"" in told(2, "frob"))
    check("salvor 0." in told(0, "--version"))
    for verb in ("run", "replay", "why", "send", "audit verify", "capture inspect", "check", "diff"):
        words = verb.split()
        check(f"Usage: salvor {verb}" in told(0, *words, "--help"))
        check(re.search(r"unknown option --bogus; allowed:.* --help", told(2, *words, "--bogus")))
    check("needs FILE|DIR" in told(2, "replay"))
    check("one argument too many" in told(2, "replay", "a", "b"))
    check("--batch needs N" in told(2, "replay", "a", "--batch"))
    check("allowed: a whole number from 1 to 100000" in told(2, "replay", "a", "--batch", "0"))
    check("--json takes no value" in told(2, "replay", "a", "--json=yes"))
    check("decides nothing" in told(2, "replay", "a", "--decode-only", "--decisions"))
    check("needs --audit DB" in told(2, "why", "j1"))
    for verb, part in ("audit", "verify"), ("capture", "inspect"):
        check(re.search(rf"allowed:.* {part}\b", told(2, verb, "sign", "x")))
        check(f"salvor {verb} {part}" in told(0, verb, "--help"))
    check("allowed: logfmt, json" in told(2, "run", "--log-format", "xml"))
    check("allowed: debug, info" in told(2, "run", "--log-level=loud"))
    check(re.search(r"Types: policy worker.registered .*operator.resume\ndocs/events.md",
                    told(0, "send", "--help")))


def test_a_reader_that_has_seen_enough_hears_no_complaint():
    with Place() as place:
        # The reader is gone before anything is written.
        done = run("sh", "-c", f"mkfifo wait; {{ read line <wait; {SALVOR} --help; echo $? >code; }} | "
                               "{ exec <&-; echo gone >wait; }", cwd=place.folder)
        check_equal("", done.stderr)
        with open(os.path.join(place.folder, "code"), encoding="utf-8") as file:
            check_equal("3\n", file.read())
        done = run("sh", "-c", f"{SALVOR} --help >/dev/full", cwd=place.folder, code=3)
        check("salvor: output: No space left on device" in done.stderr, done.stderr)


def test_what_is_not_there_is_a_failure():
    with Place() as place:
        missing = os.path.join(place.folder, "missing")
        told(3, "replay", missing)
        told(3, "why", "j1", "--audit", missing)
        told(3, "audit", "verify", missing)
        told(3, "send", "worker.lost", "worker=w1", environment={
            "SALVOR_REDIS_URL": place.missing_url()}, cwd=place.folder)


def test_problems_of_the_configuration_are_named_at_once():
    with Place() as place:
        path = os.path.join(place.folder, "bad.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("salvor: {tick_mss: 1}\npolicy: {on_running: stop}\n"
                       "services:\n  api: {profile: nobody}\n  bare: {}\n")
        out = told(2, "run", "-c", path, cwd=place.folder)
        check_equal([f"{path}:1: salvor.tick_mss", f"{path}:2: policy.on_running",
                     f"{path}:4: services.api", f"{path}:5: services.bare.profile"],
                    [re.match(r"\S+ \S+(?=: )", line).group() for line in out.splitlines()])
        with open(path, "w", encoding="utf-8") as file:
            file.write("services:\n  api: {profile: nobody, base: \"http://h\"}\n")
        check(f"{path}:2: services.api: " in told(2, "run", "-c", path, cwd=place.folder))
        check(not os.path.exists(os.path.join(place.folder, "salvor-data")), "nothing was made")


def test_the_page_tells_every_key_and_its_example_loads():
    with open(os.path.join(ROOT, "docs/configuration.md"), encoding="utf-8") as file:
        page = file.read()
    with Place() as place:
        path = os.path.join(place.folder, "c.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(f"{name}: {{x_y: 1}}\n" for name in
                               ("salvor", "redis", "queue", "policy", "capture", "audit",
                                "monitor")))
            file.write("services: {s: {x_y: 1, profile: comfyui}}\n")
        out = told(2, "run", "-c", path)
        keys = {key for line in out.splitlines() for key in line.split("allowed: ")[1].split(", ")}
        check("worker_silent_ms" in keys and "tick_ms" in keys and "failures" in keys, keys)
        untold = [key for key in sorted(keys)
                  if f"`{key}`" not in page and f"## {key}" not in page]
        check_equal([], untold, "keys that docs/configuration.md does not tell")
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.search(r"```yaml\n(.*?)```", page, re.S).group(1))
        told(3, "send", "worker.lost", "worker=w1", "-c", path,
             environment={"SALVOR_REDIS_URL": place.missing_url()})


def test_one_data_serves_one_process():
    with rescue() as (place, redis, salvor):
        out = told(3, "run", "-c", salvor.config)
        check("another process works with this data" in out, out)


def test_a_stop_ends_a_wait_for_redis():
    with Place() as place:
        salvor = Salvor(place, None)
        salvor.wait_log("redis_away")
        check_equal(0, salvor.stop(), "the exit code")


def test_the_start_tells_where_it_stands_and_no_secret():
    with Place() as place:
        salvor = Salvor(place, None, {"redis": {"url": "redis://user:hidden@127.0.0.1:1/0"},
                                      "monitor": {"listen": "127.0.0.1:1"}})
        fact = salvor.wait_log("started")
        for name in ("partition", "owner", "data", "redis", "prefix", "ordinal", "epoch", "policy",
                     "effects", "reducers", "position", "queue"):
            check(fact.get(name), name, fact)
        check_equal("redis://***@127.0.0.1:1/0", fact["redis"])
        check("monitor.listen" in salvor.log("setting_without_effect")[0]["setting"])
        salvor.stop()
        check(not any("hidden" in line for line in salvor.lines), "the password is in the log")


def send(salvor, *arguments, code=0):
    return told(code, "send", "-c", salvor.config, *arguments)


def test_send_checks_appends_and_waits():
    with rescue(FAST) as (place, redis, salvor):
        submit(redis, "j1")
        claim(redis, "j1", "w1")
        before = len([entry for entry in redis.entries() if entry[1].get("type") != "tick"])
        check("allowed: policy worker.registered" in send(salvor, "worker.vanished", code=2))
        check("the leader alone" in send(salvor, "tick", "elapsed_ms=1", "wall_ms=1", code=2))
        check("allowed: KEY=VALUE" in send(salvor, "worker.lost", "w1", code=2))
        check("wrker: no such field" in send(salvor, "worker.lost", "wrker=w1", code=2))
        check("worker: missing" in send(salvor, "worker.lost", "reason=x", code=2))
        check("attempt: ill_typed" in send(salvor, "job.claimed", "job=j", "worker=w",
                                           "attempt=one", code=2))
        check_equal(before, len([entry for entry in redis.entries()
                                 if entry[1].get("type") != "tick"]), "nothing was appended")
        out = send(salvor, "worker.lost", "worker=w1", f"--wait={int(DEADLINE_S * 1000)}")
        check("release: somebody declared the worker lost (worker_lost)" in out, out)
        salvor.wait_decision("j1", action="requeue")
        out = json.loads(send(salvor, "worker.heartbeat", "worker=w2", "--json", "--wait",
                              str(int(DEADLINE_S * 1000))))
        check_equal((True, []), (out["folded"], out["decisions"]))
        check(redis.call("XRANGE", "salvor:{0}:events", out["stream_id"], out["stream_id"]))


def test_send_says_when_nobody_folds():
    with Place() as place:
        redis = Redis(place)
        salvor = Salvor(place, redis)
        salvor.wait_log("in_charge")
        check_equal(0, salvor.stop())
        out = send(salvor, "worker.heartbeat", "worker=w1", "--wait=1", code=1)
        check("not folded yet" in out, out)
        out = send(salvor, "worker.heartbeat", "worker=w1")
        check(re.fullmatch(r"\d+-\d+\n", out), out)


def test_send_policy_puts_a_file_into_force():
    with rescue(FAST) as (place, redis, salvor):
        wait_until(lambda: salvor.query("SELECT * FROM policy"), "the file's policy is in force")
        first = salvor.query("SELECT * FROM policy")[0]
        bad = os.path.join(place.folder, "bad.txt")
        with open(bad, "w", encoding="utf-8") as file:
            file.write("effects=sometimes\n")
        check("line 1" in send(salvor, "policy", bad, code=2))
        check("needs FILE" in send(salvor, "policy", code=2))
        # A configuration ...
        path = os.path.join(place.folder, "policy.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("policy: {effects: observe, max_retries: 9}\n")
        send(salvor, "policy", path, f"--wait={int(DEADLINE_S * 1000)}")
        second = salvor.query("SELECT * FROM policy ORDER BY seq")[1]
        check("effects=observe\n" in second["text"] and "max_retries=9\n" in second["text"], second)
        told = salvor.wait_log("policy_file_not_in_force")
        check_equal((first["hash"], second["hash"]), (told["file"], told["in_force"]))
        check("salvor send policy FILE" in told["to_change"], told)
        # ... and the first one's text, as the audit keeps it.
        text = os.path.join(place.folder, "policy.txt")
        with open(text, "w", encoding="utf-8") as file:
            file.write(first["text"])
        send(salvor, "policy", text, f"--wait={int(DEADLINE_S * 1000)}")
        third = salvor.query("SELECT * FROM policy ORDER BY seq")[2]
        check_equal(first["hash"], third["hash"])
        check_equal(first["text"], third["text"])
        check_equal(1, len(salvor.log("policy_file_not_in_force")))


def test_why_replay_and_audit_agree_on_what_happened():
    with Place(keeps=False) as place:
        redis = Redis(place)
        salvor = Salvor(place, redis, FAST)
        submit(redis, "j1")
        claim(redis, "j1", "w1")
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_decision("j1", action="requeue")
        wait_until(lambda: not salvor.query("SELECT id FROM effect WHERE settled_at_ms IS NULL"),
                   "all effects are settled")
        check_equal(0, salvor.stop())
        prove(salvor)
        story = told(0, "why", "j1", "--audit", salvor.audit, "--capture", salvor.capture)
        order = [story.index(part) for part in
                 ("job.claimed", "job.started", "worker.lost", "RELEASE the worker",
                  "REQUEUE: ", "requeue job:j1 -> applied", "effect.settled")]
        check(order[0] < order[1] < order[2] < order[3] < order[4], story)
        # The capture alone tells the same; so do those of the data directory.
        check_equal(story, told(0, "why", "j1", "--capture", salvor.capture))
        check_equal(story, told(0, "why", "j1", "-c", salvor.config))
        check("\033[" not in story, story)
        check("\033[1m" in told(0, "why", "j1", "--audit", salvor.audit, "--color", "always"))
        check("allowed: always, never, auto" in told(2, "why", "j1", "--color", "green"))
        unknown = told(1, "why", "j9", "--audit", salvor.audit)
        check("no decision names the job" in unknown and "known are: j1" in unknown, unknown)
        lost = salvor.query("SELECT stream_id FROM decision WHERE action = 'release'")[0]["stream_id"]
        state = told(0, "why", "j1", "-c", salvor.config, "--at", lost)
        check("w1, gone" in state and f"behind entry {lost}" in state, state)
        state = json.loads(told(0, "why", "j1", "--capture", salvor.capture, "--at", "#5", "--json"))
        check_equal(5, state["ordinal"])
        check("allowed: a time" in told(2, "why", "j1", "--audit", salvor.audit, "--at", "noon"))
        check("needs --capture" in told(2, "why", "j1", "--audit", salvor.audit, "--at", "#5"))
        document = json.loads(told(0, "why", "j1", "--audit", salvor.audit, "--json"))
        requeue = [part for part in document["story"] if part.get("action") == "requeue"][0]
        check(requeue["otherwise"], document)
        lines = told(0, "replay", salvor.capture, "--decisions").splitlines()
        check_equal([row["id"] for row in salvor.decisions()],
                    [line.split()[0] for line in lines if " action=" in line])
        figures = json.loads(told(0, "replay", salvor.capture, "--audit", salvor.audit, "--json"))
        check_equal((len(salvor.decisions()), None), (figures["equal"], figures["difference"]))
        decoded = json.loads(told(0, "replay", salvor.capture, "--decode-only", "--json"))
        check_equal(figures["entries"], decoded["entries"])
        # One column changed: the replay names it, the chain does too, and a start refuses.
        run("sqlite3", salvor.audit, "UPDATE decision SET worker = 'w7' WHERE action = 'requeue'")
        out = told(1, "replay", salvor.capture, "--audit", salvor.audit)
        check(re.search(r"worker\n +fold: +w1\n +audit: w7\n", out), out)
        figures = json.loads(run(SALVOR, "replay", salvor.capture, "--audit", salvor.audit,
                                 "--json", code=1).stdout)
        check_equal([{"column": "worker", "fold": "w1", "audit": "w7"}],
                    figures["difference"]["columns"])
        told(1, "audit", "verify", salvor.audit)


def test_a_torn_capture_is_read_again_from_redis():
    with rescue(FAST) as (place, redis, salvor):
        for number in range(20):
            claim(redis, f"j{number}", f"w{number}")
            redis.xadd("worker.lost", worker=f"w{number}")
        salvor.wait_decision("j19", action="requeue")
        salvor.kill()
        newest = os.path.join(salvor.capture, sorted(os.listdir(salvor.capture))[-1])
        os.truncate(newest, os.path.getsize(newest) * 2 // 3)
        committed = salvor.query("SELECT ordinal FROM position")[0]["ordinal"]
        salvor.start()
        fact = salvor.wait_log("started")
        check(int(fact["ordinal"]) < committed, fact, committed)
        salvor.wait_log("in_charge")


if __name__ == "__main__":
    main(test_usage_is_refused_with_what_is_allowed,
         test_a_reader_that_has_seen_enough_hears_no_complaint,
         test_what_is_not_there_is_a_failure,
         test_problems_of_the_configuration_are_named_at_once,
         test_the_page_tells_every_key_and_its_example_loads,
         test_one_data_serves_one_process,
         test_a_stop_ends_a_wait_for_redis,
         test_the_start_tells_where_it_stands_and_no_secret,
         test_send_checks_appends_and_waits,
         test_send_says_when_nobody_folds,
         test_send_policy_puts_a_file_into_force,
         test_why_replay_and_audit_agree_on_what_happened,
         test_a_torn_capture_is_read_again_from_redis)
