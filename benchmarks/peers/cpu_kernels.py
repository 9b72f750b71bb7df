"""Time of single operations in PyTorch on the CPU, fp32: the forward pass without gradients, and the forward and
backward pass with the gradients of all inputs and parameters, which are None before each call; for AdamW a step. Times
are of ROUNDS calls after three more.

    python cpu_kernels.py --op OP --batch 16 --channels 256 --length 1024 --heads 4 --taps 3 --vocab 8192 --chosen 64
                          --threads 2 --rounds 15

Prints a line of JSON for each pass; peak_mb is the process's peak memory up to then, in units of 10^6 bytes.
THP_MEM_ALLOC_ENABLE=1 in the environment lets PyTorch's allocator use huge pages, and the line then says
"allocator":"tuned".
"""
import argparse
import json
import os
import resource
import statistics
import sys
import time

import torch
from torch.nn import functional as F

WARM_UPS = 3


def noise(*shape):
    return (2 * torch.rand(*shape) - 1).requires_grad_()


# ---- the operations: options -> (forward, inputs with gradients) ----

def long_conv(o):
    u, h = noise(o.batch, o.channels, o.length), noise(o.channels, o.length)
    size = 2 * o.length

    def forward():
        spectrum = torch.fft.rfft(u, n=size) * torch.fft.rfft(h, n=size)
        return torch.fft.irfft(spectrum, n=size)[..., :o.length]

    return forward, [u, h]


def short_conv(o):
    x, weight, bias = noise(o.batch, o.channels, o.length), noise(o.channels, 1, o.taps), noise(o.channels)

    def forward():
        return F.conv1d(x, weight, bias, padding=o.taps - 1, groups=o.channels)[..., :o.length]

    return forward, [x, weight, bias]


def attention(o):
    q, k, v = (noise(o.batch, o.heads, o.length, o.channels // o.heads) for _ in range(3))
    return (lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)), [q, k, v]


def selected_attention(o):
    q, k, v = (noise(o.batch, o.heads, o.length, o.channels // o.heads) for _ in range(3))
    chosen = min(o.chosen, o.length)
    rows = torch.tensor([t for t in range(o.length) if (t + 1) * chosen // o.length > t * chosen // o.length])
    seen = torch.arange(o.length) <= rows[:, None]

    def forward():
        y = F.scaled_dot_product_attention(q[:, :, rows], k, v, attn_mask=seen)
        return torch.zeros_like(q).index_copy(2, rows, y)

    return forward, [q, k, v]


def sparse_attention(o):
    """Queries see the last 64 positions, the first two and up to 8 listed blocks of 32: a mask, as PyTorch has no lists."""
    q, k, v = (noise(o.batch, o.heads, o.length, o.channels // o.heads) for _ in range(3))
    t, s = torch.arange(o.length)[:, None], torch.arange(o.length)
    first = [((t // 32 + 1) * slot // 8, (t // 32 + 1) * (slot + 1) // 8) for slot in range(8)]
    seen = ((t - s < 64) | (s < 2)).expand(o.batch, o.heads, -1, -1).clone()
    for begin, end in first:
        drawn = torch.rand(o.batch, o.heads, o.length, 1) * (end - begin)
        block = torch.where(end > begin, begin + drawn.long(), -1)
        seen |= s // 32 == block
    seen &= s <= t
    return (lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=seen)), [q, k, v]


def pooled_attention(o):
    """To a key that all see and one for each block of 32 positions that has ended."""
    block = 32
    keys = 1 + o.length // block
    q = noise(o.batch, o.heads, o.length, o.channels // o.heads)
    k, v = (noise(o.batch, o.heads, keys, o.channels // o.heads) for _ in range(2))
    seen = torch.arange(keys) * block <= torch.arange(o.length)[:, None]
    return (lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=seen)), [q, k, v]


def linear(o):
    x, weight, bias = noise(o.batch * o.length, o.channels), noise(o.channels, o.channels), noise(o.channels)
    return (lambda: F.linear(x, weight, bias)), [x, weight, bias]


def norm(o):
    x, residual = noise(o.batch * o.length, o.channels), noise(o.batch * o.length, o.channels)
    weight, bias = noise(o.channels), noise(o.channels)

    def forward():
        total = x + residual
        return total, F.layer_norm(total, (o.channels,), weight, bias)  # the sum is the next residual

    return forward, [x, residual, weight, bias]


def gate(o):
    a, b, c = (noise(o.batch, o.length, o.channels) for _ in range(3))
    return (lambda: a * b + c), [a, b, c]


def dropout(o):
    x = noise(o.batch * o.length, o.channels)
    return (lambda: F.dropout(x, 0.1)), [x]


def vocabulary_loss(o):
    hidden, weight = noise(o.batch * o.length, o.channels), noise(o.vocab, o.channels)
    labels = torch.randint(o.vocab, (o.batch * o.length,))
    return (lambda: F.cross_entropy(F.linear(hidden, weight), labels)), [hidden, weight]


def embedding(o):
    ids = torch.randint(o.vocab, (o.batch, o.length))
    words, positions = noise(o.vocab, o.channels), noise(o.length, o.channels)
    return (lambda: F.embedding(ids, words) + positions), [words, positions]


# Beside batch, channels and length, the sizes that an operation depends on.
OPS = {"long-conv": (long_conv, []), "short-conv": (short_conv, ["taps"]), "attention": (attention, ["heads"]),
       "selected-attention": (selected_attention, ["heads", "chosen"]), "sparse-attention": (sparse_attention, ["heads"]),
       "pooled-attention": (pooled_attention, ["heads"]),
       "linear": (linear, []), "norm": (norm, []), "gate": (gate, []), "dropout": (dropout, []),
       "vocabulary-loss": (vocabulary_loss, ["vocab"]), "embedding": (embedding, ["vocab"]), "adamw": (None, [])}


# ---- times ----

def measure(action, rounds, before=lambda: None):
    """Milliseconds of the calls, without what is done before each."""
    times = []
    for _ in range(WARM_UPS + rounds):
        before()
        start = time.perf_counter()
        result = action()
        times.append(1e3 * (time.perf_counter() - start))
        del result  # freed outside the time
    return times[WARM_UPS:]


def report(options, name, times, **more):
    sizes = {size: getattr(options, size) for size in ["batch", "channels", "length"] + OPS[options.op][1]}
    print(json.dumps({"op": options.op, "pass": name, **sizes, "threads": options.threads,
                      "median_ms": round(statistics.median(times), 4), "min_ms": round(min(times), 4),
                      "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),
                      "allocator": "tuned" if os.environ.get("THP_MEM_ALLOC_ENABLE") == "1" else "default",
                      "torch": torch.__version__, **more}), flush=True)


def passes(options):
    forward, inputs = OPS[options.op][0](options)

    def alone():
        with torch.no_grad():
            return forward()

    report(options, "forward", measure(alone, options.rounds))
    outputs = alone()
    single = torch.is_tensor(outputs)
    # A loss has the gradient 1, which PyTorch supplies.
    gradients = [torch.rand_like(y) if y.dim() else None for y in ([outputs] if single else outputs)]
    del outputs

    def both():
        y = forward()
        torch.autograd.backward([y] if single else y, gradients)

    def clear():
        for x in inputs:
            x.grad = None

    report(options, "forward+backward", measure(both, options.rounds, clear))


def adamw(options):
    """The faster of PyTorch's implementations by their medians."""
    found = {}
    for way in ("foreach", "fused"):
        parameter = noise(options.batch * options.length * options.channels)
        parameter.grad = torch.rand_like(parameter)
        optimizer = torch.optim.AdamW([parameter], lr=1e-3, weight_decay=0.1, **{way: True})
        found[way] = measure(optimizer.step, options.rounds)
    best = min(found, key=lambda way: statistics.median(found[way]))
    report(options, "step", found[best], adamw=best)


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--op", choices=OPS, required=True)
    for name, value in (("batch", 16), ("channels", 256), ("length", 1024), ("heads", 4), ("taps", 3), ("vocab", 8192),
                        ("chosen", 64), ("threads", 2), ("rounds", 15)):
        parser.add_argument("--" + name, type=positive, default=value)
    options = parser.parse_args()
    if options.op.endswith("attention") and options.channels % options.heads:
        parser.error(f"--heads {options.heads}: {options.channels} channels cannot be divided among them")
    torch.set_num_threads(options.threads)
    torch.set_num_interop_threads(1)  # an operation has no others beside it
    torch.manual_seed(1)
    if options.op == "adamw":
        adamw(options)
    else:
        passes(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
