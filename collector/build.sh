#!/bin/sh
# Builds target/otelcol/otelcol, the Collector that builder.yaml describes, and
# has it validate every configuration in this folder. Needs Go 1.25 or later.
# A binary that is newer than builder.yaml is kept.
#
#   collector/build.sh
#   GOMAXPROCS=1 GOFLAGS=-p=1 nice collector/build.sh    # leaves the machine to others
set -eu

collector=$(cd "$(dirname "$0")" && pwd)
out=$(dirname "$collector")/target/otelcol
binary=$out/otelcol

# The builder writes the components' main(), so its version is theirs.
version=$(sed -n 's/^  version: *//p' "$collector/builder.yaml")

if [ -n "$(find "$binary" -newer "$collector/builder.yaml" 2>/dev/null)" ]; then
    echo "target/otelcol/otelcol is newer than collector/builder.yaml: kept"
else
    mkdir -p "$out/bin"
    # Beside the binary, not among the user's own tools.
    GOBIN=$out/bin go install "go.opentelemetry.io/collector/cmd/builder@v$version"
    # output_path is relative to the working directory.
    (cd "$out" && bin/builder --config "$collector/builder.yaml")
    # By renaming, so that an interrupted build leaves nothing that looks finished.
    mv "$out/src/otelcol" "$binary"
fi

# check.yaml takes its addresses and files from the test.
export SIMHOST_OTLP_ENDPOINT=localhost:4317 SIMHOST_OTLP_HTTP_ENDPOINT=localhost:4318
export SIMHOST_HEALTH_ENDPOINT=localhost:13133 SIMHOST_ZPAGES_ENDPOINT=localhost:55679
export SIMHOST_TRACES_FILE=traces.jsonl SIMHOST_METRICS_FILE=metrics.jsonl
export SIMHOST_OWN_METRICS_FILE=own-metrics.jsonl SIMHOST_JSON_FILE=spans.jsonl
export SIMHOST_LOGS_FILE=logs.jsonl SIMHOST_SAMPLED_FILE=sampled.jsonl

# A configuration is one file, or a file and what is merged over it.
validate() {
    name=$*
    for file in "$@"; do
        set -- "$@" --config "$collector/$file"
        shift
    done
    "$binary" validate "$@"
    echo "valid: $name"
}

validate otelcol.yaml
validate otelcol.yaml otelcol-tail-sampling.yaml
validate otelcol.yaml otelcol-jaeger.yaml
validate otelcol.yaml otelcol-tail-sampling.yaml otelcol-jaeger.yaml
validate otelcol.yaml otelcol-loki.yaml
validate otelcol.yaml otelcol-logs-file.yaml
validate otelcol-local.yaml
validate otelcol-local.yaml otelcol-logs-file.yaml
validate check.yaml
validate check.yaml check-file.yaml
validate check.yaml check-tutorial.yaml
validate check.yaml check-probability.yaml
validate check.yaml otelcol-loki.yaml
