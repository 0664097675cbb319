import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import { readRecording, recordingKey } from '../../../proxy/record/index.ts';
import { collect, fileOf, recorderAt, SteppedClock, scratch, sessionInit } from './support.ts';

const key = recordingKey(randomBytes(32));
const marker = 'the-secret-of-this-test';

/** A recording of several segments. */
async function recorded(segments = 3): Promise<string> {
  const directory = scratch();
  const { recorder } = recorderAt(directory, new SteppedClock(), key);
  const session = recorder.open(sessionInit());
  for (let index = 0; index < segments; index++) {
    session.frame({ kind: 'statement', decisionId: `d.${index}`, data: { text: marker } });
    session.frame({ kind: 'rows', decisionId: `d.${index}`, data: Buffer.alloc(limits.recordSegmentBytes, marker) });
  }
  await session.close({ status: 'ok' });
  return fileOf(directory);
}

describe('an encrypted recording', () => {
  test('gives back every frame with its key, also when a frame is larger than a segment', async () => {
    const frames = await collect(readRecording(await recorded(), [recordingKey(randomBytes(32)), key]));
    expect(frames.map(({ kind }) => kind)).toEqual(['header', ...Array(3).fill(['statement', 'rows']).flat(), 'end']);
    expect(frames[1]?.data).toEqual({ text: marker });
    expect(Buffer.from(frames[2]?.data as Uint8Array).equals(Buffer.alloc(limits.recordSegmentBytes, marker))).toBe(
      true,
    );
  });

  test('holds nothing in clear but its header, which names the key', async () => {
    const bytes = readFileSync(await recorded());
    expect(bytes.includes(marker)).toBe(false);
    expect(bytes.includes('"status":"ok"')).toBe(false);
    const header = JSON.parse(bytes.subarray(0, bytes.indexOf(10)).toString());
    expect(header).toMatchObject({ version: 2, encryption: { cipher: 'aes-256-gcm', key_id: key.id } });
  });

  test('cannot be read without its key, and says which one it needs', async () => {
    const file = await recorded();
    await expect(collect(readRecording(file))).rejects.toThrow(`encrypted with the key ${key.id}`);
    await expect(collect(readRecording(file, [recordingKey(randomBytes(32))]))).rejects.toThrow('which was not given');
  });

  test('two recordings of the same never look alike: each has a key of its own', async () => {
    const [a, b] = [readFileSync(await recorded()), readFileSync(await recorded())];
    expect(a.subarray(-64).equals(b.subarray(-64))).toBe(false);
    expect(a.toString('latin1').split('wrapped_key')[1]).not.toBe(b.toString('latin1').split('wrapped_key')[1]);
  });

  test('that a crash cut short gives what is whole, and then says so', async () => {
    const file = await recorded();
    truncateSync(file, readFileSync(file).length - 50);
    const frames = await collect(readRecording(file, [key]));
    expect(frames.at(-1)?.kind).toBe('cut');
    expect(frames.filter(({ kind }) => kind === 'rows').length).toBeGreaterThan(1);
  });

  test('that somebody changed is found although they computed all digests anew', async () => {
    const file = await recorded(1);
    const bytes = readFileSync(file);
    const start = bytes.indexOf(10) + 1;
    const length = bytes.readUInt32BE(start + 8);
    const end = start + 12 + length;
    for (const offset of [start + 12, start + 40, end - 1]) {
      const changed = Buffer.from(bytes);
      changed[offset] = (changed[offset] ?? 0) ^ 1;
      const previous = createHash('sha256').update(changed.subarray(0, start)).digest();
      createHash('sha256').update(previous).update(changed.subarray(start, end)).digest().copy(changed, end);
      writeFileSync(file, changed);
      await expect(collect(readRecording(file, [key]))).rejects.toThrow(/segment \d+ is damaged/);
    }
  });

  test('whose header was put on another session does not open', async () => {
    const file = await recorded();
    writeFileSync(file, readFileSync(file, 'latin1').replace('01JABC', '01JABD'), 'latin1');
    await expect(collect(readRecording(file, [key]))).rejects.toThrow(/does not open/);
  });
});

test('a short secret encrypts nothing', () => {
  expect(() => recordingKey(randomBytes(31))).toThrow(/31 bytes/);
});
