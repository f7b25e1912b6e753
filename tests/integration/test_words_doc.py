#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/audit.md explains every word that a row can hold, in the words of the code's own tables."""
import os
import re

from harness import ROOT, check_equal, main


def rows_of_code(header, table):
    """Code and sentence of each line of an X-macro list."""
    with open(os.path.join(ROOT, "reducers", header), encoding="utf-8") as file:
        text = file.read().replace("\\\n", " ")
    body = re.search(rf"#define {table}\(X\)(.*?)\n", text)[1]
    return {code: sentence for code, sentence in
            re.findall(r'X\(\w+,\s*"([^"]+)",\s*"([^"]+)"\)', body) if code != "none"}


def rows_of_page(heading):
    with open(os.path.join(ROOT, "docs", "audit.md"), encoding="utf-8") as file:
        section = re.search(rf"^### {heading}\n(.*?)(?=^##)", file.read(), re.S | re.M)[1]
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.M))


def test_the_page_explains_every_reason():
    check_equal(rows_of_code("reason.h", "REASONS"), rows_of_page("Reasons"))


def test_the_page_explains_every_outcome():
    with open(os.path.join(ROOT, "reducers", "effect.h"), encoding="utf-8") as file:
        words = re.findall(r'"(\w+)"', re.search(r"#define EFFECT_OUTCOMES\(X\)(.*?)\n#define X",
                                                 file.read(), re.S)[1])
    check_equal(set(words) - {"none"}, set(rows_of_page("Outcomes of effects")))


if __name__ == "__main__":
    main(test_the_page_explains_every_reason, test_the_page_explains_every_outcome)
