import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** What became of some tests. */
export interface TestRun {
  readonly passed: number;
  /** The titles of those that failed. */
  readonly failed: readonly string[];
  /** Why it says nothing at all: a file that could not be loaded, no test that matched, too long. */
  readonly broken: string | undefined;
}

/** How long one file of tests may take. */
const timeoutMs = 300_000;

/** Where a test file is that a mutant names: below `test/`, in `bypass/` unless it says another folder. */
export function pathOf(name: string): string {
  return `test/${name.includes('/') ? name : `bypass/${name}`}.test.ts`;
}

/** Runs test files in a copy, in one process. */
export async function runTests(
  directory: string,
  files: readonly string[],
  only: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<TestRun> {
  const report = join(directory, 'mutants-report.json');
  await rm(report, { force: true });
  const args = [
    join(directory, 'node_modules/jest/bin/jest.js'),
    '--json',
    `--outputFile=${report}`,
    '--runInBand',
    '--forceExit',
    '--testTimeout=20000',
    ...(only === undefined ? [] : [`--testNamePattern=${only}`]),
    '--runTestsByPath',
    ...files.map(pathOf),
  ];
  const child = spawn(process.execPath, args, {
    cwd: directory,
    stdio: 'ignore',
    env: { ...process.env, ...environment, NODE_OPTIONS: '--experimental-vm-modules --no-warnings' },
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, files.length * timeoutMs);
  await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  if (late) return { passed: 0, failed: [], broken: `no end within ${(files.length * timeoutMs) / 1000} s` };
  return readReport(await readFile(report, 'utf8').catch(() => '{}'));
}

function readReport(text: string): TestRun {
  const report: unknown = JSON.parse(text);
  const suites = list(report, 'testResults');
  const tests = suites.flatMap((suite) => list(suite, 'assertionResults'));
  const failed = tests.filter((one) => field(one, 'status') === 'failed').map((one) => String(field(one, 'fullName')));
  const passed = tests.filter((one) => field(one, 'status') === 'passed').length;
  const unloaded = suites.find((suite) => list(suite, 'assertionResults').length === 0);
  if (suites.length === 0) return { passed, failed, broken: 'jest gave no report' };
  if (unloaded !== undefined) return { passed, failed, broken: firstLine(String(field(unloaded, 'message'))) };
  if (passed + failed.length === 0) return { passed, failed, broken: 'no test matched' };
  return { passed, failed, broken: undefined };
}

function firstLine(text: string): string {
  return (
    text.split('\n').find((line) => /\w/.test(line) && !line.includes('Test suite failed')) ?? 'a file did not load'
  );
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function list(value: unknown, name: string): readonly unknown[] {
  const found = field(value, name);
  return Array.isArray(found) ? found : [];
}
