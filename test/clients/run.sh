#!/bin/sh
# Runs the suites of this folder against a build: other people's clients, test suites and oracles.
#
#     run.sh BUILD [SUITE.test.js...]
#
# BUILD is a folder that CMake has built in, and `npm ci` was run here (make test-clients sees to both). With no suite
# named, all are run, and then it is checked that every status in docs/openapi.json was seen in some test: those of
# test/cluster which provoke those that need a follower, dead nodes or full disks, are run for that too.
set -eu

build=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")"

CORACLE_BIN=$build/coracle
CORACLE_PYTHON=$(sed -n 's/^CORACLE_PYTHON:.*=//p' "$build/CMakeCache.txt")
export CORACLE_BIN CORACLE_PYTHON PYTHONDONTWRITEBYTECODE=1

if [ $# -gt 0 ]; then
  exec node --test "$@"
fi

CORACLE_OBSERVED=$(mktemp -d)
export CORACLE_OBSERVED
trap 'rm -rf "$CORACLE_OBSERVED"' EXIT
"$CORACLE_PYTHON" -m pytest -q -p no:cacheprovider ../cluster/test_api_*.py \
  "../cluster/test_disk_full.py::test_all_are_full[SIGKILL]"
node --test ./*.test.js
node --test statuses.js
