#!/usr/bin/env bash
# Builds the images beside Tasuki's own that a test of the compose stack starts, where a registry cannot be reached: the
# OpenTelemetry Collector and Jaeger from the Go module proxy, Prometheus from Debian's package, MailDev from npm's. All are
# the real programs; only the images around them are ours.
#
#   tools/stand-ins.sh                  all but Jaeger, which takes minutes to build
#   tools/stand-ins.sh mail traces      these; traces is Jaeger
#
#   IMAGE_PREFIX=tasuki/      in front of their names: e2e-collector, e2e-traces, e2e-prometheus, e2e-mail
#   IMAGE_TAG=dev             the tag
set -euo pipefail
cd "$(dirname "$0")/../e2e/containers/testdata"
prefix=${IMAGE_PREFIX-tasuki/} tag=${IMAGE_TAG:-dev}
arch=$(docker version --format '{{.Server.Arch}}')

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# apt downloads as a user of its own.
chmod 755 "$scratch"

# program NAME PACKAGE FILE: a Go program of the module of that name.
program() {
  (cd "$1" && GOWORK=off CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags '-s -w' -o "$scratch/$1/$3" "$2")
}

# libraries NAME PROGRAM: what the program is linked with, where it looks for it.
libraries() {
  ldd "$2" | grep -o '/[^ ]*' | while read -r library; do
    install -D "$library" "$scratch/$1/root$library"
  done
}

# packed NAME USER: the files of the image, of that user.
packed() {
  chmod -R u=rwX,go=rX "$scratch/$1/root"
  tar -C "$scratch/$1/root" --numeric-owner --owner="$2" --group="$2" -cf "$scratch/$1/root.tar" .
  rm -rf "$scratch/$1/root"
}

collector() { program collector . collector; }

traces() { program traces github.com/jaegertracing/jaeger/cmd/jaeger jaeger; }

prometheus() {
  local package=$scratch/prometheus-package
  mkdir "$package" && chmod 755 "$package"
  (cd "$package" && { apt-get download -qq prometheus >/dev/null 2>&1 || { apt-get update -qq && apt-get download -qq prometheus >/dev/null 2>&1; } } &&
    dpkg -x prometheus_*.deb .)
  install -D -t "$scratch/prometheus/root/bin" "$package/usr/bin/prometheus"
  mkdir "$scratch/prometheus/root/prometheus"
  libraries prometheus "$package/usr/bin/prometheus"
  packed prometheus 65534
}

mail() {
  local work=$scratch/mail/packages app=$scratch/mail/root/home/node/app cpu=$arch
  [ "$cpu" != amd64 ] || cpu=x64
  command -v npm >/dev/null || { echo "stand-ins: npm is not there (Debian: apt-get install npm)"; return 1; }
  mkdir -p "$work" "$app"
  cp mail/package.json mail/package-lock.json "$work/"
  # Nothing of it needs a script of its own at installation.
  (cd "$work" && npm ci --cpu="$cpu" --os=linux --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
  install -D -t "$scratch/mail/root/usr/local/bin" "$work/node_modules/node-linux-$cpu/bin/node"
  libraries mail "$scratch/mail/root/usr/local/bin/node"
  rm -rf "$work/node_modules/"node-linux-*
  mv "$work/node_modules/maildev/"{dist,package.json} "$app/"
  mv "$work/node_modules" "$app/"
  rm -rf "$work"
  packed mail 0
}

[ $# != 0 ] || set -- collector prometheus mail
for name in "$@"; do
  began=$SECONDS
  mkdir "$scratch/$name"
  cp "$name/Dockerfile" "$scratch/$name/"
  # Not in a condition: there the shell would not stop at what fails.
  "$name"
  docker build -q -t "${prefix}e2e-$name:$tag" "$scratch/$name" >/dev/null
  rm -rf "${scratch:?}/$name"
  echo "stand-ins: ${prefix}e2e-$name:$tag ($((SECONDS - began)) s)"
done
