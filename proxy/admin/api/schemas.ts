import { limits } from '../../core/limits.ts';
import type { Json } from '../../core/types.ts';
import type { Schema } from './route.ts';

/** The shapes of what the API answers and takes; `openapi.ts` puts them into its document. */

const string: Schema = { type: 'string' };
const nullable: Schema = { type: ['string', 'null'] };
const integer: Schema = { type: 'integer', minimum: 0 };
const boolean: Schema = { type: 'boolean' };
const time: Schema = { type: 'string', format: 'date-time' };
/** Whatever the operation brought: its shape is the protocol's. */
const free: Schema = { type: 'object' };

function object(properties: Readonly<Record<string, Json>>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required, additionalProperties: false };
}

const list = (items: Schema): Schema => ({ type: 'array', items });
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

const id: Schema = { type: 'string', pattern: '^[0-9A-Za-z_-]{1,64}$' };
/** One line that a person wrote. */
const reason: Schema = { type: 'string', maxLength: limits.consoleReasonLengthMax, pattern: '^[^\\p{Cc}]*$' };

const principal = object({ issuer: string, id: string, groups: list(string) });
const states: Schema = { enum: ['pending', 'approved', 'denied', 'expired', 'withdrawn', 'used'] };

/** `components.schemas` of the OpenAPI document. */
export const components: Readonly<Record<string, Schema>> = {
  Problem: object({ type: string, title: string, status: integer, code: string, detail: string }),
  Principal: principal,
  Me: object({
    principal: ref('Principal'),
    role: { enum: ['viewer', 'approver', 'admin'] },
    channel: { enum: ['console', 'cli'] },
  }),
  Reason: object({ policy: string, code: string, message: string }),
  Approval: object({
    id,
    state: states,
    digest: string,
    protocol: string,
    upstream: string,
    labels: free,
    session: string,
    subject: ref('Principal'),
    chain: list(ref('Principal')),
    client_address: string,
    application: string,
    action: string,
    resource: object({ type: string, id: string }),
    operation: free,
    reasons: list(ref('Reason')),
    history: free,
    estimate: free,
    groups: list(string),
    quorum: integer,
    uses: integer,
    reason_required: boolean,
    mode: { enum: ['wait', 'return'] },
    break_glass: boolean,
    requested_at: time,
    expires_at: time,
    votes: list(
      object(
        {
          approver: ref('Principal'),
          verdict: { enum: ['approve', 'deny'] },
          reason: string,
          channel: string,
          client_address: string,
          at: time,
          broke_glass: boolean,
        },
        ['broke_glass'],
      ),
    ),
    used: list(
      object({ decision_id: string, at: time, outcome: { enum: ['running', 'ok', 'error', 'aborted', 'unknown'] } }),
    ),
  }),
  Approvals: object({ approvals: list(ref('Approval')) }),
  Verdict: object({ verdict: { enum: ['approve', 'deny'] }, reason }, ['reason']),
  BrokenGlass: object({ reason }),
  Session: object({
    id,
    protocol: string,
    upstream: string,
    subject: ref('Principal'),
    chain: list(ref('Principal')),
    client_address: string,
    application: string,
    started_at: time,
    operations: integer,
    refusals: integer,
    bytes: integer,
    ending: boolean,
  }),
  Sessions: object({ sessions: list(ref('Session')) }),
  Ending: object({ reason }, ['reason']),
  Ended: object({ id }),
  Recording: object({
    id,
    protocol: string,
    upstream: string,
    subjects: list(string),
    client_address: string,
    application: string,
    started_at: string,
    ended_at: { type: ['string', 'null'], format: 'date-time' },
    outcome: string,
    code: nullable,
    operations: integer,
    refusals: list(string),
    labels: list(string),
    resources: list(string),
    bytes: integer,
    key_id: nullable,
    live: boolean,
  }),
  Recordings: object({ recordings: list(ref('Recording')) }),
  Frame: object({ time_ms: integer, kind: string, decision_id: string, base64: boolean, data: {} }, ['decision_id']),
  Replay: object({ recording: ref('Recording'), frames: list(ref('Frame')), complete: boolean }),
  Decisions: object({ decisions: list(free) }),
  Bundle: object({ ready: boolean, bundle: string, data: string }),
};

/** Answers and bodies that routes refer to. */
export const schemas = {
  me: ref('Me'),
  approval: ref('Approval'),
  approvals: ref('Approvals'),
  verdict: ref('Verdict'),
  brokenGlass: ref('BrokenGlass'),
  sessions: ref('Sessions'),
  ending: ref('Ending'),
  ended: ref('Ended'),
  recordings: ref('Recordings'),
  replay: ref('Replay'),
  decisions: ref('Decisions'),
  bundle: ref('Bundle'),
} as const;

/** Parameters of queries. They are texts: that is what a URL has. */
export const parameters = {
  limit: { type: 'string', pattern: '^[1-9][0-9]{0,2}$' },
  after: { type: 'string', pattern: '^[0-9A-Za-z_-]{1,64}$' },
  name: { type: 'string', minLength: 1, maxLength: 256, pattern: '^[^\\p{Cc}]*$' },
  /** RFC 3339. */
  time: {
    type: 'string',
    format: 'date-time',
    pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?(Z|[+-]\\d\\d:\\d\\d)$',
  },
  states: {
    type: 'string',
    pattern: '^(pending|approved|denied|expired|withdrawn|used)(,(pending|approved|denied|expired|withdrawn|used))*$',
  },
  own: { enum: ['include'] },
  effect: { enum: ['allow', 'deny', 'require_approval'] },
  format: { enum: ['json', 'asciicast-v2', 'asciicast-v3'] },
} as const satisfies Readonly<Record<string, Schema>>;
