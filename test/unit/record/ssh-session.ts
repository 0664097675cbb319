import type { RecordFrame } from '../../../proxy/core/ports.ts';
import { fileOf, recorderAt, SteppedClock, scratch, sessionId } from './support.ts';

const euro = Buffer.from('€');

/** Frames, and how many milliseconds passed before each, of a session with most of what can happen in one over SSH. */
export const sshFrames: readonly (readonly [ms: number, frame: RecordFrame])[] = [
  [0, { decisionId: 'd.1', kind: 'command', data: { kind: 'exec', text: 'ls\n# \u001b[2J', pty: null } }],
  [1_500, { decisionId: 'd.1', kind: 'stdout', data: Buffer.concat([Buffer.from('one\ntwo '), euro.subarray(0, 1)]) }],
  [0, { decisionId: 'd.1', kind: 'stderr', data: Buffer.from('warn\r') }],
  [0, { decisionId: 'd.1', kind: 'stderr', data: Buffer.from('\n') }],
  [250, { decisionId: 'd.1', kind: 'stdout', data: Buffer.concat([euro.subarray(1), Buffer.from([0xff])]) }],
  [0, { decisionId: 'd.1', kind: 'exit', data: { status: 2, signal: null, bytes: 20, masked: 1 } }],
  [1_000, { decisionId: 'd.2', kind: 'command', data: { kind: 'exec', text: 'rm -rf /', pty: null } }],
  [0, { decisionId: 'd.2', kind: 'refused', data: { code: 'exec_unknown', policy: 'hosts', message: 'No.' } }],
  [
    5_000,
    {
      decisionId: 'd.3',
      kind: 'command',
      data: { kind: 'shell', text: '', pty: { cols: 100, rows: 30, term: 'xterm' } },
    },
  ],
  [10, { decisionId: 'd.3', kind: 'stdout', data: Buffer.from('\u001b]0;t\u0007$ \u001b[1mhi\u001b[0m\n\r\n') }],
  [10, { decisionId: 'd.3', kind: 'resize', data: { cols: 120, rows: 40 } }],
  [0, { decisionId: 'd.3', kind: 'truncated', data: { stream: 'stdout', why: 'bound' } }],
  [
    30,
    {
      decisionId: 'd.3',
      kind: 'exit',
      data: { status: null, signal: 'TERM', bytes: 9, unrecorded: [{ stream: 'stdout', bytes: 5, sha256: 'ab' }] },
    },
  ],
  [
    0,
    {
      decisionId: 'd.4',
      kind: 'transfer',
      data: { protocol: 'sftp', path: '/tmp/a', direction: 'upload', bytes: 3, sha256: 'cd', complete: false },
    },
  ],
  [
    0,
    {
      decisionId: 'd.5',
      kind: 'forwarded',
      data: { host: 'db', port: 5432, bytes_up: 1, bytes_down: 2, sha256_up: 'a', sha256_down: 'b' },
    },
  ],
];

/** Records frames as a session over SSH, and closes it. @returns the file */
export async function recordedSsh(frames = sshFrames): Promise<string> {
  const directory = scratch();
  const clock = new SteppedClock();
  const { recorder } = recorderAt(directory, clock);
  const header = { upstream: 'web1', subject: { id: 'triage-bot' }, started_at: '2026-11-22T09:00:00.000Z' };
  const session = recorder.open({ id: sessionId, protocol: 'ssh', header });
  for (const [ms, frame] of frames) {
    clock.ms += ms;
    session.frame(frame);
  }
  await session.close({ status: 'ok' });
  return fileOf(directory);
}
