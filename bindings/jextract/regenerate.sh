#!/usr/bin/env bash
# Writes bindings/src/generated/java from native/include/panthera.h. The output is committed, because jextract is not
# published as an artifact: nobody needs it to build. README.md beside this file says which jextract, and how to get it.
#
#   regenerate.sh --jextract-home FOLDER     FOLDER/bin/jextract; default: $JEXTRACT_HOME
set -euo pipefail

die() {
    printf 'regenerate.sh: %s\n' "$1" >&2
    exit 2
}

home=${JEXTRACT_HOME:-}
while [ $# -gt 0 ]; do
    case $1 in
        --jextract-home)
            [ $# -ge 2 ] || die "--jextract-home needs a folder"
            home=$2
            shift 2
            ;;
        *) die "unknown argument $1; possible: --jextract-home FOLDER" ;;
    esac
done
[ -n "$home" ] || die "no jextract given; pass --jextract-home FOLDER or set JEXTRACT_HOME (see README.md)"
jextract=$home/bin/jextract
[ -x "$jextract" ] || die "$jextract is not an executable file; see bindings/jextract/README.md"

cd "$(dirname "$0")/../.."
header=native/include/panthera.h
filter=bindings/jextract/includes.txt
output=bindings/src/generated/java
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Opaque handles have no layout by design, so "Skipping" is no news; any other message is a fault of the header.
run_jextract() {
    local status=0
    "$jextract" "$@" "$header" 2> "$work/messages.txt" || status=$?
    grep -vE 'Skipping|^[[:space:]]*$' "$work/messages.txt" >&2 || true
    [ "$status" -eq 0 ] || die "jextract failed on $header"
}

# Everything that the header declares itself, and nothing of what it includes.
run_jextract --dump-includes "$work/all.txt"
grep -oE -- '--include-[a-z]+ (pan|PAN)_[A-Za-z0-9_]+' "$work/all.txt" | LC_ALL=C sort > "$work/includes.txt" ||
    die "$header declares nothing that starts with pan_ or PAN_"
run_jextract --output "$work/java" --target-package dev.panthera.kernels.abi --header-class-name PantheraAbi \
    --symbols-class-name PantheraSymbols "@$work/includes.txt"

rm -rf "$output"
mkdir -p "$(dirname "$output")"
cp -r "$work/java" "$output"
cp "$work/includes.txt" "$filter"
{
    printf '# Written by bindings/jextract/regenerate.sh\n'
    printf 'header.sha256=%s\n' "$(sha256sum "$header" | cut -d ' ' -f 1)"
    printf 'jextract.version=%s\n' "$("$jextract" --version 2>&1 | head -n 1)"
    printf 'libclang.version=%s\n' "$("$jextract" --version 2>&1 | sed -n 's/^LibClang version //p')"
} > bindings/src/generated/generated.properties
