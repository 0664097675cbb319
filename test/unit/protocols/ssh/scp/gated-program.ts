/**
 * What the real `scp -O -S` runs in place of ssh: the command that it would run on the host, here, with the gate in
 * between. The files that went over are written into the file that SCP_GATE_LOG names, one JSON a line.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { limits } from '../../../../../proxy/core/limits.ts';
import { createScpGate } from '../../../../../proxy/protocols/ssh/scp/gate.ts';

const command = process.argv.at(-1) ?? '';
const log = process.env.SCP_GATE_LOG ?? '';
const host = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'] });
const write = (line: object) => appendFileSync(log, `${JSON.stringify(line)}\n`);

const gate = createScpGate({
  direction: / -t /.test(command) ? 'upload' : 'download',
  limits,
  toHost: (bytes) => (host.stdin.write(bytes) ? undefined : once(host.stdin, 'drain').then(() => undefined)),
  toClient: (bytes) => (process.stdout.write(bytes) ? undefined : once(process.stdout, 'drain').then(() => undefined)),
  recordFile: write,
  fail: (fault) => {
    write(fault);
    host.kill();
  },
});

const exit = once(host, 'exit');
const fromHost = (async () => {
  for await (const chunk of host.stdout) await gate.fromHost(chunk);
})();
void (async () => {
  for await (const chunk of process.stdin) await gate.fromClient(chunk);
  host.stdin.end();
})();
await fromHost;
const [code] = await exit;
gate.close();
process.exit(code ?? 1);
