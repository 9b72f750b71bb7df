"""The work that gpu_bench measures, in PyTorch on the same GPU: fp32 without TF32, times by CUDA events.

    python gpu_kernels.py KERNELS.jsonl

KERNELS.jsonl holds gpu_bench's lines; each piece of work in it is done at the same sizes, forward and forward with
backward, launched call by call and replayed from a CUDA graph. Prints a line of JSON for each, and one for a large
matrix product. With --device cpu nothing is timed.
"""
import argparse
import contextlib
import json
import math
import statistics
import sys

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

ROUNDS = 15
ROUND_MS = 4.0
GRAPH_CALLS = 20


def noise(*shape, grad=True):
    return (2 * torch.rand(*shape) - 1).requires_grad_(grad)


# ---- the work: sizes -> (forward, inputs with gradients, remarks) ----

def linear(s):
    x, weight, bias = noise(s["rows"], s["in"]), noise(s["out"], s["in"]), noise(s["out"])
    return (lambda: F.linear(x, weight, bias)), [x, weight, bias], ""


def embedding(s):
    ids = torch.randint(s["vocab"], (s["batch"], s["length"]))
    table, positions = noise(s["vocab"], s["channels"]), noise(s["length"], s["channels"])
    return (lambda: F.embedding(ids, table) + positions), [table, positions], ""


def norm(s):
    x, residual = noise(s["rows"], s["channels"]), noise(s["rows"], s["channels"])
    weight, bias = noise(s["channels"]), noise(s["channels"])

    def forward():
        total = x + residual
        return total, F.layer_norm(total, (s["channels"],), weight, bias)

    return forward, [x, residual, weight, bias], "add, then layer_norm"


def gelu(s):
    x = noise(s["count"])
    return (lambda: F.gelu(x)), [x], ""


def scale_rows(s):
    a, b = noise(s["rows"], s["channels"]), noise(s["channels"])
    return (lambda: a * b), [a, b], ""


def swiglu(s):
    packed = noise(s["rows"], 2 * s["channels"])

    def forward():
        a, b = packed.chunk(2, dim=-1)
        return F.silu(a) * b

    return forward, [packed], "silu, then product"


def dropout(s):
    x = noise(s["rows"], s["channels"])
    return (lambda: F.dropout(x, 0.1)), [x], ""


def softmax(s):
    x = noise(s["rows"], s["columns"])
    return (lambda: torch.softmax(x, dim=-1)), [x], ""


def attention(s):
    packed = noise(s["batch"], s["length"], 3, s["heads"], s["head_dim"])
    mask = None
    if s["window"]:
        t = torch.arange(s["length"])
        distance = t[:, None] - t[None, :]
        mask = (distance >= 0) & (distance < s["window"])

    def run(backend):
        q, k, v = packed.permute(2, 0, 3, 1, 4)
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)

    # Flash attention does not take fp32.
    for backend in (SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH):
        with contextlib.suppress(RuntimeError):
            run(backend)
            break
    return (lambda: run(backend)), [packed], "sdpa, " + backend.name.lower() + (", mask" if s["window"] else "")


def short_conv(s):
    # In PyTorch's own layout, so that it need not transpose.
    x = noise(s["batch"], s["channels"], s["length"])
    weight, bias = noise(s["channels"], 1, s["taps"]), noise(s["channels"])

    def forward():
        padded = F.conv1d(x, weight, bias, padding=s["taps"] - 1, groups=s["channels"])
        return padded[..., :s["length"]]

    return forward, [x, weight, bias], "conv1d, channels first"


def long_conv(s):
    length = s["length"]
    u, pre, post = (noise(s["batch"], s["channels"], length) for _ in range(3))
    h, skip = noise(s["channels"], s["taps"]), noise(s["channels"], 1)

    def forward():
        x = pre * u if s["gated"] else u
        spectrum = torch.fft.rfft(x, n=2 * length) * torch.fft.rfft(h[:, :length], n=2 * length)
        y = torch.fft.irfft(spectrum, n=2 * length)[..., :length] + skip * x
        return post * y if s["gated"] else y

    return forward, [u, h, skip] + ([pre, post] if s["gated"] else []), "rfft of 2 L, channels first"


def sine_layer(s):
    x, frequency = noise(s["rows"], s["channels"]), noise(s["channels"])
    return (lambda: torch.sin(frequency * x)), [x, frequency], ""


def exponential_modulation(s):
    x, rate = noise(s["length"], s["channels"]), noise(s["channels"], grad=False)
    t = torch.arange(s["length"])[:, None] / s["length"]
    return (lambda: x * (torch.exp(-t * rate.abs()) + 0.05)), [x], ""


def vocabulary_loss(s):
    hidden, weight = noise(s["rows"], s["channels"]), noise(s["vocab"], s["channels"])
    rows = torch.arange(0, s["rows"], s["label_period"])
    labels = torch.randint(s["vocab"], (len(rows),))
    everywhere = s["label_period"] == 1
    return (lambda: F.cross_entropy(F.linear(hidden if everywhere else hidden[rows], weight), labels)), \
        [hidden, weight], "labelled rows gathered" if not everywhere else ""


def sum_of_squares(s):
    x = noise(s["rows"] * s["channels"])
    return (lambda: torch.linalg.vector_norm(x).square()), [x], ""


def sum_of_rows(s):
    x = noise(s["rows"], s["channels"])
    return (lambda: x.sum(0)), [x], ""


def adamw(s):
    parameter = torch.zeros(s["count"], requires_grad=True)
    parameter.grad = noise(s["count"], grad=False)
    on_gpu = parameter.device.type == "cuda"
    optimizer = torch.optim.AdamW([parameter], lr=1e-3, weight_decay=0.1, fused=on_gpu, capturable=on_gpu)
    return optimizer.step, [], "fused"


WORK = [linear, embedding, norm, gelu, scale_rows, swiglu, dropout, softmax, attention, short_conv, long_conv,
        sine_layer, exponential_modulation, vocabulary_loss, sum_of_squares, sum_of_rows, adamw]


# ---- times ----

def time_calls(action, calls):
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(calls):
        action()
    end.record()
    end.synchronize()
    return 1e3 * start.elapsed_time(end) / calls


def measure(action):
    """Microseconds of a call: median and least of the rounds."""
    for _ in range(5):
        one = time_calls(action, 1)
    calls = max(1, min(2000, math.ceil(1e3 * ROUND_MS / one)))
    rounds = sorted(time_calls(action, calls) for _ in range(5 if one > 40e3 else ROUNDS))
    return statistics.median(rounds), rounds[0]


def measure_graph(action):
    """The same from a CUDA graph of several calls."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            action()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(GRAPH_CALLS):
            action()
    median, least = measure(graph.replay)
    return median / GRAPH_CALLS, least / GRAPH_CALLS


def timing(action):
    median, least = measure(action)
    found = {"median_us": round(median, 3), "min_us": round(least, 3)}
    try:
        median, least = measure_graph(action)
        found.update(graph_median_us=round(median, 3), graph_min_us=round(least, 3))
    except RuntimeError as refused:
        found["graph_refused"] = str(refused).splitlines()[0][:200]
    return found


def actions(forward, inputs):
    """The passes of a piece of work."""
    def alone():
        with torch.no_grad():
            return forward()

    if not inputs:  # an optimizer
        return {"forward": forward}
    outputs = alone()
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    gradients = [torch.rand_like(y) for y in outputs]

    def both():
        y = forward()
        return torch.autograd.grad(y if isinstance(y, tuple) else (y,), inputs, gradients)

    return {"forward": alone, "forward+backward": both}


def report(line):
    print(json.dumps(line), flush=True)


def run(work, sizes, timed):
    forward, inputs, remark = work(sizes)
    for name, action in actions(forward, inputs).items():
        line = {"kind": "peer", "family": work.__name__, "sizes": sizes, "pass": name, "how": remark}
        if timed:
            line.update(timing(action))
        else:
            action()
        report(line)


def product(size=8192):
    a, b = noise(size, size, grad=False), noise(size, size, grad=False)
    median, least = measure(lambda: a @ b)
    report({"kind": "ceiling", "what": "fp32 product, PyTorch", "size": size, "median_us": round(median, 2),
            "min_us": round(least, 2), "tflop_per_s": round(2e-6 * size ** 3 / median, 2)})


def distinct_sizes(file):
    seen = {}
    with open(file) as lines:
        for line in map(json.loads, lines):
            if line.get("kind") == "kernel":
                key = (line["family"], json.dumps(line["sizes"], sort_keys=True))
                seen.setdefault(key, line["sizes"])
    return [(family, sizes) for (family, _), sizes in seen.items()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kernels")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    torch.manual_seed(1)
    torch.set_default_device(options.device)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    timed = options.device != "cpu"
    report({"kind": "peer device", "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if timed else "cpu, not timed"})
    if timed:
        product()
    known = {work.__name__: work for work in WORK}
    failed = False
    for family, sizes in distinct_sizes(options.kernels):
        if family not in known:
            continue
        try:
            run(known[family], sizes, timed)
        except RuntimeError as failure:
            failed = True
            report({"kind": "peer", "family": family, "sizes": sizes, "failed": str(failure).splitlines()[0][:200]})
        if timed:
            torch.cuda.empty_cache()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
