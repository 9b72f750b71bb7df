"""Markdown table of experiments/SparseAttention.java: accuracy, and the share of the gap between base-conv and attention.

    ./panthera export sparse-attention --out TRIALS.csv
    python3 benchmarks/gap_report.py TRIALS.csv

A trial's learning rate is the one with which its mixer did best on the validation rows, for each task and seed.
"""
import csv
import re
import statistics
import sys

from cpu_report import table

NUMBERED = re.compile(r"(.+)-(\d+)$")


def best(rows):
    """Test accuracies of finished trials, one for each seed, by task and mixer."""
    chosen = {}
    for row in rows:
        if row["status"] != "done":
            continue
        key = (row["task"], row["mixer"], row["seed"])
        if key not in chosen or float(row["valid/accuracy"]) > float(chosen[key]["valid/accuracy"]):
            chosen[key] = row
    found = {}
    for (task, mixer, _), row in chosen.items():
        found.setdefault(task, {}).setdefault(mixer, []).append(float(row["test/accuracy"]))
    return found


def cell(accuracies, low, high):
    mean = statistics.mean(accuracies)
    spread = f" ± {100 * statistics.stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    return f"{100 * mean:.1f}{spread} % ({100 * (mean - low) / (high - low):.0f} %)"


def report(task, mixers):
    ends = {name: statistics.mean(mixers[name]) for name in ("base-conv", "attention")}
    print(f"{task}: base-conv {cell(mixers['base-conv'], *ends.values())}, "
          f"attention {cell(mixers['attention'], *ends.values())}; {len(mixers['attention'])} seeds\n")
    families = {}
    for mixer, accuracies in mixers.items():
        if mixer in ends:
            continue
        name, number = NUMBERED.match(mixer).groups()
        families.setdefault(name, {})[int(number)] = cell(accuracies, *ends.values())
    numbers = sorted({number for family in families.values() for number in family})
    rows = [(name, *(family.get(number, "") for number in numbers)) for name, family in families.items()]
    table(("", *map(str, numbers)), rows)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        for task, mixers in best(csv.DictReader(file)).items():
            report(task, mixers)


if __name__ == "__main__":
    main()
