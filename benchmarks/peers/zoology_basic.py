"""One epoch of the original's basic example in plain PyTorch, as its users run it: two-layer attention with an MLP on MQAR,
logits at every position, AdamW, fp32. Prints one line of JSON with the seconds of each epoch.

    python zoology_basic.py --d-model 64 --epochs 3 --threads 2
"""
import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional as F

VOCAB, LENGTH, PAIRS, EXAMPLES, BATCH = 256, 64, 4, 10_000, 32


def mqar(examples, seed):
    """Keys, values, then each key again at a random even offset; labels are the values."""
    generator = torch.Generator().manual_seed(seed)
    half = VOCAB // 2
    keys = torch.rand(examples, half - 1, generator=generator).topk(PAIRS).indices + 1
    values = torch.rand(examples, half, generator=generator).topk(PAIRS).indices + half
    slots = (LENGTH - 2 * PAIRS) // 2
    weights = 0.01 * torch.arange(1, slots + 1) ** (0.01 - 1.0)
    positions = 2 * PAIRS + 2 * torch.multinomial(weights.expand(examples, -1), PAIRS, generator=generator)
    inputs = torch.randint(VOCAB, (examples, LENGTH), generator=generator)
    labels = torch.full((examples, LENGTH), -100)
    inputs[:, 0:2 * PAIRS:2] = keys
    inputs[:, 1:2 * PAIRS:2] = values
    inputs.scatter_(1, positions, keys)
    labels.scatter_(1, positions, values)
    return inputs, labels


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        length = x.shape[1]
        scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
        mask = torch.full((length, length), -10000.0).triu(1)
        weights = F.dropout(torch.softmax(scores + mask, dim=-1), 0.1, self.training)
        return self.output(weights @ v)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixer = Attention(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.mixer(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Model(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.words, self.positions = nn.Embedding(VOCAB, width), nn.Embedding(LENGTH, width)
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids):
        x = self.words(ids) + self.positions(torch.arange(ids.shape[1]))
        return self.norm(self.blocks(F.dropout(x, 0.1, self.training))) @ self.words.weight.T


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--d-model", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = Model(options.d_model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    inputs, labels = mqar(EXAMPLES, 1)
    seconds = []
    for _ in range(options.epochs):
        start = time.perf_counter()
        order = torch.randperm(EXAMPLES)
        for i in range(0, EXAMPLES, BATCH):
            rows = order[i:i + BATCH]
            optimizer.zero_grad()
            logits = model(inputs[rows])
            F.cross_entropy(logits.view(-1, VOCAB), labels[rows].view(-1), ignore_index=-100).backward()
            optimizer.step()
        seconds.append(round(time.perf_counter() - start, 3))
    print(json.dumps({"peer": "torch " + torch.__version__, "d_model": options.d_model, "epoch_seconds": seconds}))


if __name__ == "__main__":
    main()
