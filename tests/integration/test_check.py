#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`salvor check`: one run names all that is wrong or weak, changes nothing, and tells the same as
`salvor run` would stop for."""
import contextlib
import json
import os
import re
import socket
import subprocess
import threading

from harness import (BUILD, CONTROL, DEADLINE_S, SALVOR, STREAM, Client, Place, Redis, Salvor,
                     check, check_equal, main, run, wait_until)
from services import PROFILE, Service, reply
from test_config_errors import MISTAKES, written

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
COMFY = os.path.join(BUILD, "tests/fleet/comfy_service")


class Findings:
    """What one `salvor check --json` found; the text for people has to say the same."""

    def __init__(self, place, redis, code, services=None, url=None, **sections):
        config = {"salvor": {"data": os.path.join(place.folder, "data")},
                  "redis": {"url": url or redis.url}, "services": services or {}, **sections}
        self.path = written(place, json.dumps(config))
        self.read(self.path, place, code)

    def read(self, path, place, code, **environment):
        done = run(SALVOR, "check", "-c", path, "--json", code=code, cwd=place.folder,
                   environment=environment)
        told = json.loads(done.stdout)
        # Bytes beyond ASCII are written one by one, whatever their encoding.
        self.all = [{key: text.encode("latin-1").decode() for key, text in finding.items()}
                    for finding in told["findings"]]
        self.output = done.stdout + done.stderr
        people = run(SALVOR, "check", "-c", path, code=code, cwd=place.folder,
                     environment=environment).stdout
        self.output += people
        lines = people.splitlines()
        for finding in self.all:
            check(any(line.split()[0] == finding["level"] and f" {finding['subject']}: " in line
                      for line in lines), finding, "in", people)
        for level, name in (("ok", "ok"), ("warning", "warnings"), ("problem", "problems")):
            check_equal(len(self.of(level=level)), told[name], told)
        check(re.fullmatch(r"\d+ problems?, \d+ warnings?, \d+ ok", lines[-1]), lines[-1])
        check_equal(len(self.all), sum(int(count) for count in re.findall(r"\d+", lines[-1])))

    @classmethod
    def of_file(cls, place, text, code, **environment):
        findings = cls.__new__(cls)
        findings.path = written(place, text)
        findings.read(findings.path, place, code, **environment)
        return findings

    def of(self, **wanted):
        return [finding for finding in self.all
                if all(finding[key] == value for key, value in wanted.items())]

    def one(self, subject, level, *words, area="redis"):
        """The finding with these words in it; exactly one."""
        found = [finding for finding in self.of(area=area, subject=subject, level=level)
                 if all(word in f"{finding['what']}; {finding['means']}" for word in words)]
        check_equal(1, len(found), area, subject, level, words, "among\n",
                    json.dumps(self.all, indent=1))
        return found[0]

    def problems(self):
        return [(finding["area"], finding["subject"]) for finding in self.of(level="problem")]


@contextlib.contextmanager
def comfy_service():
    process = subprocess.Popen([COMFY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(DEADLINE_S)
        process.stdout.close()


def test_a_sound_place_has_no_problem_and_is_left_alone():
    with Place() as place, comfy_service() as base:
        redis = Redis(place, *DURABLE)
        redis.call("ZADD", "jobs:pending", 1, "j1")
        before = redis.dump()
        redis.call("CONFIG", "RESETSTAT")
        found = Findings(place, redis, 0, {"comfyui": {"profile": "comfyui", "base": base}})
        check_equal([], found.of(level="warning") + found.of(level="problem"))
        found.one("appendfsync", "ok", "always", "no acknowledged job")
        found.one("comfyui", "ok", base, "200", area="services")
        found.one("comfyui", "ok", "cannot exist", "not_found", area="services")
        found.one("directory", "ok", "first start", area="data")
        check_equal(before, redis.dump())
        sent = {line.split(":")[0] for line in redis.call("INFO", "commandstats").splitlines()}
        check("cmdstat_info" in sent, sent)
        for command in ("xadd", "hset", "hsetnx", "zadd", "eval", "evalsha", "xgroup|create",
                        "xgroup|destroy", "xreadgroup", "set", "config|set"):
            check("cmdstat_" + command not in sent, command)
        check(not os.path.exists(os.path.join(place.folder, "data")), "the data directory")


def test_what_redis_keeps_is_told_with_what_it_means():
    for arguments, subject, level, words in (
            ((), "save", "problem", ("nothing is kept", "appendonly yes")),
            (("--save", "60 1"), "appendonly", "warning", ("no;", "last snapshot")),
            (("--appendonly", "yes"), "appendfsync", "warning", ("everysec", "two seconds")),
            (("--appendonly", "yes", "--appendfsync", "no"), "appendfsync", "warning", ("kernel",)),
            ((*DURABLE, "--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"),
             "maxmemory-policy", "problem", ("allkeys-lru", "noeviction")),
            ((*DURABLE, "--maxmemory-policy", "allkeys-lru"),
             "maxmemory-policy", "warning", ("without a bound", "noeviction"))):
        with Place() as place:
            redis = Redis(place, *arguments)
            found = Findings(place, redis, 1 if level == "problem" else 0)
            found.one(subject, level, *words)
            check_equal([("redis", subject)] if level == "problem" else [], found.problems())


def test_rights_that_are_missing_are_all_named():
    with Place() as place:
        redis = Redis(place, *DURABLE)
        redis.call("ACL", "SETUSER", "default", "-zadd", "-publish")
        found = Findings(place, redis, 1)
        for command in ("ZADD jobs:pending", "PUBLISH complete_job", "PUBLISH job_failed",
                        "PUBLISH cancel_job"):
            found.one("rights", "problem", f"default may not send {command}", "effects = apply")
        check_equal(4, len(found.problems()))
        # Who only watches needs no right on the queue.
        watching = Findings(place, redis, 0, policy={"effects": "observe"})
        check_equal(4, len(watching.of(subject="rights", level="warning")))


def test_run_stops_for_what_check_tells():
    with Place() as place:
        redis = Redis(place, *DURABLE)
        redis.call("SET", STREAM, "x")
        redis.call("HSET", "salvor:meta", "partitions", "2")
        redis.call("SET", "jobs:pending", "x")
        before = redis.dump()
        found = Findings(place, redis, 1)
        stream = found.one("key", "problem", STREAM, "is a string, not a stream")
        found.one("key", "problem", "jobs:pending is a string, not a zset", "queue.prefix")
        other = found.one("partitions", "problem", "partitions=2", "the configuration says 1")
        check_equal(3, len(found.problems()))
        for wrong in (stream, other):
            salvor = Salvor(place, redis)
            check_equal(3, salvor.wait_end())
            check(wrong["what"] in salvor.log("failed")[0]["message"], wrong, salvor.lines)
            redis.call("DEL", STREAM)
        check_equal({key: value for key, value in before.items() if key != STREAM}, redis.dump())


def test_an_absent_redis_is_told_and_the_rest_is_looked_at():
    with Place() as place, comfy_service() as base:
        found = Findings(place, None, 1, {"comfyui": {"profile": "comfyui", "base": base}},
                         url=place.missing_url())
        found.one("connection", "problem", "nobody.sock", "No such file")
        check_equal([("redis", "connection")], found.problems())
        found.one("comfyui", "ok", "not_found", area="services")
        found.one("directory", "ok", area="data")


class OldServer:
    """Says in INFO what it is told to, and refuses everything else."""

    def __init__(self, place, info):
        self.path = os.path.join(place.folder, "old.sock")
        self.url = "unix://" + self.path
        self.info = info.encode()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        place.servers.append(self)

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.socket.accept()[0]
                with client, client.makefile("rb") as file:
                    self.answer(client, file)

    def answer(self, client, file):
        while line := file.readline():
            words = []
            for _ in range(int(line[1:])):
                words.append(file.read(int(file.readline()[1:]) + 2)[:-2])
            client.sendall(b"$%d\r\n%s\r\n" % (len(self.info), self.info) if words[0] == b"INFO"
                           else b"-ERR unknown command\r\n")

    def kill(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(DEADLINE_S)


def test_versions_and_cluster_mode_are_told():
    for info, subject, level, words in (
            ("redis_version:6.2.6\r\n", "version", "problem", ("Redis 6.2.6", "7.0 or newer")),
            ("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n", "version", "ok", ("Valkey 8.0.1",)),
            ("redis_version:7.2.4\r\ncluster_enabled:1\r\n", "cluster_enabled", "problem",
             ("not supported",)),
            ("redis_version:7.2.4\r\nrole:slave\r\n", "role", "problem", ("master",)),
            ("redis_version:7.2.4\r\nrole:master\r\n"
             "slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=1\r\n"
             "slave1:ip=10.0.0.3,port=6379,state=online,offset=14,lag=60\r\n", "replica", "warning",
             ("10.0.0.3", "lag=60"))):
        with Place() as place:
            found = Findings(place, OldServer(place, info), 1)
            found.one(subject, level, *words)


def test_services_are_asked_about_a_job_that_cannot_exist():
    with Place() as place:
        redis = Redis(place, *DURABLE)
        services = {}
        lost = Service(place, "lost")
        services.update(lost.config)
        for name, state in (("gone", None), ("eager", "completed"), ("mumbling", "page")):
            service = Service(place, name)
            services.update(service.config)
            service.answer = lambda handler, job, state=state: (
                reply(handler, 404, {"unknown": job}) if state is None else
                reply(handler, 200, b"<html>welcome</html>", "text/html") if state == "page" else
                reply(handler, 200, {"id": job, "state": state, "result": "x"}))
        services["elsewhere"] = {"profile": "comfyui"}
        polled = Service(place, "polled")
        services["polled"] = {"profile": "rest_async", "base": polled.base}
        busy = Service(place, "busy", profile=PROFILE.replace("word: /state\n", ""))
        busy.answer = lambda handler, job: reply(handler, 200, {"id": job, "state": "running"})
        services.update(busy.config)
        lost.kill()
        place.servers.remove(lost)
        found = Findings(place, redis, 1, services)
        found.one("lost", "problem", lost.base, "does not answer", "on_unreachable",
                  area="services")
        found.one("gone", "ok", "not_found", area="services")
        found.one("eager", "problem", "completed", "do not run with this", area="services")
        found.one("mumbling", "problem", "inconclusive", "profile", area="services")
        found.one("elsewhere", "ok", "nothing was sent", area="services")
        # Its jobs alone say where it is asked, so a sound one has no problem.
        found.one("polled", "ok", "nothing was sent", area="services")
        check_equal([], polled.requests)
        check(found.one("busy", "problem", "says running", area="services")["what"]
              .endswith("says running"))
        check_equal({"lost", "eager", "mumbling", "busy"}, {subject for _, subject in found.problems()})


def test_a_token_is_sent_and_never_told():
    right, wrong = "s3cret-right", "s3cret-wrong"
    with Place() as place:
        redis = Redis(place, *DURABLE)
        service = Service(place, "replicate")

        def answer(handler, job):
            is_known = handler.headers["Authorization"] == "Bearer " + right
            reply(handler, *((401, {"detail": "who are you?"}) if not is_known else
                             (200, {"type": "user"}) if job == "account" else
                             (404, {"detail": "not found"})))
        service.answer = answer
        text = json.dumps({
            "salvor": {"data": os.path.join(place.folder, "data")}, "redis": {"url": redis.url},
            "services": {"replicate": {"profile": "replicate", "base": service.base,
                                       "token": "env:TEST_TOKEN"}}})
        found = Findings.of_file(place, text, 0, TEST_TOKEN=right)
        found.one("replicate", "ok", "200", area="services")
        found.one("replicate", "ok", "not_found", area="services")
        check("s3cret" not in found.output, found.output)
        found = Findings.of_file(place, text, 1, TEST_TOKEN=wrong)
        found.one("replicate", "warning", "401", "another one", area="services")
        found.one("replicate", "problem", "inconclusive", area="services")
        check("s3cret" not in found.output, found.output)
        found = Findings.of_file(place, text, 1)
        found.one(f"{found.path}:1", "problem", "services.replicate.token", "TEST_TOKEN",
                  area="configuration")
        found.one("version", "ok")


def test_a_broken_configuration_names_every_problem_as_run_does():
    with Place() as place:
        path = written(place, MISTAKES)
        wanted = run(SALVOR, "run", "-c", path, code=2, cwd=place.folder).stderr.splitlines()
        found = Findings.of_file(place, MISTAKES, 1)
        check(len(wanted) >= MISTAKES.count("#!"), wanted)
        check_equal(sorted(wanted), sorted(f"{one['subject']}: {one['what']}"
                                           for one in found.of(level="problem")))
        # Nobody knows which Redis and which directory were meant: none is touched.
        for area in ("redis", "data", "services"):
            found.one("skipped", "warning", area=area)
        check_equal(["salvor.yaml"], os.listdir(place.folder))


def test_mistakes_elsewhere_leave_redis_and_data_to_be_looked_at():
    with Place() as place:
        redis = Redis(place, *DURABLE)
        found = Findings(place, redis, 1, {"s": {"profile": "nobody"}},
                         policy={"ask_limit": "many"})
        check_equal(2, len(found.of(area="configuration", level="problem")), found.all)
        found.one("version", "ok")
        found.one("directory", "ok", area="data")
        found.one("skipped", "warning", area="services")


def test_no_configuration_at_all_is_a_usage_error():
    with Place() as place:
        for text in ("- a\n- list\n", "salvor:\n  data: [1\nredis: {"):
            found = Findings.of_file(place, text, 2)
            check_equal([("configuration", found.path)], found.problems())
        missing = os.path.join(place.folder, "nowhere.yaml")
        check("No such file" in run(SALVOR, "check", "-c", missing, code=2).stdout)


def test_secrets_are_never_told():
    with Place() as place:
        url = "redis://ada:s3cret-word@127.0.0.1:1/0"
        for found in (Findings(place, None, 1, url=url),
                      Findings.of_file(place, 'redis: {url: "http://ada:s3cret-word@h"}\n', 1),
                      Findings.of_file(place, "", 1, SALVOR_REDIS_URL=url)):
            check(found.problems())
            check("s3cret" not in found.output, found.output)


def test_a_data_directory_that_cannot_be_used_is_told():
    with Place() as place:
        redis = Redis(place, *DURABLE)
        written(place, "", "data")
        found = Findings(place, redis, 1)
        found.one("directory", "problem", "Not a directory", area="data")
        os.remove(os.path.join(place.folder, "data"))
        nowhere = os.path.join(place.folder, "not", "there")
        found = Findings(place, redis, 1, salvor={"data": nowhere})
        found.one("directory", "problem", "No such file", area="data")
        check(not os.path.exists(os.path.dirname(nowhere)))


def test_beside_a_running_instance_it_disturbs_nothing():
    with Place() as place:
        redis = Redis(place, *DURABLE)
        salvor = Salvor(place, redis)
        salvor.wait_log("in_charge")
        owner = redis.hash(CONTROL)["owner"]
        found = Findings(place, redis, 0)
        found.one("holder", "ok", "a process works with it", area="data")
        found.one("lead", "ok", owner, "epoch 1")
        found.one("group", "ok", "salvor.1.1")
        ticks = redis.hash(CONTROL)["tick"]
        wait_until(lambda: redis.hash(CONTROL)["tick"] != ticks, "another tick")
        check_equal("1", redis.hash(CONTROL)["epoch"])
        check_equal(0, salvor.stop())
        found = Findings(place, redis, 0)
        found.one("holder", "ok", "no process works with it", area="data")
        found.one("lead", "ok", "nobody leads")
        # And none that begins: the lock was given back.
        salvor.start()
        salvor.wait_log("in_charge")


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
