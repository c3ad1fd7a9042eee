#!/usr/bin/env bash
# Serves from one process per department and the gateway, each department with its own PostgreSQL database: what
# production does, on one machine. Ctrl-C ends all of them; so does the end of one.
#
#   LISTEN=addr                      where the gateway listens, 127.0.0.1:8080 if not set
#   DSN=postgres://…/x_{department}  a PostgreSQL of yours with databases x_marketing, x_insidesales, x_fieldsales,
#                                    x_customersuccess; a private one in .data is used if not set
#   DATA=dir                         keys and logs, .data/split if not set
set -euo pipefail
cd "$(dirname "$0")/.."
listen=${LISTEN:-127.0.0.1:8080}
data=${DATA:-.data/split}
mkdir -p "$data"

# Name of the program and the database, name as a peer, port.
departments=('marketing marketing 9001' 'insidesales inside-sales 9002' 'fieldsales field-sales 9003' 'customersuccess customer-success 9004')

dsn=${DSN:-}
owns_server=
if [ -z "$dsn" ]; then
  [ "$(tools/postgres.sh status --durable || true)" = running ] || owns_server=1
  for d in "${departments[@]}"; do tools/postgres.sh database "tasuki_${d%% *}" --durable; done
  dsn=$(tools/postgres.sh dsn --durable)
  dsn=${dsn/\/postgres\?/\/tasuki_\{department\}?}
fi

pids=()
finish() {
  trap - EXIT INT TERM
  [ ${#pids[@]} = 0 ] || { kill "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; }
  [ -z "$owns_server" ] || tools/postgres.sh stop --durable
}
trap finish EXIT
trap 'exit 0' INT TERM

peers=()
for d in "${departments[@]}"; do
  read -r _ peer port <<<"$d"
  peers+=("--peer-$peer=127.0.0.1:$port")
done
for d in "${departments[@]}"; do
  read -r program _ port <<<"$d"
  own=${dsn/\{department\}/$program}
  bin/"$program" migrate --dsn "$own" >"$data/$program.log"   # says here what it waits for, or why it cannot
  bin/"$program" --data "$data" --listen "127.0.0.1:$port" --dsn "$own" "${peers[@]}" >>"$data/$program.log" 2>&1 &
  pids+=($!)
done
bin/gateway --data "$data" --listen "$listen" "${peers[@]}" >"$data/gateway.log" 2>&1 &
pids+=($!)

until bin/gateway healthcheck --listen "$listen" >/dev/null 2>&1; do
  for pid in "${pids[@]}"; do
    kill -0 "$pid" 2>/dev/null || { echo "up-split: a process ended; see the logs in $data:"; tail -n 5 "$data"/*.log; exit 1; }
  done
  sleep 0.2
done
echo "Tasuki serves at http://$listen, from ${#pids[@]} processes; logs are in $data."
echo "A token to try:  bin/tasuki token --data $data --role marketing"
wait -n "${pids[@]}" || true
echo "up-split: a process ended; see the logs in $data:"
tail -n 5 "$data"/*.log
exit 1
