#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""On every capture that the integration tests left, the captured policy decides what it decided.
Runs last."""
import contextlib
import json
import os
import sqlite3

from harness import CAPTURES, Place, SALVOR, check, check_equal, main, run


def captured_policies(folder):
    with contextlib.closing(sqlite3.connect(f"file:{folder}/audit-0.db?mode=ro",
                                            uri=True)) as database:
        return [row[0] for row in database.execute("SELECT DISTINCT text FROM policy")]


def test_the_captured_policy_decides_the_same():
    folders = sorted(os.path.join(CAPTURES, name) for name in os.listdir(CAPTURES)) \
        if os.path.isdir(CAPTURES) else []
    compared = 0
    with Place() as place:
        path = os.path.join(place.folder, "policy.txt")
        for folder in folders:
            policies = captured_policies(folder)
            if len(policies) != 1:
                continue  # which of them would be the same?
            with open(path, "w", encoding="utf-8") as file:
                file.write(policies[0])
            report = json.loads(run(SALVOR, "replay", os.path.join(folder, "capture-0"),
                                    "--policy", path, "--json").stdout)
            check_equal([], [job for job in report["jobs"] if job["ended"] == "different"], folder)
            for name, total in report["totals"].items():
                check_equal(total["captured"], total["other"], folder, name)
            compared += report["jobs_compared"]
    check(not folders or compared > 0, "no capture has a decision")
    print(f"{len(folders)} captures, {compared} jobs compared")


if __name__ == "__main__":
    main(test_the_captured_policy_decides_the_same)
