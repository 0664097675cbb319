import { readFile } from 'node:fs/promises';
import { Agent, fetch } from 'undici';
import { limits } from '../core/limits.ts';
import type { Json, JsonObject } from '../core/types.ts';
import { type About, apiToken } from './api-token.ts';
import { type Io, UsageError } from './io.ts';
import { printable } from './printable.ts';

/** Options that every command over the API takes, for `parseArgs`. */
export const apiOptions = {
  api: { type: 'string' },
  ca: { type: 'string' },
  'token-file': { type: 'string' },
  'token-command': { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** What those options are, for the help of a command. */
export const apiHelp = `URL is that of the console, or SALLYPORT_API. Who one is comes from SALLYPORT_API_TOKEN, --token-file FILE (- is standard
input) or --token-command COMMAND; else by device authorization: a link to confirm in a browser. --ca FILE verifies the console
with these authorities. --json prints what the API answers.
`;

/** The values of {@link apiOptions}. */
export interface ApiValues {
  readonly api?: string | undefined;
  readonly ca?: string | undefined;
  readonly 'token-file'?: string | undefined;
  readonly 'token-command'?: string | undefined;
}

/** One event of a stream. */
export interface ServerEvent {
  readonly event: string;
  readonly data: JsonObject;
}

/** The API of one console, as one person. */
export interface ApiCaller {
  /** @throws Error with the words of the API. */
  ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: JsonObject): Promise<JsonObject>;
  events(path: string): AsyncGenerator<ServerEvent>;
}

/** Gets a token, and gives what to ask the API with. @throws UsageError without a URL */
export async function openApi(values: ApiValues, io: Io): Promise<ApiCaller> {
  const written = values.api ?? io.env.SALLYPORT_API;
  const url = written === undefined ? null : URL.parse(written);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new UsageError('say where the API is: --api URL, or SALLYPORT_API');
  const ca = values.ca === undefined ? undefined : await readFile(values.ca, 'utf8');
  const dispatcher = new Agent({
    ...(ca !== undefined && { connect: { ca } }),
    headersTimeout: limits.consoleProviderTimeoutMs,
  });
  const send = async (method: string, path: string, token?: string, body?: JsonObject) => {
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const init = {
      method,
      headers,
      dispatcher,
      redirect: 'error',
      ...(body && { body: JSON.stringify(body) }),
    } as const;
    const answered = await fetch(new URL(path, url.origin), init).catch((cause: unknown) => {
      throw new Error(`the API at ${url.origin} cannot be reached`, { cause });
    });
    if (answered.ok) return answered;
    const problem = asObject(await answered.json().catch(() => ({})));
    throw new Error(
      printable(`${said(problem.detail) || `the API answered ${answered.status}`} (${said(problem.code)})`),
    );
  };
  const about = async (): Promise<About> => {
    const { issuer, audience, device_client_id: device } = asObject(await (await send('GET', '/api/about')).json());
    return { issuer: said(issuer), audience: said(audience), deviceClientId: said(device) || undefined };
  };
  const token = await apiToken({ tokenFile: values['token-file'], tokenCommand: values['token-command'] }, io, about);
  return {
    ask: async (method, path, body) => asObject(await (await send(method, path, token, body)).json()),
    async *events(path) {
      const { body } = await send('GET', path, token);
      if (body !== null) yield* parseEvents(body);
    },
  };
}

/**
 * Takes a stream of events apart.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export async function* parseEvents(body: AsyncIterable<unknown>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > limits.consoleStreamBufferBytesMax * 2) throw new Error('an event of the API is too long');
    const blocks = rest.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => [line.split(':', 1)[0], line.replace(/^[^:]*: ?/, '')]));
      const data = fields.get('data');
      if (data !== undefined) yield { event: fields.get('event') ?? 'message', data: asObject(JSON.parse(data)) };
    }
  }
}

/** A JSON value where an object is expected; anything else has nothing in it. */
export function asObject(value: unknown): JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? { ...value } : {};
}

/** The objects of a list. */
export function objectsIn(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.map(asObject) : [];
}

/** A text, or whatever it is as JSON; nothing for what is not there. */
export function said(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Somebody, and on whose behalf. */
export function who({ subject, chain }: JsonObject): string {
  const behalf = objectsIn(chain).map(({ id }) => said(id));
  return `${said(asObject(subject).id)}${behalf.length > 0 ? ` for ${behalf.join(', for ')}` : ''}`;
}

/** Lines for a terminal: nothing in them moves its cursor. */
export function writeLines(io: Io, lines: readonly string[]): void {
  for (const line of lines) io.stdout.write(`${printable(line)}\n`);
}
