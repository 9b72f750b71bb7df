"""What the whole grid of the paper's figure 2 costs; see figure-2-cost.sh."""
import argparse
import json
import os
import subprocess
import sys

EPOCHS = 64
TRAIN_ROWS, HELD_ROWS = 100_000, 3_000
BATCHES = {64: 512, 128: 512, 256: 256, 512: 128}
PAIRS = {64: 4, 128: 8, 256: 16, 512: 64}
CHECKED_WIDTH = 64
# Tokens of the two batches: enough that the rows, and not the optimizer, make the difference.
FEW_TOKENS, MORE_TOKENS = 1024, 4096
# A forward pass alone instead of a forward and a backward pass, as in our cost model.
EVALUATION = 1 / 3
SECONDS_PER_DAY = 86_400


def lines(command, **environment):
    """The JSON objects that a command prints, a line each."""
    output = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in output.decode().splitlines() if line.startswith("{")]


def task_length(factors):
    return int(factors["task"].split("-")[1])


def check(group):
    """Our step of full size beside its estimate."""
    factors = group["factors"]
    length = task_length(factors)
    measured = lines(["./panthera", "bench", "step", "--json", "--mixer", factors["mixer"], "--threads", "1",
                      "--layers", str(layers(factors)), "--batch", str(BATCHES[length]), "--length", str(length),
                      "--pairs", str(PAIRS[length]), "--d-model", factors["d_model"], "--steps", "5"])[0]
    return {"check": "step", **factors, "estimated_ms": 1e3 * group["step_seconds"], "measured_ms": measured["median_ms"],
            "estimate_over_measured": 1e3 * group["step_seconds"] / measured["median_ms"]}


def layers(factors):
    return 2 if factors["mixer"] == "attention" else 4


def original(python, factors):
    """Seconds of a trial of the original's work, on all cores: a line through steps of two batch sizes."""
    length = task_length(factors)

    def step(rows):
        return lines([python, "benchmarks/peers/cpu_step.py", "--form", "original", "--mixer", factors["mixer"],
                      "--layers", str(layers(factors)), "--batch", str(rows), "--length", str(length), "--pairs",
                      str(PAIRS[length]), "--d-model", factors["d_model"], "--threads", str(os.cpu_count()), "--steps", "5"]
                     )[0]["median_ms"] / 1e3

    few_rows, more_rows = FEW_TOKENS // length, MORE_TOKENS // length
    few, more = step(few_rows), step(more_rows)
    per_row = max(0.0, (more - few) / (more_rows - few_rows))
    fixed = max(0.0, few - per_row * few_rows)
    steps = -(-TRAIN_ROWS // BATCHES[length])
    epoch = steps * fixed + TRAIN_ROWS * per_row + EVALUATION * HELD_ROWS * per_row
    return EPOCHS * epoch


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python")
    parser.add_argument("--output")
    parser.add_argument("--estimates", help="what the dry run printed before, instead of a new one")
    options = parser.parse_args()
    output = open(options.output, "a", encoding="utf-8") if options.output else sys.stdout

    def write(line):
        print(json.dumps(line), file=output, flush=True)

    groups = (lines(["cat", options.estimates]) if options.estimates
              else lines(["./panthera", "run", "experiments/Figure2.java", "--dry-run", "--json"]))
    groups.sort(key=lambda group: int(group["factors"]["d_model"]))
    ours = theirs = 0.0
    trials = 0
    for group in groups:
        trials += group["trials"]
        ours += group["trials"] * group["trial_seconds"]
        if options.peer_python:
            seconds = original(options.peer_python, group["factors"])
            theirs += group["trials"] * seconds
            group["original_trial_seconds"] = seconds
        write({"cost": "trial", **group})
        if group["factors"]["d_model"] == str(CHECKED_WIDTH):
            write(check(group))
    cores = os.cpu_count()
    total = {"cost": "grid", "trials": trials, "slots": cores, "days": ours / cores / SECONDS_PER_DAY}
    if options.peer_python:
        total.update(original_days=theirs / SECONDS_PER_DAY, original_over_ours=theirs / (ours / cores))
    write(total)


if __name__ == "__main__":
    main()
