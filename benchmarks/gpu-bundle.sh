#!/usr/bin/env bash
# Packs what gpu-check.sh needs where there is no JDK and no network: a Java runtime, Panthera's jars, oneDNN and the
# recorded cases. Needs a built checkout and a JDK (JAVA_HOME, or the one that ./panthera finds).
#
#     benchmarks/gpu-bundle.sh [--output FILE] [--without-onednn]
#
# --output          default: target/panthera-gpu-bundle.tar.gz
# --without-onednn  half the size; the CPU side of the check is then slower
set -euo pipefail
cd "$(dirname "$0")/.."

# A bundle has to fit where large files cannot be sent.
readonly limit_mb=60
# What the command line and the libraries that it uses load; java.sql and java.xml because Jackson names their classes.
readonly modules=java.base,java.logging,java.management,java.net.http,java.sql,java.xml,jdk.unsupported

die() {
    printf 'gpu-bundle.sh: %s\n' "$1" >&2
    exit 2
}

output=target/panthera-gpu-bundle.tar.gz onednn=yes
while [ $# -gt 0 ]; do
    case $1 in
        --output) [ $# -ge 2 ] || die '--output needs a file'; output=$2; shift 2 ;;
        --without-onednn) onednn=no; shift ;;
        *) die "unknown option $1; there are --output FILE and --without-onednn" ;;
    esac
done

readonly jars=java/core/target goldens=tests/src/test/resources/goldens
readonly dnnl=native/target/dnnl/org/bytedeco/dnnl/linux-x86_64
readonly build_first='build first: ./panthera --version'

[ -f "$jars/panthera.jar" ] || die "$jars/panthera.jar is missing; $build_first"
[ -d "$jars/lib" ] || die "$jars/lib is missing; $build_first"
[ -d "$goldens" ] || die "$goldens is missing: this is no whole checkout"
if [ "$onednn" = yes ] && { [ ! -f "$dnnl/libdnnl.so.3" ] || [ ! -d "$dnnl/include" ]; }; then
    die "$dnnl lacks oneDNN; $build_first, or give --without-onednn"
fi
java_home=$(./panthera --print-java-home)
[ -x "$java_home/bin/jlink" ] || die "$java_home has no jlink; set JAVA_HOME to a whole JDK"
newer=$(find bindings/src java/core/src -type f -newer "$jars/panthera.jar" -print -quit)
[ -z "$newer" ] || printf 'gpu-bundle.sh: %s is newer than the jars; they are packed as they are (%s)\n' "$newer" \
    "$build_first" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readonly folder=$work/panthera-gpu
mkdir -p "$folder/jars"

# Stored, not compressed by jlink: gzip makes less of the whole than of compressed parts.
"$java_home/bin/jlink" --compress zip-0 --strip-debug --no-header-files --no-man-pages --add-modules "$modules" \
    --output "$folder/java"
cp "$jars/panthera.jar" "$folder/jars/"
cp -r "$jars/lib" "$folder/jars/"
cp -r "$goldens" "$folder/goldens"
if [ "$onednn" = yes ]; then
    mkdir "$folder/dnnl"
    cp -rL "$dnnl/include" "$folder/dnnl/"
    cp -L "$dnnl/libdnnl.so.3" "$folder/dnnl/"
    [ ! -f "$dnnl/libgomp.so.1" ] || cp -L "$dnnl/libgomp.so.1" "$folder/dnnl/"
fi
{
    printf 'commit %s\n' "$(git describe --always --dirty --abbrev=12 2> /dev/null || echo unknown)"
    printf 'java %s\n' "$(sed -n 's/^JAVA_VERSION="\(.*\)"/\1/p' "$folder/java/release")"
    printf 'oneDNN %s\n' "$onednn"
} > "$folder/CONTENTS"

# A bundle whose runtime lacks a module would fail only where nobody can mend it.
for command in train mixers; do
    "$folder/java/bin/java" -cp "$folder/jars/panthera.jar:$folder/jars/lib/*" dev.panthera.cli.Panthera \
        "$command" --help > "$work/trial.log" 2>&1 ||
        die "the packed runtime cannot run $command: $(head -n 1 "$work/trial.log")"
done

mkdir -p "$(dirname "$output")"
tar -C "$work" -cf - panthera-gpu | gzip -9 > "$output.part"
mb=$(($(stat -c %s "$output.part") / 1000000))
if [ "$mb" -ge "$limit_mb" ]; then
    rm -f "$output.part"
    die "the bundle has $mb MB, more than $limit_mb; try --without-onednn"
fi
mv "$output.part" "$output"
cat "$folder/CONTENTS"
printf '%s: %s MB\n' "$output" "$mb"
