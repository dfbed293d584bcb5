#!/usr/bin/env bash
# Installs a tool's pinned Python packages into .venv, when its list has changed:  python.sh TOOL…
# where the list is tools/TOOL/requirements.txt, or TOOL/requirements.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

[ -x .venv/bin/python ] || python3 -m venv .venv
for tool in "$@"; do
    list="tools/$tool/requirements.txt"
    [ -f "$list" ] || list="$tool/requirements.txt"
    stamp=".venv/.countersign-$tool"
    pins=$(sha256sum <"$list")
    [ "$(cat "$stamp" 2>/dev/null)" = "$pins" ] && continue
    echo "python: pip install -r $list"
    .venv/bin/python -m pip install --disable-pip-version-check --quiet -r "$list"
    echo "$pins" >"$stamp"
done
