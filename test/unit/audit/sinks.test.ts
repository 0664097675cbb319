import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { type Audit, type AuditOptions, type SinkOptions, Sinks, trailFiles } from '../../../proxy/audit/index.ts';
import { streamSink } from '../../../proxy/audit/sinks/stdout.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { decided, later, openTrail, SteppedClock, scratch } from './support.ts';

let file = '';
const clock = new SteppedClock();

beforeEach(() => {
  file = join(scratch(), 'audit.jsonl');
});

interface Message {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A service that keeps what it was sent, and answers as it is told to. */
class Receiver {
  readonly messages: Message[] = [];
  /** Answers one request. */
  answer: (response: ServerResponse) => void = (response) => response.end();
  readonly #waiting: { readonly enough: () => boolean; readonly resolve: () => void }[] = [];
  readonly #server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const bytes = Buffer.concat(chunks);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes;
    this.messages.push({ headers: request.headers, body: body.toString() });
    this.answer(response);
    for (const { enough, resolve } of this.#waiting) if (enough()) resolve();
  });

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    later(() => {
      this.#server.closeAllConnections();
      this.#server.close();
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/logs`;
  }

  /** Ends every connection, answered or not. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  /** Settles with the next message after which this holds. */
  until(enough: () => boolean): Promise<void> {
    if (enough()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ enough, resolve }));
  }

  /** The seqs of a webhook's lines so far, in order. */
  get seqs(): number[] {
    return this.messages.flatMap(({ body }) => JSON.parse(body).data.lines.map(({ seq }: { seq: number }) => seq));
  }
}

interface Started {
  readonly audit: Audit;
  readonly sinks: Sinks;
  readonly errors: string[];
}

/** A trail with one sink, as the gateway puts them together. */
async function start(sink: Partial<SinkOptions>, options: Partial<AuditOptions> = {}): Promise<Started> {
  const errors: string[] = [];
  let sinks: Sinks | undefined;
  const audit = await openTrail(file, {
    clock,
    ...options,
    blockedBy: () => sinks?.blockedBy,
    mayPrune: (lastSeq) => sinks?.mayPrune(lastSeq) ?? false,
  });
  sinks = new Sinks(
    [{ name: 'siem', type: 'webhook', required: false, url: '', secret: undefined, ca: undefined, ...sink }],
    { file, clock, headSeq: () => audit.head.seq, onError: (_, error) => errors.push(error.message) },
  );
  const started = sinks;
  later(() => started.close());
  return { audit, sinks, errors };
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe('a sink', () => {
  test('of OPA’s decision log gets gzipped events with the decision and the whole line', async () => {
    const receiver = new Receiver();
    const { audit } = await start({ type: 'opa', url: await receiver.start(), secret: 'token-1' });
    audit.write(decided(1, { subject: { id: 'bot' }, action: 'select', revisions: { bundle: 'b7', data: 'd2' } }));
    audit.write({ event: 'decided', members: '"effect":"deny"', own: { decision_id: 'd.2', code: 'pii_range' } });
    const events = () => receiver.messages.flatMap(({ body }) => JSON.parse(body));
    await receiver.until(() => events().length === 3);
    expect(receiver.messages[0]?.headers).toMatchObject({
      authorization: 'Bearer token-1',
      'content-type': 'application/json',
      'content-encoding': 'gzip',
    });
    const [opened, allowed, denied] = events();
    expect(opened).toMatchObject({ decision_id: 'seq.1', labels: { event: 'trail_opened' } });
    expect(allowed).toMatchObject({
      decision_id: 'd.1',
      timestamp: '2026-11-22T09:00:00.000Z',
      path: 'sallyport/decision',
      bundles: { policy: { revision: 'b7' }, data: { revision: 'd2' } },
      input: { subject: { id: 'bot' }, action: 'select' },
      result: { decision: true },
      custom: { sallyport: { seq: 2, hash: audit.head.hash === '' ? '' : expect.any(String) } },
    });
    expect(denied.result).toEqual({ decision: false });
  });

  test('of webhooks gets lines signed as Standard Webhooks has it', async () => {
    const receiver = new Receiver();
    const secret = Buffer.alloc(24, 9);
    await start({ url: await receiver.start(), secret: `whsec_${secret.toString('base64')}` });
    await receiver.until(() => receiver.messages.length === 1);
    const { headers, body } = receiver.messages[0] ?? { headers: {}, body: '' };
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', secret).update(signed).digest('base64')}`);
    expect(JSON.parse(body)).toMatchObject({ type: 'audit.lines', data: { lines: [{ event: 'trail_opened' }] } });
  });

  test('of OTLP gets log records whose body is the line', async () => {
    const receiver = new Receiver();
    const { audit } = await start({ type: 'otlp', url: await receiver.start() });
    audit.write({ event: 'decided', members: '"effect":"deny"', own: { decision_id: 'd.1', session: 'S' } });
    const records = () =>
      receiver.messages.flatMap(({ body }) => JSON.parse(body).resourceLogs[0].scopeLogs[0].logRecords);
    await receiver.until(() => records().length === 2);
    const record = records()[1];
    expect(record).toMatchObject({ severityText: 'WARN', timeUnixNano: `${clock.ms}000000` });
    expect(record.body.stringValue).toBe(readFileSync(file, 'utf8').split('\n')[1]);
    expect(record.attributes).toContainEqual({ key: 'sallyport.session', value: { stringValue: 'S' } });
  });

  test('of OTLP that rejects records of a message is heard, and asked no second time', async () => {
    const receiver = new Receiver();
    receiver.answer = (response) =>
      response.end('{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too long"}}');
    const { audit, errors } = await start({ type: 'otlp', url: await receiver.start() });
    await receiver.until(() => receiver.messages.length === 1);
    receiver.answer = (response) => response.end('{"partialSuccess":{}}');
    audit.write({ event: 'decided', members: '', own: { decision_id: 'd.1' } });
    await receiver.until(() => receiver.messages.length === 2);
    const [first, second] = receiver.messages.map(
      ({ body }) => JSON.parse(body).resourceLogs[0].scopeLogs[0].logRecords.length,
    );
    expect([first, second]).toEqual([1, 1]);
    expect(errors).toEqual(['of lines 1 to 1 the sink siem rejected 1 of them (too long)']);
  });

  test('of standard output gets the lines as they are, and is waited for', async () => {
    let out = '';
    let release = (): void => {};
    const stream = new Writable({
      write(chunk, _encoding, done) {
        out += String(chunk);
        release = done;
      },
    });
    const sent = streamSink(stream).send(
      [
        { seq: 1, text: 'a' },
        { seq: 2, text: 'b' },
      ],
      AbortSignal.timeout(60_000),
    );
    expect(out).toBe('a\nb\n');
    await expect(Promise.race([sent.then(() => 'sent'), Promise.resolve('waits')])).resolves.toBe('waits');
    release();
    await sent;
  });
});

test('standard output that nobody reads any more is a failed delivery, and ends nothing', async () => {
  const gone = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  await expect(streamSink(gone).send([{ seq: 1, text: 'a' }], AbortSignal.timeout(60_000))).rejects.toThrow('EPIPE');
});

describe('when a sink', () => {
  test('answers with an error, its lines come again until it takes them, and none is left out', async () => {
    const receiver = new Receiver();
    let failures = 2;
    receiver.answer = (response) => response.writeHead(failures-- > 0 ? 503 : 204).end();
    const { audit, errors, sinks } = await start({ url: await receiver.start() });
    await receiver.until(() => failures < 0);
    audit.write(decided(1));
    await receiver.until(() => receiver.seqs.includes(2));
    expect([...new Set(receiver.seqs)]).toEqual([1, 2]);
    expect(errors.filter((message) => message.includes('it answered 503'))).toHaveLength(2);
    // The same lines, so the same id, by which a receiver can tell.
    const ids = receiver.messages.slice(0, 2).map(({ headers }) => headers['webhook-id']);
    expect(ids[0]).toBe(ids[1]);
    await sinks.close();
    expect(sinks.lags).toEqual([{ sink: 'siem', lines: 0 }]);
  });

  test('hangs although it is required, nothing is permitted after a while, and everything again once it answers', async () => {
    const receiver = new Receiver();
    receiver.answer = () => {};
    const { audit, sinks } = await start({ url: await receiver.start(), required: true });
    await receiver.until(() => receiver.messages.length === 1);
    audit.write(decided(1));
    clock.ms += limits.auditSinkStallMs + 1;
    expect(sinks.blockedBy).toBe('siem');
    expect(audit.ready).toBe(false);
    expect(() => audit.write(decided(2))).toThrow(expect.objectContaining({ code: 'audit_unavailable' }));
    // A refusal is told to the trail all the same.
    audit.append(decided(3));
    receiver.answer = (response) => response.end();
    receiver.cut();
    await receiver.until(() => receiver.seqs.includes(2));
    await audit.flush();
    await receiver.until(() => receiver.seqs.includes(3));
    await sinks.close();
    expect(sinks.blockedBy).toBeUndefined();
    audit.write(decided(4));
    expect(readFileSync(file, 'utf8')).not.toContain('d.2');
  });

  test('hangs and is not required, everything goes on, and the lag says so', async () => {
    const receiver = new Receiver();
    receiver.answer = () => {};
    const { audit, sinks } = await start({ url: await receiver.start() });
    await receiver.until(() => receiver.messages.length === 1);
    clock.ms += limits.auditSinkStallMs + 1;
    for (let id = 1; id <= 5; id++) audit.write(decided(id));
    expect(audit.ready).toBe(true);
    expect(sinks.lags).toEqual([{ sink: 'siem', lines: 6 }]);
    receiver.cut();
  });

  test('is slow, messages are bounded and in order, and memory is the file', async () => {
    const receiver = new Receiver();
    const { audit } = await start({ url: await receiver.start() });
    const count = 3 * limits.auditSinkBatchLines;
    for (let id = 1; id < count; id++) audit.write(decided(id));
    await receiver.until(() => receiver.seqs.length >= count);
    expect(receiver.seqs).toEqual(upTo(count));
    const sizes = receiver.messages.map(({ body }) => JSON.parse(body).data.lines.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limits.auditSinkBatchLines);
  });

  test('was away while the gateway was started anew, it goes on where it was acknowledged', async () => {
    const receiver = new Receiver();
    const url = await receiver.start();
    const first = await start({ url });
    first.audit.write(decided(1));
    await receiver.until(() => receiver.seqs.includes(2));
    await first.audit.close();
    await first.sinks.close();
    expect(receiver.seqs).toEqual([1, 2, 3]);
    receiver.answer = (response) => response.writeHead(500).end();
    const second = await start({ url });
    second.audit.write(decided(2));
    await receiver.until(() => receiver.seqs.includes(4));
    await second.audit.close();
    await second.sinks.close();
    receiver.answer = (response) => response.end();
    receiver.messages.length = 0;
    const third = await start({ url });
    await receiver.until(() => receiver.seqs.includes(7));
    expect(receiver.seqs).toEqual([4, 5, 6, 7]);
    await third.sinks.close();
  });

  test('is required, no file is removed before it has its lines', async () => {
    const receiver = new Receiver();
    receiver.answer = (response) => response.writeHead(500).end();
    const { audit, sinks } = await start(
      { url: await receiver.start(), required: true },
      { rotateBytes: 1_000, keep: 1 },
    );
    for (let id = 1; id <= 20; id++) audit.write(decided(id));
    expect(trailFiles(file).length).toBeGreaterThan(4);
    receiver.answer = (response) => response.end();
    const { seq } = audit.head;
    await receiver.until(() => receiver.seqs.includes(seq));
    await sinks.close();
    for (let id = 21; id <= 30; id++) audit.write(decided(id));
    expect(Number(trailFiles(file)[0]?.slice(-16))).toBeGreaterThan(seq);
  });
});

test('a cursor that cannot be written is said, and costs no delivery', async () => {
  mkdirSync(`${file}.sink-siem.new`);
  const receiver = new Receiver();
  const { audit, errors } = await start({ url: await receiver.start() });
  await receiver.until(() => receiver.seqs.includes(1));
  audit.write(decided(1));
  await receiver.until(() => receiver.seqs.includes(2));
  expect(receiver.seqs).toEqual([1, 2]);
  expect(errors[0]).toMatch(/cursor of the sink siem cannot be written/);
});

test('a cursor that is none is an error, because starting over would repeat everything', async () => {
  writeFileSync(`${file}.sink-siem`, 'twelve\n');
  await expect(start({ url: 'http://127.0.0.1:1' })).rejects.toThrow(/not the cursor of a sink/);
});

test('a cursor ahead of the trail is that of another trail: nothing of this one is left out', async () => {
  writeFileSync(`${file}.sink-siem`, '500\n');
  const receiver = new Receiver();
  const { audit } = await start({ url: await receiver.start() });
  audit.write(decided(1));
  await receiver.until(() => receiver.seqs.includes(2));
  expect(receiver.seqs).toEqual([1, 2]);
});
