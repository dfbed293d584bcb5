#!/usr/bin/env bash
# Every check and test, cheapest first; stops at the first that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
start=$SECONDS
step=tools/setup/step.sh
binary=$(tools/setup/binary.sh)
export COUNTERSIGN_BIN=$binary # for the browser and API tests, which start a real server
export COUNTERSIGN_FRAME_BIN=$(dirname "$binary")/examples/frame # the pages' frame alone

$step "format" cargo fmt --all --check
$step "crates of the lock file" cargo fetch --locked
# Advisories need a download of their own database; `make advisories` looks at them.
$step "licences, bans, sources" cargo deny --offline --locked check bans licenses sources
$step "clippy" cargo clippy --workspace --all-targets --locked -- -D warnings
$step "build" cargo build --locked -p countersign -p web --bins --example frame
# Tests that lack these pass without having tested anything: said here and again at the end, whatever the runner shows.
left_out=
shared=${COUNTERSIGN_SHARED:-../shared}
if [ ! -d "$shared/models" ] || [ ! -d "$shared/faces/people" ]; then
    left_out="NOT RUN: the tests with development models and faces; $shared/models or $shared/faces/people is absent (COUNTERSIGN_SHARED)"
    printf '\n%s\n' "$left_out"
fi
for need in "/usr/bin/softhsm2-util the tests of a master key in a token" "/usr/lib/postgresql/15/bin/initdb the tests on PostgreSQL" ".venv/bin/moto_server the tests on a bucket (S3)"; do
    if [ ! -x "${need%% *}" ]; then
        left_out+="${left_out:+$'\n'}NOT RUN: ${need#* }; ${need%% *} is absent"
        printf '\n%s\n' "NOT RUN: ${need#* }"
    fi
done
$step "Rust tests" cargo nextest run --workspace --locked
# The same use cases on PostgreSQL, each on a server of its own; those that speak SQLite's own words are left to the first run.
$step "Rust tests of the use cases, on PostgreSQL" env COUNTERSIGN_TEST_DATABASE=postgres \
    cargo nextest run -p bureau --locked -E 'binary(bureau) & test(/^(together|again|search)::/) - test(s3_a_linked_pair)'
$step "documentation examples" cargo test --doc --workspace --locked --quiet
$step "policy coverage" "$binary" policy coverage
$step "browser tests" node --test --test-concurrency=1 tools/browser/*.test.mjs
$step "API tests (schemathesis)" tools/api/test.sh
printf '\n%s' "${left_out:+$left_out
}"
printf 'all passed in %d min %d s\n' $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60))
