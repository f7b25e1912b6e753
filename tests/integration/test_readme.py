#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""README's "Try it by hand", done by bash as it stands there; only its paths are replaced, and it
is held back where a person would look before going on."""
import json
import os
import re
import sqlite3
import subprocess

from harness import ROOT, SALVOR, Client, Failure, Place, check, check_equal, main, wait_until


def by_hand(text):
    """The commands of the section, part by part as they stand between its sentences."""
    section = re.search(r"^## Try it by hand\n(.*?)^## ", text, re.S | re.M)
    check(section, "README has no section \"Try it by hand\"")
    parts = [re.sub(r"^    ", "", part, flags=re.M)
             for part in re.findall(r"(?:^    .*\n)+", section[1], re.M)]
    check_equal(2, len(parts), "parts of commands in README")
    return parts


class Shell:
    """A bash that is told one part after the other; each part's output."""

    def __init__(self, place):
        self.log = open(os.path.join(place.folder, "stderr"), "w+", encoding="utf-8")
        self.bash = subprocess.Popen(["bash"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=self.log,
                                     env={key: value for key, value in os.environ.items()
                                          if not key.startswith("SALVOR_")})
        place.servers.append(self)

    def do(self, commands):
        self.bash.stdin.write(commands + "\necho \"-- done $?\"\n")
        self.bash.stdin.flush()
        lines = []
        while line := self.bash.stdout.readline():
            if line.startswith("-- done "):
                check_equal("0", line.split()[2], "the exit code of", commands)
                return "".join(lines)
            lines.append(line)
        raise Failure(f"bash ended in: {commands}\n{''.join(lines)}")

    def told(self):
        self.log.flush()
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def kill(self):
        """What README started and a failed test did not end is ended with its shell."""
        try:
            self.bash.stdin.write("kill -9 $(jobs -p) 2>&-\nexit\n")
            self.bash.stdin.close()
        except OSError:
            pass
        self.bash.wait(10)
        self.bash.stdout.close()
        self.log.close()


class Daemon:
    """The redis-server that README starts: ended through its socket when the test did not."""

    def __init__(self, place, path):
        self.path = path
        place.servers.append(self)

    def kill(self):
        try:
            Client(self.path).call("SHUTDOWN", "NOSAVE")
        except OSError:
            pass


def test_what_readme_says_to_try_by_hand_works():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        begin, look = by_hand(file.read())
    with Place() as place:
        path = os.path.join(place.folder, "try.sock")
        audit = os.path.join(place.folder, "try-data", "audit-0.db")

        def here(commands):
            for old, new in (("/tmp/try.sock", path), ("/tmp/try-data", os.path.dirname(audit)),
                             ("build/salvor", SALVOR)):
                check(old in begin + look, f"README does not say {old}")
                commands = commands.replace(old, new)
            check("/tmp/try" not in commands, "README uses a path that the test does not know")
            return commands

        daemon, shell = Daemon(place, path), Shell(place)
        shell.do(here(begin))
        redis = Client(path)
        wait_until(lambda: redis.call("ZRANGE", "jobs:pending", 0, -1) == ["j1"],
                   lambda: f"j1 waits in the queue; stderr:\n{shell.told()}")
        shown = shell.do(here(look))
        check_equal("j1", shown.splitlines()[0], "jobs:pending by redis-cli")
        for words in ("wait|worker_silent", "requeue|worker_silent", "worker heard last",
                      "the audit agrees"):
            check(words in shown, words, "in what was shown:\n", shown)
        check("j1" in shown.split("requeue|worker_silent", 1)[1], "`salvor why` tells of j1")
        check("event=stopped" in shell.told(), shell.told())
        try:
            Client(path)
            raise Failure("README leaves its Redis running")
        except OSError:
            pass
        rows = sqlite3.connect(audit).execute(
            "SELECT action, reason, evidence FROM decision WHERE job = 'j1' AND action = 'requeue'"
            ).fetchall()
        check_equal(1, len(rows))
        evidence = json.loads(rows[0][2])
        check_equal(("requeue", "worker_silent"), rows[0][:2])
        check({"job.claimed", "job.started", "worker_heard_last"} <= set(evidence["facts"]),
              evidence)
        check_equal(1, evidence["measures"]["losses"])


if __name__ == "__main__":
    main(test_what_readme_says_to_try_by_hand_works)
