#!/usr/bin/env bash
# The policies: formatted, checked against the schemas and the builtins WebAssembly has, tested, and the committed
# bundle is what they build. The last line is `policies: N passed, N failed`.
# Without OPA this is skipped and said so; CI requires OPA. The same cases run in the WebAssembly bundle with the other
# tests, with OPA or without.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! opa=$(scripts/opa.sh); then
  if [ -n "${CI:-}" ]; then
    echo 'policies: 0 passed, 1 failed'
    exit 1
  fi
  echo 'policies: OPA is not to be had here, so opa fmt, check and test did not run; the policy cases still run in WebAssembly'
  echo 'policies: 0 passed, 0 failed'
  exit 0
fi

failed=0
step() {
  local title=$1
  shift
  if "$@"; then echo "ok    $title"; else
    echo "FAIL  $title"
    failed=$((failed + 1))
  fi
}

sources=(rego/main.rego rego/lib rego/policies)
formatted() {
  local files
  files=$("$opa" fmt --list "${sources[@]}") && [ -z "$files" ] || {
    echo "not formatted (opa fmt -w): $files"
    return 1
  }
}
step 'opa fmt' formatted
step 'opa check' "$opa" check --strict --schema rego/schemas "${sources[@]}"
step 'bundle is reproducible, and the committed one' env OPA="$opa" scripts/with-node node scripts/bundle.ts --check

report=$("$opa" test --format json "${sources[@]}") || true
counts=$(scripts/with-node node -e '
  let passed = 0, failed = 0;
  const text = require("node:fs").readFileSync(0, "utf8");
  for (const test of text.trim() === "" ? [] : JSON.parse(text) ?? []) {
    // A table of cases counts each of its rows.
    const rows = Object.values(test.sub_results ?? {});
    const bad = rows.filter((row) => row.fail).length;
    if (rows.length > 0) { failed += bad; passed += rows.length - bad; }
    else if (test.fail || test.error) failed += 1;
    else if (!test.skip) passed += 1;
    if (test.fail || test.error) console.error(`FAIL  ${test.package}.${test.name}`);
  }
  console.log(`${passed} ${failed}`);
' <<<"$report") || counts='0 1'
read -r tests_passed tests_failed <<<"$counts"
[ "$tests_passed" -gt 0 ] || { echo 'FAIL  opa test ran nothing'; failed=$((failed + 1)); }

echo "policies: $tests_passed passed, $((tests_failed + failed)) failed"
[ "$((tests_failed + failed))" -eq 0 ]
