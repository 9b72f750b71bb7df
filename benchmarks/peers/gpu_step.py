"""Time of a training step of Panthera's figure-2 models in PyTorch on the same GPU, fp32 without TF32: attention (two
layers, positions), base-conv (short and long gated convolutions in turn) and hyena (four layers, no positions), each
with 64 tokens, V = 8192, width 64 and AdamW. Logits are formed at the labelled positions alone, as Panthera does.

A step takes a batch from pinned host memory and reads its loss back, as a training loop does. Prints a line of JSON for
each mixer: run as PyTorch runs it, and replayed from a CUDA graph.

    python gpu_step.py [--mixer NAME]... [--batch 512] [--length 64] [--pairs 4] [--d-model 64] [--steps 50]

With --device cpu two steps are done and nothing is timed.
"""
import argparse
import json
import math
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, width, length):
        super().__init__()
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).unsqueeze(1).chunk(3, dim=-1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=0.1 if self.training else 0.0)
        return self.output(y.squeeze(1))


def features(length):
    """The time, and the cosine and sine of the lowest frequency."""
    w = 2 * math.pi * torch.arange(length) / length
    return torch.stack([torch.linspace(0, 1, length), torch.cos(1e-4 * w), -torch.sin(1e-4 * w)], dim=1)


def convolve(x, h, skip):
    """Causal convolution of (batch, length, channels) with a filter (length, channels)."""
    length = x.shape[1]
    spectrum = torch.fft.rfft(x, n=2 * length, dim=1) * torch.fft.rfft(h, n=2 * length, dim=0)
    return torch.fft.irfft(spectrum, n=2 * length, dim=1)[:, :length] + skip * x


class ShortConv(nn.Conv1d):
    def __init__(self, width, taps):
        super().__init__(width, width, taps, padding=taps - 1, groups=width)

    def forward(self, x):
        return super().forward(x.transpose(1, 2))[..., :x.shape[1]].transpose(1, 2)


class ImplicitConv(nn.Module):
    def __init__(self, width, length):
        super().__init__()
        self.register_buffer("z", features(length))
        self.filter = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, width))

    def forward(self, x):
        return convolve(x, self.filter(self.z), 1.0)


class BaseConv(nn.Module):
    def __init__(self, width, length, layer):
        super().__init__()
        self.conv = ShortConv(width, 3) if layer % 2 == 0 else ImplicitConv(width, length)
        self.projection = nn.Linear(width, width)

    def forward(self, x):
        return self.conv(x) * self.projection(x) + x


class Sine(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.frequency = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return torch.sin(self.frequency * x)


class Hyena(nn.Module):
    def __init__(self, width, length, order=64):
        super().__init__()
        self.input, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.short, self.skip = ShortConv(3 * width, 3), nn.Parameter(torch.randn(width))
        sine = Sine(order)
        self.filter = nn.Sequential(nn.Linear(3, order), sine, nn.Linear(order, order), sine, nn.Linear(order, order),
                                    sine, nn.Linear(order, width, bias=False))
        rates = torch.linspace(math.log(0.01) / 1.5, math.log(0.01) / 0.3, width).abs()
        self.z = nn.Parameter(features(length))
        self.register_buffer("decay", torch.exp(-torch.linspace(0, 1, length)[:, None] * rates))

    def forward(self, x):
        x1, x2, v = self.short(self.input(x)).chunk(3, dim=-1)
        return self.output(x2 * convolve(x1 * v, self.filter(self.z) * self.decay, self.skip))


class Model(nn.Module):
    def __init__(self, mixer, vocab, length, width):
        super().__init__()
        attention = mixer == "attention"
        self.words = nn.Embedding(vocab, width)
        self.positions = nn.Embedding(length, width) if attention else None
        make = {"attention": lambda layer: Attention(width, length),
                "base-conv": lambda layer: BaseConv(width, length, layer),
                "hyena": lambda layer: Hyena(width, length)}[mixer]
        self.mixers = nn.ModuleList(make(layer) for layer in range(2 if attention else 4))
        self.first = nn.ModuleList(nn.LayerNorm(width) for _ in self.mixers)
        self.second = nn.ModuleList(nn.LayerNorm(width) for _ in self.mixers)
        self.final = nn.LayerNorm(width)

    def forward(self, ids, rows, labels):
        x = self.words(ids)
        if self.positions is not None:
            x = x + self.positions.weight
        hidden, residual = F.dropout(x, 0.1, self.training), 0
        for i, (mixer, first, second) in enumerate(zip(self.mixers, self.first, self.second)):
            residual = hidden + residual
            mixed = mixer(first(residual))
            if i == len(self.mixers) - 1:
                mixed, residual = mixed.flatten(0, 1)[rows], residual.flatten(0, 1)[rows]
            residual = mixed + residual
            hidden = second(residual)  # the state mixer is the identity
        return F.cross_entropy(F.linear(self.final(hidden + residual), self.words.weight), labels)


def batches(options, count):
    """Random tokens with labels at `pairs` places of each row, in pinned memory: ids, rows, labels."""
    made = []
    for _ in range(count):
        ids = torch.randint(options.vocab, (options.batch, options.length))
        places = torch.rand(options.batch, options.length).topk(options.pairs, dim=1).indices.sort(dim=1).values
        rows = (places + options.length * torch.arange(options.batch)[:, None]).flatten()
        made.append([t.pin_memory() if options.device != "cpu" else t
                     for t in (ids, rows, torch.randint(options.vocab, (len(rows),)))])
    return made


def eager_step(model, optimizer, batch, device):
    ids, rows, labels = (t.to(device, non_blocking=True) for t in batch)
    optimizer.zero_grad(set_to_none=True)
    loss = model(ids, rows, labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def graph_step(model, optimizer, batch, device):
    """A function that trains on a batch by replaying a step."""
    inputs = [t.to(device) for t in batch]

    def body():
        optimizer.zero_grad(set_to_none=True)
        loss = model(*inputs)
        loss.backward()
        optimizer.step()
        return loss

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            body()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        loss = body()

    def step(batch):
        for target, source in zip(inputs, batch):
            target.copy_(source, non_blocking=True)
        graph.replay()
        return loss.item()

    return step


def median_ms(step, data, steps):
    for i in range(10):
        step(data[i % len(data)])
    times = []
    for i in range(steps):
        start = time.perf_counter()
        step(data[i % len(data)])  # ends with the loss on the host
        times.append(1e3 * (time.perf_counter() - start))
    return round(statistics.median(times), 4)


def measure(mixer, options):
    on_gpu = options.device != "cpu"
    model = Model(mixer, options.vocab, options.length, options.d_model).to(options.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=on_gpu, capturable=on_gpu)
    data = batches(options, 8)
    line = {"kind": "peer step", "mixer": mixer, "batch": options.batch, "length": options.length,
            "pairs": options.pairs, "d_model": options.d_model,
            "parameters": sum(p.numel() for p in model.parameters())}
    if not on_gpu:
        losses = [eager_step(model, optimizer, batch, options.device) for batch in data[:2]]
        line["not_timed"] = all(map(math.isfinite, losses))
        return line
    line["eager_ms"] = median_ms(lambda batch: eager_step(model, optimizer, batch, options.device), data, options.steps)
    try:
        line["graph_ms"] = median_ms(graph_step(model, optimizer, data[0], options.device), data, options.steps)
    except RuntimeError as refused:
        line["graph_refused"] = str(refused).splitlines()[0][:200]
    return line


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mixer", action="append")
    parser.add_argument("--device", default="cuda")
    for name, value in (("batch", 512), ("length", 64), ("pairs", 4), ("d-model", 64), ("vocab", 8192), ("steps", 50)):
        parser.add_argument("--" + name, type=int, default=value)
    options = parser.parse_args()
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    for mixer in options.mixer or ("attention", "base-conv", "hyena"):
        print(json.dumps(measure(mixer, options)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
