#!/usr/bin/env bash
# Points of figure 2 of Arora et al. 2023 (arXiv 2312.04927): each mixer at each width with each of the paper's four learning
# rates, and the best by validation accuracy. Trials run side by side with one thread each. A trial that is already recorded
# in the output is not run again, and one that was stopped goes on from its checkpoint under target/figure-2. Beside the
# output, a file for each trial has its epochs.
#
#     benchmarks/figure-2.sh [--mixers base-conv,hyena] [--widths 64,128] [--length 64] [--pairs 4] [--epochs 64]
#                            [--rates 1e-4,4.64e-4,2.15e-3,1e-2] [--jobs N] [--out benchmarks/results/figure-2.jsonl]
set -euo pipefail
cd "$(dirname "$0")/.."

mixers=base-conv,hyena widths=64,128 length=64 pairs=4 epochs=64 rates=1e-4,4.64e-4,2.15e-3,1e-2
jobs=$(nproc) out=benchmarks/results/figure-2.jsonl
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || { printf 'figure-2.sh: %s needs a value\n' "$1" >&2; exit 2; }
    case $1 in
        --mixers) mixers=$2 ;;
        --widths) widths=$2 ;;
        --length) length=$2 ;;
        --pairs) pairs=$2 ;;
        --epochs) epochs=$2 ;;
        --rates) rates=$2 ;;
        --jobs) jobs=$2 ;;
        --out) out=$2 ;;
        *) printf 'figure-2.sh: unknown option %s\n' "$1" >&2; exit 2 ;;
    esac
    shift 2
done
folder=target/figure-2
mkdir -p "$folder"
./panthera --version > /dev/null # builds once, before trials run side by side
commit=$(git rev-parse --short HEAD 2> /dev/null || echo unknown)
touch "$out"

# The paper's batches: 512 rows up to 128 tokens, then as many as keep about the same number of tokens.
batch=512
[ "$length" -le 128 ] || batch=$((65536 / length))

run_trial() {
    local mixer=$1 width=$2 rate=$3 key
    key=$(printf '"mixer":"%s","length":%s,"pairs":%s,"d_model":%s,"learning_rate":%s,"max_epochs":%s' \
        "$mixer" "$length" "$pairs" "$width" "$rate" "$epochs")
    ! grep -qF "$key" "$out" || return 0
    local name=$mixer-L$length-D$pairs-d$width-lr$rate-e$epochs
    local run=$folder/$name
    if [ -e "$run/checkpoint.safetensors" ]; then
        ./panthera train --resume "$run" --threads 1 --json > "$run.json" 2>> "$run.log"
    else
        rm -rf "$run"
        ./panthera train --preset figure-2 --mixer "$mixer" --d-model "$width" --length "$length" --pairs "$pairs" \
            --batch "$batch" --lr "$rate" --epochs "$epochs" --threads 1 --json --out "$run" > "$run.json" 2> "$run.log"
    fi
    local curve=${out%.jsonl}-$name.jsonl
    grep '"valid/accuracy"' "$run/metrics.jsonl" > "$curve"
    printf '{%s,"commit":"%s","validation_accuracy":%s,"result":%s}\n' "$key" "$commit" \
        "$(tail -n 1 "$curve" | sed 's/.*"valid\/accuracy":\([^,}]*\).*/\1/')" "$(tail -n 1 "$run.json")" >> "$out"
}

# A shell's background jobs ignore Ctrl-C: they are told to write a checkpoint and end.
stop() {
    trap - INT TERM
    for job in $(jobs -rp); do
        pkill -TERM -P "$job" || true
    done
    wait
    printf 'figure-2.sh: stopped; the same command goes on from the checkpoints\n' >&2
    exit 130
}
trap stop INT TERM

for width in ${widths//,/ }; do
    for mixer in ${mixers//,/ }; do
        for rate in ${rates//,/ }; do
            while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
                wait -n
            done
            run_trial "$mixer" "$width" "$rate" &
        done
    done
done
while [ -n "$(jobs -rp)" ]; do
    wait -n
done

python3 - "$out" << 'PYTHON'
import json, sys

best = {}
for line in map(json.loads, open(sys.argv[1])):
    point = line["length"], line["pairs"], line["mixer"], line["d_model"]
    if point not in best or line["validation_accuracy"] > best[point]["validation_accuracy"]:
        best[point] = line
for (length, pairs, mixer, width), line in sorted(best.items()):
    result = line["result"]
    print(f"({length}, {pairs})  {mixer:10}  d={width:<4} test accuracy {result['accuracy']:.4f}  "
          f"lr {line['learning_rate']}  {result['epochs']} epochs")
PYTHON
