#!/usr/bin/env bash
# Builds the bundle that the tests of test/bypass load, or with --check compares it with its source. Needs OPA.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
exec scripts/bundle.sh "$@" --policies test/bypass/bundle --output test/bypass/bundle/spoken.tar.gz
