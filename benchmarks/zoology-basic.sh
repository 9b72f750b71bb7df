#!/usr/bin/env bash
# Time of an epoch of the original's basic example at d_model 64, ours beside plain PyTorch, in turns on the same machine.
# Ours includes the evaluation after each epoch, the peer's does not. A run to more than 99 % accuracy comes first: no speed
# is reported for a model that does not learn.
#
#     benchmarks/zoology-basic.sh [--peer-python PYTHON] [--threads 2] [--rounds 3] [--out FILE]
set -euo pipefail
cd "$(dirname "$0")/.."

peer_python='' threads=2 rounds=3 out=benchmarks/results/zoology-basic.json
while [ $# -gt 0 ]; do
    case $1 in
        --peer-python) peer_python=$2 ;;
        --threads) threads=$2 ;;
        --rounds) rounds=$2 ;;
        --out) out=$2 ;;
        *) printf 'zoology-basic.sh: unknown option %s\n' "$1" >&2; exit 2 ;;
    esac
    shift 2
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

job=(train --preset zoology-basic --d-model 64 --threads "$threads" --json)
./panthera "${job[@]}" --stop-above 0.995 --out "$folder/learn" | tail -n 1 > "$folder/learn.json"

for round in $(seq "$rounds"); do
    ./panthera "${job[@]}" --epochs 3 --stop-above 2 --out "$folder/ours$round" > /dev/null
    if [ -n "$peer_python" ]; then
        "$peer_python" benchmarks/peers/zoology_basic.py --d-model 64 --epochs 3 --threads "$threads" \
            > "$folder/peer$round.json"
    fi
done

commit=$(git rev-parse --short HEAD 2> /dev/null || echo unknown)
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
python3 - "$folder" "$out" "$commit" "$cpu" "$threads" << 'PYTHON'
import glob, json, statistics, sys

folder, out, commit, cpu, threads = sys.argv[1:]
learned = json.load(open(folder + "/learn.json"))
if learned["accuracy"] <= 0.99:
    sys.exit("zoology-basic.sh: accuracy %.4f; no speed is reported" % learned["accuracy"])
lines = (json.loads(line) for name in glob.glob(folder + "/ours*/metrics.jsonl") for line in open(name))
ours = [line["seconds"] for line in lines if "valid/accuracy" in line]
peers = [json.load(open(name)) for name in glob.glob(folder + "/peer*.json")]
result = {
    "benchmark": "zoology-basic, d_model 64", "commit": commit, "cpu": cpu, "threads": int(threads),
    "accuracy": learned["accuracy"], "epochs_to_99": learned["epochs"],
    "epoch_seconds": ours, "median_epoch_seconds": statistics.median(ours),
}
if peers:
    seconds = [s for peer in peers for s in peer["epoch_seconds"]]
    result.update(peer=peers[0]["peer"], peer_epoch_seconds=seconds, peer_median_epoch_seconds=statistics.median(seconds),
                  ratio=statistics.median(seconds) / statistics.median(ours))
else:
    print("no --peer-python: the peer was not run")
json.dump(result, open(out, "w"), indent=1)
print(json.dumps(result))
PYTHON
