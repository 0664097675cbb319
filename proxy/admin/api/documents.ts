/** From the gateway's nouns to the JSON of the API. */
import type { Approval } from '../../core/approvals.ts';
import type { LiveSession } from '../../core/live.ts';
import type { JsonObject, Principal } from '../../core/types.ts';
import type { RecordingSummary, ShownFrame } from './evidence.ts';

const time = (ms: number): string => new Date(ms).toISOString();

/** A principal, with the groups its token gave it. */
export function principalDocument({ issuer, id, groups }: Principal): JsonObject {
  return { issuer, id, groups: [...groups] };
}

/** An approval as approvers see it. */
export function approvalDocument(approval: Approval): JsonObject {
  const { id, state, digest, protocol, upstream, labels, session, application, action, operation, history } = approval;
  const { estimate, groups, quorum, uses, mode, resource } = approval;
  return {
    ...{ id, state, digest, protocol, upstream, labels, session },
    subject: principalDocument(approval.subject),
    chain: approval.chain.map(principalDocument),
    client_address: approval.clientAddress,
    ...{ application, action, operation, history, estimate, groups: [...groups], quorum, uses, mode },
    resource: { type: resource.type, id: resource.id },
    reasons: approval.reasons.map(({ policy, code, message }) => ({ policy, code, message })),
    reason_required: approval.reasonRequired,
    break_glass: approval.breakGlass,
    requested_at: time(approval.requestedAtMs),
    expires_at: time(approval.expiresAtMs),
    votes: approval.votes.map(({ approver, verdict, reason, channel, clientAddress, atMs, brokeGlass }) => ({
      approver: principalDocument(approver),
      ...{ verdict, reason, channel, client_address: clientAddress, at: time(atMs) },
      ...(brokeGlass && { broke_glass: true }),
    })),
    used: approval.used.map(({ decisionId, atMs, outcome }) => ({ decision_id: decisionId, at: time(atMs), outcome })),
  };
}

/** An open session. */
export function sessionDocument(session: LiveSession): JsonObject {
  const { id, protocol, upstream, application, operations, refusals, bytes, ending } = session;
  return {
    ...{ id, protocol, upstream, application, operations, refusals, bytes, ending },
    subject: principalDocument(session.subject),
    chain: session.chain.map(principalDocument),
    client_address: session.clientAddress,
    started_at: time(session.startedAtMs),
  };
}

/** A recording. @param live - whether its session is still open. */
export function recordingDocument(recording: RecordingSummary, live: boolean): JsonObject {
  const { session, protocol, upstream, subjects, client_address, application, started_at, ended_at } = recording;
  const { outcome, code, operations, refusals, labels, resources, bytes, key_id } = recording;
  return {
    ...{ id: session, protocol, upstream, subjects: [...subjects], client_address, application, started_at, ended_at },
    ...{ outcome, code, operations, refusals: [...refusals], labels: [...labels], resources: [...resources] },
    ...{ bytes, key_id, live },
  };
}

/** A frame of a recording. */
export function frameDocument({ timeMs, kind, decisionId, data, base64 }: ShownFrame): JsonObject {
  return { time_ms: timeMs, kind, ...(decisionId !== undefined && { decision_id: decisionId }), base64, data };
}
