import type { Json, JsonObject } from '../../core/types.ts';
import type { TrailLine } from '../follow.ts';
import { isObject } from '../line.ts';

/**
 * Lines as events of OPA's decision log. Those that are no decisions are in it too, with their line number as id; the whole line
 * is under `custom.sallyport`.
 * @see https://www.openpolicyagent.org/docs/management-decision-logs
 */
export function opaEvents(lines: readonly TrailLine[]): JsonObject[] {
  return lines.map(({ seq, text }) => {
    const line: JsonObject = JSON.parse(text);
    const { event, time, decision_id, session, protocol, upstream, subject, action, resource, effect, revisions } =
      line;
    const said = { subject, action, resource, context: present({ session, protocol, upstream }) };
    return present({
      labels: { app: 'sallyport', event: event ?? '' },
      decision_id: decision_id ?? `seq.${seq}`,
      timestamp: time ?? '',
      path: 'sallyport/decision',
      bundles: isObject(revisions) ? bundlesOf(revisions) : undefined,
      input: event === 'decided' ? present(said) : undefined,
      result: event === 'decided' ? { decision: effect === 'allow' && line.code === undefined } : undefined,
      custom: { sallyport: line },
    });
  });
}

function bundlesOf({ bundle, data }: JsonObject): JsonObject {
  return { policy: { revision: bundle ?? '' }, data: { revision: data ?? '' } };
}

function present(members: Readonly<Record<string, Json | undefined>>): JsonObject {
  return Object.fromEntries(Object.entries(members).filter((entry): entry is [string, Json] => entry[1] !== undefined));
}
