/** Programs that a test needs and that may be missing from a machine. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';

/**
 * A block of tests that need programs of PATH. Where one is missing the block is skipped under a name that says which;
 * in CI that is a failure.
 *
 * @param missing - what else was found to be missing
 */
export function describeTools(names: readonly string[], missing: readonly string[], tests: () => void): void {
  const lacking = lackingOf(names, missing);
  const title = names.join(', ');
  if (lacking.length === 0) {
    describe(title, tests);
  } else if (process.env.CI === 'true') {
    test(`${title}: required in CI`, () => {
      throw new Error(`${lacking.join(', ')}: not installed; scripts/ci-install.sh installs them`);
    });
  } else {
    test.skip(`${title}: skipped, ${lacking.join(', ')} not installed`, () => {});
  }
}

/**
 * `test`, for one that needs programs of PATH and says so in its title: skipped where one is missing, and never in CI.
 *
 * @param missing - what else was found to be missing
 */
export function testWith(names: readonly string[], missing: readonly string[] = []): typeof test | typeof test.skip {
  return lackingOf(names, missing).length === 0 || process.env.CI === 'true' ? test : test.skip;
}

function lackingOf(names: readonly string[], missing: readonly string[]): readonly string[] {
  return [...names.filter((name) => !inPath(name)), ...missing];
}

function inPath(name: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
