#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The policy from the user's side: what a file says is checked whole, told before it is sent, comes
into force without a restart, survives one, and can differ from service to service."""
import json
import os
import re

from harness import (DEADLINE_S, ROOT, SALVOR, STREAM, Place, Redis, Salvor, check, check_equal,
                     claim, main, prove, rescue, run, submit, wait_until)
from services import Service

POLICY = {"backoff_ms": 0, "ask_backoff_ms": 10}
WAIT = f"--wait={int(DEADLINE_S * 1000)}"


def written(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text if isinstance(text, str) else json.dumps(text))
    return path


def send(salvor, *arguments, code=0):
    return run(SALVOR, "send", "policy", *arguments, "-c", salvor.config, code=code)


def changes(done):
    """What it printed behind the line that tells where to."""
    lines = done.stdout.splitlines()
    check(re.fullmatch(r"to \S+, stream \S+:events", lines[0]), lines)
    return lines[1:]


def lose(redis, job, **fields):
    """A worker of its own takes the job and is lost."""
    submit(redis, job)
    claim(redis, job, f"w-{job}", **fields)
    redis.xadd("worker.lost", worker=f"w-{job}")


def policies(redis):
    return [fields for _, fields in redis.entries() if fields["type"] == "policy"]


def in_force(salvor):
    return salvor.query("SELECT * FROM policy ORDER BY seq DESC LIMIT 1")[0]


def test_a_policy_that_is_sent_holds_at_once_and_after_a_restart():
    with rescue({"policy": POLICY}) as (place, redis, salvor):
        lose(redis, "j1")
        salvor.wait_decision("j1", action="requeue", reason="worker_lost")
        path = written(place.folder, "strict.yaml",
                       {"policy": {**POLICY, "max_retries": 0, "hold_pace": 7}})
        done = send(salvor, path, WAIT)
        check_equal(["hold_pace: 100 -> 7", "max_retries: 3 -> 0"], changes(done)[:2])
        check_equal("in force", changes(done)[-1])
        lose(redis, "j2")
        decision = salvor.wait_decision("j2", action="fail", reason="retries_exhausted")
        check_equal(in_force(salvor)["hash"], decision["policy"])

        check_equal(0, salvor.stop())
        salvor.start()
        salvor.wait_log("in_charge")
        check_equal(in_force(salvor)["hash"], salvor.wait_log("policy_file_not_in_force")["in_force"])
        started = salvor.log("started")[-1]
        check_equal((in_force(salvor)["hash"], policies(redis)[0]["hash"]),
                    (started["policy"], started["file_policy"]))
        lose(redis, "j3")
        salvor.wait_decision("j3", action="fail", reason="retries_exhausted")
        check_equal(["file", "operator"], [fields["origin"] for fields in policies(redis)])
        check_equal(["unchanged; not sent"], changes(send(salvor, path, WAIT)))
        told = json.loads(send(salvor, path, "--json").stdout)
        check_equal((False, []), (told["sent"], told["policy"]["changes"]))
        check_equal(["file", "operator"], [fields["origin"] for fields in policies(redis)])


def test_a_policy_that_only_observes_says_so_wherever_it_is_told():
    with rescue({"policy": {**POLICY, "effects": "observe"}}) as (place, redis, salvor):
        check_equal(("none", "observe", "observe"), tuple(
            salvor.log("started")[0][key] for key in ("policy", "effects", "file_effects")))
        lose(redis, "j1")
        salvor.wait_decision("j1", action="requeue", mode="observe")
        check_equal("observe", salvor.wait_log("decided", job="j1", action="requeue")["mode"])
        submit(redis, "j2")
        claim(redis, "j2", "w2")

        def cancel(job, *more):
            return run(SALVOR, "send", "operator.cancel", f"job={job}", "who=ada", "why=gone",
                       "-c", salvor.config, WAIT, *more)
        check("job j2; only observed, nothing is done outside\n" in cancel("j2").stdout)
        submit(redis, "j3")
        claim(redis, "j3", "w3")
        check_equal([True], [row["observed"]
                             for row in json.loads(cancel("j3", "--json").stdout)["decisions"]])

        # Of a roll-out the policy's mode is apply, and the effect tells.
        path = written(place.folder, "part.yaml", {"policy": {**POLICY, "requeue_percent": 0}})
        send(salvor, path, WAIT)
        check_equal("apply", salvor.wait_log("policy_file_not_in_force")["in_force_effects"])
        lose(redis, "j4")
        salvor.wait_decision("j4", action="requeue", mode="apply")
        check_equal("observe", salvor.wait_log("decided", job="j4", action="requeue")["mode"])
        submit(redis, "j5")
        claim(redis, "j5", "w5")
        check("observed" not in cancel("j5").stdout)
        check_equal("apply", salvor.wait_log("decided", job="j5", action="fail")["mode"])

        # The file observes; what is in force does not.
        check_equal(0, salvor.stop())
        salvor.start()
        salvor.wait_log("in_charge")
        started = salvor.log("started")[-1]
        check_equal(("apply", "observe"), (started["effects"], started["file_effects"]))


def test_a_changed_file_takes_the_place_of_what_was_sent():
    with rescue({"policy": POLICY}) as (place, redis, salvor):
        send(salvor, written(place.folder, "p.yaml", {"policy": {"max_retries": 0}}), WAIT)
        check_equal(0, salvor.stop())
        with open(salvor.config, encoding="utf-8") as file:
            config = json.load(file)
        config["policy"]["max_retries"] = 1
        written(place.folder, "salvor.yaml", config)
        salvor.start()
        salvor.wait_log("in_charge")
        wait_until(lambda: "\nmax_retries=1\n" in in_force(salvor)["text"],
                   "the changed file is in force")
        check_equal(["file", "operator", "file"], [fields["origin"] for fields in policies(redis)])
        lose(redis, "j1")
        salvor.wait_decision("j1", action="requeue", reason="worker_lost")
        check_equal([], salvor.log("policy_file_not_in_force"))


def test_two_services_have_policies_of_their_own():
    config = {"policy": {**POLICY, "services": {"strict": {"max_retries": 0},
                                                "watched": {"effects": "observe"}}}}
    with rescue(config) as (place, redis, salvor):
        check_equal([], salvor.log("setting_without_effect"))
        for job in ("strict", "lenient", "watched"):
            lose(redis, f"j-{job}", service=job)
        salvor.wait_decision("j-strict", action="fail", reason="retries_exhausted", mode="apply")
        salvor.wait_decision("j-lenient", action="requeue", reason="worker_lost", mode="apply")
        salvor.wait_decision("j-watched", action="requeue", reason="worker_lost", mode="observe")
        wait_until(lambda: redis.pending() == ["j-lenient"], lambda: f"pending: {redis.pending()}")
        check_equal("failed", redis.hash("job:j-strict")["status"])
        check_equal("in_progress", redis.hash("job:j-watched")["status"])

        # The other way round, without a restart.
        path = written(place.folder, "turned.txt", "backoff_ms=0\nservice.lenient.max_retries=0\n")
        done = send(salvor, path, WAIT)
        for line in ("service.lenient.max_retries: (as the policy of all) -> 0",
                     "service.strict.max_retries: 0 -> (as the policy of all)",
                     "service.watched.effects: observe -> (as the policy of all)"):
            check(line in done.stdout.splitlines(), line, done.stdout)
        check("not named, so as in the preset safe: effects, " in done.stdout, done.stdout)
        lose(redis, "k-strict", service="strict")
        lose(redis, "k-lenient", service="lenient")
        salvor.wait_decision("k-lenient", action="fail", reason="retries_exhausted")
        salvor.wait_decision("k-strict", action="requeue", reason="worker_lost")


def test_a_service_may_be_set_from_the_environment():
    with rescue({"policy": POLICY}, environment={
            "SALVOR_POLICY_SERVICES_MY_API_MAX_RETRIES": "0",
            "SALVOR_POLICY_SERVICES_MY_API_ASK_BACKOFF_MS": "33"}) as (_, redis, salvor):
        lose(redis, "j1", service="my_api")
        salvor.wait_decision("j1", action="fail", reason="retries_exhausted")
        lose(redis, "j2", service="api")
        salvor.wait_decision("j2", action="requeue", reason="worker_lost")
        check("service.my_api.ask_backoff_ms=33\n" in in_force(salvor)["text"], in_force(salvor))


def test_a_dry_run_tells_what_would_change_and_sends_nothing():
    with rescue({"policy": {**POLICY, "services": {"api": {"ask_limit": 9}}}}) as (place, redis,
                                                                                  salvor):
        wait_until(lambda: policies(redis), "the file's policy stands in the stream")
        salvor.wait_folded(redis)
        path = written(place.folder, "p.txt", "backoff_ms=50\nask_backoff_ms=10\n"
                                              "service.api.ask_limit=9\n")
        done = send(salvor, path, "--dry-run")
        lines = changes(done)
        check_equal(["backoff_ms: 0 -> 50", "valid; not sent"], [lines[0], lines[-1]])
        told = json.loads(send(salvor, path, "--dry-run", "--json").stdout)
        check_equal(False, told["sent"])
        check_equal([{"key": "backoff_ms", "before": "0", "after": "50"}],
                    told["policy"]["changes"])
        check_equal(in_force(salvor)["hash"], told["policy"]["in_force"])
        check("hold_pace" in told["policy"]["not_named"] and
              "backoff_ms" not in told["policy"]["not_named"], told)
        check_equal(1, len(policies(redis)))

        told = json.loads(send(salvor, path, WAIT, "--json").stdout)
        check_equal(2, len(policies(redis)))
        check_equal((True, in_force(salvor)["hash"]), (told["folded"], told["policy"]["hash"]))
        told = json.loads(send(salvor, path, "--dry-run", "--json").stdout)
        check_equal([], told["policy"]["changes"])
        # An event is checked the same way.
        run(SALVOR, "send", "worker.lost", "worker=w9", "--dry-run", "-c", salvor.config)
        done = run(SALVOR, "send", "worker.lost", "--dry-run", "-c", salvor.config, code=2)
        check("worker" in done.stderr, done.stderr)
        check_equal([], [fields for _, fields in redis.entries()
                         if fields["type"] == "worker.lost"])


def test_what_is_in_force_is_found_without_an_audit_or_said_to_be_unknown():
    with Place() as place:
        redis = Redis(place)
        config = written(place.folder, "c.yaml", {
            "salvor": {"data": os.path.join(place.folder, "nowhere")},
            "redis": {"url": redis.url}})
        path = written(place.folder, "p.yaml", {"policy": {"ask_limit": 5}})

        def told(*more):
            done = run(SALVOR, "send", "policy", path, "-c", config, *more)
            return json.loads(done.stdout)["policy"]
        check_equal("the stream holds no policy", told("--dry-run", "--json")["not_known"])
        told("--json")
        check_equal([], told("--dry-run", "--json")["changes"])
        # One that the fold refuses is not in force; nor is one that somebody else's stream holds.
        redis.xadd("policy", text="ask_limit=many\n", origin="operator", hash="0" * 64)
        redis.xadd("policy", stream="other:{0}:events", text="ask_limit=1\n", origin="operator",
                   hash="0" * 64)
        check_equal([], told("--dry-run", "--json")["changes"])

        def fill(count):
            redis.call("EVAL", "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'type', "
                               "'worker.heartbeat', 'worker', 'w1') end", 1, STREAM, count)
        fill(99998)
        check_equal([], told("--dry-run", "--json")["changes"])
        fill(1000)
        why = told("--dry-run", "--json")["not_known"]
        check("100000 entries" in why and "nowhere" in why, why)
        done = run(SALVOR, "send", "policy", path, "--dry-run", "-c", config)
        check("what changes can not be told" in done.stdout and "valid; not sent" in done.stdout,
              done.stdout)

        # The audit knows what stands further back, and what came since is read from the stream.
        salvor = Salvor(place, redis, {"policy": {"ask_limit": 5}})
        salvor.wait_log("in_charge")
        check_equal(0, salvor.stop())
        done = run(SALVOR, "send", "policy", path, "--dry-run", "-c", salvor.config)
        check_equal(["unchanged; not sent"], changes(done))
        redis.xadd("policy", text="ask_limit=6\n", origin="operator", hash="0" * 64)
        done = run(SALVOR, "send", "policy", path, "--dry-run", "-c", salvor.config)
        check_equal("ask_limit: 6 -> 5", changes(done)[0])
        # An audit of another stream says nothing.
        redis.call("FLUSHALL")
        done = run(SALVOR, "send", "policy", path, "--dry-run", "-c", salvor.config)
        check("the stream holds no policy" in done.stdout, done.stdout)
        run(SALVOR, "send", "policy", path, "--dry-run", "-c", config, code=3,
            environment={"SALVOR_REDIS_URL": place.missing_url()})
        redis.stop()
        prove(salvor)


def test_a_policy_alone_keeps_what_is_known_of_the_services():
    def config(place):
        service = Service(place, is_volatile=True)
        place.token = written(place.folder, "token", "hush\n")
        return {"policy": POLICY, "services": {service.name: {
            **service.config[service.name], "token": f"file:{place.token}"}}}
    with rescue(config) as (place, redis, salvor):
        fact = "service.render.volatile=true\n"
        wait_until(lambda: salvor.query("SELECT * FROM policy"), "the file's policy is in force")
        check(fact in in_force(salvor)["text"], in_force(salvor))
        # Whoever sends needs no secret of a service.
        os.remove(place.token)
        path = written(place.folder, "p.yml", {"policy": {**POLICY, "ask_limit": 4}})
        done = send(salvor, path, WAIT)
        check_equal(["ask_limit: 3 -> 4",
                     "not told, so kept as known: service.render.volatile=true"],
                    changes(done)[:2])
        check(fact in in_force(salvor)["text"] and "\nask_limit=4\n" in in_force(salvor)["text"],
              in_force(salvor))
        done = run(SALVOR, "run", "-c", salvor.config, code=2)
        check("services.render.token: file:" in done.stderr, done.stderr)
        # So does a text, and whoever has another configuration, or none.
        bare = written(place.folder, "bare.yaml", {"redis": {"url": redis.url}})
        text = written(place.folder, "p.txt", "backoff_ms=0\nask_backoff_ms=10\nask_limit=5\n")
        for config in (salvor.config, bare):
            for file in (text, path):
                done = run(SALVOR, "send", "policy", file, "--dry-run", "-c", config)
                check("not told, so kept as known: service.render.volatile=true\n" in done.stdout and
                      "service.render.volatile:" not in done.stdout, done.stdout)
        told = json.loads(run(SALVOR, "send", "policy", text, "--json", "-c", bare).stdout)
        check_equal(["service.render.volatile=true"], told["policy"]["kept"])
        wait_until(lambda: "\nask_limit=5\n" in in_force(salvor)["text"], "the text is in force")
        check(fact in in_force(salvor)["text"], in_force(salvor))
        # The job that the service may have forgotten is doubted still.
        submit(redis, "j1")
        claim(redis, "j1", "w1", service="render")
        redis.xadd("job.handed_off", job="j1", worker="w1", attempt=1, service="render",
                   service_job="of-j1")
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_decision("j1", action="park", reason="service_forgot")
        # What a text tells holds.
        text = written(place.folder, "off.txt", "service.render.volatile=false\n")
        done = send(salvor, text, "--dry-run")
        check("service.render.volatile: true -> false\n" in done.stdout, done.stdout)
        check("kept" not in done.stdout, done.stdout)


def test_a_text_goes_through_sqlite3_and_back():
    with rescue({"policy": {**POLICY, "services": {"api": {"ask_limit": 9}}}}) as (place, redis,
                                                                                  salvor):
        wait_until(lambda: salvor.query("SELECT * FROM policy"), "the file's policy is in force")
        first = in_force(salvor)
        text = run("sqlite3", "-readonly", salvor.audit,
                   "SELECT text FROM policy ORDER BY seq DESC LIMIT 1").stdout
        check_equal(first["text"] + "\n", text)
        path = written(place.folder, "same.txt", text)
        check_equal(["unchanged; not sent"], changes(send(salvor, path, WAIT)))
        path = written(place.folder, "slow.txt",
                       "# slower\n" + text.replace("\nbackoff_ms=0\n", "\n\nbackoff_ms=7\n"))
        check_equal(["backoff_ms: 0 -> 7", "in force"],
                    [line for line in changes(send(salvor, path, WAIT)) if "-0" not in line])
        check_equal(first["text"].replace("\nbackoff_ms=0\n", "\nbackoff_ms=7\n"),
                    in_force(salvor)["text"])


def test_a_file_that_names_its_redis_goes_there_and_nowhere_else():
    with Place() as place:
        redis = Redis(place)
        own = written(place.folder, "salvor.yaml", {"redis": {"url": place.missing_url()},
                                                    "salvor": {"prefix": "own"}})
        path = written(place.folder, "there.yaml", {
            "redis": {"url": redis.url}, "salvor": {"prefix": "there"},
            "policy": {"ask_limit": 5}})

        def send_from_there(*arguments, code=0):
            return run(SALVOR, "send", "policy", *arguments, code=code, cwd=place.folder)
        done = send_from_there(path)
        check_equal(f"to {redis.url}, stream there:{{0}}:events", done.stdout.splitlines()[0])
        check_equal(1, len(redis.entries("there:{0}:events")))
        for key in ("redis.url", "salvor.prefix"):
            done = send_from_there(path, "-c", own, code=2)
            check(f"{path}: {key}: not that of {own}; allowed: the same, or no -c\n"
                  in done.stderr, done.stderr)
        check(place.missing_url() not in done.stderr and redis.url not in done.stderr, done.stderr)
        check_equal(1, len(redis.entries("there:{0}:events")))
        # One that names neither goes where the configuration says.
        plain = written(place.folder, "plain.yaml", {"policy": {"ask_limit": 5}})
        send_from_there(plain, code=3)
        done = send_from_there(plain, "-c", path, "--json")
        told = json.loads(done.stdout)
        check_equal(("there:{0}:events", redis.url, False),
                    (told["stream"], told["redis"], told["sent"]))
        # A mistake in it is told once, and all of them.
        bad = written(place.folder, "bad.yaml", "redis: {url: nowhere}\npolicy: {ask_limit: many}\n")
        done = send_from_there(bad, code=2)
        check_equal([f"{bad}:1: redis.url", f"{bad}:2: policy.ask_limit"],
                    [line[:len(bad) + 3] + line[len(bad) + 3:].split(":")[0]
                     for line in done.stderr.splitlines()])


def test_a_broken_file_is_told_whole_and_changes_nothing():
    yaml = ("policy:\n  ask_limit: many\n  on_running: stop\n  services:\n"
            "    api: {hold_pace: 1, colour: red}\n    \"a b\": {ask_limit: 1}\n"
            "services:\n  api: {profile: nobody, token: hush}\n")
    text = "ask_limit=many\non_running=stop\nservice.api.hold_pace=1\ncolour=red\ncolour\n"
    with Place() as place:
        redis = Redis(place)
        config = written(place.folder, "c.yaml", {"redis": {"url": redis.url}})

        def refused(name, content, more=()):
            path = written(place.folder, name, content)
            done = run(SALVOR, "send", "policy", path, "-c", config, *more, code=2,
                       cwd=place.folder)
            check_equal("", done.stdout)
            check("hush" not in done.stderr, done.stderr)
            return [line.replace(path, "F") for line in done.stderr.splitlines()]
        lines = refused("bad.yaml", yaml)
        for line, words in zip(lines, (
                ("F:2: policy.ask_limit: \"many\"; allowed: a whole number",),
                ("F:3: policy.on_running: \"stop\"; allowed: wait, requeue, cancel",),
                ("F:5: policy.services.api.hold_pace: this key holds for the whole fleet",),
                ("F:5: policy.services.api.colour: unknown key; allowed: ", "ask_limit"),
                ("F:6: policy.services.a b: not a name",),
                ("F:8: services.api.token: not the secret, but where it stands",),
                ("F:8: services.api: ", "no profile \"nobody\"", "comfyui"))):
            check(all(word in line for word in words), words, lines)
        check_equal(7, len(lines), lines)
        for more in ((), ("--dry-run", "--json")):
            lines = refused("bad.txt", text, more)
            for line, words in zip(lines, (
                    "F: line 1: ask_limit: \"many\"; allowed: a whole number from 0 to 1000",
                    "F: line 2: on_running: \"stop\"; allowed: wait, requeue, cancel",
                    "F: line 3: service.api.hold_pace: this key holds for the whole fleet",
                    "F: line 4: colour: unknown key; allowed: ",
                    "F: line 5: \"colour\"; allowed: KEY=VALUE")):
                check(words in line, words, lines)
            check_equal(5, len(lines), lines)
        refused("large.txt", "x" * 32769)
        check("No such file" in run(SALVOR, "send", "policy", "nowhere.txt", "-c", config,
                                    code=2).stderr)
        check_equal({}, redis.dump())


def test_the_page_explains_every_key_and_its_query_runs():
    with open(os.path.join(ROOT, "reducers", "policy.h"), encoding="utf-8") as file:
        keys = re.findall(r'X\(\w+, "([a-z_.]+)", (?:JOB|FLEET)', file.read())
    with open(os.path.join(ROOT, "docs", "policy.md"), encoding="utf-8") as file:
        page = file.read()
    check(len(keys) > 20, keys)
    explained = {key for heads in re.findall(r"^\*\*(.*?)\.\*\*", page, re.M)
                 for key in re.findall(r"`([a-z_.]+)`", heads)}
    check_equal(set(keys), explained, "keys that docs/policy.md explains")
    with rescue({"policy": {**POLICY, "ask_limit": 1, "on_unreachable": "park"}}) as (_, redis,
                                                                                    salvor):
        submit(redis, "j1")
        claim(redis, "j1", "w1")
        redis.xadd("job.handed_off", job="j1", worker="w1", attempt=1, service="unknown",
                   service_job="of-j1")
        redis.xadd("worker.lost", worker="w1")
        salvor.wait_decision("j1", action="park", reason="no_profile")
        # What comes behind is no end of the parking; a job that a person holds waits too.
        redis.xadd("worker.registered", worker="w1", incarnation=2)
        redis.xadd("job.progress", job="j1", worker="w1", attempt=1)
        submit(redis, "j2")
        claim(redis, "j2", "w2")
        redis.xadd("operator.hold", job="j2", who="ada", why="look")
        salvor.wait_decision("j2", action="hold", reason="operator")
        submit(redis, "j3")
        claim(redis, "j3", "w3")
        redis.xadd("operator.hold", job="j3", who="ada", why="look")
        redis.xadd("operator.resume", job="j3", who="ada", why="seen")
        salvor.wait_decision("j3", action="resume")
        salvor.wait_folded(redis)
        query = re.search(r"```sql\n(.*?);\n```", page, re.S)[1]
        check_equal([("j1", "no_profile"), ("j2", "operator")],
                    sorted((row["job"], row["reason"]) for row in salvor.query(query)))


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
