#!/usr/bin/env bash
# Brings everything the product is built from and runs with. Nothing reaches the network after this
# but cargo, for crates pinned in Cargo.lock; the running product never does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
start=$SECONDS
mkdir -p build
exec 9>build/.setup.lock
flock 9 # two of these at once would write the same folders

for command in cargo node npm python3; do
    command -v "$command" >/dev/null || { echo "setup: '$command' is needed and not on the PATH (see README.md)" >&2; exit 1; }
done

echo "setup: 1/4 system packages"
tools/setup/apt.sh certificates compiler python
echo "setup: 2/4 npm packages, GOV.UK templates, page assets"
tools/assets/build.sh
echo "setup: 3/4 Python packages"
tools/setup/python.sh packs
echo "setup: 4/4 model pack and ONNX Runtime"
.venv/bin/python tools/packs/convert.py --package node_modules/@vladmandic/face-api
echo "setup: done in $((SECONDS - start)) s"
