#!/bin/sh
# SPDX-License-Identifier: MIT
# The demo, as `make demo` shows it: it checks its five outcomes and the replay itself. Afterwards
# nothing of it is left.
set -eu

export TMPDIR="${TMPDIR:-/tmp}"
here=$(mktemp -d "$TMPDIR/salvor-test-XXXXXX")
trap 'rm -rf "$here"' EXIT
TMPDIR=$here tools/demo
left=$(ls "$here")
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
if pgrep -f "$here" >/dev/null 2>&1; then
    echo "still running:"
    pgrep -af "$here"
    exit 1
fi
