#!/usr/bin/env bash
# Prints the path of the pinned OPA, getting it into .tools/ when it is missing. Exits 1 with a sentence when it cannot.
# Tried in order: PATH, .tools/opa, the release asset (where its hash is pinned below), `go install`.
# OPA is needed to author policy, never to run the gateway.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=1.22.2 # the only place that says which

# SHA-256 of the release assets, from the .sha256 file beside each. An empty hash is never downloaded: `go install`
# is used instead, which Go's own checksum database verifies.
sha256_linux_amd64_static=
sha256_linux_arm64_static=
sha256_darwin_amd64=
sha256_darwin_arm64_static=

say() { printf 'opa: %s\n' "$*" >&2; }

fits() { [ "$("$1" version 2>/dev/null | awk '/^Version:/{print $2; exit}')" = "$version" ]; }

found=$(command -v opa || true)
if [ -n "$found" ] && fits "$found"; then
  printf '%s\n' "$found"
  exit 0
fi
tool="$root/.tools/opa"
if [ -x "$tool" ] && fits "$tool"; then
  printf '%s\n' "$tool"
  exit 0
fi
mkdir -p "$root/.tools"
scratch=$(mktemp -d "$root/.tools/opa-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

asset() {
  local os arch
  case "$(uname -s)" in Linux) os=linux ;; Darwin) os=darwin ;; *) return 1 ;; esac
  case "$(uname -m)" in x86_64 | amd64) arch=amd64 ;; aarch64 | arm64) arch=arm64 ;; *) return 1 ;; esac
  if [ "$os-$arch" = darwin-amd64 ]; then printf 'darwin_amd64'; else printf '%s_%s_static' "$os" "$arch"; fi
}

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

download() {
  local name hash_variable hash
  name=$(asset) || return 1
  hash_variable="sha256_$name"
  hash=${!hash_variable:-}
  [ -n "$hash" ] && command -v curl >/dev/null || return 1
  say "fetching $version for $name"
  curl -fsSL --max-time 300 -o "$scratch/opa" \
    "https://github.com/open-policy-agent/opa/releases/download/v$version/opa_$name" || return 1
  [ "$(sha256 "$scratch/opa")" = "$hash" ] || { say 'the download does not have the pinned hash'; exit 1; }
  chmod +x "$scratch/opa"
}

build() {
  command -v go >/dev/null || return 1
  say "building $version with go install (a few minutes)"
  CGO_ENABLED=0 GOBIN="$scratch" GOFLAGS="${GOFLAGS:+$GOFLAGS }-trimpath" \
    go install "github.com/open-policy-agent/opa@v$version" >&2 || return 1
}

if { download || build; } && fits "$scratch/opa"; then
  mv -f "$scratch/opa" "$tool"
  printf '%s\n' "$tool"
  exit 0
fi
say "OPA $version is not on PATH, its release could not be fetched, and Go is not there to build it"
say "install it from https://github.com/open-policy-agent/opa/releases/tag/v$version and try again"
exit 1
