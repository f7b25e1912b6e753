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
        check_equal(["hold_pace: 100 -> 7", "max_retries: 3 -> 0"], done.stdout.splitlines()[:2])
        lose(redis, "j2")
        decision = salvor.wait_decision("j2", action="fail", reason="retries_exhausted")
        check_equal(in_force(salvor)["hash"], decision["policy"])

        check_equal(0, salvor.stop())
        salvor.start()
        salvor.wait_log("in_charge")
        check_equal(in_force(salvor)["hash"], salvor.wait_log("policy_file_not_in_force")["in_force"])
        lose(redis, "j3")
        salvor.wait_decision("j3", action="fail", reason="retries_exhausted")
        check_equal(["file", "operator"], [fields["origin"] for fields in policies(redis)])
        check_equal("unchanged", send(salvor, path, WAIT).stdout.splitlines()[0])


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
        for line in ("service.lenient.max_retries: (not told) -> 0",
                     "service.strict.max_retries: 0 -> (not told)",
                     "service.watched.effects: observe -> (not told)"):
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
        lines = done.stdout.splitlines()
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
        check_equal("unchanged", done.stdout.splitlines()[0])
        redis.xadd("policy", text="ask_limit=6\n", origin="operator", hash="0" * 64)
        done = run(SALVOR, "send", "policy", path, "--dry-run", "-c", salvor.config)
        check_equal("ask_limit: 6 -> 5", done.stdout.splitlines()[0])
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
        check_equal("ask_limit: 3 -> 4", done.stdout.splitlines()[0])
        check("volatile" not in done.stdout, done.stdout)
        check(fact in in_force(salvor)["text"] and "\nask_limit=4\n" in in_force(salvor)["text"],
              in_force(salvor))
        done = run(SALVOR, "run", "-c", salvor.config, code=2)
        check("services.render.token: file:" in done.stderr, done.stderr)
        # A text tells all itself, and what it leaves out is shown.
        path = written(place.folder, "p.txt", "ask_limit=4\n")
        check("service.render.volatile: true -> (not told)\n" in
              send(salvor, path, "--dry-run").stdout)


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
        query = re.search(r"```sql\n(.*?);\n```", page, re.S)[1]
        check_equal([("j1", "no_profile")], [(row["job"], row["reason"])
                                             for row in salvor.query(query)])


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
