#!/bin/sh
# SPDX-License-Identifier: MIT
# Every scenario gives the rows that stand in it.
set -eu

cd "$(dirname "$0")/../.."
exec "${BUILD:-build}/tests/tools/scenario" tests/scenarios/*.txt
