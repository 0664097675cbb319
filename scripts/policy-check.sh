#!/usr/bin/env bash
# Everything about the policies that needs OPA: format, strict check against the schemas, tests, and that the
# committed bundle is what rego/ builds. Where OPA cannot be had it says so and passes: the same cases run through the
# committed WebAssembly in `make test`. With CI=true OPA is required. Ends with `policies: N passed, N failed`.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! OPA=$(scripts/opa.sh); then
  if [ "${CI:-}" = true ]; then
    echo 'policies: OPA is required in CI'
    echo 'policies: 0 passed, 1 failed'
    exit 1
  fi
  echo 'policies: without OPA, formatting, schema checks and the comparison with `opa eval` are SKIPPED;'
  echo 'policies: the policy cases run through the committed WebAssembly bundle only, with the tests'
  echo 'policies: 0 passed, 0 failed'
  exit 0
fi
export OPA

failed=0
step() { # TITLE COMMAND…
  local title=$1
  shift
  if "$@"; then echo "ok    $title"; else echo "FAIL  $title"; failed=$((failed + 1)); fi
}

tests() {
  local output status
  # The schemas and capabilities are JSON too, and would be loaded as data. One test is every case of every policy.
  output=$("$OPA" test rego --timeout 120s --ignore schemas --ignore capabilities.json 2>&1)
  status=$?
  [ "$status" -eq 0 ] || printf '%s\n' "$output"
  passed=$(sed -n 's/^PASS: \([0-9]*\)\/.*/\1/p' <<<"$output")
  local broken
  broken=$(sed -n 's/^\(FAIL\|ERROR\): \([0-9]*\)\/.*/\2/p' <<<"$output" | paste -sd+ - | sed 's/^$/0/')
  failed=$((failed + ${broken:-0}))
  # Not a failed test but no run at all.
  [ "$status" -eq 0 ] || [ "$((${broken:-0}))" -gt 0 ] || failed=$((failed + 1))
  echo "opa test: ${passed:-0} passed, $((${broken:-0})) failed"
}

passed=0
step 'opa fmt' "$OPA" fmt --diff --fail rego test/unit/policy/fixtures
step 'opa check' "$OPA" check --strict --capabilities rego/capabilities.json --schema rego/schemas rego
tests
step 'the committed bundle is what rego/ builds' scripts/bundle.sh --check
step 'so are the bundles that tests load' test/unit/policy/fixtures/build.sh --check
echo "policies: ${passed:-0} passed, $failed failed"
[ "$failed" -eq 0 ]
