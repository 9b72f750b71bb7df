#!/usr/bin/env bash
# What Java adds to the kernels, measured with JMH: the way of a call through the bindings (BindingsBenchmark), MQAR rows
# a second (DataBenchmark), recording and unwinding a step (TapeBenchmark). Builds what is missing; all of it then takes
# less than three minutes.
#
#     benchmarks/java.sh [JMH options]
#     benchmarks/java.sh Tape -prof gc                        one class, with bytes allocated per operation
#     benchmarks/java.sh Data -p rows=1024x64                 rows of another length and number of pairs
#     benchmarks/java.sh -rf json -rff FILE                   results as JSON
#     benchmarks/java.sh -h                                   all options
#
# PANTHERA_JAVA_OPTS: further options for the JVM
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root module=$root/benchmarks/java core=$root/java/core/target
readonly stamp=$module/target/built

die() {
    printf 'java.sh: %s\n' "$1" >&2
    exit 2
}

"$root/panthera" --version > /dev/null # builds the library and the framework
jdk=$("$root/panthera" --print-java-home)
if [ ! -e "$stamp" ] ||
    [ -n "$(find "$core/panthera.stamp" "$module/pom.xml" "$module/src" -newer "$stamp" -print -quit)" ]; then
    log=$root/target/java-benchmarks-build.log
    (cd "$root" && JAVA_HOME=$jdk ./mvnw -q -B -ntp -pl benchmarks/java -am process-classes) > "$log" 2>&1 ||
        { { grep '^\[ERROR\]' "$log" || true; } | head -n 5 >&2; die "the build failed; the whole log is in $log"; }
    touch "$stamp"
fi

# JMH hands these on to the JVMs that it starts.
options=(
    -XX:+UseSerialGC
    --enable-native-access=ALL-UNNAMED --illegal-native-access=deny
    --sun-misc-unsafe-memory-access=allow # for JMH, which otherwise has the JVM warn of it
    "-Dpanthera.library.path=$root/native/target/natives/META-INF/native/linux-x86_64"
)
# shellcheck disable=SC2206  # options are words
options+=(${PANTHERA_JAVA_OPTS:-})
exec "$jdk/bin/java" "${options[@]}" -cp "$module/target/classes:$core/panthera.jar:$core/lib/*:$module/target/lib/*" \
    org.openjdk.jmh.Main "$@"
