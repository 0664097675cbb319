#!/usr/bin/env bash
# Builds bundles/default.tar.gz from rego/ with the pinned OPA. Takes the options of scripts/bundle.ts (--check, …).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
OPA=$(scripts/opa.sh)
export OPA
exec scripts/with-node node scripts/bundle.ts "$@"
