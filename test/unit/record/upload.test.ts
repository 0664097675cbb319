import { createHash } from 'node:crypto';
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  type BucketOptions,
  type RecordingEntry,
  RecordingIndex,
  RecordingUpload,
  recordingKey,
  S3Bucket,
} from '../../../proxy/record/index.ts';
import { S3Server, s3Programs } from '../../support/s3.ts';
import { fileOf, later, recorderAt, SteppedClock, scratch, sessionId, sessionInit } from './support.ts';

const key = recordingKey(Buffer.alloc(32, 5));
const idOf = (number: number) => `${sessionId.slice(0, -2)}0${number}`;
const keyOf = (number: number) => `team/gateway-1/2026-11-22/${idOf(number)}.sprec`;

let directory = '';
const clock = new SteppedClock();

beforeEach(() => {
  directory = scratch();
});

function sessionOf(number: number) {
  const { header, ...init } = sessionInit(idOf(number));
  return { ...init, header: { ...header, started_at: new Date(clock.ms).toISOString() } };
}

/** What another reader of the index finds. */
function entryOf(number: number): RecordingEntry {
  const entry = new RecordingIndex(directory, () => {}).get(idOf(number));
  if (entry === undefined) throw new Error(`the index does not know ${number}`);
  return entry;
}

/** An index that tells when something is uploaded. */
class WatchedIndex extends RecordingIndex {
  readonly #waiting = new Set<() => void>();

  override uploaded(session: string, uploadedAt: string): void {
    super.uploaded(session, uploadedAt);
    for (const look of this.#waiting) look();
  }

  /** Settles once these are uploaded. */
  untilUploaded(...numbers: number[]): Promise<void> {
    const done = () => numbers.every((number) => this.get(idOf(number))?.uploaded_at !== undefined);
    return new Promise((resolve) => {
      const look = () => {
        if (done()) resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** Records sessions of so many bytes, as the gateway does. */
async function record(numbers: readonly number[], { bytes = 50_000, encrypted = true } = {}): Promise<void> {
  const { recorder } = recorderAt(directory, clock, encrypted ? key : undefined);
  for (const number of numbers) {
    const recording = recorder.open(sessionOf(number));
    for (let left = bytes; left > 0; left -= 50_000) {
      recording.frame({ kind: 'rows', data: Buffer.alloc(Math.min(left, 50_000), number) });
      await recording.drained;
    }
    await recording.close({ status: 'ok' });
  }
  await recorder.close();
}

describe.each(Object.entries(s3Programs))('to %s', (name, program) => {
  let server: S3Server;

  beforeEach(async () => {
    server = await S3Server.prepare(scratch(), program);
    const prepared = server;
    later(() => prepared.stop());
  });

  /** An upload as a gateway starts it. */
  function begin(options: Partial<BucketOptions> = {}) {
    const errors: string[] = [];
    let failed = () => {};
    const index = new WatchedIndex(directory, (error) => errors.push(error.message));
    const { endpoint, bucket, accessKeyId, secretAccessKey } = server;
    const upload = new RecordingUpload({
      ...{ directory, index, clock },
      bucket: new S3Bucket({
        ...{ endpoint, bucket, accessKeyId, secretAccessKey, ca: undefined },
        ...{ region: 'us-east-1', prefix: 'team/gateway-1', ...options },
      }),
      ready: index.settle([key]),
      onError: (error) => {
        errors.push(`${error.message}: ${Object(error.cause).message}`);
        failed();
      },
    });
    later(() => upload.close());
    const untilFailed = (times: number) =>
      new Promise<void>((resolve) => {
        failed = () => {
          if (errors.length >= times) resolve();
        };
        failed();
      });
    return { index, upload, errors, untilFailed };
  }

  const local = (number: number) => readFileSync(fileOf(directory, idOf(number)));

  test('recordings are there byte by byte, those of before and those of now', async () => {
    await server.start();
    await record([1, 2]);
    const { index, upload, errors } = begin();
    await index.untilUploaded(1, 2);
    expect(await server.get(keyOf(1))).toEqual(local(1));
    expect(await server.get(keyOf(2))).toEqual(local(2));
    await record([3]);
    index.put(entryOf(3));
    upload.offer(entryOf(3));
    await index.untilUploaded(3);
    expect(await server.get(keyOf(3))).toEqual(local(3));
    expect(errors).toEqual([]);
  });

  test('one in clear and one that is open stay here', async () => {
    await server.start();
    await record([1], { encrypted: false });
    await record([3]);
    const { index, upload } = begin();
    await index.untilUploaded(3);
    recorderAt(directory, clock, key).recorder.open(sessionOf(2));
    await record([4]);
    for (const number of [2, 4]) {
      index.put(entryOf(number));
      upload.offer(entryOf(number));
    }
    await index.untilUploaded(4);
    await upload.close();
    expect(await server.get(keyOf(1))).toBeUndefined();
    expect(await server.get(keyOf(2))).toBeUndefined();
    expect(index.get(idOf(1))).toMatchObject({ key_id: null });
  });

  test('a server that is down at the start is waited for', async () => {
    await record([1, 2]);
    const { index, upload, untilFailed } = begin();
    await untilFailed(2);
    expect(upload.lag).toBe(2);
    await server.start();
    await index.untilUploaded(1, 2);
    expect(await server.get(keyOf(1))).toEqual(local(1));
    expect(await server.get(keyOf(2))).toEqual(local(2));
  });

  test('a server that is killed in the middle of a recording gets it whole afterwards', async () => {
    await record([1], { bytes: 24 * 1024 * 1024 });
    await server.start();
    let killed: Promise<void> | undefined;
    server.onSent = () => {
      if (server.sentBytes > 2 * 1024 * 1024) killed ??= server.kill();
    };
    const { index, upload, errors, untilFailed } = begin();
    await untilFailed(1);
    await killed;
    expect(killed).toBeDefined();
    expect(upload.lag).toBe(1);
    expect(errors[0]).toContain(`the recording of ${idOf(1)} is not uploaded yet`);
    expect(index.get(idOf(1))?.uploaded_at).toBeUndefined();
    await server.start();
    await index.untilUploaded(1);
    expect((await server.get(keyOf(1)))?.equals(local(1))).toBe(true);
  });

  test('wrong credentials are reported and tried again, and what waits is counted', async () => {
    await server.start();
    await record([1]);
    const { index, upload, errors, untilFailed } = begin({ secretAccessKey: 'not that one' });
    await untilFailed(1);
    expect(errors[0]).toContain('the bucket answered 403 SignatureDoesNotMatch');
    expect(upload.lag).toBe(1);
    await record([2]);
    upload.offer(entryOf(2));
    expect(upload.lag).toBe(2);
    await untilFailed(3);
    expect(index.get(idOf(1))?.uploaded_at).toBeUndefined();
    await upload.close();
    expect(await server.get(keyOf(1))).toBeUndefined();
    // What an operator does then: the right ones, and a restart.
    const mended = begin();
    await mended.index.untilUploaded(1, 2);
    expect(await server.get(keyOf(2))).toEqual(local(2));
  });

  test('a restart sends what is missing, and nothing again', async () => {
    await server.start();
    await record([1, 2], { bytes: 200_000 });
    const first = begin();
    await first.index.untilUploaded(1, 2);
    await first.upload.close();
    await record([3]);
    const before = server.sentBytes;
    const second = begin();
    await second.index.untilUploaded(3);
    await second.upload.close();
    expect(second.upload.lag).toBe(0);
    expect(server.sentBytes - before).toBeLessThan(local(3).length + 10_000);
    expect(server.sentBytes - before).toBeGreaterThan(local(3).length);
    // Without the index, the bucket is asked.
    rmSync(second.index.file);
    const third = begin();
    await third.index.untilUploaded(1, 2, 3);
    expect(server.sentBytes - before).toBeLessThan(local(3).length + 20_000);
    expect(third.errors).toEqual([]);
  });

  test('a gateway that stops in the middle of a recording begins with it again', async () => {
    await server.start();
    await record([1], { bytes: 24 * 1024 * 1024 });
    const first = begin();
    const closed = new Promise<void>((resolve) => {
      server.onSent = () => {
        if (server.sentBytes > 2 * 1024 * 1024) resolve(first.upload.close());
      };
    });
    await closed;
    expect(first.errors).toEqual([]);
    expect(first.index.get(idOf(1))?.uploaded_at).toBeUndefined();
    const second = begin();
    await second.index.untilUploaded(1);
    expect((await server.get(keyOf(1)))?.equals(local(1))).toBe(true);
  });

  test('one that cannot be read does not keep the others', async () => {
    await server.start();
    await record([1, 2, 3]);
    rmSync(fileOf(directory, idOf(1)));
    symlinkSync(fileOf(directory, idOf(3)), fileOf(directory, idOf(1)));
    writeFileSync(join(directory, 'index.jsonl'), `${JSON.stringify({ ...entryOf(2), file: '../secret.sprec' })}\n`, {
      flag: 'a',
    });
    const { index, upload, errors, untilFailed } = begin();
    await index.untilUploaded(3);
    await index.untilUploaded(2);
    await untilFailed(1);
    expect(errors.join('\n')).toMatch(new RegExp(`${idOf(1)} is not uploaded yet: ELOOP`));
    expect((await server.get(keyOf(2)))?.equals(local(2))).toBe(true);
    expect(upload.lag).toBe(1);
  });

  // s3rver stores whatever it gets.
  if (name === 's3rver') return;
  test('bytes that changed on their way are refused', async () => {
    await server.start();
    const { endpoint, bucket, accessKeyId, secretAccessKey } = server;
    const where = { endpoint, bucket, accessKeyId, secretAccessKey, ca: undefined, region: 'us-east-1', prefix: '' };
    const s3 = new S3Bucket(where);
    later(() => s3.close());
    const sha256 = createHash('sha256').update('abc').digest();
    const put = (text: string) =>
      s3.put(
        'changed',
        { bytes: 3, sha256, body: () => Readable.from([Buffer.from(text)]) },
        AbortSignal.timeout(10_000),
      );
    await expect(put('abd')).rejects.toThrow('the bucket answered 400 XAmzContentSHA256Mismatch');
    await put('abc');
    expect(await server.get('changed')).toEqual(Buffer.from('abc'));
  });
});
