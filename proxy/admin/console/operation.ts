/** What an operation is, for somebody who has to judge it at a glance. Pure. */
import type { Json, JsonObject } from './types.ts';

/** What of an operation is shown, and how. */
export interface Shown {
  /** `statement`, `command`, `request`, `tool call`, …. */
  readonly noun: string;
  /** What will run, word for word where it is known. */
  readonly text: string;
  /** True when the text is what the agent sent; false when it only describes that. */
  readonly literal: boolean;
  /** What else is known, by name. */
  readonly facts: readonly (readonly [string, string])[];
}

const nouns: Readonly<Record<string, string>> = { postgres: 'statement', ssh: 'command', http: 'request', mcp: 'call' };

/** The operation of an approval or of a decision in the trail. */
export function shown(
  protocol: string,
  action: string,
  resource: { readonly id: string },
  operation: JsonObject,
): Shown {
  const { text, method, path, query, tool, arguments: given } = operation;
  const facts: [string, string][] = [];
  const add = (name: string, value: Json | undefined) => {
    const said = words(value);
    if (said !== '') facts.push([name, said]);
  };
  add('Relations', operation.relations);
  add('Commands', operation.commands);
  add('Destinations', operation.destinations);
  add('Body', operation.body);
  add('Not understood', operation.incomplete);
  const noun = nouns[protocol] ?? 'operation';
  if (typeof text === 'string' && text !== '') {
    if (isParameters(operation.parameters))
      for (const [at, one] of operation.parameters.entries()) add(`$${at + 1}`, one);
    return { noun, text, literal: true, facts };
  }
  if (typeof tool === 'string') {
    return {
      noun: 'tool call',
      text: `${tool}(${given === undefined ? '' : JSON.stringify(given, null, 2)})`,
      literal: true,
      facts,
    };
  }
  if (typeof method === 'string' && typeof path === 'string') {
    return {
      noun,
      text: `${method} ${path}${typeof query === 'string' && query !== '' ? `?${query}` : ''}`,
      literal: true,
      facts,
    };
  }
  return { noun, text: `${action} ${resource.id}`, literal: false, facts };
}

function isParameters(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** A value in one line: names of relations, lists, whatever it is. */
export function words(value: Json | undefined): string {
  if (value === undefined || value === null || value === '') return '';
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value))
    return value
      .map(words)
      .filter((one) => one !== '')
      .join(', ');
  const { schema, name, host, port, access, value: inner } = value as JsonObject;
  if (typeof name === 'string') {
    const how = Array.isArray(access) && access.length > 0 ? ` (${access.map(words).join(', ')})` : '';
    return `${typeof schema === 'string' ? `${schema}.` : ''}${name}${how}`;
  }
  if (typeof host === 'string') return `${host}${port === undefined ? '' : `:${words(port)}`}`;
  if (inner !== undefined) return words(inner);
  return JSON.stringify(value);
}

/** What the subject did lately, in sentences an approver can use; only what says something. */
export function historyWords(history: JsonObject): readonly string[] {
  const { labels_read: labels, rows_read: rows, denials, approvals, first_use: first } = history;
  const number = (value: Json | undefined) => (typeof value === 'number' && value > 0 ? value : 0);
  return [
    first === true ? 'First time at this place' : '',
    number(rows) > 0 ? `${number(rows).toLocaleString('en')} rows read` : '',
    Array.isArray(labels) && labels.length > 0 ? `has read ${labels.map(words).join(', ')}` : '',
    number(denials) > 0 ? `refused ${number(denials)} ${number(denials) === 1 ? 'time' : 'times'}` : '',
    number(approvals) > 0 ? `${number(approvals)} approved before` : '',
  ].filter((one) => one !== '');
}
