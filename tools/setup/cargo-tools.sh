#!/usr/bin/env bash
# Installs the test tools that are missing, at pinned versions:  cargo-tools.sh nextest|deny …
# One that is there already is used as it is. Unoptimised: they are built in a minute and run for seconds.
set -euo pipefail
NEXTEST=0.9.151
DENY=0.20.2

for tool in "$@"; do
    cargo "$tool" --version >/dev/null 2>&1 && continue
    echo "cargo-tools: installing cargo-$tool (once, into $(dirname "$(command -v cargo)"))"
    # Not into the project's target folder, whatever the caller set.
    case $tool in
        nextest) env -u CARGO_TARGET_DIR cargo install --locked --debug --no-default-features --features default-no-update "cargo-nextest@$NEXTEST" ;;
        deny) env -u CARGO_TARGET_DIR cargo install --locked --debug "cargo-deny@$DENY" ;;
        *) echo "cargo-tools: nobody knows '$tool'" >&2; exit 2 ;;
    esac
done
