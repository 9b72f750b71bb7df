#!/usr/bin/env bash
# Everything that docs/results.md says about speed on the CPU, in one run: ceilings, kernels, training steps and data
# beside PyTorch, the slower instruction-set tiers, and start-up. Writes JSON lines.
#
#     benchmarks/cpu.sh [--peer-python FILE] [--threads N] [--output FILE] [--only PART]...
#
# Parts: ceilings, long-conv, short-conv, attention, sparse, linear, step, zoo, lengths, decode, tiers, data, start. Default: all,
# which takes about three quarters of an hour with PyTorch. Ratios mean something only if nothing else runs; times are medians.
# benchmarks/cpu_report.py makes tables of all but the parts zoo and lengths, of which benchmarks/zoo_report.py does, and sparse,
# of which benchmarks/sparse_report.py does. Before the part zoo, `python benchmarks/peers/cpu_step.py --self-test` compares the ways in which PyTorch can do the same work with each
# other, and with tensors recorded from the original.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    printf 'cpu.sh: %s\n' "$1" >&2
    exit 2
}

peer=() threads=2 output=/dev/stdout parts=()
while [ $# -gt 0 ]; do
    case $1 in --peer-python | --threads | --output | --only) [ $# -ge 2 ] || die "$1 needs a value" ;; esac
    case $1 in
        --peer-python) peer=(--peer-python "$2") && shift 2 ;;
        --threads) threads=$2 && shift 2 ;;
        --output) output=$2 && shift 2 ;;
        --only) parts+=("$2") && shift 2 ;;
        *) die "$1 is unknown; possible are --peer-python, --threads, --output and --only" ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(ceilings step zoo lengths decode long-conv attention sparse short-conv linear data start tiers)
./panthera --version > /dev/null # builds

bench() {
    ./panthera bench "$@" --json 2> >(grep -v 'PyTorch is not measured' >&2) >> "$output"
}

kernel() {
    bench kernels --threads "$threads" "${peer[@]}" "$@"
}

# Where ours are compared among themselves.
without_peer() {
    local peer=()
    "$@"
}

ceilings() {
    bench ceilings --threads "$threads"
}

long_conv() {
    local length
    for length in 128 512 1024 2048 4096 8192 16384; do
        kernel --op long-conv --batch 16 --channels 256 --length "$length"
    done
    for length in 1000 1021 4097; do # not powers of two
        without_peer kernel --op long-conv --batch 16 --channels 256 --length "$length"
    done
}

short_conv() {
    local length
    for length in 512 1024 2048; do
        kernel --op short-conv --batch 16 --channels 256 --length "$length"
    done
    for taps in 2 4 8 16; do
        without_peer kernel --op short-conv --batch 16 --channels 256 --length 1024 --taps "$taps"
    done
}

attention() {
    local length
    for length in 128 256 512 1024 2048; do
        kernel --op attention --batch 16 --channels 256 --heads 4 --length "$length"
    done
}

# Attention of few positions, and to few keys, beside attention of all to all: how time grows with the length.
sparse() {
    local length chosen root
    for length in 512 1024 2048 4096 8192; do
        root=$(awk "BEGIN { printf \"%d\", sqrt($length) + 0.9999 }")
        without_peer kernel --op attention --batch 1 --channels 256 --heads 4 --length "$length"
        for chosen in $(printf '%s\n' 16 64 "$root" | sort -un); do
            without_peer kernel --op selected-attention --batch 1 --channels 256 --heads 4 --length "$length" --chosen "$chosen"
        done
        without_peer kernel --op sparse-attention --batch 1 --channels 256 --heads 4 --length "$length"
        without_peer kernel --op pooled-attention --batch 1 --channels 256 --heads 4 --length "$length"
    done
}

linear() {
    kernel --op linear --batch 1 --length 1024 --channels 1024
    kernel --op linear --batch 64 --length 256 --channels 64
}

# Mixers at three points of the paper's figure 2.
step() {
    local mixer length pairs
    while read -r length pairs; do
        for mixer in attention base-conv hyena; do
            bench step --mixer "$mixer" --length "$length" --pairs "$pairs" --steps 9 --threads "$threads" "${peer[@]}" \
                < /dev/null
        done
    done <<< $'64 4\n256 16\n512 64'
}

wide_step() {
    bench step --d-model 128 --threads "$threads" "$@" < /dev/null
}

# State-space and linear-attention mixers.
zoo() {
    local mixer
    for mixer in mamba based rwkv-4 h3; do
        wide_step --mixer "$mixer" --batch 16 --length 256 --pairs 16 --steps 15 "${peer[@]}"
    done
}

# How time per token depends on the length: as many tokens and labels at either. The check of the longer step against the
# reference is slow.
lengths() {
    local mixer
    for mixer in mamba based performer rwkv-4 h3 cum-sum attention; do
        wide_step --mixer "$mixer" --batch 16 --length 512 --pairs 4 --steps 9
        wide_step --mixer "$mixer" --batch 2 --length 4096 --pairs 32 --steps 9
    done
}

decode() {
    bench decode --threads "$threads"
}

# The same steps, and convolutions, with the instructions of older processors.
tiers() {
    local tier
    printf '{"part":"tiers"}\n' >> "$output"
    for tier in avx512 avx2 baseline; do
        PANTHERA_MAX_ISA=$tier without_peer step
        PANTHERA_MAX_ISA=$tier without_peer kernel --op long-conv --batch 16 --channels 256 --length 1024
        PANTHERA_MAX_ISA=$tier without_peer kernel --op attention --batch 16 --channels 256 --heads 4 --length 512
    done
}

data() {
    bench data "${peer[@]}"
}

seconds_of() {
    local start=$EPOCHREALTIME
    "$@" > /dev/null
    awk "BEGIN { printf \"%.3f\", $EPOCHREALTIME - $start }"
}

# Whole commands. The one that trains makes two steps, evaluates twice and writes a checkpoint, so its time is more than
# that to the first step.
start() {
    local folder i
    folder=$(mktemp -d)
    for i in 1 2 3 4 5 6 7; do
        printf '{"start":"--version","seconds":%s}\n' "$(seconds_of ./panthera --version)" >> "$output"
        printf '{"start":"train, two steps","seconds":%s}\n' "$(seconds_of ./panthera train --epochs 1 \
            --train-examples 64 --validation-examples 32 --test-examples 32 --out "$folder/$i")" >> "$output"
    done
    rm -rf "$folder"
}

[ "$output" = /dev/stdout ] || : > "$output"
printf '{"date":"%s","commit":"%s","cpu":"%s","threads":%s}\n' "$(date -u +%F)" \
    "$(git rev-parse --short HEAD 2> /dev/null || echo unknown)" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$threads" >> "$output"
for part in "${parts[@]}"; do
    case $part in
        ceilings | attention | sparse | linear | step | zoo | lengths | decode | tiers | data | start) "$part" ;;
        long-conv) long_conv ;;
        short-conv) short_conv ;;
        *) die "--only $part: there is no such part" ;;
    esac
done
