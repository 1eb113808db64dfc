#!/bin/bash
# Fuzzes every target, or those that are named, for so many seconds each.
#
#   tests/fuzz/run.sh SECONDS [TARGET…]
#
# New inputs go to tests/fuzz/found, which git ignores; what is worth keeping is copied to tests/fuzz/corpus by hand, as small as
# `cargo fuzz tmin` makes it, together with the mending. `cargo test` replays that folder.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
shift || true

# libFuzzer wants the sanitizers' compiler options; this variable lets a stable compiler take them.
export RUSTC_BOOTSTRAP=1
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
if [ $# = 0 ]; then
    set -- $(sed -n 's/^name = "\(.*\)"$/\1/p' tests/fuzz/Cargo.toml | grep -v '^weir-fuzz$')
fi
cargo fuzz build --fuzz-dir tests/fuzz >/dev/null

failed=""
for target in "$@"; do
    work=tests/fuzz/found/$target
    mkdir -p "$work"
    options="-max_total_time=$seconds -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=10 -max_len=65536 -print_final_stats=0 -verbosity=0"
    if cargo fuzz run --fuzz-dir tests/fuzz "$target" "$work" "tests/fuzz/corpus/$target" -- $options; then
        echo "$target: $(find "$work" -type f | wc -l) inputs, nothing found"
    else
        failed="$failed $target"
    fi
done
[ -z "$failed" ] || { echo "found something in:$failed (tests/fuzz/artifacts)"; exit 1; }
