#!/usr/bin/env bash
# Kills the process of a sweep of 40 trials with SIGKILL at random moments and starts it again until it ends; checks that every
# trial ends exactly once with the results of an undisturbed sweep, bit for bit, and adds a line of JSON about it.
#
#     benchmarks/sweep-faults.sh [--kills N] [--seed N] [--output FILE]
#
# Default: 50 kills, added to benchmarks/results/sweep-faults.jsonl. Takes a few minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
    printf 'sweep-faults.sh: %s\n' "$1" >&2
    exit 2
}

kills=50 seed=6 output=benchmarks/results/sweep-faults.jsonl
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1 needs a value; possible are --kills, --seed and --output"
    case $1 in
        --kills) kills=$2 ;;
        --seed) seed=$2 ;;
        --output) output=$2 ;;
        *) die "$1 is unknown; possible are --kills, --seed and --output" ;;
    esac
    shift 2
done
case $output in /*) ;; *) output=$PWD/$output ;; esac

JAVA_HOME=$(./panthera --print-java-home) ./mvnw -B -ntp -q -pl tests -am -Dtest=SweepFaultTest \
    -Dsurefire.failIfNoSpecifiedTests=false "-Dpanthera.tests.kills=$kills" "-Dpanthera.tests.kills.seed=$seed" \
    "-Dpanthera.tests.kills.record=$output" test
tail -n 1 "$output"
