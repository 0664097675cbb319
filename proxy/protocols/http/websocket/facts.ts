import type { Masker } from '../../../core/masker.ts';
import type { JsonObject, OperationFacts } from '../../../core/types.ts';
import { parseJsonText } from '../bodies/json.ts';
import { type OperationPlan, planOf } from '../plan.ts';
import type { Message } from './messages.ts';

/**
 * The facts of a message that policy asked to judge: `websocket_message` on the route of the upgrade. A text that is JSON is its
 * `body`, another is `text`; one that two readers could take differently is refused, and a binary one is not looked into.
 *
 * @param upgrade - the facts of the upgrade that it comes over
 */
export function messageFacts(
  { kind, payload }: Message,
  upgrade: OperationFacts<OperationPlan>,
  masker: Masker,
): OperationFacts<OperationPlan> {
  const read: JsonObject | 'malformed' = kind === 'text' ? readText(payload) : { body_bytes: payload.length };
  const incomplete = kind === 'binary' ? ['body_opaque'] : [];
  const { segments = [] } = upgrade.action.properties;
  return {
    action: {
      name: 'websocket_message',
      properties: {
        ...{ protocol: 'http', upgrade: 'websocket', segments },
        ...(read !== 'malformed' && read),
        incomplete,
      },
    },
    resource: upgrade.resource,
    complete: incomplete.length === 0,
    ...(read === 'malformed' && {
      fault: { code: 'operation_malformed', message: 'The message is not JSON that everybody reads alike.' },
    }),
    enforce: (decision) => {
      const made = planOf(decision, masker, false);
      // A message has no answer that could be bounded.
      if ('fault' in made || (made.plan.maxBytes === Infinity && made.plan.timeoutMs === Infinity)) return made;
      return { fault: { code: 'obligation_unsupported', message: 'A message of a WebSocket has no answer to bound.' } };
    },
    describe: () => ({ message: kind, bytes: payload.length, route: upgrade.resource.id }),
  };
}

function readText(payload: Buffer): JsonObject | 'malformed' {
  const text = payload.toString('utf8');
  const parsed = parseJsonText(text);
  if ('value' in parsed) return { body: parsed.value };
  // What begins like JSON could be taken for JSON by a reader that is less strict.
  return /^[\s\ufeff]*[[{"]/.test(text) || isJson(text) ? 'malformed' : { text };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
