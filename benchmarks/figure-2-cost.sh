#!/usr/bin/env bash
# What the whole grid of the paper's figure 2 costs on this machine: our estimate, steps of full size to check it, and the
# original's work in PyTorch, extrapolated from steps with small batches. Writes JSON lines; the last one is the sum.
#
#     benchmarks/figure-2-cost.sh [--peer-python FILE] [--estimates FILE] [--output FILE]
#
# --estimates takes what the dry run with --json has printed before. Takes about ten minutes with PyTorch. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
./panthera --version > /dev/null # builds
exec python3 benchmarks/figure_2_cost.py "$@"
