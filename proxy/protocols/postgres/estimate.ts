import type { JsonObject } from '../../core/types.ts';
import type { CatalogLink } from './catalog-link.ts';
import type { ClassifiedStatement } from './classification.ts';
import { sqlFacts, type Target } from './facts.ts';
import type { BoundQuery } from './upstream.ts';

/** A query that is held, as it was judged. */
export interface Estimated {
  readonly text: string;
  readonly fingerprint: string;
  readonly statements: readonly ClassifiedStatement[];
  /** What was bound to it, and that as policy may see it. */
  readonly bound?: (BoundQuery & { readonly shown: readonly JsonObject[] }) | undefined;
}

/** How many rows held statements would affect, by the planner's guess. */
export class Estimator {
  readonly #link: CatalogLink;
  readonly #waitingMax: number;
  #waiting = 0;

  /**
   * @param link - the gateway's own, read-only and with a timeout
   * @param waitingMax - past this many at once, further ones are refused
   */
  constructor(link: CatalogLink, waitingMax: number) {
    this.#link = link;
    this.#waitingMax = waitingMax;
  }

  /**
   * `rows`, `cost` and `node` of the plan; empty when there is nothing honest to say. A plan quotes conditions, and with
   * them values: nothing else of it is looked at.
   * @throws GatewayError when policy does not let the gateway ask, or the upstream does not answer
   */
  async estimate(held: Estimated, target: Target, signal: AbortSignal): Promise<JsonObject> {
    const { bound } = held;
    const statement = plannable(held);
    if (statement === undefined || this.#waiting >= this.#waitingMax) return {};
    // A plan runs nothing. What it needs to know of relations is read.
    const planned: ClassifiedStatement = {
      ...statement,
      verb: 'explain',
      effects: ['explain'],
      relations: statement.relations.map((relation) => ({ ...relation, access: 'read' })),
      output: undefined,
    };
    const facts = sqlFacts(
      {
        ...{ fingerprint: held.fingerprint, statements: [planned] },
        ...{ via: bound === undefined ? 'simple' : 'extended', inTransaction: false },
      },
      target,
    );
    const sql = `EXPLAIN (FORMAT JSON) ${held.text}`;
    this.#waiting += 1;
    try {
      const rows = await this.#link.ask(
        sql,
        {
          // No row of the answer leaves the gateway: there is nothing to mask.
          facts: { ...facts, enforce: () => ({ plan: undefined }) },
          variable: () => ({ text: sql, ...(bound && { parameters: [...bound.shown] }) }),
          audit: () => ({ purpose: 'estimate' }),
        },
        { bound, signal },
      );
      return numbersOf(rows[0]?.[0] ?? '');
    } finally {
      this.#waiting -= 1;
    }
  }
}

/** The one statement of which a plan made elsewhere, without its transaction, says something. */
function plannable({ statements, bound }: Estimated): ClassifiedStatement | undefined {
  const [statement] = statements;
  if (statement === undefined || statements.length !== 1) return undefined;
  const { verb, control, parameters, relations, incomplete } = statement;
  if (!verbs.has(verb) || control.type !== 'none' || incomplete.length > 0) return undefined;
  if (parameters.size > 0 && bound === undefined) return undefined;
  // Another connection has no temporary tables, or others of the same name.
  const known = relations.every(({ kind }) => kind !== 'temporary' && kind !== 'unknown');
  return known ? statement : undefined;
}

const verbs: ReadonlySet<string> = new Set(['select', 'insert', 'update', 'delete', 'merge']);

/** Exported for its test: what is kept of a plan as JSON. */
export function numbersOf(json: string): JsonObject {
  const plans: unknown = JSON.parse(json);
  // A rule can make several statements of one.
  if (!Array.isArray(plans) || plans.length !== 1) return {};
  const top = node(node(plans[0])?.Plan);
  if (top === undefined) return {};
  // What changes rows says of itself that it returns none; what it changes are those that are below it.
  const counted =
    top['Node Type'] === 'ModifyTable' && Array.isArray(top.Plans)
      ? top.Plans.map(node).filter((below) => below !== undefined && scanned.has(below['Parent Relationship']))
      : [top];
  const rows = counted.map((one) => one?.['Plan Rows']);
  const cost = top['Total Cost'];
  const type = counted[0]?.['Node Type'];
  if (rows.length === 0 || !rows.every(isCount) || !isCount(cost)) return {};
  return {
    rows: rows.reduce((sum, each) => sum + each, 0),
    cost,
    ...(typeof type === 'string' && /^[A-Za-z ]{1,40}$/.test(type) && { node: type }),
  };
}

const scanned: ReadonlySet<unknown> = new Set(['Outer', 'Member']);

function node(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
