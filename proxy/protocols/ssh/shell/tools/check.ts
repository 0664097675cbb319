/** An author's tables, from JSON. */
import { GatewayError } from '../../../../core/errors.ts';
import type { Role, ToolSpec } from './spec.ts';
import { authorRoles } from './spec.ts';

const texts = ['flags', 'operands', 'tree', 'incomplete', 'follows', 'runAs'] as const;
const switches = ['optionsFirst', 'digits', 'singleDash', 'pager', 'elsewhere', 'shellWithout', 'assignments'] as const;
const nestingMax = 4;

/**
 * @param json the value of `data.config.ssh.tools`
 * @returns the specs by the names of their tools; empty when there is none
 * @throws GatewayError `policy_error` when it is not one, naming the place
 */
export function readToolSpecs(json: unknown): ReadonlyMap<string, ToolSpec> {
  if (json === undefined) return new Map();
  return new Map(
    entries(json, 'tools').map(([name, spec]) => {
      if (!/^[A-Za-z0-9_][\w.+-]*$/.test(name)) throw wrong('a name of a tool');
      return [name, readSpec(spec, `tools.${name}`, 0)];
    }),
  );
}

function readSpec(json: unknown, place: string, depth: number): ToolSpec {
  if (depth > nestingMax) throw wrong(`${place}: subcommands`);
  const spec: Record<string, unknown> = {};
  for (const [key, value] of entries(json, place)) spec[key] = readField(key, value, `${place}.${key}`, depth);
  return spec;
}

function readField(key: string, value: unknown, place: string, depth: number): unknown {
  if (isOneOf(texts, key)) return text(value, place, key === 'operands');
  if (isOneOf(switches, key)) {
    if (typeof value !== 'boolean') throw wrong(place);
    return value;
  }
  if (key === 'defaultPort') {
    if (!Number.isInteger(value) || Number(value) < 1 || Number(value) > 65_535) throw wrong(place);
    return value;
  }
  if (key === 'here') return role(value, place);
  if (key === 'values') return mapped(value, place, (each, at) => role(each, at));
  if (key === 'operandsWith') return mapped(value, place, (each, at) => text(each, at, true));
  if (key === 'incompleteWith') return mapped(value, place, (each, at) => text(each, at, false));
  if (key === 'subcommands') return mapped(value, place, (each, at) => readSpec(each, at, depth + 1));
  throw wrong(place);
}

const isOneOf = (list: readonly string[], key: string): boolean => list.includes(key);

function mapped<Value>(
  json: unknown,
  place: string,
  read: (value: unknown, place: string) => Value,
): Record<string, Value> {
  return Object.fromEntries(entries(json, place).map(([key, value]) => [key, read(value, `${place}.${key}`)]));
}

function entries(json: unknown, place: string): [string, unknown][] {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw wrong(place);
  return Object.entries(json);
}

/** A usage line is made of roles, with at most one that repeats. */
function text(value: unknown, place: string, usage: boolean): string {
  if (typeof value !== 'string') throw wrong(place);
  if (!usage) return value;
  const words = value.split(/\s+/).filter((word) => word !== '');
  for (const word of words) role(word.replace(/\.\.\.$|\?$/, ''), place);
  if (words.filter((word) => word.endsWith('...')).length > 1) throw wrong(place);
  return value;
}

function role(value: unknown, place: string): Role {
  const known = authorRoles.find((each) => each === value);
  if (known === undefined) throw wrong(place);
  return known;
}

const wrong = (place: string): GatewayError =>
  new GatewayError('policy_error', `The tables of shell tools are not well-formed at ${place}.`);
