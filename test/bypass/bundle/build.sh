#!/usr/bin/env bash
# Builds the bundles that the tests of test/bypass load, or with --check compares them with their source. Needs OPA.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
scripts/bundle.sh "$@" --policies test/bypass/bundle --output test/bypass/bundle/spoken.tar.gz
scripts/bundle.sh "$@" --policies test/bypass/judged --output test/bypass/judged/judged.tar.gz
