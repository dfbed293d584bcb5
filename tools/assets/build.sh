#!/bin/sh
# Brings the packages the pages are made of, then builds build/assets and build/templates.
# Safe to run again: each step does nothing when its lockfile has not changed.
set -eu
cd "$(dirname "$0")/../.."

lock=$(cat package.json package-lock.json | sha256sum | cut -d' ' -f1)
if [ "$(cat node_modules/.countersign-lock 2>/dev/null || true)" != "$lock" ]; then
    echo "assets: npm ci"
    npm ci --ignore-scripts --no-fund --no-audit
    echo "$lock" > node_modules/.countersign-lock
fi

pins=$(sha256sum < tools/assets/requirements.txt | cut -d' ' -f1)
if [ "$(cat .venv/.countersign-assets 2>/dev/null || true)" != "$pins" ]; then
    [ -x .venv/bin/pip ] || { echo "assets: python3 -m venv .venv"; python3 -m venv .venv; }
    echo "assets: pip install -r tools/assets/requirements.txt"
    .venv/bin/pip install --disable-pip-version-check --quiet --no-deps -r tools/assets/requirements.txt
    echo "$pins" > .venv/.countersign-assets
fi

exec node tools/assets/build.mjs "$@"
