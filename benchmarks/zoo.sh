#!/usr/bin/env bash
# Training steps of the state-space and linear-attention mixers on the CPU: beside the best that PyTorch does, and how their
# time per token depends on the length. Writes JSON lines, of which benchmarks/zoo_report.py makes tables.
#
#     benchmarks/zoo.sh [--peer-python FILE] [--threads N] [--output FILE] [--only PART]...
#
# Parts: peers, lengths. Default: all, which takes about a quarter of an hour with PyTorch. Ratios mean something only if
# nothing else runs; times are medians. Before that, `python benchmarks/peers/cpu_step.py --self-test` compares the ways in
# which PyTorch can do the same work with each other, and with tensors recorded from the original.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    printf 'zoo.sh: %s\n' "$1" >&2
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
[ ${#parts[@]} -gt 0 ] || parts=(peers lengths)
./panthera --version > /dev/null # builds

step() {
    ./panthera bench step --d-model 128 --threads "$threads" --json "$@" \
        2> >(grep -v 'PyTorch is not measured' >&2) >> "$output" < /dev/null
}

peers() {
    local mixer
    for mixer in mamba based rwkv-4 h3; do
        step --mixer "$mixer" --batch 16 --length 256 --pairs 16 --steps 15 "${peer[@]}"
    done
}

# As many tokens and labels at either length. The check of the longer step against the reference is slow.
lengths() {
    local mixer
    for mixer in mamba based performer rwkv-4 h3 cum-sum attention; do
        step --mixer "$mixer" --batch 16 --length 512 --pairs 4 --steps 9
        step --mixer "$mixer" --batch 2 --length 4096 --pairs 32 --steps 9
    done
}

[ "$output" = /dev/stdout ] || : > "$output"
printf '{"date":"%s","commit":"%s","cpu":"%s","threads":%s}\n' "$(date -u +%F)" \
    "$(git rev-parse --short HEAD 2> /dev/null || echo unknown)" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$threads" >> "$output"
for part in "${parts[@]}"; do
    case $part in
        peers | lengths) "$part" ;;
        *) die "--only $part: there is no such part" ;;
    esac
done
