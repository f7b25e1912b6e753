#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every capture that the integration tests left replays to the audit's decisions and state hash:
in any batch size, built by any compiler, in another time zone and under a decimal comma; and those of
tests/corpus to the decisions kept beside them. Runs last; alone, it makes its captures first."""
import os
import re
import sys

from harness import BUILD, CAPTURES, ROOT, Place, check, check_equal, main, run

VARIANTS = {"gcc-O0": ("gcc", "-O0"), "gcc-O3": ("gcc", "-O3"), "clang": ("clang", "-O2")}
BATCHES = (1, 7, 1000)
PROGRAM = "tests/tools/replay_abroad"
CORPUS = os.path.join(ROOT, "tests", "corpus")


def build_variants():
    """None of the caller's make variables reaches these builds."""
    clean = {name: value for name, value in os.environ.items()
             if name not in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "BUILD",
                             "SANITIZE", "OPTIMIZE", "CC", "CFLAGS", "LDFLAGS")}
    programs = []
    for name, (compiler, optimize) in VARIANTS.items():
        folder = os.path.join(BUILD, "variants", name)
        run("make", "-C", ROOT, "--no-print-directory", f"-j{os.cpu_count()}",
            f"BUILD={folder}", f"CC={compiler}", f"OPTIMIZE={optimize}", "SANITIZE=",
            f"{folder}/{PROGRAM}", only=clean, deadline_s=280)
        programs.append(os.path.join(folder, PROGRAM))
    return programs


def captures():
    found = sorted(os.path.join(CAPTURES, name) for name in os.listdir(CAPTURES)) \
        if os.path.isdir(CAPTURES) else []
    if not found:
        run(sys.executable, os.path.join(os.path.dirname(__file__), "test_rescue.py"))
        found = sorted(os.path.join(CAPTURES, name) for name in os.listdir(CAPTURES))
    return found


def make_locale(folder):
    run("localedef", "-i", "de_DE", "-f", "UTF-8", os.path.join(folder, "de_DE.UTF-8"), code=None)
    return {"LOCPATH": folder, "LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Kathmandu"}


def decided_abroad(program, capture, batch, abroad):
    """The decisions, a line each, and the report behind them but for the time it took."""
    done = run(program, capture, "--decisions", "--batch", str(batch), environment=abroad)
    lines = done.stdout.splitlines(keepends=True)
    check_equal("abroad: 1,5 at 17:45\n", lines[0], "locale and zone are in force")
    return ("".join(line for line in lines if " action=" in line),
            "".join(line for line in lines[1:] if " action=" not in line and "elapsed" not in line))


def check_corpus(programs, abroad):
    names = sorted(name[:-len(".capture")] for name in os.listdir(CORPUS) if name.endswith(".capture"))
    check(len(names) >= 5, "there is a corpus")
    for name in names:
        with open(os.path.join(CORPUS, name + ".expected"), encoding="utf-8") as file:
            expected = "".join(line for line in file if not line.startswith("#"))
        reports = set()
        for program in programs:
            for batch in BATCHES:
                decisions, report = decided_abroad(
                    program, os.path.join(CORPUS, name + ".capture"), batch, abroad)
                check_equal(expected, decisions, name, program, batch)
                reports.add(report)
        check_equal(1, len(reports), name, *reports)
    return len(names)


def test_every_capture_replays_alike_everywhere():
    programs = build_variants()
    folders = captures()
    check(len(folders) > 0, "there are captures")
    with Place() as place:
        abroad = make_locale(place.folder)
        for folder in folders:
            told = set()
            for program in programs:
                for batch in BATCHES:
                    done = run(program, os.path.join(folder, "capture-0"), "--audit",
                               os.path.join(folder, "audit-0.db"), "--batch", str(batch),
                               environment=abroad)
                    proof, _, report = done.stdout.partition("\n")
                    check_equal("abroad: 1,5 at 17:45", proof, "locale and zone are in force")
                    told.add(re.sub(r"elapsed_ms=\d+\n", "", report))
            check_equal(1, len(told), folder, *told)
        cases = check_corpus(programs, abroad)
    print(f"{len(folders)} captures, {cases} of the corpus, {len(programs)} builds, {len(BATCHES)} batch sizes")


if __name__ == "__main__":
    main(test_every_capture_replays_alike_everywhere)
