#!/usr/bin/env bash
# Brings what the tests need beyond setup.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
start=$SECONDS
echo "setup for tests: 1/3 browser"
tools/setup/apt.sh browser fonts
echo "setup for tests: 2/3 test tools"
tools/setup/cargo-tools.sh nextest deny
echo "setup for tests: 3/3 Python packages"
tools/setup/python.sh api nist verifier
echo "setup for tests: done in $((SECONDS - start)) s"
