import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import {
  createRecorder,
  type Frame,
  parseRecording,
  type Recorder,
  type RecorderOptions,
  RecordingIndex,
  type RecordingKey,
} from '../../../proxy/record/index.ts';

/** A clock that only moves when told to. */
export class SteppedClock {
  ms = Date.parse('2026-11-22T09:00:00.000Z');
  nowMs = (): number => this.ms;
  monotonicMs = (): number => this.ms;
}

const cleanups: (() => unknown)[] = [];

/** Runs after the test, last registered first. */
export function later(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

afterEach(async () => {
  for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop()) await cleanup();
});

export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-record-'));
  later(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function recorderAt(
  directory: string,
  clock = new SteppedClock(),
  key?: RecordingKey,
  sealed?: RecorderOptions['sealed'],
): { recorder: Recorder; errors: Error[]; index: RecordingIndex } {
  const errors: Error[] = [];
  const onError = (error: Error) => errors.push(error);
  const index = new RecordingIndex(directory, onError);
  const recorder = createRecorder({ directory, clock, key, index, sealed, onError });
  later(() => recorder.close());
  return { recorder, errors, index };
}

export const sessionId = '01JABCDEFGHJKMNPQRSTVWXYZ0';

export function sessionInit(id = sessionId) {
  return { id, protocol: 'postgres', header: { upstream: 'orders', subject: { id: 'triage-bot' } } };
}

/** The file of a session, on the day of {@link SteppedClock}. */
export function fileOf(directory: string, id = sessionId): string {
  const [day = ''] = readdirSync(directory).filter((name) => /^\d{4}-\d\d-\d\d$/.test(name));
  return join(directory, day, `${id}.sprec`);
}

export async function collect(frames: AsyncIterable<Frame>): Promise<Frame[]> {
  const all: Frame[] = [];
  for await (const frame of frames) all.push(frame);
  return all;
}

/** Reads bytes as if they came in pieces cut at these offsets. */
export function readPieces(bytes: Buffer, ...cuts: number[]): Promise<Frame[]> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const edges = [0, ...cuts, bytes.length];
    for (const [index, edge] of edges.slice(0, -1).entries()) yield bytes.subarray(edge, edges[index + 1]);
  }
  return collect(parseRecording(pieces()));
}
