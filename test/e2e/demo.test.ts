import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { inPath, lacking } from '../../scripts/demo/host.ts';

const repository = join(import.meta.dirname, '../..');
let parent: string;
let directory: string;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'sallyport-demo-'));
  directory = join(parent, 'demo');
});
afterEach(() => rm(parent, { recursive: true, force: true }));

/** Runs the story to its end. @returns what it told */
async function run(
  options: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = spawn(process.execPath, ['scripts/demo/main.ts', '--once', '--directory', directory, ...options], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', ...environment },
  });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
  }
  const [code] = await once(child, 'close');
  expect({ code, differences: told.match(/(.*\n){0,12}.*DIFFERS.*/g), told }).toMatchObject({
    code: 0,
    differences: null,
  });
  expect(told).toContain('Every step went as it should.');
  // What it started it also removed.
  expect(existsSync(directory)).toBe(false);
  return told;
}

/** A folder with every program of this machine but some. */
async function linkPrograms(folder: string, without: readonly string[]): Promise<void> {
  await mkdir(folder);
  const seen = new Set(without);
  for (const place of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of await readdir(place).catch(() => [])) {
      if (seen.has(name)) continue;
      seen.add(name);
      await symlink(join(place, name), join(folder, name));
    }
  }
}

test('the demo tells its story, and each step goes as it should', async () => {
  const told = await run();
  expect(told).toContain('***@example.com');
  expect(told).not.toContain('oidc-provider');
  if (process.env.CI === 'true') expect(inPath('psql')).toBe(true);
  if (inPath('psql')) {
    expect(told).toMatch(/NOTICE: .*Approval \w+ was asked of dba/);
    expect(told).toMatch(/look +http:\/\/127\.0\.0\.1:\d+\/approvals\/(\w+) .*\n.*approvals approve \1 --reason/);
    expect(told).toMatch(/ is approved\n +DELETE 1\n/);
    const step = (title: string) => told.slice(told.indexOf(`\n${title}  `)).split('\n\n')[0];
    const events = step('A DELETE that waits for a person')?.match(/"(event":"held|what":"\w+)"/g);
    expect(events?.map((event) => event.split('"')[3])).toEqual(['filed', 'held', 'voted', 'used']);
    expect(step('The same once more')).toMatch(/ is denied\n +ERROR: .*Keep this one\./);
    expect(step('And again')).toContain('(1 row)');
    expect(step('What was recorded of the one that ran')).toMatch(/> DELETE FROM.*\n.*< ok DELETE 1/);
  } else expect(told).toContain('This machine lacks psql.');
  expect(told).toMatch(/\n +signed +\d+ head/);
  expect(told).toContain('every part is what the gateway wrote');
  const absent = lacking(directory);
  if (process.env.CI === 'true') expect(absent).toBeUndefined();
  if (absent !== undefined) {
    expect(told).toContain(absent);
    return;
  }
  expect(told).toMatch(/there now is a certificate for \S+#support-agent, for [1-9]\d* more minutes: web1\n/);
  expect(told.match(/ receipt sent to .*/g)).toEqual([' receipt sent to [redacted]', ' receipt sent to [redacted]']);
  expect(told).toMatch(
    /'sudo systemctl restart app'\n +sallyport: refused: .*run_as_other.*\n.*\n.*\n {2}refused exit 126\n/,
  );
  for (const title of [
    'Reading a private key',
    'Becoming root, spelled in another way',
    'Reading the key by a name that nobody sees',
    'On to the next host',
    'A script with one bad line',
  ]) {
    expect(told.slice(told.indexOf(`\n${title}  `)).split('\n\n')[0]).toContain('refused exit 126');
  }
  expect(told).toContain('lines of INFO:\n          3\n');
  expect(told.slice(told.indexOf('\nThe database through a tunnel'))).toContain('***4321');
  expect(told).toMatch(/replay \w+ --config \S+\n.*> tail -n 3 app\/app\.log/);
}, 180_000);

test('where there is no sshd, no curl and no psql, it says how to get them and goes on', async () => {
  const path = join(parent, 'bin');
  await linkPrograms(path, ['curl', 'psql']);
  const told = await run(['--without-sshd'], { PATH: path });
  expect(told).toContain('This machine lacks sshd. Debian, Ubuntu: sudo apt-get install openssh-server');
  expect(told).not.toContain('ssh -F');
  for (const program of ['curl', 'psql']) expect(told).toContain(`This machine lacks ${program}.`);
  expect(told).not.toMatch(/agent +curl/);
  expect(told).toContain('MCP: the tools of a server');
  expect(told).toContain('The evidence');
}, 120_000);
