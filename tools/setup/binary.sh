#!/usr/bin/env bash
# Prints where cargo puts the binary:  binary.sh [debug|release]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
echo "${CARGO_TARGET_DIR:-$PWD/target}/${1:-debug}/countersign"
