/**
 * `make check`: every step in order, all of them even after a failure, and the sum at the end.
 *   node scripts/check.ts [--only STEP,STEP] [-- JEST ARGUMENTS]
 * The last line is `N passed, N failed`: the tests of jest and OPA, and each failed step that is not a test run.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/** What a step adds to the sum. */
interface Tally {
  readonly passed: number;
  readonly failed: number;
}

interface Step {
  readonly name: string;
  readonly title: string;
  run(): Promise<Tally>;
}

const { values, positionals } = parseArgs({
  options: { only: { type: 'string' } },
  allowPositionals: true,
});

/** Runs a command with its output on ours. @returns its exit code. */
function run(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...environment } });
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(127);
    });
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** A step that passes or fails as a whole: nothing to add to the sum unless it fails. */
function whole(name: string, title: string, command: string, args: readonly string[]): Step {
  return { name, title, run: async () => ({ passed: 0, failed: (await run(command, args)) === 0 ? 0 : 1 }) };
}

/** The numbers of jest's own report; a run that gave none failed. */
async function tests(): Promise<Tally> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-check-'));
  const report = join(directory, 'jest.json');
  try {
    const code = await run('jest', ['--json', `--outputFile=${report}`, ...positionals], {
      NODE_OPTIONS: '--experimental-vm-modules --no-warnings',
    });
    const result: unknown = JSON.parse(await readFile(report, 'utf8').catch(() => '{}'));
    const passed = count(result, 'numPassedTests');
    const failed = count(result, 'numFailedTests') + count(result, 'numRuntimeErrorTestSuites');
    return { passed, failed: code !== 0 && failed === 0 ? 1 : failed };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** `scripts/policy-check.sh` ends with `policies: N passed, N failed`. */
async function policies(): Promise<Tally> {
  const lines: string[] = [];
  const code = await new Promise<number>((resolve) => {
    const child = spawn('scripts/policy-check.sh', [], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk);
      lines.push(chunk.toString('utf8'));
    });
    child.on('error', () => resolve(127));
    child.on('close', (status) => resolve(status ?? 1));
  });
  const found = /^policies: (\d+) passed, (\d+) failed$/m.exec(lines.join(''));
  const failed = Number(found?.[2] ?? 0);
  return { passed: Number(found?.[1] ?? 0), failed: code !== 0 && failed === 0 ? 1 : failed };
}

function count(report: unknown, key: string): number {
  const value = report !== null && typeof report === 'object' ? Reflect.get(report, key) : 0;
  return typeof value === 'number' ? value : 0;
}

const steps: readonly Step[] = [
  whole('lint', 'format and lint', 'biome', ['ci', ...(process.stdout.isTTY ? [] : ['--colors=off']), '.']),
  whole('types', 'types', 'tsc', ['-p', 'tsconfig.check.json']),
  whole('console', 'types of the console', 'tsc', ['-p', 'proxy/admin/console']),
  whole('build', 'build', 'tsc', ['-p', 'tsconfig.json']),
  { name: 'policies', title: 'policies and bundle', run: policies },
  { name: 'tests', title: 'tests', run: tests },
];

const only = values.only?.split(',');
const unknown = only?.filter((name) => !steps.some((step) => step.name === name)) ?? [];
if (unknown.length > 0) throw new Error(`no such step: ${unknown.join(', ')}`);

const results: { readonly step: Step; readonly tally: Tally; readonly seconds: number }[] = [];
for (const step of steps.filter(({ name }) => only?.includes(name) ?? true)) {
  console.log(`\n== ${step.title}`);
  const startMs = performance.now();
  results.push({ step, tally: await step.run(), seconds: (performance.now() - startMs) / 1000 });
}

console.log('');
for (const { step, tally, seconds } of results) {
  console.log(`${tally.failed === 0 ? 'ok  ' : 'FAIL'}  ${step.title} (${seconds.toFixed(1)} s)`);
}
const passed = results.reduce((sum, { tally }) => sum + tally.passed, 0);
const failed = results.reduce((sum, { tally }) => sum + tally.failed, 0);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
