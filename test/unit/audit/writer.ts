/**
 * A process that writes a trail as fast as it can, for tests that kill it or take its disk away.
 *
 * `node writer.ts FILE kill` says each decision on standard output once `write` returned, and never ends by itself.
 * With SIGNING_KEY in its environment (PEM) it signs heads.
 * `node writer.ts FILE full` writes until the file may not grow, lifts that bound on itself, and goes on.
 */
import { execFileSync } from 'node:child_process';
import { writeSync } from 'node:fs';
import { openAudit, readSigningKey } from '../../../proxy/audit/index.ts';
import { systemClock } from '../../../proxy/core/clock.ts';

const [file = '', mode = ''] = process.argv.slice(2);
const audit = await openAudit({
  file,
  key: Buffer.alloc(32, 7),
  signingKey: process.env.SIGNING_KEY === undefined ? undefined : readSigningKey(process.env.SIGNING_KEY),
  rotateBytes: 200_000,
  keep: 1_000,
  clock: systemClock,
  instance: 'writer',
  host: 'test',
});

function decide(id: number): void {
  audit.append({ event: 'completed', members: '', own: { decision_id: `d.${id - 1}`, status: 'ok' } });
  audit.write({ event: 'decided', members: '"effect":"allow"', own: { decision_id: `d.${id}` } });
}

if (mode === 'kill') {
  for (let id = 1; ; id++) {
    decide(id);
    writeSync(1, `${id}\n`);
    if (id % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

let id = 1;
const refusals: string[] = [];
while (refusals.length < 3) {
  try {
    decide(id++);
  } catch (error) {
    refusals.push(error instanceof Error && 'code' in error ? String(error.code) : String(error));
  }
}
const readyWhileFull = audit.ready;
execFileSync('prlimit', ['--fsize=unlimited', '--pid', String(process.pid)]);
while (!audit.ready) await new Promise((resolve) => setTimeout(resolve, 10));
decide(id);
await audit.close();
writeSync(1, `${JSON.stringify({ refusals, readyWhileFull, refusedIds: [id - 3, id - 2, id - 1], lastId: id })}\n`);
