"""Time of making MQAR data (multi-query associative recall) as the Zoology paper's code does, in NumPy: every example
has a copy of its own of all keys, of all values and of all places for queries, and three calls of Python draw from it.

    python mqar_data.py --examples 100000 --length 64 --pairs 4 --vocab 8192 --power-a 0.01

The time ends with inputs and labels as tensors. Prints one line of JSON; peak_mb is in units of 10^6 bytes.
"""
import argparse
import json
import resource
import sys
import time

import numpy as np
import torch


def draw_in_each_row(population, rows, count, weights=None):
    """Distinct members of the population, `count` for each row, drawn from copies of it."""
    copies = np.tile(population, (rows, 1))
    return np.apply_along_axis(np.random.choice, 1, copies, size=count, replace=False, p=weights), copies


def mqar(examples, length, pairs, vocab, power_a):
    """Keys and values in turn, then random tokens among which each key comes again, labelled with its value."""
    context = 2 * pairs
    # The copies are kept to the end, as the original keeps them, and count in the peak memory.
    keys, key_copies = draw_in_each_row(np.arange(1, vocab // 2), examples, pairs)
    values, value_copies = draw_in_each_row(np.arange(vocab // 2, vocab), examples, pairs)
    slots = np.arange((length - context) // 2)
    weights = power_a * (slots + 1.0) ** (power_a - 1)
    drawn, slot_copies = draw_in_each_row(slots, examples, pairs, weights / weights.sum())
    places = context + 2 * drawn

    inputs = np.zeros((examples, length), dtype=np.int64)
    inputs[:, 0:context:2] = keys
    inputs[:, 1:context:2] = values
    np.put_along_axis(inputs, places, keys, axis=1)
    labels = np.full((examples, length), -100, dtype=np.int64)
    np.put_along_axis(labels, places, values, axis=1)
    inputs, labels = torch.tensor(inputs), torch.tensor(labels)
    fillers = inputs == 0
    inputs[fillers] = torch.randint(vocab, inputs.shape)[fillers]
    del key_copies, value_copies, slot_copies
    return inputs, labels


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main():
    parser = argparse.ArgumentParser()
    for name, value in (("examples", 100_000), ("length", 64), ("pairs", 4), ("vocab", 8192)):
        parser.add_argument("--" + name, type=positive, default=value)
    parser.add_argument("--power-a", type=float, default=0.01)
    options = parser.parse_args()
    if options.length % 2 or 4 * options.pairs > options.length:
        parser.error(f"--length {options.length}: an even number, at least four times --pairs, is needed")
    if options.vocab <= options.length:
        parser.error(f"--vocab {options.vocab}: more than --length {options.length} is needed")
    if not options.power_a > 0:
        parser.error(f"--power-a {options.power_a}: a positive number is needed")
    np.random.seed(1)
    torch.manual_seed(1)
    start = time.perf_counter()
    mqar(options.examples, options.length, options.pairs, options.vocab, options.power_a)
    seconds = time.perf_counter() - start
    print(json.dumps({"task": "mqar", "examples": options.examples, "length": options.length, "pairs": options.pairs,
                      "vocab": options.vocab, "seconds": round(seconds, 3),
                      "examples_per_s": round(options.examples / seconds),
                      "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
