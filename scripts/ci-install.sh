#!/usr/bin/env bash
# What CI needs of Debian and npm has not: psql, pg_dump, pg_restore and pgbench, and the server of their own major,
# because psql and pg_dump do not speak to a newer one. Idempotent; leaves no server running. Anywhere but as root on
# Debian it changes nothing, says so, and ends with 0: the tests that need a client then name it and skip.
set -euo pipefail

# The tools of the newest server that is installed, as Debian lays them out.
installed() {
  local bin
  for bin in /usr/lib/postgresql/*/bin; do
    [ -x "$bin/postgres" ] && [ -x "$bin/pgbench" ] && [ -x "$bin/psql" ] && [ -x "$bin/pg_dump" ] && return 0
  done
  return 1
}

if installed; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo 'ci-install: not root on Debian: PostgreSQL clients are not installed'
  exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt() {
  apt-get "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    return 1
  }
}

apt update -q
apt install -y -q --no-install-recommends postgresql-common
# The tests start servers of their own: no cluster beside them.
sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
apt install -y -q --no-install-recommends postgresql postgresql-client
installed || {
  echo 'ci-install: the packages are installed, and the programs are not where Debian puts them' >&2
  exit 1
}
