"""Markdown tables of the part sparse of benchmarks/cpu.sh.

    python3 benchmarks/sparse_report.py SPARSE.jsonl
"""
import json
import math
import sys

from cpu_report import number, table

ROOT = "selected, sqrt(length)"


def exponent(times):
    """The slope of log time over log length, by least squares."""
    x = [math.log(length) for length in times]
    y = [math.log(time) for time in times.values()]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)


def names(line):
    """What a measurement stands for: two things where the root of the length is one of the fixed numbers."""
    if line["op"] != "selected-attention":
        return [line["op"]]
    fixed = [f"selected, {line['chosen']}"] if line["chosen"] in (16, 64) else []
    return fixed + ([ROOT] if line["chosen"] == math.ceil(math.sqrt(line["length"])) else [])


def milliseconds(lines, which):
    """By name, then by length."""
    times = {}
    for line in lines:
        if line.get("pass") == which and "peer" not in line:
            for name in names(line):
                times.setdefault(name, {})[line["length"]] = line["median_ms"]
    return times


def compare(lines, which):
    times = milliseconds(lines, which)
    full = times["attention"]
    rows = [(name, *(f"{number(own[length])} ({number(full[length] / own[length])}x)" for length in full),
             f"{exponent(own):.2f}")
            for name, own in times.items()]
    table((f"{which}, ms", *map(str, full), "exponent"), rows)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    compare(lines, "forward")
    compare(lines, "forward+backward")


if __name__ == "__main__":
    main()
