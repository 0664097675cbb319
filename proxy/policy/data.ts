import { createHash } from 'node:crypto';
import { Ajv } from 'ajv';
import { parse as parseYaml } from 'yaml';
import { GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { JsonObject } from '../core/types.ts';
import { inputProblem } from './input.ts';
import { dataPatternProblem } from './patterns.ts';

/** `data.config`, checked, frozen, and named. */
export interface PolicyData {
  readonly config: JsonObject;
  /** Its own `revision`, if it has one, and a digest of its content: unlike content never shares a revision. */
  readonly revision: string;
}

/**
 * Reads `data.config` from JSON or YAML text (JSON is YAML).
 *
 * @param text - at most `limits.policyDataBytesMax`.
 * @throws GatewayError `policy_unavailable`.
 */
export function parseData(text: string): JsonObject {
  if (text.length > limits.policyDataBytesMax) throw refuse('it is too large');
  let value: unknown;
  try {
    value = parseYaml(text, { schema: 'core', uniqueKeys: true, maxAliasCount: 100, prettyErrors: true });
  } catch (thrown) {
    throw refuse(thrown instanceof Error ? (thrown.message.split('\n')[0] ?? 'unreadable') : 'unreadable', thrown);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse('it is not an object');
  return value as JsonObject;
}

/**
 * Checks data against the schema its bundle was written for, and every pattern in it.
 *
 * @param schema - the bundle's `schemas/config.json`; without one only the patterns are checked.
 * @throws GatewayError `policy_unavailable`.
 */
export function checkData(config: JsonObject, schema: JsonObject | undefined): PolicyData {
  const problem = inputProblem(config, limits.policyInputDepthMax) ?? dataPatternProblem(config);
  if (problem !== undefined) throw refuse(problem);
  if (schema !== undefined) validate(config, schema);
  const text = JSON.stringify(config);
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 12);
  const { revision } = config;
  return { config: frozen(config), revision: typeof revision === 'string' ? `${revision}+${digest}` : digest };
}

function validate(config: JsonObject, schema: JsonObject): void {
  const ajv = new Ajv({ allErrors: false, strict: false, allowUnionTypes: true });
  if (ajv.validate({ ...schema }, config) === true) return;
  const [first] = ajv.errors ?? [];
  const extra = first?.params.additionalProperty as unknown;
  throw refuse(
    `${first?.instancePath || '/'} ${first?.message ?? 'is invalid'}${typeof extra === 'string' ? ` (${extra})` : ''}`,
  );
}

function frozen<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) frozen(child);
  }
  return value;
}

function refuse(why: string, cause?: unknown): GatewayError {
  return new GatewayError('policy_unavailable', `The policy data is refused: ${why}.`, { cause });
}
