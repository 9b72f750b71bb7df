#!/usr/bin/env bash
# What a sweep costs beside its trials: the share of time that is not spent in trials of a second, the gain of two trials at once
# over one with two threads, and the time of ls, show, report and export with 10,000 trials in the store. Writes JSON lines.
#
#     benchmarks/sweep.sh [--output FILE]
#
# Default: benchmarks/results/sweep.jsonl, written anew. Takes a few minutes; numbers mean something only if nothing else runs.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    printf 'sweep.sh: %s\n' "$1" >&2
    exit 2
}

output=benchmarks/results/sweep.jsonl
while [ $# -gt 0 ]; do
    case $1 in
        --output) [ $# -ge 2 ] || die "--output needs a file" ; output=$2 && shift 2 ;;
        *) die "$1 is unknown; possible is --output" ;;
    esac
done
./panthera --version > /dev/null # builds

SWEEP_BENCH_FOLDER=$(mktemp -d)
export SWEEP_BENCH_FOLDER
trap 'rm -rf "$SWEEP_BENCH_FOLDER"' EXIT

# Prints the seconds of a command, its output thrown away.
seconds() {
    local start end
    start=$(date +%s%N)
    "$@" > /dev/null
    end=$(date +%s%N)
    awk -v nanos=$((end - start)) 'BEGIN { printf "%.2f", nanos / 1e9 }'
}

look() {
    printf '{"measured":"%s of 10000 trials","seconds":%s}\n' "$1" "$(seconds ./panthera "${@:2}")"
}

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2> /dev/null | head -n 1 || true)
many=$SWEEP_BENCH_FOLDER/many
{
    printf '{"date":"%s","commit":"%s","cpu":"%s","cores":%s}\n' "$(date -u +%F)" "$(git rev-parse --short HEAD)" \
        "${cpu:-unknown}" "$(getconf _NPROCESSORS_ONLN)"
    ./panthera run benchmarks/sweep/SweepBench.java
    look ls ls "$many"
    trial=$(./panthera ls "$many" | sed -n 5000p | cut -d ' ' -f 1)
    look show show "$trial" --sweep "$many"
    look "export csv" export "$many"
    look "report" report "$many" --no-images
    look "export jsonl" export "$many" --format jsonl
} > "$SWEEP_BENCH_FOLDER/lines"
cp "$SWEEP_BENCH_FOLDER/lines" "$output"
cat "$output"
