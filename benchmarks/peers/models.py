"""The figure-2 models of the Zoology paper (arXiv 2312.04927) in PyTorch, which the scripts that time a training step
share; nothing is measured here.

The state mixer is the identity and the head is tied to the word table. Logits are formed at the labelled positions
alone, as Panthera does: from the last mixer on, only labelled rows go through what works row by row.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

import zoo

MIXERS = ("attention", "base-conv", "hyena")
DROPOUT = 0.1  # of the embeddings and of the attention weights


def attend_sdpa(q, k, v, dropout):
    """Causal attention with one head of (batch, length, width)."""
    q, k, v = (x.unsqueeze(1) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout).squeeze(1)


def attend_explicit(q, k, v, dropout):
    """The same with explicit weights, and as few passes over them as PyTorch allows."""
    future = torch.full((q.shape[1], k.shape[1]), -math.inf, device=q.device).triu(1)
    scores = torch.baddbmm(future, q, k.transpose(1, 2), alpha=q.shape[-1] ** -0.5)
    return torch.bmm(F.dropout(torch.softmax(scores, dim=-1), dropout, dropout > 0), v)


class Attention(nn.Module):
    def __init__(self, width, attend=attend_sdpa):
        super().__init__()
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attend = attend

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.output(self.attend(q, k, v, DROPOUT if self.training else 0.0))


def features(length):
    """The time, and the cosine and sine of the lowest frequency."""
    w = 2 * math.pi * torch.arange(length) / length
    return torch.stack([torch.linspace(0, 1, length), torch.cos(1e-4 * w), -torch.sin(1e-4 * w)], dim=1)


def convolve(x, h, dim):
    """Causal convolution along dimension dim of x, from the end; h lacks the batch."""
    length = x.shape[dim]
    spectrum = torch.fft.rfft(x, n=2 * length, dim=dim) * torch.fft.rfft(h, n=2 * length, dim=dim)
    return torch.fft.irfft(spectrum, n=2 * length, dim=dim).narrow(dim, 0, length)


class ShortConv(nn.Conv1d):
    """By PyTorch's kernel, whose layout is (batch, channels, length), or as a sum of shifted products."""

    def __init__(self, width, taps, shifts=False):
        super().__init__(width, width, taps, padding=taps - 1, groups=width)
        self.shifts = shifts

    def forward(self, x, dim):
        length, taps = x.shape[dim], self.weight.shape[2]
        if self.shifts:
            # A tap's weights, and the bias, along the channels of either layout.
            *weights, bias = (w.unsqueeze(-1) if dim == -1 else w for w in (*self.weight[:, 0].unbind(1), self.bias))
            padded = F.pad(x, (taps - 1, 0) if dim == -1 else (0, 0, taps - 1, 0))
            return sum((padded.narrow(dim, i, length) * w for i, w in enumerate(weights)), bias)
        if dim == -2:
            return self(x.transpose(1, 2), -1).transpose(1, 2)
        return super().forward(x)[..., :length]


class ImplicitConv(nn.Module):
    """A filter as long as the sequence, made by an MLP from the time, and a skip."""

    def __init__(self, width, length, channels_first=False):
        super().__init__()
        self.channels_first = channels_first
        self.register_buffer("z", features(length))
        self.filter = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, width))

    def forward(self, x):
        h = self.filter(self.z)
        if self.channels_first:
            return x + convolve(x.transpose(1, 2), h.t(), -1).transpose(1, 2)
        return x + convolve(x, h, -2)


class BaseConv(nn.Module):
    """Short filters in the even layers, long ones in the odd."""

    def __init__(self, width, length, layer, channels_first=False, shifts=False):
        super().__init__()
        self.conv = ShortConv(width, 3, shifts) if layer % 2 == 0 else ImplicitConv(width, length, channels_first)
        self.projection = nn.Linear(width, width)

    def convolved(self, x):
        return self.conv(x, -2) if isinstance(self.conv, ShortConv) else self.conv(x)

    def forward(self, x):
        return self.convolved(x) * self.projection(x) + x


class Sine(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.frequency = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return torch.sin(self.frequency * x)


class Hyena(nn.Module):
    def __init__(self, width, length, channels_first=False, shifts=False, order=64):
        super().__init__()
        self.channels_first = channels_first
        self.input, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.short, self.skip = ShortConv(3 * width, 3, shifts), nn.Parameter(torch.randn(width))
        sine = Sine(order)
        self.filter = nn.Sequential(nn.Linear(3, order), sine, nn.Linear(order, order), sine, nn.Linear(order, order),
                                    sine, nn.Linear(order, width, bias=False))
        self.z = nn.Parameter(features(length))
        self.register_buffer("rates", torch.linspace(math.log(0.01) / 1.5, math.log(0.01) / 0.3, width))
        self.register_buffer("decay", torch.exp(-torch.linspace(0, 1, length)[:, None] * self.rates.abs()))

    def taps(self):
        return self.filter(self.z) * self.decay

    def forward(self, x):
        u = self.input(x)
        if self.channels_first:
            x1, x2, v = self.short(u.transpose(1, 2), -1).chunk(3, dim=1)
            v = x1 * v
            return self.output((x2 * (convolve(v, self.taps().t(), -1) + self.skip[:, None] * v)).transpose(1, 2))
        x1, x2, v = self.short(u, -2).chunk(3, dim=-1)
        v = x1 * v
        return self.output(x2 * (convolve(v, self.taps(), -2) + self.skip * v))


def make_mixer(name, layer, width, length, attend=attend_sdpa, channels_first=False, shifts=False):
    if name == "attention":
        return Attention(width, attend)
    if name == "base-conv":
        return BaseConv(width, length, layer, channels_first, shifts)
    return Hyena(width, length, channels_first, shifts)


def initialize(module):
    """The original's small weights. Word vectors of PyTorch's size would saturate the softmax, whose gradient then has
    denormal numbers, and a CPU is slow with those."""
    if isinstance(module, (nn.Linear, nn.Embedding)) and not getattr(module, "keeps_values", False):
        nn.init.normal_(module.weight, std=0.02)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)


class Model(nn.Module):
    """A language model around the given mixers, with learned positions if length is not None."""

    def __init__(self, mixers, vocab, width, length=None):
        super().__init__()
        self.words = nn.Embedding(vocab, width)
        self.positions = nn.Embedding(length, width) if length is not None else None
        self.mixers = nn.ModuleList(mixers)
        self.first = nn.ModuleList(nn.LayerNorm(width) for _ in self.mixers)
        self.second = nn.ModuleList(nn.LayerNorm(width) for _ in self.mixers)
        self.final = nn.LayerNorm(width)
        self.apply(initialize)

    def forward(self, ids, rows, labels):
        """The loss; rows are the labelled positions in the flattened batch."""
        x = self.words(ids)
        if self.positions is not None:
            x = x + self.positions.weight
        hidden, residual = F.dropout(x, DROPOUT, self.training), None
        for i, (mixer, first, second) in enumerate(zip(self.mixers, self.first, self.second)):
            residual = hidden if residual is None else hidden + residual
            mixed = mixer(first(residual))
            if i == len(self.mixers) - 1:
                mixed, residual = (y.flatten(0, 1).index_select(0, rows) for y in (mixed, residual))
            residual = mixed + residual
            hidden = second(residual)  # the state mixer is the identity
        return F.cross_entropy(F.linear(self.final(hidden + residual), self.words.weight), labels)


def make_model(mixer, vocab, length, width, layers, **choices):
    mixers = [make_mixer(mixer, layer, width, length, **choices) for layer in range(layers)]
    return Model(mixers, vocab, width, length if mixer == "attention" else None)


class MambaModel(Model):
    """As Model with the blocks of Mamba: one RMS norm and no state mixer each, and no dropout."""

    def __init__(self, mixers, vocab, width):
        super().__init__(mixers, vocab, width)
        self.first, self.second = nn.ModuleList(nn.RMSNorm(width, eps=1e-5) for _ in self.mixers), None

    def forward(self, ids, rows, labels):
        hidden, residual = self.words(ids), None
        for mixer, norm in zip(self.mixers, self.first):
            residual = hidden if residual is None else hidden + residual
            hidden = mixer(norm(residual))
        hidden, residual = (y.flatten(0, 1).index_select(0, rows) for y in (hidden, residual))
        return F.cross_entropy(F.linear(self.final(hidden + residual), self.words.weight), labels)


def make_zoo_model(mixer, vocab, width, layers, way):
    mixers = [zoo.make_mixer(mixer, layer, width, way) for layer in range(layers)]
    return (MambaModel if mixer == "mamba" else Model)(mixers, vocab, width)


def labelled_places(batch, length, pairs):
    """Distinct places of each row, in order: (batch, pairs)."""
    return torch.rand(batch, length).topk(pairs, dim=1).indices.sort(dim=1).values


def flat_rows(places, length):
    """Places of each row as rows of the flattened batch."""
    return (places + length * torch.arange(len(places))[:, None]).flatten()
