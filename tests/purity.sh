#!/bin/sh
# SPDX-License-Identifier: MIT
# A reducer that reads the clock must make `make purity` fail, and the failure must name the call.
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cp -R Makefile base reducers tools "$folder"
cat >>"$folder/reducers/event.c" <<'END'
#include <time.h>
long purity_planted(void);
long purity_planted(void)
{
    return (long)time(NULL);
}
END
if (cd "$folder" && ${MAKE:-make} BUILD=build EMBEDDED= purity-only) >"$folder/output" 2>&1; then
    echo "purity.sh: a planted time() was not found"
    cat "$folder/output"
    exit 1
fi
if ! grep -q 'purity: time is used by: event$' "$folder/output"; then
    echo "purity.sh: purity failed for another reason:"
    cat "$folder/output"
    exit 1
fi
echo "purity.sh: a planted time() is found"
