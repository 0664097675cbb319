import type { Permit } from '../../core/permit.ts';
import type { SessionHandle } from '../../core/ports.ts';
import type { Refusal } from '../../core/types.ts';
import type { Bind } from './codec.ts';
import type { Conversation } from './conversation.ts';
import type { Portal, PreparedStatement, RecordedParameter } from './names.ts';
import type { OperationPlan } from './plan.ts';
import { hidesParameter } from './redact.ts';
import type { StatementText } from './statement-text.ts';

/** A portal without parameters. */
export const noParameters = { bound: { values: [], formats: [] }, parameters: () => [] } satisfies Partial<Portal>;

/** Bound values, and as the recording and policy may see them, which is worked out when first asked for. */
export function boundParameters(
  bind: Bind,
  prepared: PreparedStatement,
  talk: Conversation,
): Pick<Portal, 'bound' | 'parameters'> {
  if (bind.parameterCount === 0) return noParameters;
  // Views of the message, which does not live as long as the portal.
  const values = Array.from({ length: bind.parameterCount }, (_, index) => {
    const value = bind.parameter(index);
    return value === null ? null : Buffer.from(value);
  });
  const formats = bind.parameterFormats;
  let recorded: readonly RecordedParameter[] | undefined;
  const parameters = () => {
    recorded ??= values.map((value, index) =>
      recordedParameter(value, index, formats[formats.length === 1 ? 0 : index] ?? 0, prepared, talk),
    );
    return recorded;
  };
  return { bound: { values, formats }, parameters };
}

function recordedParameter(
  value: Buffer | null,
  index: number,
  format: 0 | 1,
  prepared: PreparedStatement,
  { database, masker, limits }: Conversation,
): RecordedParameter {
  const type = prepared.parameterTypes[index] ?? 0;
  if (value === null) return { type, format, value: null, hashed: false };
  const { statements } = prepared.classification;
  const hashed = hidesParameter(statements, index + 1, (column) => database.isSensitive(column));
  if (hashed || value.length > limits.recordParameterBytesMax)
    return { type, format, value: masker.keyedHash(value), hashed: true };
  return { type, format, value: format === 0 ? value.toString('utf8').toWellFormed() : value.toString('hex'), hashed };
}

/** Records what is about to run, with everything hashed that may not be kept. */
export function recordStatement(
  session: SessionHandle,
  permit: Permit<OperationPlan>,
  text: StatementText,
  parameters: Portal['parameters'],
): void {
  const kept = text.kept(permit.decision);
  const bound = parameters();
  const data = bound.length === 0 ? { text: kept } : { text: kept, parameters: bound.map((one) => ({ ...one })) };
  session.record({ decisionId: permit.decisionId, kind: 'statement', data });
}

/** Notes in the recording that something was refused. */
export function recordRefusal(session: SessionHandle, { decisionId, code, policy, message }: Refusal): void {
  session.record({ decisionId, kind: 'refused', data: { code, policy: policy ?? null, message } });
}
