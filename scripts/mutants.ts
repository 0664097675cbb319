/**
 * `make mutants`: switches the named defences off, one at a time, in a copy of the repository, and expects the evasions
 * of `test/bypass/`, or the tests beside the code, to notice. A defence that can go without a test noticing is one that will.
 *   node scripts/mutants.ts [--only TEXT]… [--list]
 * The last line is `N passed, N failed`; a mutant that survives is a failure, and so is one that only breaks everything.
 */
import { parseArgs } from 'node:util';
import { sharedPostgresVariable, startPostgres } from '../test/support/postgres.ts';
import { type Copy, copyRepository } from './mutants/copy.ts';
import { mutants } from './mutants/list.ts';
import type { Mutant } from './mutants/mutant.ts';
import { runTests } from './mutants/run-tests.ts';

const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true }, list: { type: 'boolean', default: false } },
});
/** Copies in use at once, each with a gateway of its own in front of one server. */
const copiesMax = 2;

const texts = values.only ?? [''];
const chosen = mutants.filter(({ name, file }) => texts.some((text) => `${name} ${file}`.includes(text)));
if (values.list) {
  for (const { name, file } of chosen) console.log(`${file}: ${name}`);
  process.exit(0);
}

/** Noticed: some test failed, and some still passed, so that it was the defence and not the whole that broke. */
async function judge(copy: Copy, mutant: Mutant, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const restore = await copy.apply(mutant);
  try {
    const { passed, failed, broken } = await runTests(copy.directory, mutant.tests, mutant.only, environment);
    if (broken !== undefined) return `says nothing: ${broken}`;
    if (failed.length === 0) return `SURVIVES ${passed} tests`;
    if (passed === 0) return `breaks all ${failed.length} tests: nothing shows that it was the defence`;
    console.log(`ok       ${mutant.name}\n         ${failed.length} of ${failed.length + passed}: ${failed[0]}`);
    return undefined;
  } finally {
    await restore();
  }
}

/** Nothing is switched off: what fails here would prove nothing later. */
async function control(copy: Copy, environment: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const files = [...new Set(chosen.flatMap(({ tests }) => tests))];
  const { failed, broken } = await runTests(copy.directory, files, undefined, environment);
  return broken === undefined ? failed : [broken];
}

/** One PostgreSQL for all tests of its path; the others have what they need. */
async function postgres(): Promise<{ readonly environment: NodeJS.ProcessEnv; readonly stop: () => Promise<void> }> {
  const needed = chosen.some(({ tests }) => !tests.every((name) => name.includes('/') || name.startsWith('ssh-')));
  if (!needed) return { environment: {}, stop: async () => {} };
  const { stop, host, port, user, password, ca, clientCertificate } = await startPostgres({ exclusive: true });
  const shared = JSON.stringify({ host, port, user, password, ca, clientCertificate });
  return { environment: { [sharedPostgresVariable]: shared }, stop };
}

const { environment, stop } = await postgres();
const copies = await Promise.all(Array.from({ length: Math.min(copiesMax, chosen.length) }, copyRepository));
let passed = 0;
let failed = 0;
try {
  const [first] = copies;
  const already = first === undefined ? [] : await control(first, environment);
  for (const title of already) console.log(`FAIL     with nothing switched off: ${title}`);
  failed += already.length;
  const queue = already.length === 0 ? [...chosen] : [];
  await Promise.all(
    copies.map(async (copy) => {
      for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
        const { name, file } = mutant;
        const why = await judge(copy, mutant, environment).catch((error: unknown) => String(error));
        if (why === undefined) passed += 1;
        else {
          failed += 1;
          console.log(`FAIL     ${name} (${file})\n         ${why}`);
        }
      }
    }),
  );
} finally {
  for (const copy of copies) await copy.remove();
  await stop();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
