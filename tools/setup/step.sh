#!/usr/bin/env bash
# Runs one step where people can see it:  step.sh NAME COMMAND [ARGUMENT…]
set -uo pipefail
name=$1
shift
printf '\n\033[1m==> %s\033[0m\n' "$name"
start=$SECONDS
"$@"
code=$?
if [ $code -eq 0 ]; then
    printf '    %s: done in %d s\n' "$name" $((SECONDS - start))
else
    printf '    %s: FAILED (exit %d) after %d s: %s\n' "$name" $code $((SECONDS - start)) "$*" >&2
fi
exit $code
