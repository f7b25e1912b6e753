#!/bin/sh
# SPDX-License-Identifier: MIT
# Plants one mistake after the other in a small tree; tools/tidy must name each, and nothing else.
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for name in base reducers store stream connectors monitor tests/unit tools; do
    mkdir -p "$folder/$name"
done
cp tools/tidy "$folder/tools"
cat >"$folder/Makefile" <<'END'
# SPDX-License-Identifier: MIT
BASE = good \
    planted
REDUCERS = planted codec
STORE = planted
STREAM = planted
CONNECTORS = planted
MONITOR = planted
TESTS_BASE = planted
END
licence='/* SPDX-License-Identifier: MIT */'
printf '%s\n' "$licence" '#include <stdio.h>' '#include "base/bytes.h"' \
    '/* time( here, and "sleep(1)"' ' * strcpy( there: words. */' 'char c = '"'\"'"'; // rand()' \
    'int a = x->time(1) + my_time(2) + strftime(3);' 'char *s = "\"time(NULL)";' >"$folder/base/good.c"

failures=0
fail() {
    echo "tidy.sh: $1"
    failures=$((failures + 1))
}

if ! output=$("$folder/tools/tidy") || [ -n "$output" ]; then
    fail "a clean tree is refused: $output"
fi

# expect FILE TEXT MESSAGE: with TEXT as the file's second line, tidy says MESSAGE of that line.
expect() {
    printf '%s\n%s\n' "$licence" "$2" >"$folder/$1"
    if output=$("$folder/tools/tidy"); then
        fail "passes: $1: $2"
    elif [ "${output#"$1:2: "}" = "$output" ] || [ "${output#*"$3"}" = "$output" ] ||
        [ "$(printf '%s\n' "$output" | wc -l)" != 1 ]; then
        fail "$1: $2: said \"$output\", not \"$3\""
    fi
    rm "$folder/$1"
}

expect base/planted.c '#include "reducers/event.h"' 'base/ includes reducers/event.h'
expect reducers/planted.c '#include "base/log.h"' 'reducers/ includes base/log.h'
expect reducers/planted.c '#include "store/audit.h"' 'reducers/ includes store/audit.h'
expect reducers/planted.c '#include <time.h>' '<time.h> in reducers/'
expect store/planted.c '#include "replay/loop.h"' 'store/ includes replay/loop.h'
expect stream/planted.c '#include "connectors/connectors.h"' 'stream/ includes connectors/connectors.h'
expect connectors/planted.c '#include "reducers/event.h"' 'connectors/ includes reducers/event.h'
expect monitor/planted.c '#include "reducers/event.h"' 'monitor/ includes reducers/event.h'
expect base/planted.c '#include "bytes.h"' 'write its path from the root'
expect base/planted.h '#include <jansson.h>' '<jansson.h> in a header'
expect base/planted.c '#include <jansson.h>' '<jansson.h>; its wrapper is'
expect stream/planted.c '#include <sqlite3.h>' '<sqlite3.h>; its wrapper is'
expect store/planted.c '#include <hiredis/hiredis.h>' '<hiredis/hiredis.h>; its wrapper is'
expect stream/planted.c '#include <curl/curl.h>' '<curl/curl.h>; its wrapper is'
expect reducers/planted.c '#include <msgpack.h>' '<msgpack.h>; its wrapper is'
expect base/planted.c 'long now = time(NULL);' 'time is banned here; use base/clock.h'
expect base/planted.c '/* now */ clock_gettime (CLOCK_REALTIME, &t);' 'clock_gettime is banned'
expect base/planted.c 'int r = rand();' 'rand is banned'
expect base/planted.c 'strcpy(a, "b");' 'strcpy is banned'
expect base/planted.c 'int n = atoi(text);' 'atoi is banned here; use span_to_number'
expect base/planted.c 'strtok(text, ",");' 'strtok is banned'
expect tests/unit/test_planted.c 'usleep(10);' 'usleep is banned'
expect tests/planted.sh '    sl''eep 1' 'is banned here; use a wait'
expect tests/planted.py 'time.sl''eep(1)' 'sleep is banned'
expect reducers/planted.c 'uintptr_t p = (uintptr_t)q;' 'uintptr_t is banned'
expect reducers/planted.c 'double d = 1;' 'double is banned'
expect reducers/planted.c 'const char *built = __DATE__;' '__DATE__ is banned'
expect reducers/planted.c 'snprintf(a, 3, "x");' 'snprintf is banned'
expect reducers/planted.c 'char *e = getenv("A");' 'getenv is banned'
expect base/planted.c "/* TO""DO: later */" 'leftover marker'

# These are said of the file's first line.
printf '%s\n' "$licence" >"$folder/base/forgotten.c"
printf 'int x;\n' >"$folder/base/planted.c"
output=$("$folder/tools/tidy") && fail "a file that nobody builds passes"
[ "${output#*base/forgotten.c:1: nobody builds this}" != "$output" ] || fail "forgotten.c: $output"
[ "${output#*base/planted.c:1: no SPDX line}" != "$output" ] || fail "no SPDX line: $output"

[ $failures = 0 ] || exit 1
echo "tidy.sh: every planted mistake is found"
