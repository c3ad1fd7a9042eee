#!/usr/bin/env bash
# A private PostgreSQL: own data folder, own port on 127.0.0.1.
#
#   tools/postgres.sh start [--durable]   start it if it does not run yet, and print its DSN
#   tools/postgres.sh dsn | stop | status [--durable]
#   tools/postgres.sh database NAME [--durable]   start it, and make the database if there is none
#   tools/postgres.sh install             only see to it that the server's programs are there
#
# Without --durable it is for tests: it does not wait for the disk, and `stop` deletes it. The durable one is apart from
# that: it waits for the disk as in production, and keeps its data in .data/postgres.
# Installs Debian's packages when the server is missing and the caller is root.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${!#}" = --durable ]; then
  durable=1 home="$PWD/.data/postgres"
else
  durable='' home="$PWD/.cache/postgres"
fi
mkdir -p "$(dirname "$home")"
state="$home.env"   # folder and port of the running server

say() { echo "postgres.sh: $*" >&2; }

# PostgreSQL refuses to run as root, so root lends it the user that the package brings.
as_server() {
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

find_programs() {
  # Debian keeps each version apart and off the PATH.
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -V | tail -n 1 || true)
  if [ -z "$found" ] && command -v initdb >/dev/null; then
    found=$(dirname "$(command -v initdb)")
  fi
  [ -n "$found" ] && [ -x "$found/initdb" ] && programs="$found"
}

install_programs() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "no PostgreSQL server found. Install it (Debian: apt-get install postgresql), or set TASUKI_TEST_POSTGRES_DSN to one of yours."
    exit 1
  fi
  say "installing Debian's postgresql"
  # No cluster of its own: this script makes one.
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; } >&2
}

have_programs() { find_programs || { install_programs; find_programs; }; }

is_running() {
  [ -r "$state" ] || return 1
  # shellcheck disable=SC1090
  . "$state"
  find_programs && as_server "$programs/pg_ctl" -D "$dir" status >/dev/null 2>&1
}

print_dsn() { echo "postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"; }

start() {
  local speed=(-c fsync=off -c synchronous_commit=off -c full_page_writes=off)
  [ -n "$durable" ] && speed=()
  if is_running; then print_dsn; return; fi
  have_programs
  dir="$home"
  # What a test server that was killed leaves behind cannot be trusted.
  if [ -z "$durable" ]; then rm -rf "$dir"; fi
  if [ "$(id -u)" = 0 ]; then
    # The server's user must be able to get there; below /root, for instance, it is not.
    mkdir -p "$dir" && chown postgres "$dir"
    if ! as_server test -w "$dir"; then
      rmdir "$dir"
      [ -z "$durable" ] || { say "the user postgres cannot write $dir: clone to a folder that it can enter"; exit 1; }
      dir=$(as_server mktemp -d "${TMPDIR:-/tmp}/tasuki-postgres.XXXXXX")
    fi
  fi
  if [ ! -s "$dir/PG_VERSION" ]; then
    as_server "$programs/initdb" -D "$dir" -A trust -U postgres -E UTF8 --locale=C.UTF-8  >"$home.initdb.log" 2>&1 \
      || { cat "$home.initdb.log" >&2; exit 1; }
    rm "$home.initdb.log"
  fi
  local attempt
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    port=$((20000 + RANDOM % 12000))
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi   # taken
    if as_server "$programs/pg_ctl" -D "$dir" -l "$dir/server.log" -w -t 60 \
        -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=400 -c shared_buffers=256MB ${speed[*]}" \
        start >/dev/null 2>&1 </dev/null; then
      printf 'dir=%q\nport=%q\n' "$dir" "$port" > "$state"
      print_dsn
      return
    fi
  done
  say "the server does not start:"
  as_server tail -n 20 "$dir/server.log" >&2
  exit 1
}

stop() {
  if is_running; then
    as_server "$programs/pg_ctl" -D "$dir" -m fast -w stop >/dev/null
    if [ -z "$durable" ]; then rm -rf "$dir"; fi
  fi
  rm -f "$state"
}

database() {
  start >/dev/null
  is_running
  local found
  found=$("$programs/psql" -XAtq -c "SELECT 1 FROM pg_database WHERE datname = '$1'" "$(print_dsn)")
  [ -n "$found" ] || "$programs/createdb" -h 127.0.0.1 -p "$port" -U postgres "$1"
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  install) have_programs ;;
  database) database "$2" ;;
  dsn) is_running || { say "it does not run; start it by: tools/postgres.sh start ${2:-}"; exit 1; }; print_dsn ;;
  status) if is_running; then echo running; else echo stopped; exit 3; fi ;;
  *) say "usage: tools/postgres.sh start | dsn | status | stop | install | database NAME [--durable]"; exit 2 ;;
esac
