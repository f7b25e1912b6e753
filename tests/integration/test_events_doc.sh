#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/events.md against the program: every example is run on a private Redis and what it appended
# is decoded; the tables of problems, fields and types must be those of the code.
set -eu

cd "$(dirname "$0")/../.."
decode=${BUILD:-build}/tests/tools/decode_stream
page=docs/events.md
key='salvor:{0}:events'
case $decode in /*) ;; *) decode=$PWD/$decode ;; esac

fail() {
    echo "test_events_doc: $*" >&2
    exit 1
}

folder=$(mktemp -d)
REDIS_SOCKET=$folder/redis.sock
export REDIS_SOCKET
server=
clean_up() {
    if [ -n "$server" ]; then
        kill "$server" && wait "$server" || :
    fi
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# The page's code blocks as files NUMBER.LANGUAGE, and `blocks` with a line for each: number,
# language, the type whose section it stands in (or -).
mkdir "$folder/examples" "$folder/bin"
awk -v folder="$folder" '
    /^## / { type = "-" }
    /^### `/ { split($0, part, "`"); type = part[2] }
    /^```/ {
        if (file != "") { close(file); file = ""; next }
        language = substr($0, 4)
        file = sprintf("%s/examples/%03d.%s", folder, ++number, language)
        print sprintf("%03d", number), language, type > (folder "/blocks")
        next
    }
    file != "" { print > file }
    END { if (file != "") exit 1 }' "$page" || fail "a code block does not end"

# --- the tables ---
same() { # what, expected file, found file
    diff -u "$2" "$3" >&2 || fail "$1 of $page (+) are not those of the code (-)"
}
section() { # heading: its lines up to the next heading
    awk -v heading="## $1" '/^##/ { is_in = $0 == heading } is_in' "$page"
}
"$decode" problems >"$folder/expected"
section 'What is wrong with an entry' | sed -n 's/^| `\([a-z_]*\)` |.*/\1/p' >"$folder/found"
same problems "$folder/expected" "$folder/found"

"$decode" fields >"$folder/expected"
section Fields | sed -n 's/^| `\([a-z_0-9]*\)` | \([a-z]*\) | \([0-9,]*\) | [^ ].* |$/\1 \2 \3/p' |
    tr -d , >"$folder/found"
same fields "$folder/expected" "$folder/found"

# A line for each field of each type: the type, whether it must be there, the field.
"$decode" types | awk '{
    for (i = 3; i <= 4; i++) {
        count = split($i, field, ",")
        for (k = 1; k <= count; k++) print $1, i == 3 ? "required" : "optional", field[k]
    }
}' | sort >"$folder/expected"
awk '/^### `/ { split($0, part, "`"); type = part[2] }
    /^Required: .*[.] Optional: .*[.]$/ {
        gsub(/[`.,]/, "")
        must = ""
        for (i = 1; i <= NF; i++) {
            if ($i == "Required:" || $i == "Optional:") must = tolower(substr($i, 1, 8))
            else print type, must, $i == "none" ? "-" : $i
        }
    }' "$page" | sort >"$folder/found"
same types "$folder/expected" "$folder/found"

# --- which examples there must be ---
"$decode" types | while read -r type reach _; do
    for language in sh python js; do
        count=$(grep -c "^[0-9]* $language $type\$" "$folder/blocks" || :)
        case $reach,$count in
        leader,0) ;;
        leader,*) fail "$type is appended by Salvor alone, but has an example in $language" ;;
        *,0) fail "$type has no example in $language" ;;
        esac
    done
done
if grep -Ev '^[0-9]+ (sh|python|js) ' "$folder/blocks" >&2; then
    fail "a code block in a language that this test does not run"
fi

# --- running them ---
# The examples call redis-cli as a user would; here it finds the private server.
cli=$(command -v redis-cli) || fail "no redis-cli"
printf '#!/bin/sh\nexec "%s" -s "$REDIS_SOCKET" "$@"\n' "$cli" >"$folder/bin/redis-cli"
chmod +x "$folder/bin/redis-cli"
PATH=$folder/bin:$PATH
redis-server --port 0 --unixsocket "$REDIS_SOCKET" --save '' --appendonly no --dir "$folder" \
    >"$folder/redis.log" 2>&1 &
server=$!
# Redis has no way to say when it listens; each turn is a try to connect.
timeout 20 sh -c 'until redis-cli PING 2>/dev/null | grep -q PONG; do :; done' ||
    fail "redis-server does not answer: $(cat "$folder/redis.log")"

"$decode" types | cut -d ' ' -f 1 >"$folder/types"
cd "$folder/examples"
touch prelude.sh prelude.python prelude.js "$folder/expected_types" "$folder/languages"

has_library() { # language, file: is what it imports from others there?
    case $1 in
    python) ! grep -q '^import msgpack' "$2" || python3 -c 'import msgpack' ;;
    js) ! grep -q 'require("@' "$2" || node -e 'require("@msgpack/msgpack")' ;;
    esac >/dev/null 2>&1
}
run() { # language, file
    case $1 in
    sh) sh -eu "$2" ;;
    python) python3 "$2" ;;
    js) node "$2" ;;
    esac >output 2>&1
}

runs=sh
if python3 -c '' >/dev/null 2>&1; then runs="$runs python"; else echo "SKIP: no python3"; fi
if node -e '' >/dev/null 2>&1; then runs="$runs js"; else echo "SKIP: no node"; fi
length=0
while read -r number language type; do
    file=$number.$language
    case " $runs " in *" $language "*) ;; *) continue ;; esac
    # A block that defines xadd stands before all examples of its language.
    if grep -Eq '(def|function) xadd\(' "$file"; then
        cp "$file" "prelude.$language"
        continue
    fi
    if ! has_library "$language" "$file"; then
        echo "SKIP: a packed example in $language, since its msgpack library is not here"
        continue
    fi
    { cat "prelude.$language"; echo; cat "$file"; } >"run.$language"
    run "$language" "run.$language" || fail "$page, $type, $language: $(cat output)"
    length=$((length + 1))
    [ "$(redis-cli XLEN "$key")" = "$length" ] ||
        fail "$page, $type, $language: did not append one entry: $(cat output)"
    # Outside of the types' sections an example tells its type itself.
    [ "$type" != - ] || type=$(grep -oF -f "$folder/types" "$file" | head -n 1)
    echo "$type none" >>"$folder/expected_types"
    echo "$language" >>"$folder/languages"
done <"$folder/blocks"

"$decode" entries "$REDIS_SOCKET" "$key" >"$folder/found_types"
diff -u "$folder/expected_types" "$folder/found_types" >&2 ||
    fail "what the examples appended (+) is not what $page says (-)"
[ "$length" -gt 0 ] || fail "no example was run"
echo "test_events_doc: $length examples ran:" $(sort "$folder/languages" | uniq -c)
