#!/usr/bin/env bash
# What CI runs, stage by stage. All stages run even when one is red; the summary says how to repeat that one.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
counts="$PWD/.cache/ci-counts"
export TESTCOUNT="-record $counts"
[ "${CI:-}" != true ] || TESTCOUNT="$TESTCOUNT -strict"

if [ -z "${TASUKI_TEST_POSTGRES_DSN:-}" ]; then
  running=$(tools/postgres.sh status || true)
  TASUKI_TEST_POSTGRES_DSN=$(tools/postgres.sh start)
  export TASUKI_TEST_POSTGRES_DSN
  [ "$running" = running ] || trap 'tools/postgres.sh stop' EXIT
fi
export TASUKI_REQUIRE_POSTGRES=1

passed=0 failed=0 red=0
summary=()

# stage NAME HOW-TO-REPEAT COMMAND...
stage() {
  local name=$1 repeat=$2 began=$SECONDS code=0 p=0 f=0 a b
  shift 2
  printf '\n=== %s: %s\n' "$name" "$*"
  rm -f "$counts"
  "$@" || code=$?
  if [ -s "$counts" ]; then
    while read -r a b; do p=$((p + a)) f=$((f + b)); done < "$counts"
  fi
  local line
  line=$(printf '%-16s %5d s' "$name" $((SECONDS - began)))
  [ $((p + f)) = 0 ] || line+=$(printf '  %6d passed %4d failed' "$p" "$f")
  if [ "$code" != 0 ]; then
    red=$((red + 1))
    [ "$f" != 0 ] || f=1   # a stage without tests counts as one
    line+="  RED, repeat it by: $repeat"
    printf '=== %s is RED (exit %d). Repeat it by: %s\n' "$name" "$code" "$repeat"
  fi
  passed=$((passed + p)) failed=$((failed + f))
  summary+=("$line")
}

# The demo as a stranger gets it: a clone of what is committed, and nothing beside it.
demo_from_clone() {
  local clone code=0
  clone=$(mktemp -d)
  git clone -q . "$clone/tasuki" && timeout 600 make -C "$clone/tasuki" demo EXIT=1 LISTEN=127.0.0.1:0 || code=$?
  rm -rf "$clone"
  return "$code"
}

# On the cluster of KUBECONFIG, or on one that scripts beside the checkout bring up for this stage and take down again.
scripts=$PWD/../shared/kube
on_cluster() (
  if [ -z "${KUBECONFIG:-}" ] && [ -x "$scripts/kube-up" ]; then
    trap '"$scripts/kube-down"' EXIT
    settings=$("$scripts/kube-up") || exit 1
    eval "$settings"
    export TASUKI_KUBE_LOAD=$scripts/kube-load
  fi
  make previous-images e2e-issuer e2e-kube
)

# With what stands beside Tasuki of the machine's own making, unless images of all of it are named.
in_containers() (
  if [ -z "${TASUKI_COLLECTOR_IMAGE:-}" ] || [ -z "${TASUKI_PROMETHEUS_IMAGE:-}" ] || [ -z "${TASUKI_MAIL_IMAGE:-}" ]; then
    make stand-ins || exit 1
    for name in collector prometheus mail; do
      export "TASUKI_${name^^}_IMAGE=${IMAGE_PREFIX-tasuki/}e2e-$name:${IMAGE_TAG:-dev}"
    done
  fi
  make e2e-containers
)

stage tools 'make tools' make tools
stage generate-check 'make generate-check' make generate-check
stage kong-check 'make kong-check' make kong-check
stage lint 'make lint' make lint
stage breaking 'make breaking' make breaking
stage build 'make build' make build
stage test 'make test-postgres RACE=1' make test RACE=1 WITHOUT=e2e   # a stage of its own
# The gate plays what it played before: it judges the change. `make sim` and `make faults` alone play others.
stage sim 'make sim SEED=2026112300000' make sim SEED=2026112300000
stage e2e 'make e2e' make e2e
stage faults 'make faults FAULTS=20 SEED=20261123' make faults FAULTS=20 SEED=20261123
stage demo 'git clone . /tmp/tasuki && make -C /tmp/tasuki demo EXIT=1' demo_from_clone

# Without a container engine these cannot run, which is a failure only where everything must.
if docker version >/dev/null 2>&1 || [ "${CI:-}" = true ]; then
  stage images 'make images images-check' make images images-check
  stage containers 'make stand-ins e2e-containers, with TASUKI_{COLLECTOR,PROMETHEUS,MAIL}_IMAGE' in_containers
else
  summary+=('images, containers: not run, because no Docker daemon answers')
fi

if command -v helm >/dev/null && command -v kubeconform >/dev/null || [ "${CI:-}" = true ]; then
  stage chart 'make chart' make chart
else
  summary+=('chart: not run, because helm or kubeconform is not there')
fi
if [ -n "${KUBECONFIG:-}" ] || [ -x "$scripts/kube-up" ] || [ "${CI:-}" = true ]; then
  stage kube 'make previous-images e2e-issuer e2e-kube, with KUBECONFIG and TASUKI_KUBE_LOAD' on_cluster
else
  summary+=('kube: not run, because KUBECONFIG names no cluster')
fi

printf '\n=== summary\n'
printf '%s\n' "${summary[@]}"
printf 'total %d s, %d red\n' "$SECONDS" "$red"
echo "$passed passed, $failed failed"
[ "$red" = 0 ]
