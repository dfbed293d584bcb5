#!/usr/bin/env bash
# Fuzzes a parser, then keeps the smallest corpus that covers the same:  fuzz.sh TARGET SECONDS
# Targets are listed in fuzz/src/main.rs; `multipart` and `body` need FEATURES=pages. Stable Rust and a C++ compiler are enough.
# What breaks something is left in fuzz/broken/TARGET, and `cargo nextest run` tries it from then on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=$1 seconds=$2
host=$(rustc -vV | sed -n 's/^host: //p')
# Every branch and comparison is counted, in our crates and in all that they are made of.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-sanitizer-coverage-stack-depth"
cargo build --quiet --manifest-path fuzz/Cargo.toml --target "$host" --release ${FEATURES:+--features "$FEATURES"}
fuzzer=fuzz/target/$host/release/fuzz
work=fuzz/target/work/$target
mkdir -p "$work" "fuzz/broken/$target" "fuzz/corpus/$target"
export FUZZ_TARGET=$target
"$fuzzer" "$work" "fuzz/corpus/$target" -max_total_time="$seconds" -max_len="${MAX_LEN:-8192}" -timeout=10 -rss_limit_mb=1024 \
    -malloc_limit_mb=512 -artifact_prefix="fuzz/broken/$target/" -print_final_stats=1
rmdir --ignore-fail-on-non-empty "fuzz/broken/$target"
# Whatever is kept must be worth its place.
smallest=$(mktemp -d)
"$fuzzer" "$smallest" "$work" "fuzz/corpus/$target" -set_cover_merge=1 -use_counters=0 -max_len="${MAX_LEN:-8192}" -timeout=10
# The seeds that the test makes, and the 48 smallest of the rest: the tests of every day run over them.
find "fuzz/corpus/$target" -type f ! -name 'seed-*' -delete
find "$smallest" -type f -printf '%s %p\n' | sort -n | head -48 | cut -d' ' -f2- | xargs -r cp -t "fuzz/corpus/$target"
chmod -R u=rwX,go=rX "fuzz/corpus/$target"
rm -rf "$smallest"
du -sb "fuzz/corpus/$target"
