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

import models


def batches(options, count):
    """Random tokens with labels at `pairs` places of each row, in pinned memory: ids, rows, labels."""
    made = []
    for _ in range(count):
        ids = torch.randint(options.vocab, (options.batch, options.length))
        rows = models.flat_rows(models.labelled_places(options.batch, options.length, options.pairs), options.length)
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
    layers = 2 if mixer == "attention" else 4
    model = models.make_model(mixer, options.vocab, options.length, options.d_model, layers).to(options.device)
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
    parser.add_argument("--mixer", action="append", choices=models.MIXERS)
    parser.add_argument("--device", default="cuda")
    for name, value in (("batch", 512), ("length", 64), ("pairs", 4), ("d-model", 64), ("vocab", 8192), ("steps", 50)):
        parser.add_argument("--" + name, type=int, default=value)
    options = parser.parse_args()
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    for mixer in options.mixer or models.MIXERS:
        print(json.dumps(measure(mixer, options)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
