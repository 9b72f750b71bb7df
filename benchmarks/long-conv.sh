#!/usr/bin/env bash
# The long convolution directly and by FFT, over lengths, as JSON lines (benchmarks/native/long_conv.c).
#
#     benchmarks/long-conv.sh [THREADS]
set -euo pipefail
cd "$(dirname "$0")/.."
./panthera --version > /dev/null # builds the library
library=$(dirname "$(find native/target/natives -name libpanthera.so | head -n 1)")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
gcc -O2 -D_GNU_SOURCE -I native/include benchmarks/native/long_conv.c -o "$folder/long_conv" \
    -L "$library" -lpanthera -lm -Wl,-rpath,"$PWD/$library" -Wl,-rpath-link,"$library"
"$folder/long_conv" "$@"
