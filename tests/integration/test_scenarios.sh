#!/bin/sh
# SPDX-License-Identifier: MIT
# Every scenario gives the rows that stand in it, and docs/policy.md shows the table that the
# situations give.
set -eu

cd "$(dirname "$0")/../.."
tools=${BUILD:-build}/tests/tools
"$tools/scenario" tests/scenarios/*.txt

page=$(mktemp)
trap 'rm -f "$page"' EXIT
cp docs/policy.md "$page"
"$tools/situations" --into "$page" tests/situations/*.txt
if ! diff "$page" docs/policy.md; then
    echo "test_scenarios: the table in docs/policy.md is not what the situations give; see make golden"
    exit 1
fi
