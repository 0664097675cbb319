import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

const repository = join(import.meta.dirname, '../..');
let prepared: TestGateway;

// Everything a gateway needs, as files; the gateway itself gives its place to the processes under test.
beforeAll(async () => {
  prepared = await startTestGateway();
  await prepared.gateway.close();
});
afterAll(() => prepared.stop());

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** `sallyport` as a process of its own. */
function sallyport(args: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(repository, 'proxy/cli/main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', ...environment },
  });
  children.push(child);
  const lines: string[] = [];
  let notify = () => {};
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    notify();
  });
  const exit = once(child, 'close').then(([code]): unknown => code);
  return {
    child,
    lines,
    exit,
    /** The first line that says this. */
    async said(message: string): Promise<string> {
      for (;;) {
        const line = lines.find((one) => one.includes(message));
        if (line !== undefined) return line;
        const more = new Promise<void>((resolve) => {
          notify = resolve;
        });
        const ended = await Promise.race([more.then(() => false), exit.then(() => true)]);
        if (ended && !lines.some((one) => one.includes(message))) throw new Error(`never said: ${lines.join('\n')}`);
      }
    },
  };
}

const serve = (environment?: Record<string, string>) =>
  sallyport(['serve', '--config', prepared.files.configFile], environment);

test('serves until SIGTERM, and then ends with 0', async () => {
  const gateway = serve();
  const { port } = JSON.parse(await gateway.said('"message":"listening"'));
  expect(port).toBeGreaterThan(0);
  await gateway.said('"message":"serving"');
  gateway.child.kill('SIGTERM');
  expect(await gateway.exit).toBe(0);
  expect(gateway.lines.at(-1)).toContain('"message":"stopped"');
});

test('reloads on SIGHUP, and says when it could not', async () => {
  const gateway = serve();
  await gateway.said('"message":"serving"');
  gateway.child.kill('SIGHUP');
  await gateway.said('"message":"reloaded"');
  const certificate = await readFile(prepared.files.certificateFile);
  await writeFile(prepared.files.certificateFile, 'nothing');
  gateway.child.kill('SIGHUP');
  await gateway.said('reload failed');
  await writeFile(prepared.files.certificateFile, certificate);
  gateway.child.kill('SIGTERM');
  expect(await gateway.exit).toBe(0);
});

test('every line it logs is JSON, and none holds a secret', async () => {
  const gateway = serve();
  await gateway.said('"message":"serving"');
  gateway.child.kill('SIGTERM');
  await gateway.exit;
  const folder = join(prepared.files.configFile, '../keys');
  const secrets = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
  expect(secrets.length).toBeGreaterThan(3);
  for (const line of gateway.lines) {
    expect(JSON.parse(line)).toHaveProperty('message');
    for (const secret of secrets) expect(line).not.toContain(secret.trim());
  }
});

test('a second gateway on the same trail does not start', async () => {
  const first = serve();
  await first.said('"message":"serving"');
  const second = serve();
  expect(await second.exit).toBe(1);
  expect(second.lines.join('\n')).toContain('audit');
  first.child.kill('SIGTERM');
  expect(await first.exit).toBe(0);
});

test('a configuration that does not hold is told with file, line and key, before anything starts', async () => {
  const broken = `${prepared.files.configFile}.broken`;
  await writeFile(broken, (await readFile(prepared.files.configFile, 'utf8')).replace('record:', 'recrod:'));
  const gateway = sallyport(['serve', '--config', broken]);
  expect(await gateway.exit).toBe(1);
  expect(gateway.lines.join('\n')).toMatch(/broken:\d+:1: recrod: is not a known key/);
});

test('check says whether a file holds', async () => {
  const checked = sallyport(['check', '--config', prepared.files.configFile]);
  let said = '';
  checked.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  expect(await checked.exit).toBe(0);
  expect(said).toContain('holds: 1 listener(s), 1 upstream(s)');
});

test.each(['exception', 'rejection'])(
  'an error that nothing caught (%s) is logged and ends the process',
  async (kind) => {
    const preload =
      kind === 'exception'
        ? "process.on('SIGUSR2', () => { throw new Error('boom eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.x') })"
        : "process.on('SIGUSR2', () => { Promise.reject(new Error('boom eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.x')) })";
    const gateway = serve({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}` });
    await gateway.said('"message":"serving"');
    gateway.child.kill('SIGUSR2');
    expect(await gateway.exit).toBe(1);
    const line = await gateway.said('an error that nothing caught');
    expect(line).toContain(`"origin":"${kind}"`);
    expect(line).toContain('boom [redacted]');
  },
);
