"""Markdown tables of what benchmarks/cpu.sh wrote.

    python3 benchmarks/cpu_report.py CPU.jsonl
"""
import json
import statistics
import sys


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def number(value):
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def peers_after(lines, index):
    """The peers' lines that follow one of ours."""
    found = []
    for line in lines[index + 1:]:
        if "peer" not in line:
            break
        found.append(line)
    return found


def times(peer):
    return f"{number(peer['median_ms'])} ({number(peer['times_ours'])}x)" if peer else "-"


def chosen(peers, **wanted):
    return next((peer for peer in peers if all(peer.get(key) == value for key, value in wanted.items())), None)


def ceilings(lines):
    rows = [(line["ceiling"], f"{line['gflops']} GFLOP/s" if "gflops" in line else f"{line['gb_per_s']} GB/s")
            for line in lines if "ceiling" in line]
    table(("ceiling", "measured"), rows)


def tier_of(line):
    return line["device"].split(",")[0].removeprefix("cpu:")


def steps(lines):
    rows = []
    for index, line in enumerate(lines):
        peers = peers_after(lines, index)
        if line.get("pass") == "step" and "peer" not in line and peers:
            rows.append((f"{line['mixer']} ({line['length']}, {line['pairs']})", number(line["median_ms"]),
                         times(chosen(peers, form="original", allocator="default")),
                         times(chosen(peers, form="original", allocator="tuned")),
                         times(chosen(peers, form="labelled")), number(line["peak_mb"]),
                         number(chosen(peers, form="original", allocator="default")["peak_mb"])))
    table(("step", "Panthera, ms", "original, ms", "original, allocator tuned", "labelled rows, allocator tuned",
           "peak MB", "original's"), rows)


def first_of_tiers(lines):
    """Where the comparison of the tiers begins, in which the same work comes again."""
    return next((i for i, line in enumerate(lines) if line.get("part") == "tiers"), len(lines))


def kernels(lines):
    rows = []
    for index, line in enumerate(lines[:first_of_tiers(lines)]):
        if "op" not in line or "peer" in line:
            continue
        peers = peers_after(lines, index)
        taps = f", {line['taps']} taps" if line["op"] == "short-conv" else ""
        rows.append((f"{line['op']}, {line['batch']} x {line['length']} x {line['channels']}{taps}", line["pass"],
                     number(line["median_ms"]), number(line["gflops"]) if line["gflops"] else "-",
                     number(line["gb_per_s"]), f"{100 * line['share_of_ceiling']:.0f} %",
                     times(chosen(peers, allocator="default")), times(chosen(peers, allocator="tuned"))))
    table(("kernel", "pass", "ms", "GFLOP/s", "GB/s", "of ceiling", "PyTorch, ms", "PyTorch, allocator tuned"), rows)


def tiers(lines):
    found = {}
    for line in lines[first_of_tiers(lines):]:
        if "device" in line and "median_ms" in line:
            name = f"{line['mixer']} ({line['length']}, {line['pairs']})" if "mixer" in line else \
                f"{line['op']}, length {line['length']}, {line['pass']}"
            found.setdefault(name, {})[tier_of(line)] = line["median_ms"]
    rows = [(name, number(tier["avx512"]),
             *(f"{number(tier[t])} ({number(tier[t] / tier['avx512'])}x)" if t in tier else "-"
               for t in ("avx2", "baseline"))) for name, tier in found.items()]
    table(("work", "AVX-512, ms", "AVX2", "baseline"), rows)


def others(lines):
    for line in lines:
        if line.get("task") == "mqar":
            print(json.dumps(line))
    for name in dict.fromkeys(line["start"] for line in lines if "start" in line):
        seconds = [line["seconds"] for line in lines if line.get("start") == name]
        print(f"{name}: median {statistics.median(seconds):.2f} s of {len(seconds)}, least {min(seconds):.2f} s")


def main():
    with open(sys.argv[1]) as file:
        lines = [json.loads(line) for line in file]
    print(json.dumps(lines[0]) + "\n")
    ceilings(lines)
    steps(lines)
    kernels(lines)
    tiers(lines)
    others(lines)


if __name__ == "__main__":
    main()
