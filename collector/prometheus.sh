#!/bin/sh
# Builds target/prometheus/v3/prometheus and promtool, of the version of the image in docker-compose.yml,
# from its Go module, and has it check the configuration in this folder. Needs Go 1.26 or later.
# Of the service discoveries it has static, file and HTTP alone: the others are most of what is compiled.
#
#   collector/prometheus.sh
#   GOMAXPROCS=1 GOFLAGS=-p=1 nice collector/prometheus.sh    # leaves the machine to others
set -eu

collector=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$collector")
out=$root/target/prometheus/v3

version=$(sed -n 's/^ *image: prom\/prometheus:v//p' "$root/docker-compose.yml")
# As a Go module, version 3.15.0 is v0.315.0.
module=$(echo "$version" | awk -F. '{printf "v0.%d%02d.%d", $1, $2, $3}')

if [ "$(cat "$out/version" 2>/dev/null)" = "$version" ]; then
    echo "target/prometheus/v3 is Prometheus $version: kept"
else
    rm -rf "$out"
    mkdir -p "$out"
    # The module itself has to be the main one, because it replaces modules that it depends on.
    source=$(cd "$out" && go mod download -json "github.com/prometheus/prometheus@$module" |
        sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
    cp -R "$source" "$out/src"
    chmod -R u+w "$out/src"
    (cd "$out/src" && GOWORK=off go build -tags remove_all_sd \
        -ldflags "-X github.com/prometheus/common/version.Version=$version" -o "$out" ./cmd/prometheus ./cmd/promtool)
    rm -rf "$out/src"
    # The last, so that an interrupted build leaves nothing that looks finished.
    echo "$version" >"$out/version"
fi

"$out/promtool" check config --lint=all "$collector/prometheus.yml"
