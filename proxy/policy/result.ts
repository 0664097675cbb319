import { GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { parseMaskMethod } from '../core/masker.ts';
import type {
  AccessRequest,
  Decision,
  JsonObject,
  MaskMethod,
  Masks,
  Obligation,
  Quarantine,
  Reason,
} from '../core/types.ts';

/** What a result says besides its revisions. */
export type Verdict = Omit<Decision, 'bundleRevision' | 'dataRevision'> & {
  /** `cache.ttl_seconds`, in milliseconds; `undefined` when the result sets no term. */
  readonly ttlMs: number | undefined;
};

/** Obligations of the decision contract. What each adapter honours is its own `supports`. */
const obligationTypes = new Set([
  'max_rows',
  'max_bytes',
  'timeout_ms',
  'read_only',
  'record',
  'rate',
  'justify',
  'end_session',
  'shell_mode',
  'messages',
]);

/**
 * Reads an AuthZEN evaluation result. Nothing in it is ignored: an unknown key is a fault.
 *
 * @param result - the value of `sallyport/decision`, as JSON; `rego/schemas/result.json` is its shape.
 * @throws GatewayError `policy_result_invalid`, `mask_unknown` or `obligation_unsupported`.
 */
export function verdictOf(result: unknown): Verdict {
  const { decision, context = {} } = shape(result, 'the result', ['decision', 'context']);
  if (typeof decision !== 'boolean') throw invalid('decision is not a boolean');
  const said = shape(context, 'context', [
    'reasons',
    'shadow',
    'masks',
    'obligations',
    'labels',
    'cache',
    'access_request',
    'quarantine',
  ]);
  const accessRequest = said.access_request === undefined ? undefined : accessRequestOf(said.access_request);
  const quarantine = said.quarantine === undefined ? undefined : quarantineOf(said.quarantine);
  if (decision && (accessRequest ?? quarantine) !== undefined) throw invalid('it allows and refuses at once');
  return {
    effect: decision ? 'allow' : accessRequest === undefined ? 'deny' : 'require_approval',
    reasons: reasonsOf(said.reasons, 'reasons'),
    shadow: reasonsOf(said.shadow, 'shadow'),
    masks: masksOf(said.masks),
    obligations: obligationsOf(said.obligations),
    labels: list(said.labels, 'labels').map((label) => text(label, 'a label')),
    accessRequest,
    quarantine,
    ttlMs:
      said.cache === undefined
        ? undefined
        : count(shape(said.cache, 'cache', ['ttl_seconds']).ttl_seconds, 'ttl_seconds') * 1000,
  };
}

function reasonsOf(value: unknown, where: string): readonly Reason[] {
  return list(value, where).map((item) => {
    const { policy, code, message } = shape(item, 'a reason', ['policy', 'code', 'message']);
    return { policy: text(policy, 'policy'), code: text(code, 'code'), message: text(message, 'message') };
  });
}

function masksOf(value: unknown): Masks {
  if (value === undefined) return noMasks;
  const { columns, json, text: texts } = shape(value, 'masks', ['columns', 'json', 'text']);
  return {
    columns: entries(columns, 'masks.columns', (of) => entries(of, 'masks.columns', maskOf)),
    json: entries(json, 'masks.json', maskOf),
    text: entries(texts, 'masks.text', maskOf),
  };
}

const noMasks: Masks = { columns: new Map(), json: new Map(), text: new Map() };

/** One method as OPA's column masks write it: `{"keep_last": {"count": 4}}`. @throws GatewayError. */
function maskOf(value: unknown): MaskMethod {
  if (!isObject(value)) throw invalid('a mask is not an object');
  const [name, ...others] = Object.keys(value);
  if (name !== undefined && others.length === 0 && !maskMethods.has(name)) {
    throw new GatewayError('mask_unknown', 'The policy names a mask that does not exist.');
  }
  const parsed = parseMaskMethod(value);
  if ('error' in parsed) throw invalid(parsed.error);
  return parsed.method;
}

const maskMethods: ReadonlySet<string> = new Set<MaskMethod['method']>([
  'null',
  'replace',
  'hash',
  'keep_first',
  'keep_last',
  'email',
  'redact_pattern',
]);

function obligationsOf(value: unknown): readonly Obligation[] {
  const seen = new Set<string>();
  return list(value, 'obligations').map((item) => {
    const { id, type, properties = {} } = shape(item, 'an obligation', ['id', 'type', 'properties']);
    const kind = text(type, 'type');
    if (!obligationTypes.has(kind)) {
      throw new GatewayError('obligation_unsupported', 'The policy asks for an obligation that does not exist.');
    }
    if (seen.has(kind)) throw invalid('two obligations of one type');
    seen.add(kind);
    if (!isObject(properties)) throw invalid('the properties of an obligation are not an object');
    checkObligation(kind, properties);
    return { id: text(id, 'id'), type: kind, properties };
  });
}

function checkObligation(type: string, properties: JsonObject): void {
  switch (type) {
    case 'max_rows':
    case 'max_bytes':
    case 'timeout_ms':
      count(shape(properties, type, ['value']).value, type);
      return;
    case 'record': {
      const { value } = shape(properties, type, ['value']);
      if (value !== 'full' && value !== 'metadata') throw invalid('record is neither full nor metadata');
      return;
    }
    case 'rate': {
      const { value, window_seconds } = shape(properties, type, ['value', 'window_seconds']);
      count(value, type);
      if (count(window_seconds, type) === 0) throw invalid('rate has no window');
      return;
    }
    case 'messages':
      if (shape(properties, type, ['value']).value !== 'judged') throw invalid('messages are not judged');
      return;
    case 'shell_mode': {
      const { value } = shape(properties, type, ['value']);
      if (value !== 'judged' && value !== 'recorded') throw invalid('shell_mode is neither judged nor recorded');
      return;
    }
    default:
      shape(properties, type, ['message']);
  }
}

function accessRequestOf(value: unknown): AccessRequest {
  const request = shape(value, 'access_request', [
    'groups',
    'quorum',
    'ttl_seconds',
    'uses',
    'reason_required',
    'mode',
    'wait_seconds',
    'reuse',
    'break_glass',
  ]);
  const {
    quorum = 1,
    ttl_seconds = 900,
    uses = 1,
    reason_required = true,
    mode = 'return',
    wait_seconds = 0,
    reuse = 'none',
    break_glass = false,
  } = request;
  const groups = list(request.groups, 'groups').map((group) => text(group, 'a group'));
  if (groups.length === 0) throw invalid('access_request names no approvers');
  if (mode !== 'wait' && mode !== 'return') throw invalid('access_request.mode is neither wait nor return');
  if (reuse !== 'none' && reuse !== 'shape') throw invalid('access_request.reuse is neither none nor shape');
  if (typeof break_glass !== 'boolean') throw invalid('break_glass is not a boolean');
  if (typeof reason_required !== 'boolean') throw invalid('reason_required is not a boolean');
  const needed = count(quorum, 'quorum');
  const times = count(uses, 'uses');
  if (needed === 0 || times === 0) throw invalid('access_request asks for nothing');
  return {
    groups,
    quorum: needed,
    ttlSeconds: count(ttl_seconds, 'ttl_seconds'),
    uses: times,
    reasonRequired: reason_required,
    mode,
    waitSeconds: count(wait_seconds, 'wait_seconds'),
    reuse,
    breakGlass: break_glass,
  };
}

function quarantineOf(value: unknown): Quarantine {
  const { scope, ttl_seconds, message } = shape(value, 'quarantine', ['scope', 'ttl_seconds', 'message']);
  if (scope !== 'subject' && scope !== 'session') throw invalid('quarantine.scope is neither subject nor session');
  return { scope, ttlSeconds: count(ttl_seconds, 'ttl_seconds'), message: text(message, 'message') };
}

function entries<Value>(value: unknown, where: string, read: (value: unknown) => Value): ReadonlyMap<string, Value> {
  if (value === undefined) return new Map();
  if (!isObject(value)) throw invalid(`${where} is not an object`);
  return new Map(Object.entries(value).map(([key, item]) => [key, read(item)]));
}

/** An object with these keys and no others; the values are not looked at. */
function shape<Key extends string>(value: unknown, where: string, keys: readonly Key[]): { [K in Key]?: unknown } {
  if (!isObject(value)) throw invalid(`${where} is not an object`);
  const known: readonly string[] = keys;
  if (Object.keys(value).some((key) => !known.includes(key))) throw invalid(`${where} has an unknown key`);
  const checked: object = value;
  return checked;
}

/** The result comes from JSON: an object there is a JSON object. */
function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function list(value: unknown, where: string): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > limits.policyResultItemsMax)
    throw invalid(`${where} is not a short list`);
  return value;
}

function text(value: unknown, where: string): string {
  if (typeof value !== 'string' || !value.isWellFormed() || value.length > limits.policyResultTextMax) {
    throw invalid(`${where} is not a short string`);
  }
  return value;
}

function count(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw invalid(`${where} is not a count`);
  return value;
}

function invalid(why: string): GatewayError {
  return new GatewayError(
    'policy_result_invalid',
    `The policy returned something outside the decision contract: ${why}.`,
  );
}
