import type { Approval, Notice } from '../core/approvals.ts';

/** An approval as both engines keep it: the whole of it as JSON, and what is searched by. */
export interface Row {
  readonly id: string;
  readonly digest: string;
  readonly shape: string | null;
  /** What it satisfies, as JSON: two pending requests of one operation differ in it. */
  readonly grants: string;
  readonly issuer: string;
  readonly subject: string;
  readonly state: string;
  readonly expires_at_ms: number;
  /** 1 while a use is running. */
  readonly running: number;
  readonly document: string;
}

/** The names of the columns, in the order of {@link valuesOf}. */
export const columns = 'id, digest, shape, grants, issuer, subject, state, expires_at_ms, running, document'.split(
  ', ',
);

/** An approval as its row. */
export function rowOf(approval: Approval): Row {
  return {
    id: approval.id,
    digest: approval.digest,
    shape: approval.shape ?? null,
    grants: JSON.stringify(approval.grants),
    issuer: approval.subject.issuer,
    subject: approval.subject.id,
    state: approval.state,
    expires_at_ms: approval.expiresAtMs,
    running: approval.used.some(({ outcome }) => outcome === 'running') ? 1 : 0,
    document: JSON.stringify(approval),
  };
}

/** The values of a row in the order of {@link columns}. */
export function valuesOf(approval: Approval): (string | number | null)[] {
  const row = rowOf(approval);
  return [
    ...[row.id, row.digest, row.shape, row.grants, row.issuer, row.subject],
    ...[row.state, row.expires_at_ms, row.running, row.document],
  ];
}

/** What was kept. The store is the gateway's own: what it wrote is what it reads. */
export function approvalOf(document: unknown): Approval {
  return JSON.parse(String(document)) as Approval;
}

/** A notice from its row. */
export function noticeOf(row: Record<string, unknown>): Notice {
  const { approval, state, channel, attempts } = row;
  return {
    approval: String(approval),
    state: String(state) as Notice['state'],
    channel: String(channel),
    attempts: Number(attempts),
  };
}
