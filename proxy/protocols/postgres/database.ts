import { limits } from '../../core/limits.ts';
import type { Masker } from '../../core/masker.ts';
import type { JsonObject } from '../../core/types.ts';
import type { BaseColumn, Classification, ClassifiedStatement, FunctionUse } from './classification.ts';
import type { CatalogClassifier } from './classify.ts';
import type { FieldDescription } from './codec.ts';
import type { Estimated, Estimator } from './estimate.ts';
import { FactsCache, isSensitive, type Target } from './facts.ts';
import { Labels } from './labels.ts';
import type { ResultPlan } from './plan.ts';
import { type Shaped, Shapes } from './shapes.ts';

/** What an empty query string is taken for: a query that reads nothing. */
export const emptyStatement: ClassifiedStatement = {
  verb: 'empty',
  effects: ['select'],
  hasWhere: undefined,
  limit: undefined,
  functions: [],
  relations: [],
  objects: [],
  output: undefined,
  control: { type: 'none' },
  settings: [],
  start: 0,
  end: 0,
  literals: [],
  parameters: new Map(),
  incomplete: [],
  changesCatalog: false,
};

/** What is shared by the connections to one database under one login: catalog, facts, labels. */
export class Database {
  readonly facts = new FactsCache();
  readonly #classifier: CatalogClassifier;
  readonly #estimator: Estimator;
  readonly #masker: Masker;
  readonly #names: { readonly upstream: string; readonly database: string; readonly login: string };
  readonly #config: () => JsonObject;
  /** Empty query strings share one classification, so that their facts are made once. */
  readonly #empty: Classification = {
    fingerprint: 'empty',
    statements: [emptyStatement],
    inertConstants: new Set(),
  };
  readonly #shapes = new Shapes(limits.statementShapesMax, limits.statementShapeBytesMax);
  readonly #agreed = new WeakMap<ResultPlan, Buffer>();
  #labelled: { readonly config: JsonObject; readonly target: Target } | undefined;

  /** @param config - `data.config` as active now; another object after each activation */
  constructor(
    names: { readonly upstream: string; readonly database: string; readonly login: string },
    { classifier, estimator }: { readonly classifier: CatalogClassifier; readonly estimator: Estimator },
    masker: Masker,
    config: () => JsonObject,
  ) {
    this.#names = names;
    this.#classifier = classifier;
    this.#estimator = estimator;
    this.#masker = masker;
    this.#config = config;
  }

  get epoch(): number {
    return this.#classifier.epoch;
  }

  /** Where operations run, with the labels of the active `data.config`. The same object until that changes. */
  get target(): Target {
    const config = this.#config();
    if (this.#labelled?.config !== config) {
      const labels = new Labels(config, this.#names.upstream);
      const hash = (value: Uint8Array): string => this.#masker.keyedHash(value);
      this.#labelled = { config, target: { ...this.#names, labels, hash } };
    }
    return this.#labelled.target;
  }

  /** Classifies a query string. Texts that differ in inert constants only share one classification. */
  classify(text: Buffer): Shaped | Promise<Shaped> {
    return this.#shapes.classify(text, this.#classifier.epoch, this.#classify);
  }

  readonly #classify = (text: Uint8Array): Classification | Promise<Classification> => {
    const answer = this.#classifier.classify(text);
    return answer instanceof Promise
      ? answer.then((classification) => this.#orEmpty(classification))
      : this.#orEmpty(answer);
  };

  #orEmpty(classification: Classification): Classification {
    return 'statements' in classification && classification.statements.length === 0 ? this.#empty : classification;
  }

  /** Reads the catalog again after DDL. Never rejects: while it cannot be read, `classify` refuses. */
  refresh(): Promise<void> {
    return this.#classifier.invalidate().catch(() => undefined);
  }

  /**
   * How a held statement is estimated, where the active `data.config.sql.estimate` wants that; else `undefined`, so that
   * policy is not asked in vain.
   */
  estimate(held: Estimated): ((signal: AbortSignal) => Promise<JsonObject>) | undefined {
    const { sql } = this.#config();
    const wanted = typeof sql === 'object' && sql !== null && 'estimate' in sql && sql.estimate === true;
    return wanted ? (signal) => this.#estimator.estimate(held, this.target, signal) : undefined;
  }

  isSensitive(column: BaseColumn): boolean {
    return isSensitive(column, this.target.labels, undefined);
  }

  /** What runs when a parameter of this type arrives; `undefined` when the type is unknown. */
  typeFunctions(oid: number): readonly FunctionUse[] | undefined {
    return this.#classifier.typeFunctions(oid);
  }

  /** The types of a COPY's columns; `undefined` where a column is not exactly one of a table. */
  outputTypes({ output }: ClassifiedStatement): readonly (number | undefined)[] {
    return (output ?? []).map(({ exact, from: [column] }) =>
      exact && column !== undefined ? this.#classifier.typeOf(column) : undefined,
    );
  }

  /**
   * Holds what the server says about a result's columns against what was judged.
   *
   * @param body - the RowDescription itself, so that the same one is compared only once
   * @returns why the two disagree, or `undefined`
   */
  disagreement(result: ResultPlan, fields: readonly FieldDescription[], body: Buffer | undefined): string | undefined {
    if (body !== undefined && this.#agreed.get(result)?.equals(body)) return undefined;
    const { output } = result.statement;
    if (output === undefined) return 'The upstream answered with rows where none were judged.';
    if (output.length !== fields.length) return 'The upstream answered with another number of columns than was judged.';
    for (const [index, field] of fields.entries()) {
      const judged = output[index];
      // Column 0 of a relation is its whole row, labelled columns and all.
      if (field.tableOid !== 0 && field.attributeNumber === 0 && judged?.exact === true) {
        return 'The upstream answered with a whole row where a column was judged.';
      }
      const column = this.#classifier.columnByOid(field.tableOid, field.attributeNumber);
      if (column === undefined || judged === undefined || !this.isSensitive(column)) continue;
      if (!judged.unknown && ![...judged.from, ...judged.through].some((known) => sameColumn(known, column))) {
        return 'The upstream answered with a labelled column that was not judged.';
      }
    }
    if (body !== undefined) this.#agreed.set(result, Buffer.from(body));
    return undefined;
  }
}

function sameColumn(one: BaseColumn, other: BaseColumn): boolean {
  return one.column === other.column && one.relation === other.relation && one.schema === other.schema;
}
