#!/usr/bin/env bash
# Builds bundles/default.tar.gz from rego/ with the pinned OPA. ARGS as of scripts/bundle.ts (--check, --signing-key …).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
OPA=$(scripts/opa.sh) exec node scripts/bundle.ts "$@"
