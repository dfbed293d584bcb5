#!/usr/bin/env bash
# The JSON API against its own document: a demo server on invented data, and schemathesis as several
# people at once. Takes about three minutes; what it found is in build/api.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools/setup/python.sh api
exec .venv/bin/python tools/api/check.py "${COUNTERSIGN_BIN:-$(tools/setup/binary.sh)}"
