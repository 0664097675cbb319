import type { Decision, Fault, Json, JsonObject, OperationFacts } from '../../core/types.ts';
import type {
  BaseColumn,
  Classification,
  ClassifiedStatement,
  ColumnUse,
  Effect,
  RelationUse,
} from './classification.ts';
import type { Labels } from './labels.ts';
import { type OperationPlan, planOf } from './plan.ts';
import type { KeyedHash } from './redact.ts';

/** Which message brought the operation. */
export type Via = 'simple' | 'extended' | 'function_call' | 'copy';

/** Where an operation would run. */
export interface Target {
  readonly upstream: string;
  readonly database: string;
  readonly login: string;
  readonly labels: Labels;
  readonly hash: KeyedHash;
}

/** A query string, classified, its EXECUTEs and FETCHes resolved to what they run; without its text. */
export interface SqlOperation {
  readonly fingerprint: string;
  readonly statements: readonly ClassifiedStatement[];
  readonly via: Via;
  readonly inTransaction: boolean;
}

/** Strongest first: the first one an operation has names its action. */
const strength: readonly Effect[] =
  'ddl grant truncate delete merge update insert copy call set utility listen select explain transaction'.split(
    ' ',
  ) as Effect[];

/**
 * The facts of an operation for policy, and how its decision is carried out. Pure. Texts that differ in inert
 * constants only share them: the text itself, for policies that read it, is a variable of each execution.
 */
export function sqlFacts(operation: SqlOperation, target: Target): OperationFacts<OperationPlan> {
  const { statements } = operation;
  const effects = strength.filter((effect) => statements.some((statement) => statement.effects.includes(effect)));
  const incomplete = [...new Set(statements.flatMap((statement) => statement.incomplete))];
  const { labels } = target;
  return {
    shape: operation.fingerprint,
    action: { name: effects[0] ?? 'utility', properties: actionProperties(operation, effects, incomplete) },
    resource: databaseResource(target, statements),
    complete: incomplete.length === 0,
    enforce: (decision) => planOf(statements, decision, (schema, name) => labels.hasSensitive(schema, name)),
    describe: () => ({
      fingerprint: operation.fingerprint,
      via: operation.via,
      effects,
      relations: [
        ...new Set(statements.flatMap(({ relations }) => relations.map(({ schema, name }) => `${schema}.${name}`))),
      ],
      ...(incomplete.length > 0 && { incomplete }),
    }),
  };
}

/** The facts of something the gateway refuses whatever policy says. Its text is kept as a hash only. */
export function faultFacts(
  about: { text: Uint8Array; via: Via; fault: Fault; action?: string },
  target: Target,
): OperationFacts<OperationPlan> {
  return {
    action: { name: about.action ?? 'utility', properties: { protocol: 'postgres', via: about.via } },
    resource: databaseResource(target, []),
    complete: false,
    fault: about.fault,
    enforce: () => ({ fault: about.fault }),
    describe: () => ({ via: about.via, text_hash: target.hash(about.text), bytes: about.text.length }),
  };
}

/** Whether a value of this column may not be kept: labelled, or masked by this decision. */
export function isSensitive(column: BaseColumn, labels: Labels, decision: Decision | undefined): boolean {
  return (
    labels.isSensitive(column) ||
    decision?.masks.columns.get(`${column.schema}.${column.relation}`)?.has(column.column) === true
  );
}

function actionProperties(
  operation: SqlOperation,
  effects: readonly Effect[],
  incomplete: readonly string[],
): JsonObject {
  return {
    protocol: 'postgres',
    via: operation.via,
    fingerprint: operation.fingerprint,
    effects,
    statements: operation.statements.map((statement) => statementDocument(statement, operation.inTransaction)),
    incomplete,
  };
}

function statementDocument(statement: ClassifiedStatement, inTransaction: boolean): JsonObject {
  const { control } = statement;
  const settings = control.type === 'set' ? [control, ...statement.settings] : statement.settings;
  return {
    verb: statement.verb,
    effects: statement.effects,
    ...(statement.hasWhere !== undefined && { has_where: statement.hasWhere }),
    ...(statement.limit !== undefined && { limit: statement.limit }),
    functions: statement.functions.map(({ schema, name, volatility }) => ({ schema, name, volatility })),
    objects: statement.objects,
    settings: settings.map(({ name, value, local }) => ({ name, value: value ?? null, local })),
    in_transaction: inTransaction,
    incomplete: statement.incomplete,
  };
}

function databaseResource(target: Target, statements: readonly ClassifiedStatement[]): OperationFacts['resource'] {
  const { upstream, database, login, labels } = target;
  return {
    type: 'database',
    id: `${upstream}/${database}`,
    properties: {
      upstream,
      database,
      login,
      labels: labels.upstream,
      relations: statements.flatMap(({ relations }) => relations.map((relation) => relationDocument(relation, labels))),
      output: statements
        .flatMap(({ output }) => output ?? [])
        .map(({ name, from, exact, unknown }) => ({
          name,
          from: from.map(({ schema, relation, column }) => ({ schema, table: relation, column })),
          exact,
          unknown,
        })),
    },
  };
}

function relationDocument(relation: RelationUse, labels: Labels): JsonObject {
  const { schema, name, kind, access, via, wholeRow } = relation;
  return {
    schema,
    name,
    kind,
    access,
    via,
    whole_row: wholeRow,
    labels: labels.ofRelation(schema, name),
    columns: columnDocuments(relation, labels),
  };
}

/** A statement that may touch any column of a relation touches each labelled one. */
function columnDocuments(relation: RelationUse, labels: Labels): Json[] {
  const { schema, name, access, wholeRow } = relation;
  const uses = new Map<string, readonly ColumnUse[]>(relation.columns.map((column) => [column.name, column.uses]));
  if (wholeRow && access !== 'define') {
    for (const column of labels.columnsOf(schema, name)) if (!uses.has(column)) uses.set(column, ['derived']);
  }
  return [...uses].map(([column, used]) => ({
    name: column,
    labels: labels.ofColumn({ schema, relation: name, column }),
    uses: used,
  }));
}

/** A text for the audit trail, bounded. */
export function truncated(text: string): string {
  const max = 8 * 1024;
  return text.length <= max ? text : `${text.slice(0, max).toWellFormed()}… (${text.length} characters)`;
}

/** Reuses the facts of one classification: the object's identity is what keys the decision cache. */
export class FactsCache {
  #labels: Labels | undefined;
  #byClassification = new WeakMap<Classification, Map<string, OperationFacts<OperationPlan>>>();

  /** The facts under `key`, made once per classification and labels. */
  get(
    classification: Classification,
    key: string,
    labels: Labels,
    make: () => OperationFacts<OperationPlan>,
  ): OperationFacts<OperationPlan> {
    if (this.#labels !== labels) {
      this.#labels = labels;
      this.#byClassification = new WeakMap();
    }
    let variants = this.#byClassification.get(classification);
    if (variants === undefined) {
      variants = new Map();
      this.#byClassification.set(classification, variants);
    }
    let facts = variants.get(key);
    if (facts === undefined) {
      facts = make();
      variants.set(key, facts);
    }
    return facts;
  }
}
