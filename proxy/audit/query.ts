import { limits } from '../core/limits.ts';
import type { Json } from '../core/types.ts';
import { isObject, type Line, parseLine } from './line.ts';
import { readLines } from './lines.ts';

/** What to look for. All that is given must match; nothing given matches every line. */
export interface AuditFilter {
  readonly event?: string | undefined;
  /** The id of the subject, or of somebody it acts for. */
  readonly subject?: string | undefined;
  readonly effect?: string | undefined;
  /** The code of a refusal or an outcome, or of one of the reasons. */
  readonly code?: string | undefined;
  readonly session?: string | undefined;
  /** The earliest time, RFC 3339, compared as an instant. */
  readonly sinceMs?: number | undefined;
}

/** The lines of a trail that match, in order, as text. They are not verified: that is `verifyAudit`. */
export async function* queryAudit(files: readonly string[], filter: AuditFilter): AsyncGenerator<string> {
  for (const file of files) {
    for await (const { bytes } of readLines(file, limits.auditLineBytesMax)) {
      const line = parseLine(bytes);
      if (line !== undefined && matches(line, filter)) yield bytes.toString('utf8');
    }
  }
}

/** Whether a line is what is looked for. */
export function matches(line: Line, filter: AuditFilter): boolean {
  const { members } = line;
  if (filter.sinceMs !== undefined && !(Date.parse(line.time) >= filter.sinceMs)) return false;
  if (filter.event !== undefined && line.event !== filter.event) return false;
  if (filter.effect !== undefined && members.effect !== filter.effect) return false;
  if (filter.session !== undefined && members.session !== filter.session) return false;
  if (filter.subject !== undefined && !namesSubject(members.subject, filter.subject)) return false;
  return filter.code === undefined || hasCode(members, filter.code);
}

function namesSubject(subject: Json | undefined, id: string): boolean {
  if (!isObject(subject)) return subject === id;
  const chain: Json | undefined = subject.on_behalf_of;
  return subject.id === id || (Array.isArray(chain) && chain.some((principal) => namesSubject(principal, id)));
}

function hasCode(members: Line['members'], code: string): boolean {
  const reasons: Json | undefined = members.reasons;
  if (members.code === code) return true;
  return Array.isArray(reasons) && reasons.some((reason: Json) => isObject(reason) && reason.code === code);
}
