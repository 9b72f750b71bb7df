#!/usr/bin/env bash
# Reads what `./panthera train --tensorboard` writes with TensorBoard itself and compares every scalar with the run's
# metrics.jsonl. The run is killed in its second epoch and resumed, so that there are two event files, of which the second
# supersedes the end of the first. One line of JSON a reader goes to the output. TensorBoard is installed into a virtual
# environment in a temporary folder; where that fails, the script says so and ends with code 0.
#
#     benchmarks/tensorboard-check.sh [OUTPUT]            default: benchmarks/results/tensorboard.jsonl
#
# TENSORBOARD_PYTHON   a Python that has TensorBoard already
# PANTHERA             the launcher, if it is not ./panthera
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
output=$(realpath -m "${1:-$root/benchmarks/results/tensorboard.jsonl}")
panthera=${PANTHERA:-$root/panthera}
python=${TENSORBOARD_PYTHON:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
board=$work/board run=$work/killed-and-resumed

if [ -z "$python" ]; then
    python=$work/venv/bin/python
    { python3 -m venv "$work/venv" && "$python" -m pip install -q tensorboard setuptools; } > "$work/pip.log" 2>&1 || {
        printf 'tensorboard-check.sh: skipped: TensorBoard cannot be installed (%s)\n' "$(tail -n 1 "$work/pip.log")"
        exit 0
    }
fi

"$panthera" --version > /dev/null # builds what is missing
"$panthera" train --length 64 --pairs 4 --vocab 256 --d-model 32 --train-examples 19200 --validation-examples 200 \
    --test-examples 200 --batch 64 --epochs 3 --stop-above 1 --threads 1 --tensorboard "$board" --out "$run" \
    > "$work/train.log" 2>&1 &
training=$!
# The event file has a checkpoint's worth of steps, and then so many more that some of them have left the buffer.
epoch_ended() { grep -qs '"valid/accuracy"' "$run/metrics.jsonl" && [ -s "$run/checkpoint.safetensors" ]; }
event_bytes() { cat "$board"/killed-and-resumed/events.out.tfevents.* | wc -c; }
until epoch_ended; do
    kill -0 "$training" 2> /dev/null || { cat "$work/train.log" >&2; exit 1; }
    sleep 0.05
done
bytes=$(event_bytes)
until [ "$(event_bytes)" -gt "$((bytes + 4000))" ]; do
    kill -0 "$training" 2> /dev/null || { echo 'tensorboard-check.sh: the run ended before it was killed' >&2; exit 1; }
    sleep 0.01
done
kill -9 "$training"
wait "$training" 2> /dev/null || true
"$panthera" train --resume "$run" --threads 1 --tensorboard "$board" >> "$work/train.log" 2>&1

"$python" "$root/benchmarks/tensorboard_check.py" "$board" "$run/metrics.jsonl" "$run/config.json" \
    "$(git -C "$root" rev-parse --short HEAD 2> /dev/null || echo unknown)" > "$work/result.jsonl"
cat "$work/result.jsonl"
cp "$work/result.jsonl" "$output"
