"""Markdown tables of the parts zoo and lengths of benchmarks/cpu.sh.

    python3 benchmarks/zoo_report.py ZOO.jsonl
"""
import json
import sys

from cpu_report import chosen, number, peers_after, table

WAYS = ("scan", "weights", "recurrence", "convolution", "attention")


def peers(lines):
    rows = []
    for index, line in enumerate(lines):
        peer = chosen(peers_after(lines, index), form="labelled")
        if line.get("pass") == "step" and peer:
            way = next((peer[key] for key in WAYS if key in peer), "")
            rows.append((line["mixer"], number(line["median_ms"]), number(peer["median_ms"]),
                         f"{number(peer['times_ours'])}x", way))
    table(("step", "Panthera, ms", "PyTorch, ms", "ratio", "the fastest way in PyTorch"), rows)


def per_token(line):
    """Microseconds."""
    return 1e3 * line["median_ms"] / (line["batch"] * line["length"])


def lengths(lines):
    steps = [line for line in lines if line.get("pass") == "step" and "peer" not in line]
    rows = []
    for short, long in zip(steps, steps[1:]):
        if short["mixer"] == long["mixer"] and short["length"] < long["length"]:
            rows.append((long["mixer"], f"{number(per_token(short))} at {short['length']}",
                         f"{number(per_token(long))} at {long['length']}",
                         f"{number(per_token(long) / per_token(short))}x"))
    table(("step", "us a token", "us a token", "growth"), rows)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    peers(lines)
    lengths(lines)


if __name__ == "__main__":
    main()
