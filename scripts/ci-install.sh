#!/usr/bin/env bash
# What CI needs of Debian and npm has not. For PostgreSQL: psql, pg_dump, pg_restore and pgbench, and the server of their
# own major, because psql and pg_dump do not speak to a newer one. For SSH: OpenSSH on both ends, rsync and git, and for
# test/bypass the shells, and strace and bubblewrap to see what a command does where it can do no harm. For HTTP: curl, and
# nginx and Python as upstreams. For the console, Chromium. Idempotent; leaves no server running. Anywhere but as root on Debian it changes nothing, says so, and ends with 0: the tests that need a
# program then name it and skip.
set -euo pipefail

# The tools of the newest server that is installed, as Debian lays them out.
installed() {
  local bin
  for bin in /usr/lib/postgresql/*/bin; do
    [ -x "$bin/postgres" ] && [ -x "$bin/pgbench" ] && [ -x "$bin/psql" ] && [ -x "$bin/pg_dump" ] && return 0
  done
  return 1
}

# The packages of the programs for SSH and HTTP that are not here.
missing() {
  local program
  for program in strace:strace bwrap:bubblewrap sshd:openssh-server ssh:openssh-client rsync:rsync git:git \
    dash:dash busybox:busybox zsh:zsh curl:curl nginx:nginx python3:python3 chromium:chromium; do
    PATH=$PATH:/usr/sbin command -v "${program%%:*}" >/dev/null || echo "${program#*:}"
  done
}

mapfile -t packages < <(missing)
if installed && [ ${#packages[@]} -eq 0 ]; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  installed || echo 'ci-install: not root on Debian: PostgreSQL clients are not installed'
  [ ${#packages[@]} -eq 0 ] || echo "ci-install: not root on Debian: not installed: ${packages[*]}"
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
if [ ${#packages[@]} -gt 0 ]; then
  # The tests start servers of their own: Debian's sshd and nginx stay down.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$log" "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  apt install -y -q --no-install-recommends "${packages[@]}"
  mapfile -t packages < <(missing)
  [ ${#packages[@]} -eq 0 ] || {
    echo "ci-install: the packages are installed, and their programs are not in PATH: ${packages[*]}" >&2
    exit 1
  }
fi
if ! installed; then
  apt install -y -q --no-install-recommends postgresql-common
  # The tests start servers of their own: no cluster beside them.
  sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  apt install -y -q --no-install-recommends postgresql postgresql-client
  installed || {
    echo 'ci-install: the packages are installed, and the programs are not where Debian puts them' >&2
    exit 1
  }
fi
