import { createHmac } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip as gzipCallback } from 'node:zlib';
import { Agent, request } from 'undici';
import { beginningOf } from '../../core/beginning.ts';
import { limits } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import type { TrailLine } from '../follow.ts';
import { opaEvents } from './opa.ts';
import { otlpLogs } from './otlp.ts';
import type { Sink } from './sink.ts';

const gzip = promisify(gzipCallback);

/** What an HTTP sink is told. */
export interface HttpSinkOptions {
  readonly type: 'opa' | 'webhook' | 'otlp';
  /** The whole URL that is posted to. */
  readonly url: string;
  /** A bearer token; of a webhook the secret that it is signed with. */
  readonly secret: string | undefined;
  /** PEM; undefined for the system's. */
  readonly ca: string | undefined;
  readonly clock: Clock;
}

interface Message {
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Posts lines to a service. Anything but 2xx is a failure; redirects are not followed. */
export function httpSink(options: HttpSinkOptions): Sink {
  const { url, ca } = options;
  const agent = new Agent({
    connections: 1,
    headersTimeout: limits.auditSinkTimeoutMs,
    bodyTimeout: limits.auditSinkTimeoutMs,
    connect: { timeout: limits.auditSinkTimeoutMs, ...(ca !== undefined && { ca }) },
  });
  const compose = { opa: opaMessage, webhook: webhookMessage, otlp: otlpMessage }[options.type];
  return {
    async send(lines, signal) {
      const { body, headers } = await compose(lines, options);
      const { statusCode, body: answer } = await request(url, {
        method: 'POST',
        dispatcher: agent,
        signal,
        body,
        headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'sallyport' },
      });
      const said = await beginningOf(answer, limits.auditSinkAnswerBytesMax);
      if (statusCode < 200 || statusCode > 299) throw new Error(`it answered ${statusCode}`);
      return options.type === 'otlp' ? rejectedOf(said) : undefined;
    },
    close: () => agent.destroy(),
  };
}

/**
 * What an OTLP receiver says of records that it does not take and that must not be sent again.
 * @see https://opentelemetry.io/docs/specs/otlp/#partial-success-1
 */
function rejectedOf(answer: string): { readonly rejected: string } | undefined {
  try {
    const { rejectedLogRecords = 0, errorMessage = '' } = Object(Object(JSON.parse(answer)).partialSuccess);
    // 64-bit numbers are strings in OTLP's JSON.
    return Number(rejectedLogRecords) > 0
      ? { rejected: `${Number(rejectedLogRecords)} of them (${String(errorMessage).slice(0, 200)})` }
      : undefined;
  } catch {
    // Who answers in another way has taken them: that is what 2xx says.
    return undefined;
  }
}

function authorization({ secret }: HttpSinkOptions): Record<string, string> {
  return secret === undefined ? {} : { authorization: `Bearer ${secret}` };
}

/** @see https://www.openpolicyagent.org/docs/management-decision-logs */
async function opaMessage(lines: readonly TrailLine[], options: HttpSinkOptions): Promise<Message> {
  const body = await gzip(JSON.stringify(opaEvents(lines)));
  return { body, headers: { 'content-encoding': 'gzip', ...authorization(options) } };
}

/** @see https://opentelemetry.io/docs/specs/otlp/#otlphttp */
async function otlpMessage(lines: readonly TrailLine[], options: HttpSinkOptions): Promise<Message> {
  const body = await gzip(JSON.stringify(otlpLogs(lines)));
  return { body, headers: { 'content-encoding': 'gzip', ...authorization(options) } };
}

/**
 * The id is that of the last line, so a message that comes again after a failure has the same.
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
async function webhookMessage(lines: readonly TrailLine[], { secret = '', clock }: HttpSinkOptions): Promise<Message> {
  const nowMs = clock.nowMs();
  const events = lines.map(({ text }) => JSON.parse(text));
  const id = `msg_${String(events.at(-1)?.hash).slice(0, 32)}`;
  const timestamp = String(Math.floor(nowMs / 1000));
  const type = 'audit.lines';
  const body = Buffer.from(JSON.stringify({ type, timestamp: new Date(nowMs).toISOString(), data: { lines: events } }));
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : secret;
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
  return {
    body,
    headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` },
  };
}
