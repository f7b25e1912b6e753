#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/replay.md tells the truth: every command in it is run in its order, in one folder, and must
print what the page says. `--rewrite` writes what they print into the page: read the difference.

A block of commands begins with ```console; a command with "$ ", its further lines with "> "; what
stands below it is its output. Figures of speed are left out of the comparison.
"""
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile

from harness import ROOT, SALVOR, Failure, main

PAGE = os.path.join(ROOT, "docs", "replay.md")
INCIDENT = os.path.join(ROOT, "tests", "corpus", "network_cut.capture")
SPEED = [(re.compile(r"\belapsed_ms=\d+"), "elapsed_ms=3"),
         (re.compile(r"\d+ entries a second"), "1000000 entries a second")]


def run(command, folder):
    """What a person sees in the terminal; the exit code is shown where it is not 0."""
    environment = {**os.environ, "PATH": os.path.dirname(SALVOR) + ":" + os.environ["PATH"],
                   "LC_ALL": "C", "TZ": "UTC"}
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)
    shown = done.stdout
    for pattern, instead in SPEED:
        shown = pattern.sub(instead, shown)
    return [line.rstrip() for line in shown.splitlines()] + (
        [f"(exit code {done.returncode})"] if done.returncode != 0 else [])


def played(page, folder):
    """The page as it is when its commands have been run."""
    lines, out = iter(page), []
    is_console, command = False, []

    def flush():
        if command:
            out.extend(run("\n".join(command), folder))
            command.clear()
    for line in lines:
        if not is_console:
            is_console = line == "```console"
            out.append(line)
        elif line == "```":
            flush()
            is_console = False
            out.append(line)
        elif line.startswith("$ "):
            flush()
            command.append(line[2:])
            out.append(line)
        elif line.startswith("> ") and command:
            command.append(line[2:])
            out.append(line)
    return out


def play():
    with open(PAGE, encoding="utf-8") as file:
        page = file.read().splitlines()
    folder = tempfile.mkdtemp(prefix="salvor-test-")
    try:
        shutil.copytree(INCIDENT, os.path.join(folder, "incident"))
        return page, played(page, folder)
    finally:
        shutil.rmtree(folder)


def test_every_command_of_the_page_prints_what_the_page_says():
    page, wanted = play()
    if page != wanted:
        raise Failure("docs/replay.md differs from what its commands print (make golden):\n" +
                      "\n".join(difflib.unified_diff(page, wanted, "page", "printed", lineterm="")))


if __name__ == "__main__":
    if sys.argv[1:] == ["--rewrite"]:
        _, told = play()
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write("\n".join(told) + "\n")
    else:
        main(test_every_command_of_the_page_prints_what_the_page_says)
