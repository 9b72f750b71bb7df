"""Time of a training step (forward, loss, backward, AdamW with rate 1e-3 and weight decay 0.1) of the figure-2 models,
and of such models with other mixers, in PyTorch on the CPU, fp32, and the peak memory of a process that does nothing else.
The batch is fixed: random tokens, with labels at `pairs` places of each row.

    python cpu_step.py --mixer attention|base-conv|hyena|mamba|based|rwkv-4|h3 --form original|labelled --batch 64
                       --length 64 --pairs 4 --d-model 64 --vocab 8192 --layers 2 --threads 2 --steps 5

--form original   the step of the Zoology paper's code, as it comes: logits and predictions at every position; for the
                  figure-2 models
--form labelled   the same loss by what we know to be fastest in PyTorch: logits at labelled positions alone, and of
                  equivalent ways (of attention, of the convolutions, of recurrences, of AdamW) the one that is faster
                  at these sizes, by a trial in a process of its own before the measurement

Prints one line of JSON; peak_mb is in units of 10^6 bytes. THP_MEM_ALLOC_ENABLE=1 in the environment lets PyTorch's
allocator use huge pages, and the line then says "allocator":"tuned".

    python cpu_step.py --self-test    compares the losses and gradients of all forms and ways; exit status 1 if they differ
"""
import argparse
import json
import multiprocessing
import os
import pathlib
import resource
import statistics
import sys
import time

import torch
from torch.nn import functional as F

import models
import zoo

WARM_UPS = 2
TRIALS = 3
TOLERANCE = 1e-4
RECORDED = pathlib.Path(__file__).parents[2] / "tests/src/test/resources/goldens/mixers"
WAY_OF = {"attention": "attention", "mamba": "scan", "based": "weights", "rwkv-4": "recurrence"}
ADAMW = {"default": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}


# ---- the original's step ----
#
# The classes have the parameters of those in models.py; what differs is the work. Left out are the progress bar and the
# search for modules with auxiliary losses, which take microseconds. That the logits are formed at all, and on a CPU,
# follows what the original means to do: as released it returns hidden states and asks for a GPU.

class OriginalAttention(models.Attention):
    """As the original does: heads are a dimension even if there is one, the mask is made anew in each pass and
    added, and the weights are kept."""

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, 1, width).unbind(dim=2)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k * width ** -0.5)
        future = torch.full((length, length), -10000.0).triu(1)
        weights = F.dropout(torch.softmax(scores + future, dim=-1), models.DROPOUT, self.training)
        return self.output(torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(2))


def convolve_as_original(u, h):
    """As the original does, of (batch, channels, length): the filter's spectrum is divided by the
    transform's size, and the inverse is not."""
    length = u.shape[-1]
    size = 2 * length
    spectrum = torch.fft.rfft(u, n=size) * (torch.fft.rfft(h, n=size) / size)
    return torch.fft.irfft(spectrum, n=size, norm="forward")[..., :length]


class OriginalBaseConv(models.BaseConv):
    """As the original does: either convolution works on a transposed view."""

    def convolved(self, x):
        x = x.transpose(1, 2)
        if isinstance(self.conv, models.ShortConv):
            y = self.conv(x, -1)
        else:
            y = convolve_as_original(x, self.conv.filter(self.conv.z).t()) + x
        return y.transpose(1, 2)

    def forward(self, x):
        return self.convolved(x) * self.projection(x) + x


class OriginalHyena(models.Hyena):
    """As the original does: channels first from the first projection to the last, and the filter's decay is
    computed in each pass."""

    def __init__(self, width, length):
        super().__init__(width, length)
        self.register_buffer("time", torch.linspace(0, 1, length)[:, None], persistent=False)

    def taps(self):
        return self.filter(self.z) * torch.exp(-self.time * self.rates.abs())

    def forward(self, x):
        x1, x2, v = self.short(self.input(x).transpose(1, 2), -1).chunk(3, dim=1)
        v = v * x1
        v = convolve_as_original(v, self.taps().t()) + v * self.skip[:, None]
        return self.output((v * x2).transpose(1, 2))


class OriginalModel(models.Model):
    """As the original does; dropout with rate 0 is left out, since PyTorch does nothing for it."""

    def forward(self, ids):
        """The logits at every position."""
        x = self.words(ids)
        if self.positions is not None:
            x = x + self.positions(torch.arange(ids.shape[1]))
        hidden, residual = F.dropout(x, models.DROPOUT, self.training), None
        for mixer, first, second in zip(self.mixers, self.first, self.second):
            residual = hidden if residual is None else hidden + residual
            residual = mixer(first(residual)) + residual
            hidden = second(residual)  # the state mixer is the identity
        return F.linear(self.final(hidden + residual), self.words.weight)


def make_original(options):
    make = {"attention": lambda layer: OriginalAttention(options.d_model),
            "base-conv": lambda layer: OriginalBaseConv(options.d_model, options.length, layer),
            "hyena": lambda layer: OriginalHyena(options.d_model, options.length)}[options.mixer]
    return OriginalModel([make(layer) for layer in range(options.layers)], options.vocab, options.d_model,
                         options.length if options.mixer == "attention" else None)


def original_loss(model, batch):
    """As the original does: cross entropy over all positions, of which those labelled -100 are ignored. The
    predictions, which the trainer does not use, are formed in each step."""
    logits = model(batch["ids"])
    loss = F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=-100)
    predictions = logits.argmax(dim=-1)
    return loss, predictions


def original_step(model, optimizer, batch):
    """As the original does: one group of parameters, no clipping, and the loss is read twice, for the
    progress bar and for the log."""
    optimizer.zero_grad()
    loss, predictions = original_loss(model, batch)
    loss.backward()
    optimizer.step()
    return loss.item(), loss.item(), predictions


# ---- the step with logits at labelled positions alone ----

def alternatives(mixer):
    """Equivalent ways: name -> arguments of the model."""
    if mixer in zoo.MIXERS:
        return {way: {"way": way} for way in zoo.WAYS[mixer]}
    if mixer == "attention":
        return {"sdpa": {"attend": models.attend_sdpa}, "explicit": {"attend": models.attend_explicit}}
    return {f"{layout}, {short}": {"channels_first": layout == "channels-first", "shifts": short == "shifts"}
            for layout in ("channels-last", "channels-first") for short in ("conv1d", "shifts")}


def make_labelled(options, way):
    if options.mixer in zoo.MIXERS:
        return models.make_zoo_model(options.mixer, options.vocab, options.d_model, options.layers, way)
    return models.make_model(options.mixer, options.vocab, options.length, options.d_model, options.layers,
                             **alternatives(options.mixer)[way])


def labelled_loss(model, batch):
    return model(batch["ids"], batch["rows"], batch["labels"])


def labelled_step(model, optimizer, batch):
    optimizer.zero_grad()
    loss = labelled_loss(model, batch)
    loss.backward()
    optimizer.step()
    return loss.item()


def make_optimizer(model, way):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, **ADAMW[way])


def fastest(actions):
    """The name of the action with the least time, of rounds in turns."""
    least = dict.fromkeys(actions, float("inf"))
    for attempt in range(1 + TRIALS):
        for name, action in actions.items():
            seconds = milliseconds(action)
            if attempt > 0:  # the first one allocates
                least[name] = min(least[name], seconds)
    return min(least, key=least.get)


def choose(options):
    """The faster ways at these sizes: of the mixer, and of AdamW."""
    prepare(options)
    batch = make_batch(options)
    trained = {way: make_labelled(options, way) for way in alternatives(options.mixer)}
    mixer = fastest({way: lambda m=model: labelled_loss(m, batch).backward() for way, model in trained.items()})
    # The models have gradients now.
    adamw = fastest({way: make_optimizer(trained[mixer], way).step for way in ADAMW})
    return mixer, adamw


def in_child(function, *arguments):
    """The function's result, from a process of its own, so that its memory does not count in this one's peak."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, arguments)


# ---- measuring ----

def milliseconds(action):
    start = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - start)


def make_batch(options):
    """Random tokens with labels at `pairs` places of each row: as targets at every position (-100 where there is none),
    and as rows of the flattened batch with their labels."""
    ids = torch.randint(options.vocab, (options.batch, options.length))
    places = models.labelled_places(options.batch, options.length, options.pairs)
    labels = torch.randint(options.vocab, (options.batch, options.pairs))
    targets = torch.full((options.batch, options.length), -100).scatter_(1, places, labels)
    return {"ids": ids, "targets": targets, "rows": models.flat_rows(places, options.length),
            "labels": labels.flatten()}


def prepare(options):
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # gradients that fade along a sequence become subnormal, which is slow
    torch.manual_seed(1)


def measure(options):
    """The line to print."""
    labelled = options.form == "labelled"
    way, adamw = "explicit" if options.mixer == "attention" else "channels-first, conv1d", "default"
    if labelled:
        way, adamw = in_child(choose, options)  # before this process has threads, which a child would lack
    torch.set_num_interop_threads(1)  # a step has no operations side by side
    prepare(options)
    model = make_labelled(options, way) if labelled else make_original(options)
    step = labelled_step if labelled else original_step
    optimizer, batch = make_optimizer(model, adamw), make_batch(options)
    for _ in range(WARM_UPS):
        step(model, optimizer, batch)
    times = [milliseconds(lambda: step(model, optimizer, batch)) for _ in range(options.steps)]
    median = statistics.median(times)
    return {"mixer": options.mixer, "form": options.form, "pass": "step", "batch": options.batch,
            "length": options.length, "pairs": options.pairs, "d_model": options.d_model, "vocab": options.vocab,
            "layers": options.layers, "threads": options.threads, "median_ms": round(median, 3),
            "min_ms": round(min(times), 3), "tokens_per_s": round(1e3 * options.batch * options.length / median),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),
            "allocator": "tuned" if os.environ.get("THP_MEM_ALLOC_ENABLE") == "1" else "default",
            "torch": torch.__version__, WAY_OF.get(options.mixer, "convolution"): way, "adamw": adamw}


# ---- self-test ----

def loss_and_gradients(model, loss):
    loss.backward()
    return loss.item(), [p.grad for p in model.parameters()]


def compare(options):
    """The largest relative differences of the loss and of a parameter's gradient, without dropout, between the first form
    and the ways of the labelled one. The first is the original, or the first of the ways."""
    ways = list(alternatives(options.mixer))
    if options.mixer in zoo.MIXERS:
        first = make_labelled(options, ways.pop(0)).eval()
    else:
        first = make_original(options).eval()
        with torch.no_grad():
            for parameter in first.parameters():
                # With the original's small weights every model has about the same loss.
                parameter.copy_(0.3 * torch.randn_like(parameter))
    batch = make_batch(options)
    first_loss = labelled_loss(first, batch) if options.mixer in zoo.MIXERS else original_loss(first, batch)[0]
    expected, expected_gradients = loss_and_gradients(first, first_loss)
    floor = 1e-3 * max(q.norm() for q in expected_gradients)  # a key's bias has no gradient but rounding
    losses, gradients = [0.0], [0.0]
    for way in ways:
        model = make_labelled(options, way).eval()
        model.load_state_dict(first.state_dict())
        loss, found = loss_and_gradients(model, labelled_loss(model, batch))
        losses.append(abs(loss - expected) / expected)
        gradients += [((p - q).norm() / max(q.norm(), floor)).item() for p, q in zip(found, expected_gradients)]
    return max(losses), max(gradients)


def self_test(options):
    prepare(options)
    passed = True
    for options.mixer in models.MIXERS + zoo.MIXERS:
        loss, gradient = compare(options)
        passed &= loss <= TOLERANCE and gradient <= TOLERANCE
        print(json.dumps({"mixer": options.mixer, "loss_difference": loss, "gradient_difference": gradient,
                          "passed": loss <= TOLERANCE and gradient <= TOLERANCE}), flush=True)
    return 0 if zoo.compare_recorded(RECORDED) and passed else 1


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mixer", choices=models.MIXERS + zoo.MIXERS, default="attention")
    parser.add_argument("--form", choices=("original", "labelled"), default="labelled")
    parser.add_argument("--self-test", action="store_true")
    for name, value in (("batch", 64), ("length", 64), ("pairs", 4), ("d-model", 64), ("vocab", 8192), ("layers", 2),
                        ("threads", 2), ("steps", 5)):
        parser.add_argument("--" + name, type=positive, default=value)
    options = parser.parse_args()
    if options.pairs > options.length:
        parser.error(f"--pairs {options.pairs}: a row has {options.length} places")
    if options.steps < 5:
        parser.error(f"--steps {options.steps}: a median needs at least 5")
    if options.form == "original" and options.mixer in zoo.MIXERS:
        parser.error(f"--form original: the original's {options.mixer} does not run on a CPU")
    if options.self_test:
        return self_test(options)
    print(json.dumps(measure(options)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
