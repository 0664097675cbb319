/** How requests and messages are held for an approval: what it is bound to, and what its approvers see. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { canonicalJson } from '../../core/digest.ts';
import { redactSecrets } from '../../core/masker/secrets.ts';
import type { Masker } from '../../core/masker.ts';
import type { Decision, HoldTerms, Json, JsonObject } from '../../core/types.ts';
import type { ReadBody } from './body.ts';
import type { CanonicalRequest, Header } from './contract.ts';
import type { McpMessage } from './mcp/index.ts';
import { MessageMask } from './mcp-mask.ts';
import { planOf } from './plan.ts';

/** A request that is held. */
export interface HeldRequest {
  readonly request: CanonicalRequest;
  readonly response: ServerResponse;
  readonly body: ReadBody;
  readonly masker: Masker;
}

/**
 * The response is kept back, which HTTP has no keep-alive for: a client with a time limit of its own leaves, and sends
 * the request again. A body that is not read before it is forwarded cannot be bound to an approval.
 */
export function requestHold({ request, response, body, masker }: HeldRequest): HoldTerms {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return {
    mayWait: true,
    signal: gone.signal,
    bound: () => boundRequest(request, body),
    counted: () => ({ headers: Object.fromEntries(request.headers.filter(counts)) }),
    describe: (decision) => {
      const { parsed } = body;
      if (parsed.kind === 'json') return { content: shown(parsed.value, decision, masker) };
      if (parsed.kind === 'form')
        return {
          content: shown(
            parsed.fields.map((pair) => [...pair]),
            decision,
            masker,
          ),
        };
      return {};
    },
  };
}

/** What a message is bound to besides its facts: all of its parameters but what belongs to the sending of it. */
export function boundMessage(message: McpMessage): JsonObject {
  if (message.kind !== 'request') return {};
  const { _meta, ...params } = message.value.params ?? {};
  return { params_sha256: sha256(canonicalJson(params)) };
}

/** The arguments of a message, for approvers. */
export function describeMessage(message: McpMessage, decision: Decision, masker: Masker): JsonObject {
  if (message.kind !== 'request' || message.target.arguments === undefined) return {};
  return { arguments: shown(message.target.arguments, decision, masker) };
}

/**
 * Everything that is forwarded, as it is forwarded, but for the name of the try: policy sees parameters without the order between them, the parts of a
 * form by their names, and of other bodies nothing.
 */
function boundRequest({ queryText, headers }: CanonicalRequest, { content }: ReadBody): JsonObject | undefined {
  const head = sha256(JSON.stringify([queryText, headers.filter(counts)]));
  if (content === undefined) return { head_sha256: head };
  return Buffer.isBuffer(content) ? { head_sha256: head, body_sha256: sha256(content) } : undefined;
}

/** Names that clients give each try (W3C Trace Context, and what proxies have in its place); by their form, they say nothing else. */
const tryNames: ReadonlyMap<string, RegExp> = new Map([
  ['traceparent', /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/],
  ['x-request-id', /^[\dA-Za-z-]{1,64}$/],
  ['x-correlation-id', /^[\dA-Za-z-]{1,64}$/],
]);

/** Whether a field is part of what is asked for: a client that sends the same again has another name for it. */
function counts([name, value]: Header): boolean {
  return tryNames.get(name)?.test(value) !== true;
}

/** As text, without credentials, and with the masks that the answer will have. */
function shown(value: Json, decision: Decision, masker: Masker): string {
  const made = planOf(decision, masker, true);
  if ('fault' in made) return '***';
  const { params = null } = new MessageMask(made.plan).apply({ params: value });
  return redactSecrets(JSON.stringify(params), made.plan.text);
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
