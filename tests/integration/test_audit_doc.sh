#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every query of docs/audit.md, and its program that checks the chain, against an audit database
# that has an example of everything: each must run without an error and find something.
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
command -v sqlite3 >/dev/null || { echo "sqlite3 is not installed"; exit 77; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
database=$folder/audit-0.db
"$BUILD/tests/tools/make_audit" "$database"

# One file for each fenced block: 01.sql, 02.python, …
awk -v folder="$folder" '
/^```[a-z]/ { file = sprintf("%s/%02d.%s", folder, ++count, substr($0, 4)); next }
/^```/ { file = ""; next }
file != "" { print > file }' docs/audit.md

count=0
for query in "$folder"/*.sql; do
    count=$((count + 1))
    if ! sqlite3 -readonly -bail -header "$database" <"$query" >"$folder/output" 2>&1; then
        echo "this query of docs/audit.md fails:"
        cat "$query" "$folder/output"
        exit 1
    fi
    if [ ! -s "$folder/output" ]; then
        echo "this query of docs/audit.md finds nothing:"
        cat "$query"
        exit 1
    fi
done
[ "$count" -ge 12 ] || { echo "only $count queries found in docs/audit.md"; exit 1; }
echo "$count queries ran"

# A loss counts once, an attempt too, and what was only observed ends no loss.
while read -r wanted view; do
    told=$(sqlite3 -readonly "$database" "SELECT coalesce(group_concat(job || reason || outcome), 'none') FROM $view")
    [ "$told" = "$wanted" ] || { echo "$view: $told, not $wanted"; exit 1; }
done <<END
j1service_completedapplied,j2late_completionapplied,j10service_completedapplied duplicates_prevented
j10service_completedapplied recovery_latency WHERE job = 'j10'
j11claim_timed_outapplied recovery_latency WHERE job = 'j11'
j2service_unreachableapplied recovery_latency WHERE job = 'j2'
none recovery_latency WHERE job = 'j12'
END

if command -v python3 >/dev/null; then
    program=$(echo "$folder"/*.python)
    python3 "$program" "$database"
    # And it sees a change.
    sqlite3 "$database" "UPDATE decision SET worker = 'w9' WHERE seq = 5"
    if python3 "$program" "$database" 2>"$folder/output"; then
        echo "the program of docs/audit.md overlooks a changed row"
        exit 1
    fi
    grep -q "breaks at seq 5" "$folder/output"
else
    echo "python3 is not installed: the program that checks the chain was not run"
fi
