#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A configuration's mistakes: all named at once, each with file, line and what is allowed, before
anything is opened; exit code 2."""
import os
import re

from harness import SALVOR, Place, Redis, check, check_equal, main, run

# Each line that ends in a `#!` comment has a mistake; what must be told of it stands behind it, and
# `run:` where it is one only for who asks the service.
MISTAKES = """\
salvor:
  partitions: 2            #! salvor.partitions "2" 1
  tick_ms: soon            #! salvor.tick_ms "soon" 10 1000
  tack_ms: 1               #! salvor.tack_ms unknown tick_ms lease_ms
  lease_ms: 99             #! salvor.lease_ms "99" 100 600000
redis:
  url: http://example      #! redis.url redis:// unix://
queue:
  layout: other            #! queue.layout "other" emprops
  failures: nobody         #! queue.failures "nobody" salvor queue
policy:
  preset: wild             #! policy.preset "wild" safe seed
  backoff_ms: -1           #! policy.backoff_ms "-1" whole
  effects: maybe           #! policy.effects "maybe" observe apply
  services:
    one:
      hold_pace: 1         #! policy.services.one.hold_pace fleet policy.hold_pace
      on_running: stop     #! policy.services.one.on_running "stop" wait requeue cancel
    nobody_configured: {ask_limit: 1}
services:
  a b: {profile: comfyui}  #! services name letters
  one:
    profile: nothere       #! services.one "nothere" comfyui
  two:
    profile: comfyui
    base: "ftp://x"        #! services.two.base http://
  three:
    profile: comfyui
    base: "http://127.0.0.1:1"
    port: 7                #! services.three.port unknown allow
  four:
    profile: comfyui
    allow: [h, 999.1.1.1/8] #! services.four.allow "999.1.1.1/8" 10.0.0.0/8
    token: hush            #! services.four.token env:NAME file:/PATH
    exclusive: 1           #! services.four.exclusive "1" true false
    rate_per_s: fast       #! services.four.rate_per_s "fast" whole
  five:
    profile: comfyui
    base: "http://ada:hush@h"  #! services.five.base user services.five.token
    ca_file: /nowhere/ca   #! run: services.five.ca_file "/nowhere/ca" certificates
    token: env:SALVOR_TEST_UNSET #! run: services.five.token env:SALVOR_TEST_UNSET
montor:                    #! montor unknown monitor
  listen: x
"""
ENVIRONMENT = {"SALVOR_POLICY_ASK_LIMIT": ("none", "whole number"),
               "SALVOR_SALVOR_NOPE": ("1", "unknown key"),
               "SALVOR_POLICY_SERVICES_A_B_HOLD_PACE": ("1", "a_b.hold_pace: this key holds"),
               "SALVOR_SERVICES_A_B_TOKEN": ("hush", "a_b.token: not the secret"),
               "SALVOR_SERVICES_A_B_NOPE": ("1", "allowed: the service's name, _ and one of"),
               "SALVOR_REDIS_URL": ("env:SALVOR_TEST_UNSET", "SALVOR_TEST_UNSET is not set")}


def written(place, text, name="salvor.yaml"):
    path = os.path.join(place.folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def refused(place, text, verb=("run", "-c"), **environment):
    path = written(place, text, "given.yaml")
    return path, run(SALVOR, *verb, path, code=2, environment=environment,
                     cwd=place.folder).stderr.splitlines()


def test_all_mistakes_are_named_at_once_with_file_line_and_what_is_allowed():
    with Place() as place:
        for verb in (("run", "-c"), ("send", "policy")):
            path, told = refused(place, MISTAKES, verb)
            mistakes = {number: line.split("#!")[1].split()
                        for number, line in enumerate(MISTAKES.splitlines(), 1) if "#!" in line
                        and (verb[0] == "run" or "#! run:" not in line)}
            for number, words in mistakes.items():
                # What is wrong with a service may be told where the service begins.
                words = [word for word in words if word != "run:"]
                lines = [line for line in told if any(line.startswith(f"{path}:{at}: ")
                                                      for at in (number, number - 1, number - 2))
                         and all(word in line for word in words)]
                check_equal(1, len(lines), f"line {number}, {words}, in:\n", "\n".join(told))
            check_equal(len(mistakes), len(told), "problems told:\n", "\n".join(told))
            check("hush" not in "".join(told), told)
            at = [int(line[len(path) + 1:].split(":")[0]) for line in told]
            check_equal(sorted(at), at, "lines in the order of the file")
        check_equal(["given.yaml"], os.listdir(place.folder), "nothing was made")


def test_mistakes_in_the_environment_are_named_by_their_variable():
    with Place() as place:
        _, told = refused(place, "services: {a_b: {profile: comfyui}}", **{key: value for key, (value, _) in ENVIRONMENT.items()})
        for name, (_, words) in ENVIRONMENT.items():
            check_equal(1, len([line for line in told if line.startswith(name + ": ") and
                                words in line]), name, told)
        check_equal(len(ENVIRONMENT), len(told), told)


def test_what_is_no_configuration_at_all_is_told_with_its_line():
    for text, line, words in (("salvor:\n  data: [1\nredis: {", "line 3", "expected"),
                              ("- a\n- list\n", "", "sections"),
                              ("policy: [1]\n", ":1", "keys"),
                              ("redis: {}\nqueue: {}\nredis: {}\n", "line 3", "line 1"),
                              ("salvor:\n\tdata: x\n", "line 2", "token"),
                              ("a: &a [*a, *a]\n", "", "")):
        with Place() as place:
            path, told = refused(place, text)
            check_equal(1, len(told), text, told)
            check(told[0].startswith(path) and line in told[0] and words in told[0], text, told)


def test_a_variable_of_no_section_is_told():
    with Place() as place:
        done = run(SALVOR, "run", code=2, cwd=place.folder,
                   environment={"SALVOR_DATA": "/nowhere", "SALVOR_TICK_MS": "5"})
        for name in ("SALVOR_DATA", "SALVOR_TICK_MS"):
            check(re.search(rf"^{name}: no such section; allowed: ", done.stderr, re.M),
                  done.stderr)


def test_a_configuration_that_is_not_there_is_told():
    with Place() as place:
        path = os.path.join(place.folder, "nowhere.yaml")
        done = run(SALVOR, "run", "-c", path, code=2)
        check(path in done.stderr and "No such file" in done.stderr, done.stderr)


def test_mistakes_in_a_profile_are_told_with_its_file_and_line():
    with Place() as place:
        profile = written(place, "profile: mine\nvolatile: false\nstatus:\n"
                                 "  - request: GET /x/{id}\n    rules:\n"
                                 "      - 200 => finished\ncolour: red\n", "mine.yaml")
        _, told = refused(place, f"services:\n  s: {{profile: {profile}}}\n")
        check_equal(2, len(told), told)
        for number, word, allowed in ((6, "finished", "completed"), (7, "colour", "volatile")):
            check_equal(1, len([line for line in told if "given.yaml:2: services.s.profile: " in line
                                and f"{profile}: line {number}: " in line and word in line
                                and allowed in line]), number, told)


def test_unknown_options_and_verbs_are_usage_errors():
    for arguments in (("run", "--nope"), ("run", "surplus"), ("nope",), (),
                      ("run", "--log-format", "xml"), ("run", "--log-level", "loud"),
                      ("send",), ("send", "nope"), ("send", "job.failed", "job=j1"),
                      ("send", "tick", "elapsed_ms=1", "wall_ms=1"), ("replay",), ("why",)):
        with Place() as place:
            done = run(SALVOR, *arguments, code=2, cwd=place.folder)
            check(done.stderr.strip(), arguments)
            check_equal([], os.listdir(place.folder))


def test_a_refused_policy_changes_nothing():
    with Place() as place:
        redis = Redis(place)
        config = written(place, f"redis: {{url: \"{redis.url}\"}}\n", "good.yaml")
        wrong = written(place, "policy: {ask_limit: many}\n", "wrong.yaml")
        done = run(SALVOR, "send", "policy", wrong, "-c", config, code=2)
        check("wrong.yaml:1" in done.stderr and "ask_limit" in done.stderr, done.stderr)
        check_equal({}, redis.dump())


if __name__ == "__main__":
    main(*[test for name, test in list(globals().items()) if name.startswith("test_")])
