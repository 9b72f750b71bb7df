#!/usr/bin/env bash
# Builds and checks Panthera on a machine with an NVIDIA GPU, and measures it beside PyTorch. Needs nvcc, CMake and
# Python 3; for the stages that run Java a bundle (gpu-bundle.sh) or a JDK and a built checkout; for the comparison
# PyTorch. Takes less than nine minutes. docs/gpu.md says what each stage does.
#
#     benchmarks/gpu-check.sh [--output FOLDER] [--bundle FILE] [--stages A,B,...] [--python PYTHON] [--seconds N]
#                             [--work FOLDER] [--emulated FOLDER]
#
# --output    default: target/gpu-check. Gets gpu-check.json, gpu-check.md and logs.tar.gz.
# --stages    some of info, build, ctest, parity, train, ceilings, kernels, step, sanitizer; default: all
# --python    with PyTorch; default: python3
# --seconds   for everything; default: 530. The stages' own limits grow with it.
# --work      folder of the build, which a second run with it need not repeat; default: a temporary one
# --emulated  folder with the emulated CUDA libraries of the C tests (build/emulated), which then take the place of a
#             GPU. That is a trial of this script: no time is taken.
#
# Exit status: 0 all passed; 1 a stage failed; 3 none failed, but some were skipped or not finished; 2 wrong options.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly all_stages='info build ctest parity train ceilings kernels step sanitizer'
# Status of a stage, by the exit status of its function.
readonly skipped=77 unfinished=75

# Seconds that a stage may take at most, of the default_seconds for all.
readonly default_seconds=530
stage_limit() {
    case $1 in
        info) echo 20 ;;
        build) echo 300 ;;
        ctest) echo 120 ;;
        parity) echo 60 ;;
        train) echo 90 ;;
        ceilings) echo 40 ;;
        kernels) echo 120 ;;
        step) echo 90 ;;
        sanitizer) echo 200 ;;
    esac
}

die() {
    printf 'gpu-check.sh: %s\n' "$1" >&2
    exit 2
}

# ------------------------------------------------------------------------------------- what stages have in common
# Each stage is a process of its own, so that it can be stopped with all that it started. It finds in the environment
# CHECK_WORK (build, bundle, scratch), CHECK_RESULTS (JSON lines for the report), CHECK_LOGS, CHECK_PYTHON,
# CHECK_EMULATED (a folder or nothing), CHECK_CUBLAS (a library or nothing), CHECK_STAGE and STAGE_SECONDS.

# Says in a line what came of the stage, or why not.
remark() {
    printf '%s\n' "$1" > "$CHECK_RESULTS/$stage.remark"
}

skip() {
    remark "$1"
    exit "$skipped"
}

emulated() {
    [ -n "$CHECK_EMULATED" ]
}

# Why there is no GPU to use; empty if there is one.
gpu_problem() {
    if ! emulated && ! { command -v nvidia-smi > /dev/null && nvidia-smi -L > /dev/null 2>&1; } &&
        ! ldconfig -p 2> /dev/null | grep -q 'libcuda\.so\.1'; then
        echo 'no NVIDIA driver'
    fi
}

# Ends the stage unless there is a GPU and the library for it.
need_gpu() {
    local problem
    problem=$(gpu_problem)
    [ -z "$problem" ] || skip "$problem"
    [ -x "$CHECK_WORK/build/gpu_bench" ] || skip 'nothing was built'
    if ! "$CHECK_WORK/build/gpu_bench" device > "$CHECK_WORK/device.json" 2>&1; then
        remark "the device cannot be opened: $(head -c 300 "$CHECK_WORK/device.json")"
        exit 1
    fi
}

# Sets the paths by which libraries are found, once for all that a stage runs.
find_libraries() {
    library_folder=$CHECK_WORK/build/lib
    if emulated; then
        library_folder=$CHECK_EMULATED
    fi
    export LD_LIBRARY_PATH=$library_folder:$CHECK_WORK/dnnl${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}

# cuBLAS, whose path is printed if there is one: by the loader's cache, in the toolkit, or beside PyTorch.
find_cublas() {
    local found folder
    if emulated; then
        printf '%s' "$CHECK_EMULATED/libcublas.so.13"
        return
    fi
    found=$(ldconfig -p 2> /dev/null | sed -n 's/.*libcublas\.so\.1[23] .*=> //p' | sort -r | head -n 1)
    [ -n "$found" ] || found=$(
        for folder in "${CUDA_HOME:-/nowhere}" /usr/local/cuda /usr/local/cuda-1[23]* \
            "$(dirname "$(dirname "$(command -v nvcc || echo /nowhere/bin/nvcc)")")"; do
            ls "$folder"/lib64/libcublas.so.1[23] "$folder"/targets/x86_64-linux/lib/libcublas.so.1[23] 2> /dev/null
        done | head -n 1
    ) || true
    [ -n "$found" ] || found=$("$CHECK_PYTHON" - << 'PYTHON' 2> /dev/null
import glob, sys
print(next((f for p in sys.path for f in sorted(glob.glob(p + "/nvidia/*/lib/libcublas.so.1[23]"), reverse=True)), ""))
PYTHON
    ) || true
    printf '%s' "$found"
}

# Chooses how matrix products are computed: off (own tiles) or cublas. Fails if there is no cuBLAS.
use_gemm() {
    if [ "$1" = off ]; then
        export PANTHERA_CUBLAS=off
        return
    fi
    [ -n "$CHECK_CUBLAS" ] || return 1
    export PANTHERA_CUBLAS=$CHECK_CUBLAS
    # It needs libcublasLt from the same folder.
    LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$(dirname "$CHECK_CUBLAS")
}

# As use_gemm, with own tiles where there is no cuBLAS.
use_best_gemm() {
    use_gemm cublas || use_gemm off
}

# Sets `panthera` to the command line of Panthera, with the bundle's runtime or with a JDK and the checkout's jars.
# Ends the stage where there is neither.
find_panthera() {
    local java=$CHECK_WORK/panthera-gpu/java/bin/java jars=$CHECK_WORK/panthera-gpu/jars home
    if [ ! -x "$java" ]; then
        jars=$root/java/core/target
        home=$("$root/panthera" --print-java-home 2> /dev/null) || home=
        if [ -z "$home" ] || [ ! -f "$jars/panthera.jar" ]; then
            skip 'no Java: give --bundle, or build the checkout with a JDK'
        fi
        java=$home/bin/java
    fi
    panthera=("$java" -Xms32m -XX:+UseSerialGC --enable-native-access=ALL-UNNAMED --illegal-native-access=deny
        "-Dpanthera.library.path=$library_folder" -cp "$jars/panthera.jar:$jars/lib/*" dev.panthera.cli.Panthera)
}

need_torch() {
    "$CHECK_PYTHON" -c 'import torch; assert torch.cuda.is_available()' > "$CHECK_LOGS/torch.log" 2>&1
}

# --------------------------------------------------------------------------------------------------------- stages

stage_info() {
    local problem
    problem=$(gpu_problem)
    "$CHECK_PYTHON" - "$CHECK_RESULTS/info.jsonl" "$root" "$CHECK_EMULATED" "$problem" << 'PYTHON'
import json, os, platform, re, shutil, subprocess, sys

file, root, emulated, problem = sys.argv[1:]


def run(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=root).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def cpu():
    with open("/proc/cpuinfo") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


facts = ("name", "driver", "memory", "compute_capability", "sm_clock_max", "power_limit")
gpu = [] if emulated or problem else [
    dict(zip(facts, map(str.strip, line.split(","))))
    for line in run("nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap,clocks.max.sm,power.limit",
                    "--format=csv,noheader").splitlines()]
# Where the sources are, without their history, the bundle says which ones they are.
commit = run("git", "describe", "--always", "--dirty", "--abbrev=12")
if not commit:
    contents = os.path.join(os.environ["CHECK_WORK"], "panthera-gpu", "CONTENTS")
    commit = open(contents).readline().split()[-1] + " (of the bundle)" if os.path.exists(contents) else "unknown"
release = re.search(r"release ([\d.]+), V([\d.]+)", run("nvcc", "--version")) if shutil.which("nvcc") else None
info = {"kind": "info", "commit": commit, "gpus": gpu, "emulated": bool(emulated), "problem": problem,
        "nvcc": release.group(2) if release else None, "cpu": cpu(), "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(), "cmake": run("cmake", "--version").split("\n")[0].split(" ")[-1],
        "compiler": run("cc", "--version").split("\n")[0],
        "torch": run(os.environ["CHECK_PYTHON"], "-c", "import torch; print(torch.__version__)") or None}
with open(file, "w") as out:
    print(json.dumps(info), file=out)
print(json.dumps(info, indent=1))
PYTHON
    { nvidia-smi -L && nvidia-smi && nvidia-smi -q; } > "$CHECK_LOGS/nvidia-smi.log" 2>&1 || true
    if emulated; then
        problem='emulated CUDA device: nothing is measured'
    fi
    remark "${problem:-$(head -n 1 "$CHECK_LOGS/nvidia-smi.log" || true)}"
}

# The architecture of the GPU, or the one that most of the measurements are for.
architecture() {
    local capability
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2> /dev/null | head -n 1 | tr -d '. ') || true
    case $capability in
        '') echo 90a-real ;;
        90 | 100 | 120) echo "${capability}a-real" ;;
        *) echo "$capability-real" ;;
    esac
}

stage_build() {
    local generator=() targets dnnl=
    command -v cmake > /dev/null || skip 'no CMake'
    command -v ninja > /dev/null && generator=(-G Ninja)
    [ ! -f "$CHECK_WORK/dnnl/libdnnl.so.3" ] || dnnl=$CHECK_WORK/dnnl
    cmake -S "$root/benchmarks/native" -B "$CHECK_WORK/build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release \
        -DPANTHERA_CUDA=ON -DPANTHERA_DNNL_ROOT="$dnnl" -DCMAKE_CUDA_ARCHITECTURES="$(architecture)"
    mapfile -t targets < <(sed -n 's/^ *panthera_test(\([a-z_]*\) .*/test_\1/p' "$root/native/tests/CMakeLists.txt")
    local cuda=()
    if emulated; then
        : # its libraries exist
    elif cmake --build "$CHECK_WORK/build" --target help | grep -q '\bpanthera_cuda\b'; then
        cuda=(panthera_cuda)
    else
        remark 'CMake finds no CUDA compiler: nvcc must be on the PATH'
        return 1
    fi
    cmake --build "$CHECK_WORK/build" --parallel "$(nproc)" --target panthera gpu_bench "${cuda[@]}" "${targets[@]}"
    if [ -n "$dnnl" ]; then
        ln -sf "$dnnl"/lib*.so* "$CHECK_WORK/build/lib/"
    fi
    remark "${cuda[0]:-emulated} for $(architecture), CPU GEMM by ${dnnl:+oneDNN}$([ -n "$dnnl" ] || echo plain loops)"
}

# Runs a C test and writes a line of JSON: test_one NAME GEMM PROGRAM [OP].
test_one() {
    local name=$1 gemm=$2 program=$3 op=${4:-} status=0 start=$EPOCHREALTIME log
    log=$CHECK_LOGS/ctest-$gemm-$name.log
    use_gemm "$gemm"
    timeout --foreground -k 5 100 "$program" ${op:+"$op"} > "$log" 2>&1 || status=$?
    printf '{"kind":"ctest","test":"%s","gemm":"%s","status":%d,"seconds":%.1f,"last":"%s"}\n' "$name" "$gemm" \
        "$status" "$(seconds_since "$start")" "$(tail -n 1 "$log" | json_text)" \
        >> "$CHECK_RESULTS/ctest.jsonl"
}

# How many processes of a test to run side by side.
at_once() {
    local cores
    cores=$(nproc)
    echo "$((cores < $1 ? cores : $1))"
}

# What may stand between quotes in JSON.
json_text() {
    tr -dc '[:print:]' | tr -d '"\134' | cut -c 1-200
}

seconds_since() {
    LC_ALL=C awk -v now="$EPOCHREALTIME" -v start="$1" 'BEGIN { print now - start }'
}

# The ops that test_ops has a case for, by the name that it takes.
op_names() {
    sed -n 's/^PAN_OP(\(.*\))$/\1/p' "$root/native/src/core/ops.def" | grep -v '^long_conv_prepare$'
}

stage_ctest() {
    local tests=$CHECK_WORK/build/panthera/native/tests gemm test
    local gemms=(off)
    need_gpu
    export PANTHERA_TEST_BACKEND=cuda
    if (use_gemm cublas); then
        gemms+=(cublas)
    fi
    for gemm in "${gemms[@]}"; do
        for test in edges long_conv window dropout streams device; do
            if [ -x "$tests/test_$test" ]; then
                printf '%s\0%s\0%s\0\0' "$test" "$gemm" "$tests/test_$test"
            fi
        done
        op_names | while read -r test; do
            printf '%s\0%s\0%s\0%s\0' "ops-$test" "$gemm" "$tests/test_ops" "$test"
        done
    done | xargs -0 -n 4 -P "$(at_once 8)" bash "$root/benchmarks/gpu-check.sh" --internal test_one
    local failed
    failed=$(grep -cv '"status":0,' "$CHECK_RESULTS/ctest.jsonl") || true
    remark "$(wc -l < "$CHECK_RESULTS/ctest.jsonl") tests, $failed failed; GEMM: ${gemms[*]}$(
        [ "${#gemms[@]}" -gt 1 ] || echo ' alone (no cuBLAS was found)')"
    [ "$failed" -eq 0 ]
}

stage_parity() {
    need_gpu
    find_panthera
    local goldens=$CHECK_WORK/panthera-gpu/goldens status=0
    [ -d "$goldens" ] || goldens=$root/tests/src/test/resources/goldens
    use_best_gemm
    "${panthera[@]}" parity "$goldens" --device cuda:0 > "$CHECK_LOGS/parity-cuda.log" 2>&1 || status=$?
    grep -E ' (fail|deviation|unknown)' "$CHECK_LOGS/parity-cuda.log" || true
    remark "$(tail -n 1 "$CHECK_LOGS/parity-cuda.log")"
    grep -Eq '^[1-9][0-9]* passed, 0 failed' "$CHECK_LOGS/parity-cuda.log" && [ "$status" -eq 0 ]
}

# A run of 30 steps, for its losses: short_run NAME DEVICE.
short_run() {
    "${panthera[@]}" train --device "$2" --epochs 1 --train-examples 960 --out "$CHECK_WORK/run-$1" \
        > "$CHECK_LOGS/train-$1.log" 2>&1
    grep '"train/loss":' "$CHECK_WORK/run-$1/metrics.jsonl" > "$CHECK_RESULTS/losses-$1.jsonl"
}

# The default task to its end: long_run NAME DEVICE.
long_run() {
    timeout --foreground -k 5 50 "${panthera[@]}" train --device "$2" --json --out "$CHECK_WORK/run-long-$1" \
        > "$CHECK_WORK/train.json" 2> "$CHECK_LOGS/train-long-$1.log" || return
    tail -n 1 "$CHECK_WORK/train.json" | sed "s/^{/{\"kind\":\"train\",\"device\":\"$1\",/" \
        >> "$CHECK_RESULTS/train.jsonl"
}

stage_train() {
    need_gpu
    find_panthera
    rm -rf "$CHECK_WORK"/run-*
    use_best_gemm
    short_run cuda cuda:0
    short_run again cuda:0
    short_run cpu cpu
    if ! emulated; then
        long_run cuda cuda:0
        long_run cpu cpu || true # for comparison, if it is quick
    fi
    remark "$("$CHECK_PYTHON" "$root/benchmarks/gpu_report.py" training "$CHECK_RESULTS")"
    ! grep -q wrong "$CHECK_RESULTS/train.remark"
}

stage_ceilings() {
    need_gpu
    emulated && skip 'an emulated device has no speed'
    use_best_gemm
    "$CHECK_WORK/build/gpu_bench" ceilings | tee "$CHECK_RESULTS/ceilings.jsonl"
    use_gemm off
    "$CHECK_WORK/build/gpu_bench" ceilings product | tee -a "$CHECK_RESULTS/ceilings.jsonl"
}

count_gates() {
    grep -c "\"gate\":\"$1\"" "$CHECK_RESULTS/kernels.jsonl" || true
}

stage_kernels() {
    local status=0 torch=yes
    need_gpu
    use_best_gemm
    if emulated; then
        "$CHECK_WORK/build/gpu_bench" check | tee "$CHECK_RESULTS/kernels.jsonl"
        remark "$(count_gates pass) calls at small sizes are right; nothing is timed"
        return
    fi
    "$CHECK_WORK/build/gpu_bench" kernels | tee "$CHECK_RESULTS/kernels.jsonl" || status=$?
    if need_torch; then
        "$CHECK_PYTHON" "$root/benchmarks/peers/gpu_kernels.py" "$CHECK_RESULTS/kernels.jsonl" |
            tee "$CHECK_RESULTS/peer-kernels.jsonl" || status=$?
    else
        torch=no
    fi
    PANTHERA_CUBLAS=off "$CHECK_WORK/build/gpu_bench" kernels linear | tee "$CHECK_RESULTS/kernels-tiles.jsonl" ||
        status=$?
    "$CHECK_WORK/build/gpu_bench" crossover | tee "$CHECK_RESULTS/crossover.jsonl" || status=$?
    remark "$(count_gates pass) calls right, $(count_gates fail) wrong$(
        [ "$torch" = yes ] || echo '; no PyTorch with CUDA to compare with')"
    [ "$status" -eq 0 ] || return 1
    [ "$torch" = yes ] || return "$unfinished"
}

stage_step() {
    local mixer
    need_gpu
    emulated && skip 'an emulated device has no speed'
    find_panthera
    use_best_gemm
    for mixer in attention base-conv hyena; do
        rm -rf "$CHECK_WORK/step-$mixer"
        "${panthera[@]}" train --device cuda:0 --preset figure-2 --mixer "$mixer" --train-examples 51200 \
            --validation-examples 512 --test-examples 512 --epochs 2 --stop-above 1 --out "$CHECK_WORK/step-$mixer" \
            > "$CHECK_LOGS/step-$mixer.log" 2>&1
        # The second epoch's: the first one compiles.
        grep '"tokens_per_second"' "$CHECK_WORK/step-$mixer/metrics.jsonl" | tail -n 1 |
            sed "s/^{/{\"kind\":\"step\",\"mixer\":\"$mixer\",\"batch\":512,\"length\":64,/" |
            tee -a "$CHECK_RESULTS/step.jsonl"
    done
    if ! need_torch; then
        remark 'no PyTorch with CUDA to compare with'
        return "$unfinished"
    fi
    "$CHECK_PYTHON" "$root/benchmarks/peers/gpu_step.py" | tee "$CHECK_RESULTS/peer-step.jsonl"
}

# One op under one tool: sanitize_one TOOL OP.
sanitize_one() {
    local status=0 log=$CHECK_LOGS/sanitizer-$1-$2.log
    timeout --foreground -k 5 120 compute-sanitizer --tool "$1" --error-exitcode 97 \
        "$CHECK_WORK/build/panthera/native/tests/test_ops" "$2" > "$log" 2>&1 || status=$?
    printf '{"kind":"sanitizer","tool":"%s","op":"%s","status":%d,"last":"%s"}\n' "$1" "$2" "$status" \
        "$(grep 'ERROR SUMMARY\|RACECHECK SUMMARY\|Error:\|error:' "$log" | tail -n 1 | json_text)" \
        >> "$CHECK_RESULTS/sanitizer.jsonl"
}

stage_sanitizer() {
    local tool wanted found failed
    need_gpu
    emulated && skip 'compute-sanitizer needs a GPU'
    command -v compute-sanitizer > /dev/null || PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
    command -v compute-sanitizer > /dev/null || skip 'compute-sanitizer is not on the PATH'
    export PANTHERA_TEST_BACKEND=cuda
    use_gemm off
    for tool in memcheck racecheck synccheck initcheck; do
        op_names | while read -r op; do
            printf '%s\0%s\0' "$tool" "$op"
        done
    done > "$CHECK_WORK/sanitizer-jobs"
    wanted=$(($(op_names | wc -l) * 4))
    # The stage's own limit is the last resort: what is done by then is worth reporting.
    timeout --foreground -k 5 "$((STAGE_SECONDS > 20 ? STAGE_SECONDS - 10 : 10))" \
        xargs -0 -n 2 -P "$(at_once 12)" bash "$root/benchmarks/gpu-check.sh" --internal sanitize_one \
        < "$CHECK_WORK/sanitizer-jobs" || true
    touch "$CHECK_RESULTS/sanitizer.jsonl"
    found=$(wc -l < "$CHECK_RESULTS/sanitizer.jsonl")
    failed=$(grep -cv '"status":\(0\|124\|137\),' "$CHECK_RESULTS/sanitizer.jsonl") || true
    local slow
    slow=$(grep -c '"status":\(124\|137\),' "$CHECK_RESULTS/sanitizer.jsonl") || true
    remark "$((found - slow)) of $wanted runs (ops x tools) finished, $failed with errors"
    [ "$failed" -eq 0 ] || return 1
    [ "$((found - slow))" -eq "$wanted" ] || return "$unfinished"
}

# -------------------------------------------------------------------------------------------------------- running

# gpu-check.sh --internal FUNCTION ARGUMENTS...: a stage, or a part of one, as a process of its own.
if [ "${1:-}" = --internal ]; then
    shift
    stage=${CHECK_STAGE:?}
    find_libraries
    "$@"
    exit
fi

output=$root/target/gpu-check bundle='' stages=$all_stages python=python3 seconds=$default_seconds work=''
emulated_folder=''
while [ $# -gt 0 ]; do
    case $1 in
        --output | --bundle | --stages | --python | --seconds | --work | --emulated)
            [ $# -ge 2 ] || die "$1 needs a value" ;;
        *) die "unknown option $1; the file's first lines list them" ;;
    esac
    case $1 in
        --output) output=$2 ;;
        --bundle) bundle=$2 ;;
        --stages) stages=${2//,/ } ;;
        --python) python=$2 ;;
        --seconds) seconds=$2 ;;
        --work) work=$2 ;;
        --emulated) emulated_folder=$2 ;;
    esac
    shift 2
done
for stage in $stages; do
    case " $all_stages " in *" $stage "*) ;; *) die "--stages: there is no stage $stage; there are: $all_stages" ;; esac
done
[[ $seconds =~ ^[0-9]+$ ]] || die "--seconds $seconds: a whole number is needed"
[ -z "$bundle" ] || [ -r "$bundle" ] || die "--bundle $bundle: there is no such file; gpu-bundle.sh makes one"
[ -z "$emulated_folder" ] || [ -f "$emulated_folder/libpanthera_cuda.so" ] ||
    die "--emulated $emulated_folder: it lacks libpanthera_cuda.so; a build with the C tests has it in emulated/"
command -v "$python" > /dev/null || die "--python $python: there is no such program"

start=$EPOCHREALTIME
mkdir -p "$output"
output=$(cd "$output" && pwd)
if [ -z "$work" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
else
    mkdir -p "$work"
    work=$(cd "$work" && pwd)
fi
rm -rf "$work/results" "$work/logs" "$output/gpu-check.json" "$output/gpu-check.md" "$output/logs.tar.gz"
mkdir -p "$work/results" "$work/logs"
export CHECK_WORK=$work CHECK_RESULTS=$work/results CHECK_LOGS=$work/logs CHECK_PYTHON=$python
export CHECK_EMULATED=${emulated_folder:+$(cd "$emulated_folder" && pwd)}
CHECK_CUBLAS=$(find_cublas)
export CHECK_CUBLAS

# oneDNN and Java, from the bundle or else as the checkout has them.
if [ -n "$bundle" ]; then
    rm -rf "$work/panthera-gpu"
    tar -C "$work" -xzf "$bundle"
fi
for dnnl in "$work/panthera-gpu/dnnl" "$root/native/target/dnnl/org/bytedeco/dnnl/linux-x86_64"; do
    if [ -f "$dnnl/libdnnl.so.3" ]; then
        ln -sfn "$dnnl" "$work/dnnl"
        break
    fi
done

any_failed=no any_missing=no running=''
trap '[ -z "$running" ] || kill "$running" 2> /dev/null; exit 130' INT TERM
for stage in $stages; do
    begin=$EPOCHREALTIME
    left=$(LC_ALL=C awk -v now="$begin" -v start="$start" -v all="$seconds" 'BEGIN { print int(all - (now - start)) }')
    limit=$(($(stage_limit "$stage") * (seconds > default_seconds ? seconds : default_seconds) / default_seconds))
    limit=$((limit < left ? limit : left))
    code=0
    if [ "$limit" -lt 5 ]; then
        code=$skipped
        echo 'no time is left' > "$work/results/$stage.remark"
    else
        # In the background, so that Ctrl-C ends this script at once; `timeout` passes a signal on to the whole stage.
        CHECK_STAGE=$stage STAGE_SECONDS=$limit timeout -k 5 "$limit" \
            bash "$root/benchmarks/gpu-check.sh" --internal "stage_$stage" > "$work/logs/$stage.log" 2>&1 < /dev/null &
        running=$!
        wait "$running" || code=$?
        running=''
    fi
    case $code in
        0) status=passed ;;
        "$skipped") status=skipped any_missing=yes ;;
        "$unfinished") status=unfinished any_missing=yes ;;
        124 | 137) status=failed any_failed=yes; echo "stopped after $limit s" > "$work/results/$stage.remark" ;;
        *) status=failed any_failed=yes ;;
    esac
    if [ "$status" = failed ] && [ ! -f "$work/results/$stage.remark" ]; then
        tail -n 1 "$work/logs/$stage.log" > "$work/results/$stage.remark"
    fi
    took=$(seconds_since "$begin")
    remark=$(cat "$work/results/$stage.remark" 2> /dev/null || true)
    printf '%s\t%s\t%.1f\t%s\n' "$stage" "$status" "$took" "$remark" >> "$work/results/stages.tsv"
    printf '%-10s %-10s %6.1f s  %s\n' "$stage" "$status" "$took" "$remark"
done

"$python" "$root/benchmarks/gpu_report.py" report "$work/results" "$output"
tar -C "$work" -czf "$output/logs.tar.gz" logs
printf 'report: %s\n' "$output/gpu-check.md"
[ "$any_failed" = no ] || exit 1
[ "$any_missing" = no ] || exit 3
