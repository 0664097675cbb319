/**
 * A process that records until it is killed: `node writer.ts DIRECTORY SESSION`. It says how many frames are in the file
 * at least.
 */
import { readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../../proxy/core/clock.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { createRecorder } from '../../../proxy/record/index.ts';

const [directory = '', id = ''] = process.argv.slice(2);
const recorder = createRecorder({
  directory,
  clock: systemClock,
  onError: (error) => writeSync(2, `${error.message}\n`),
});
const session = recorder.open({ id, protocol: 'postgres', header: {} });
const file = join(directory, readdirSync(directory)[0] ?? '', `${id}.sprec`);

/** More than a frame takes, with its share of its segment. */
const frameBytesMax = 160;

for (let frames = 0; ; ) {
  for (let index = 0; index < 500; index++) {
    session.frame({ kind: 'statement', decisionId: `d.${frames}`, data: { id: frames, text: 'x'.repeat(90) } });
    frames += 1;
  }
  await session.drained;
  await new Promise((resolve) => setImmediate(resolve));
  // The last segment may be in the file in part.
  const wholeBytes = Math.max(0, statSync(file).size - limits.recordSegmentBytes);
  writeSync(1, `${Math.floor(wholeBytes / frameBytesMax)}\n`);
}
