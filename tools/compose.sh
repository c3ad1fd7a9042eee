#!/usr/bin/env bash
# Starts and ends the stack of deploy/compose.
#
#   tools/compose.sh up        start it, wait until all of it serves, and say where to go
#   tools/compose.sh down      end it; the data stay
#   tools/compose.sh destroy   end it and delete the data
#
#   OBSERVABILITY=1   with a telemetry collector, metrics and dashboards
set -euo pipefail
cd "$(dirname "$0")/../deploy/compose"
docker compose version >/dev/null 2>&1 || { echo "compose: the plugin \`docker compose\` is not there"; exit 1; }

compose() {
  local files=(-f compose.yaml)
  [ -z "${OBSERVABILITY:-}" ] || files+=(-f compose.observability.yaml)
  docker compose "${files[@]}" "$@"
}

# Every line of the example that ends in = gets a password.
if [ ! -e .env ]; then
  umask 077
  while IFS= read -r line; do
    case $line in
      TASUKI_*_PASSWORD=) echo "$line$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" ;;
      *) echo "$line" ;;
    esac
  done <.env.example >.env
  echo "compose: made deploy/compose/.env with passwords"
fi

case ${1:-} in
up)
  began=$(date +%s%N)
  compose up --detach --wait --wait-timeout 180 --quiet-pull ||
    { compose ps --all; compose logs --tail 20; exit 1; }
  address=$(compose port gateway 8080)
  printf '\nTasuki is ready (%d ms).\n\n' $((($(date +%s%N) - began) / 1000000))
  echo "  read and try   http://$address/docs"
  echo "  health         http://$address/readyz"
  echo "  a token        (cd deploy/compose && docker compose run --rm token --role marketing)"
  [ -z "${OBSERVABILITY:-}" ] || echo "  dashboards     http://$(compose port grafana 3000)"
  echo "  logs           (cd deploy/compose && docker compose logs -f)"
  echo "  the end        make compose-down"
  ;;
down) compose --profile '*' down --remove-orphans ;;
destroy) compose --profile '*' down --remove-orphans --volumes ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "../../tools/compose.sh"; exit 2 ;;
esac
