#!/usr/bin/env bash
# Brings what the tests need beyond setup.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
start=$SECONDS
echo "setup for tests: 1/3 browser, PostgreSQL"
tools/setup/apt.sh browser fonts
# Without it the tests on PostgreSQL are left out, and the end of the run says so.
tools/setup/apt.sh postgres || echo "setup for tests: PostgreSQL could not be installed"
tools/setup/apt.sh softhsm || echo "setup for tests: SoftHSM could not be installed"
echo "setup for tests: 2/3 test tools"
tools/setup/cargo-tools.sh nextest deny
echo "setup for tests: 3/3 Python packages"
tools/setup/python.sh api nist verifier
# Likewise the tests on a bucket.
tools/setup/python.sh s3 || echo "setup for tests: the S3 server could not be installed"
echo "setup for tests: done in $((SECONDS - start)) s"
