"""The reports of gpu-check.sh, from what its stages left behind.

    gpu_report.py training RESULTS        judges the training runs and says so in one line
    gpu_report.py report RESULTS OUTPUT   writes gpu-check.json and gpu-check.md
"""
import datetime
import json
import os
import sys

NOT_MEASURED = "not yet measured"
LOSS_TOLERANCE = 1e-4  # of the losses of 30 steps, GPU against CPU
LEAST_ACCURACY = 0.99


def read_lines(folder, name):
    """The JSON lines of a file; none if there is no such file. A line cut short by a time limit is left out."""
    path = os.path.join(folder, name + ".jsonl")
    found = []
    if os.path.exists(path):
        with open(path, errors="replace") as lines:
            for line in lines:
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue
    return found


# ---- training ----

def judge_training(folder):
    """Facts about the training runs, by name; a value of None was not found out."""
    losses = {name: [line["train/loss"] for line in read_lines(folder, "losses-" + name)]
              for name in ("cuda", "again", "cpu")}
    steps = len(losses["cuda"])
    facts = {"steps": steps, "repeats_bitwise": None, "largest_loss_difference": None}
    if steps and len(losses["again"]) == steps:
        facts["repeats_bitwise"] = losses["again"] == losses["cuda"]
    if steps and len(losses["cpu"]) == steps:
        facts["largest_loss_difference"] = max(abs(a - b) / abs(b) for a, b in zip(losses["cuda"], losses["cpu"]))
    facts["runs"] = read_lines(folder, "train")
    return facts


def describe_training(facts):
    parts = []
    if facts["repeats_bitwise"] is not None:
        repeated = "%d steps repeat bitwise" % facts["steps"]
        parts.append(repeated if facts["repeats_bitwise"] else "wrong: two runs differ")
    difference = facts["largest_loss_difference"]
    if difference is not None:
        word = "" if difference <= LOSS_TOLERANCE else "wrong: "
        parts.append("%slosses differ from the CPU's by %.1e at most" % (word, difference))
    for run in facts["runs"]:
        word = "" if run["accuracy"] > LEAST_ACCURACY else "wrong: "
        parts.append("%s%s: %.2f %% after %d epochs" % (word, run["device"], 100 * run["accuracy"], run["epochs"]))
    return "; ".join(parts) or "wrong: no run came to an end"


# ---- all together ----

def collect(results):
    with open(os.path.join(results, "stages.tsv")) as lines:
        stages = [dict(zip(("stage", "status", "seconds", "remark"), line.rstrip("\n").split("\t"))) for line in lines]
    for stage in stages:
        stage["seconds"] = float(stage["seconds"])
    info = (read_lines(results, "info") or [{}])[0]
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "info": info,
            "stages": stages, "training": judge_training(results),
            **{key: read_lines(results, name) for key, name in (
                ("ctest", "ctest"), ("sanitizer", "sanitizer"), ("ceilings", "ceilings"), ("kernels", "kernels"),
                ("kernels_own_tiles", "kernels-tiles"), ("peer_kernels", "peer-kernels"), ("crossover", "crossover"),
                ("step", "step"), ("peer_step", "peer-step"))}}


def table(heads, rows):
    if not rows:
        return NOT_MEASURED + "\n"
    lines = [heads, ["---"] * len(heads)] + rows
    return "".join("| %s |\n" % " | ".join(str(cell) for cell in line) for line in lines)


def number(value, digits=3):
    return "" if value is None else "%.*g" % (digits, value) if value < 10 ** digits else "%.0f" % value


def sizes_text(line):
    sizes = dict(line["sizes"])
    if "method" in sizes:
        sizes["method"] = {1: "direct", 2: "FFT"}.get(sizes["method"], "auto")
    return ", ".join("%s %s" % (name.replace("_", " "), value) for name, value in sizes.items())


def key(line):
    return line["family"], json.dumps(line["sizes"], sort_keys=True)


def ceiling(report, what):
    found = [line for line in report["ceilings"] if line["what"] == what and line.get("gate", "pass") == "pass"]
    return max((line.get("gb_per_s") or line.get("tflop_per_s") for line in found), default=None)


def share(value, most):
    return "" if value is None or most is None else "%.0f %%" % (100 * value / most)


def kernel_rows(report):
    copy, product = ceiling(report, "copy"), ceiling(report, "fp32 product")
    rows = []
    for line in report["kernels"]:
        if line["gate"] != "pass" or "median_us" not in line:
            continue
        tflops = line["gflop_per_s"] / 1e3 if "gflop_per_s" in line else None
        rows.append([line["op"], sizes_text(line), "%.1e" % line["error"], number(line["median_us"]),
                     number(line["graph_median_us"]), number(line["gb_per_s"]), share(line["gb_per_s"], copy),
                     number(tflops), share(tflops, product)])
    return rows


def peer_rows(report):
    """Ours beside PyTorch's, forward and forward with backward; a filter's preparation counts as part of forward."""
    ours = {}
    for line in report["kernels"]:
        if line["gate"] == "pass" and "median_us" in line:
            ours.setdefault(key(line), []).append(line)
    rows = []
    for peer in report["peer_kernels"]:
        calls = ours.get(key(peer)) if peer.get("kind") == "peer" and "median_us" in peer else None
        if not calls:
            continue
        if peer["pass"] == "forward":
            calls = [call for call in calls if call["pass"] != "backward"]
        one, graph = sum(call["median_us"] for call in calls), sum(call["graph_median_us"] for call in calls)
        peer_graph = peer.get("graph_median_us")
        rows.append([peer["family"], sizes_text(peer), peer["pass"], number(one), number(graph),
                     number(peer["median_us"]), number(peer_graph), number(peer["median_us"] / one),
                     number(peer_graph / graph) if peer_graph else "", peer["how"]])
    return rows


def failed_gates(report):
    wrong = [line for name in ("kernels", "kernels_own_tiles", "crossover", "ceilings") for line in report[name]
             if line.get("gate") == "fail"]
    return ["- %s: %s" % (line.get("op") or line.get("what") or line["kind"], json.dumps(line)) for line in wrong]


def step_rows(report):
    peers = {line["mixer"]: line for line in report["peer_step"]}
    rows = []
    for line in report["step"]:
        ours = 1e3 * line["batch"] * line["length"] / line["tokens_per_second"]
        peer = peers.get(line["mixer"], {})
        eager, graph = peer.get("eager_ms"), peer.get("graph_ms")
        rows.append([line["mixer"], line["batch"], line["length"], number(ours), number(eager) or NOT_MEASURED,
                     number(graph) or NOT_MEASURED, number(eager / ours) if eager else "",
                     number(graph / ours) if graph else ""])
    return rows


def ctest_rows(report):
    return [[line["test"], line["gemm"], "passed" if line["status"] == 0 else "failed (%d)" % line["status"],
             "%.1f" % line["seconds"], line["last"]]
            for line in sorted(report["ctest"], key=lambda test: (test["gemm"], test["test"]))]


def sanitizer_rows(report):
    tools = ["memcheck", "racecheck", "synccheck", "initcheck"]
    found = {(line["op"], line["tool"]): line["status"] for line in report["sanitizer"]}
    words = {0: "clean", 124: "too slow", 137: "too slow", None: "not reached"}
    return [[op] + [words.get(found.get((op, tool)), "errors") for tool in tools]
            for op in sorted({op for op, _ in found})]


def markdown(report):
    info = report["info"]
    gpus = info.get("gpus") or []
    device = "; ".join("%(name)s, %(memory)s, driver %(driver)s" % gpu for gpu in gpus)
    if info.get("emulated"):
        device = "emulated device 0 (the C tests' emulator on a CPU): a trial of the script, not of a GPU"
    parts = ["# GPU check\n", table(["", ""], [
        ["date", report["date"]], ["commit", info.get("commit", "unknown")],
        ["device", device or info.get("problem") or "unknown"], ["nvcc", info.get("nvcc") or "none"],
        ["PyTorch", info.get("torch") or "none"], ["CPU", "%s, %s cores" % (info.get("cpu"), info.get("cores"))]])]
    parts += ["## Stages\n", table(["stage", "result", "seconds", ""], [
        [stage["stage"], stage["status"] + (": " + stage["remark"] if stage["status"] == "skipped" else ""),
         "%.1f" % stage["seconds"], "" if stage["status"] == "skipped" else stage["remark"]]
        for stage in report["stages"]])]
    wrong = failed_gates(report)
    if wrong:
        parts += ["## Wrong results, which are not timed\n", "\n".join(wrong) + "\n"]
    parts += ["## C tests on the device\n", table(["test", "GEMM", "result", "seconds", ""], ctest_rows(report))]
    parts += ["## compute-sanitizer\n",
              table(["op", "memcheck", "racecheck", "synccheck", "initcheck"], sanitizer_rows(report))]
    runs = [[run["device"], "%.2f %%" % (100 * run["accuracy"]), run["epochs"],
             NOT_MEASURED if info.get("emulated") else "%.1f" % run["seconds"]] for run in report["training"]["runs"]]
    facts = dict(report["training"], runs=[])
    judged = [describe_training(facts) + "\n"] if facts["steps"] else []
    parts += ["## Training\n", *judged, table(["device", "test accuracy", "epochs", "seconds"], runs)]
    parts += ["## Ceilings\n", table(["what", "GB/s", "TFLOP/s", "by"], [
        [line["what"], number(line.get("gb_per_s")), number(line.get("tflop_per_s")), line.get("gemm", "")]
        for line in report["ceilings"] + report["peer_kernels"]
        if line["kind"] == "ceiling" and line.get("gate", "pass") == "pass"])]
    parts += ["## Kernels\n",
              "Medians in microseconds, launched one by one and from a graph; shares are of the ceilings.\n",
              table(["op", "sizes", "error", "launched", "graph", "GB/s", "of copy", "TFLOP/s", "of product"],
                    kernel_rows(report))]
    parts += ["## Kernels beside PyTorch\n", "Ratios, here and below, are PyTorch's time divided by ours.\n", table(
        ["work", "sizes", "pass", "ours", "ours, graph", "PyTorch", "PyTorch, graph", "ratio", "ratio, graph",
         "PyTorch's way"], peer_rows(report))]
    parts += ["## Training step\n", "Milliseconds, from a batch on the host to its loss on the host.\n", table(
        ["mixer", "batch", "length", "ours", "PyTorch", "PyTorch, graph", "ratio", "ratio, graph"], step_rows(report))]
    parts += ["## Long convolution: time directly divided by time by FFT\n", table(
        ["length", "taps", "direct us", "FFT us", "ratio"],
        [[line["length"], line["taps"], number(line["direct_us"]), number(line["fft_us"]),
          number(line["direct_to_fft"])]
         for line in report["crossover"] if line["gate"] == "pass" and "fft_us" in line])]
    return "\n".join(parts)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "training":
        print(describe_training(judge_training(sys.argv[2])))
    elif len(sys.argv) == 4 and sys.argv[1] == "report":
        report = collect(sys.argv[2])
        with open(os.path.join(sys.argv[3], "gpu-check.json"), "w") as out:
            json.dump(report, out, indent=1)
        with open(os.path.join(sys.argv[3], "gpu-check.md"), "w") as out:
            out.write(markdown(report))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
