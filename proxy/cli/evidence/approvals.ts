import { isDeepStrictEqual } from 'node:util';
import type { Line } from '../../audit/line.ts';
import { limits } from '../../core/limits.ts';
import type { JsonObject } from '../../core/types.ts';

/** An approval, as the lines of a trail tell it: what each line said, behind its `seq` and `time`. */
export interface ApprovalRow {
  readonly approval: string;
  /** As of its last line. */
  readonly state: string;
  /** What was asked for; null when another gateway, or a line that is gone, has it. */
  readonly request: JsonObject | null;
  /** Who, when, from where, why. */
  readonly votes: readonly JsonObject[];
  /** Each with the votes it stood on, the `seq` of its decision, and what came of it; null while the trail does not say. */
  readonly uses: readonly Use[];
}

interface Use extends JsonObject {
  readonly seq: number;
  readonly decided: number | null;
  readonly outcome: JsonObject | null;
}

/** Gathers rows from lines, in order. */
export class ApprovalRows {
  readonly #rows = new Map<string, ApprovalRow & { readonly lastSeq: number }>();
  /** By the decision that a use is for: the approvals. */
  readonly #uses = new Map<string, string[]>();
  /** Decisions under an approval that no line before says was used for them. */
  readonly unfounded: { readonly decision: string; readonly approval: string }[] = [];

  /** Takes what a line says about approvals. @throws Error past `evidencePartsMax` approvals */
  take(line: Line): void {
    const { decision_id: decision } = line.members;
    if (line.event === 'approval') this.#approval(line);
    else if (line.event === 'decided') this.#decided(line);
    else if (line.event === 'completed' && typeof decision === 'string') {
      const outcome = { seq: line.seq, time: line.time, ...withoutSeal(line.members, 'decision_id', 'session') };
      this.#change(decision, (use) => ({ ...use, outcome }));
      this.#uses.delete(decision);
    }
  }

  /** Forgets what is over, and is of no use to lines to come. */
  forget({ members }: Line): void {
    const { approval, state } = members;
    if (typeof approval === 'string' && state !== 'pending' && state !== 'approved' && state !== 'used')
      this.#rows.delete(approval);
  }

  /** Those that a line behind this one is about, in the order of their first. */
  since(seq: number): ApprovalRow[] {
    return [...this.#rows.values()].filter((row) => row.lastSeq > seq).map(({ lastSeq: _, ...row }) => row);
  }

  #approval({ seq, time, members }: Line): void {
    const { approval, what, state } = members;
    if (typeof approval !== 'string') return;
    const said = { seq, time, ...withoutSeal(members, 'approval', 'what', 'state') };
    const before = this.#rows.get(approval) ?? { approval, state: '', request: null, votes: [], uses: [], lastSeq: 0 };
    const row = { ...before, state: String(state), lastSeq: seq };
    if (what === 'filed') this.#rows.set(approval, { ...row, request: said });
    else if (what === 'used') {
      const decision = String(members.decision_id);
      this.#rows.set(approval, { ...row, uses: [...row.uses, { ...said, decided: null, outcome: null }] });
      this.#uses.set(decision, [...(this.#uses.get(decision) ?? []), approval]);
    } else if (what === 'voted' || what === 'broken_glass') {
      this.#rows.set(approval, { ...row, votes: [...row.votes, said] });
    } else this.#rows.set(approval, row);
    if (this.#rows.size > limits.evidencePartsMax)
      throw new Error('there are too many approvals: ask for a shorter range');
  }

  #decided({ seq, members }: Line): void {
    const { decision_id: decision, approvals } = members;
    if (!Array.isArray(approvals) || typeof decision !== 'string') return;
    const used = this.#uses.get(decision) ?? [];
    for (const approval of approvals.map(String)) {
      if (!used.includes(approval)) this.unfounded.push({ decision, approval });
      const row = this.#rows.get(approval);
      if (row !== undefined) this.#rows.set(approval, { ...row, lastSeq: seq });
    }
    this.#change(decision, (use) => ({ ...use, decided: seq }));
  }

  #change(decision: string, change: (use: Use) => Use): void {
    for (const id of this.#uses.get(decision) ?? []) {
      const row = this.#rows.get(id);
      const uses = row?.uses.map((use) => (use.decision_id === decision ? change(use) : use));
      if (row !== undefined && uses !== undefined) this.#rows.set(id, { ...row, uses });
    }
  }
}

function withoutSeal(members: Line['members'], ...names: readonly string[]): JsonObject {
  const left = ['seq', 'time', 'event', 'hash', 'mac', ...names];
  return Object.fromEntries(Object.entries(members).filter(([name]) => !left.includes(name))) as JsonObject;
}

/** What an archive's approvals and its lines say of each other. */
export interface ApprovalFindings {
  readonly problems: readonly string[];
  /** Uses without a decision: the gateway stopped between the two, or the decision was refused in the last moment. */
  readonly undecided: number;
}

/**
 * Holds rows against what the trail says. Of a row, what is older than the lines is proven by the manifest alone.
 * @param told - by the lines behind `seq`
 */
export function compareApprovals(rows: readonly ApprovalRow[], told: ApprovalRows, seq: number): ApprovalFindings {
  const older = new Set(
    rows.flatMap(({ approval, uses }) =>
      uses.filter((use) => use.seq <= seq).map((use) => `${approval} ${String(use.decision_id)}`),
    ),
  );
  const problems = told.unfounded
    .filter(({ approval, decision }) => !older.has(`${approval} ${decision}`))
    .map(({ approval, decision }) => `decision ${decision} names approval ${approval}, which was not used for it`);
  const expected = new Map(told.since(seq).map((row) => [row.approval, row]));
  let undecided = 0;
  for (const row of rows) {
    // One that only a decision is about, just behind the beginning, has nothing of its own in these lines.
    const nothing = { approval: row.approval, state: row.state, request: null, votes: [], uses: [] };
    const there = expected.get(row.approval) ?? nothing;
    expected.delete(row.approval);
    if (!isDeepStrictEqual(behind(row, seq), there))
      problems.push(`approval ${row.approval} is not what the trail says`);
    undecided += there.uses.filter(({ decided }) => decided === null).length;
  }
  return { problems: [...problems, ...[...expected.keys()].map((id) => `approval ${id} is missing`)], undecided };
}

/** What of a row is behind a line. */
function behind(row: ApprovalRow, seq: number): ApprovalRow {
  const isBehind = (said: JsonObject | null) => Number(said?.seq) > seq;
  return {
    ...row,
    request: isBehind(row.request) ? row.request : null,
    votes: row.votes.filter(isBehind),
    uses: row.uses.filter(isBehind),
  };
}
