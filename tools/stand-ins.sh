#!/usr/bin/env bash
# Builds the images of the observability layer that a test starts, where a registry cannot be reached: the OpenTelemetry Collector
# from the Go module proxy, Prometheus from Debian's package. Both are the real programs; only the images around them are ours.
#
#   IMAGE_PREFIX=tasuki/      in front of their names, e2e-collector and e2e-prometheus
#   IMAGE_TAG=dev             the tag
set -euo pipefail
cd "$(dirname "$0")/../e2e/containers/testdata"
prefix=${IMAGE_PREFIX-tasuki/} tag=${IMAGE_TAG:-dev}
arch=$(docker version --format '{{.Server.Arch}}')

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# apt downloads as a user of its own.
chmod 755 "$scratch"

mkdir "$scratch/collector"
cp collector/Dockerfile "$scratch/collector/"
(cd collector && GOWORK=off CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags '-s -w' -o "$scratch/collector/collector" .)
docker build -q -t "${prefix}e2e-collector:$tag" "$scratch/collector"

mkdir -p "$scratch/prometheus/root/"{bin,prometheus}
cp prometheus/Dockerfile "$scratch/prometheus/"
(cd "$scratch" && { apt-get download -qq prometheus >/dev/null 2>&1 || { apt-get update -qq && apt-get download -qq prometheus >/dev/null 2>&1; } } &&
  dpkg -x prometheus_*.deb package)
program=$scratch/package/usr/bin/prometheus
cp "$program" "$scratch/prometheus/root/bin/"
# The libraries that it is linked with, where it looks for them.
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
  install -D "$library" "$scratch/prometheus/root$library"
done
chmod -R u=rwX,go=rX "$scratch/prometheus/root"
tar -C "$scratch/prometheus/root" --numeric-owner --owner=65534 --group=65534 -cf "$scratch/prometheus/root.tar" .
rm -rf "$scratch/prometheus/root"
docker build -q -t "${prefix}e2e-prometheus:$tag" "$scratch/prometheus"
