/**
 * Query strings → facts, against one database's catalog. The hot path is one map lookup by text.
 */
import { limits } from '../../core/limits.ts';
import { type Catalog, type CatalogLimits, openCatalog } from './catalog.ts';
import type {
  BaseColumn,
  CatalogQuery,
  Classification,
  ClassifiedStatement,
  Classifier,
  FunctionUse,
} from './classification.ts';
import type { Surroundings } from './lineage/analysis.ts';
import { type Ast, child, emptyAst, isAst, kindOf, list, number } from './lineage/ast.ts';
import { isShallow } from './lineage/coverage.ts';
import { fingerprint } from './lineage/fingerprint.ts';
import { baseColumn } from './lineage/finish.ts';
import { inertConstants } from './lineage/inert-constants.ts';
import type { Snapshot } from './lineage/snapshot.ts';
import { classifyStatement } from './lineage/statements.ts';
import { constantTokens } from './lineage/tokens.ts';
import { functionsOfType } from './lineage/types.ts';
import { Views } from './lineage/views.ts';
import { createParser, type Parsed, type Parser, type ParserLimits } from './parser.ts';

/** A classifier that also knows what the numbers in a RowDescription mean. */
export interface CatalogClassifier extends Classifier {
  /** The column of a table with this OID and attribute number; `undefined` for views, whole rows and unknown ones. */
  columnByOid(relationOid: number, attributeNumber: number): BaseColumn | undefined;
  /** The OID of a column's type; `undefined` when the column is unknown. */
  typeOf(column: BaseColumn): number | undefined;
  /** The functions outside the system schemas that run when a value of this type arrives; `undefined` when it is unknown. */
  typeFunctions(oid: number): readonly FunctionUse[] | undefined;
  /** Ends its parser and its background checks. The catalog connection stays the caller's. */
  close(): Promise<void>;
}

/** The bounds a classifier keeps. */
export interface ClassifierLimits extends ParserLimits, CatalogLimits {
  readonly sqlStatementsMax: number;
  readonly sqlTreeDepthMax: number;
  readonly sqlLineageStepsMax: number;
  readonly classificationCacheEntriesMax: number;
  readonly classificationCacheBytesMax: number;
}

/** What a classifier needs to know. */
export interface ClassifierOptions {
  /** Asked on the gateway's own connection to the database. Its search path is set to nothing. */
  readonly query: CatalogQuery;
  readonly serverMajor: number;
  /** Schemas in search order as the login fixes them, without the implicit pg_catalog. */
  readonly searchPath: readonly string[];
  readonly database: string;
  /** The upstream login; stands for `"$user"` in the search path. */
  readonly user: string;
  readonly clock: { monotonicMs(): number };
  readonly limits?: ClassifierLimits;
}

/**
 * Loads the grammar and reads the catalog.
 *
 * @throws when either cannot be had.
 */
export async function createClassifier(options: ClassifierOptions): Promise<CatalogClassifier> {
  const bounds = options.limits ?? limits;
  const parser = await createParser(options.serverMajor, bounds);
  const views = new WeakMap<Snapshot, Views>();
  const prepare = async (snapshot: Snapshot): Promise<void> => {
    const of = new Views(snapshot, options.database, (sql) => parser.parse(sql));
    await of.prepare();
    views.set(snapshot, of);
  };
  try {
    const catalog = await openCatalog(options.query, options.clock, bounds, prepare);
    return new CachingClassifier(options, bounds, parser, catalog, views);
  } catch (error) {
    await parser.close();
    throw error;
  }
}

/** pg_catalog is searched first unless the path says where. */
function effectivePath(options: ClassifierOptions): string[] {
  const path = options.searchPath.map((schema) => (schema === '$user' ? options.user : schema));
  return path.includes('pg_catalog') ? path : ['pg_catalog', ...path];
}

function fault(
  code: Extract<Classification, { fault: unknown }>['fault']['code'],
  message: string,
): Extract<Classification, { fault: unknown }> {
  return { fault: { code, message } };
}

class CachingClassifier implements CatalogClassifier {
  readonly #bounds: ClassifierLimits;
  readonly #parser: Parser;
  readonly #catalog: Catalog;
  readonly #views: WeakMap<Snapshot, Views>;
  readonly #path: readonly string[];
  readonly #database: string;
  #cache = new Map<string, Classification>();
  #cacheEpoch = 0;
  #cacheBytes = 0;

  constructor(
    options: ClassifierOptions,
    bounds: ClassifierLimits,
    parser: Parser,
    catalog: Catalog,
    views: WeakMap<Snapshot, Views>,
  ) {
    this.#bounds = bounds;
    this.#parser = parser;
    this.#catalog = catalog;
    this.#views = views;
    this.#path = effectivePath(options);
    this.#database = options.database;
  }

  get epoch(): number {
    return this.#catalog.epoch;
  }

  classify(sql: Uint8Array): Classification | Promise<Classification> {
    const state = this.#catalog.current;
    if (state === undefined) return this.#later(sql);
    if (state.epoch !== this.#cacheEpoch) this.#forget(state.epoch);
    // Every byte is one character of the key: cheap, and no two texts share one.
    const bytes = sql instanceof Buffer ? sql : Buffer.from(sql.buffer, sql.byteOffset, sql.length);
    const key = bytes.toString('latin1');
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const parsed = this.#parser.parse(sql);
    if (parsed instanceof Promise) {
      // The text may be a view of bytes that are gone by then.
      const kept = Uint8Array.from(sql);
      return parsed.then((late) => this.#judge(late, kept, key));
    }
    return this.#judge(parsed, sql, key);
  }

  /** The catalog is being read again, or cannot be. */
  #later(sql: Uint8Array): Classification | Promise<Classification> {
    const { pending } = this.#catalog;
    const stale = fault('upstream_unavailable', 'The catalog of the upstream database could not be read lately.');
    if (pending === undefined) return stale;
    const kept = Uint8Array.from(sql);
    return pending.then(() => (this.#catalog.current === undefined ? stale : this.classify(kept)));
  }

  #judge(parsed: Parsed, sql: Uint8Array, key: string): Classification {
    const state = this.#catalog.current;
    if (state === undefined) {
      return fault('upstream_unavailable', 'The catalog of the upstream database could not be read lately.');
    }
    const classification = this.#classifyTree(parsed, sql, state.snapshot);
    this.#remember(state.epoch, key, classification);
    return classification;
  }

  #classifyTree(parsed: Parsed, sql: Uint8Array, snapshot: Snapshot): Classification {
    if ('fault' in parsed) return parsed;
    const views = this.#views.get(snapshot);
    if (views === undefined || !isAst(parsed.tree)) return fault('internal_error', 'The statement has no tree.');
    const statements = list(parsed.tree, 'stmts');
    if (statements.length > this.#bounds.sqlStatementsMax) {
      return fault('operation_too_large', 'The query string has too many statements.');
    }
    if (!isShallow(parsed.tree, this.#bounds.sqlTreeDepthMax)) {
      return fault('operation_too_large', 'The query string is nested too deeply.');
    }
    const around: Surroundings = {
      snapshot,
      views,
      // The server passes over schemas that are not there or that the login may not use.
      path: this.#path.filter((schema) => snapshot.schemas.has(schema)),
      database: this.#database,
      steps: { left: this.#bounds.sqlLineageStepsMax },
    };
    try {
      return {
        statements: classifyStatements(around, statements, sql),
        fingerprint: fingerprint(statements),
        inertConstants: inertConstants(statements),
      };
    } catch (error) {
      // The depth bound should make this impossible; if it does not, the statement is still not let through.
      if (error instanceof RangeError) return fault('operation_too_large', 'The query string is nested too deeply.');
      return fault('internal_error', 'The query string could not be classified.');
    }
  }

  #remember(epoch: number, key: string, classification: Classification): void {
    if (epoch !== this.#cacheEpoch) this.#forget(epoch);
    // A parser that was replaced may do better next time; everything else is a function of text and catalog.
    if ('fault' in classification || key.length > this.#bounds.parserInThreadBytesMax) return;
    this.#cache.set(key, classification);
    this.#cacheBytes += key.length;
    for (const oldest of this.#cache.keys()) {
      const within =
        this.#cache.size <= this.#bounds.classificationCacheEntriesMax &&
        this.#cacheBytes <= this.#bounds.classificationCacheBytesMax;
      if (within) break;
      this.#cache.delete(oldest);
      this.#cacheBytes -= oldest.length;
    }
  }

  #forget(epoch: number): void {
    this.#cache = new Map();
    this.#cacheBytes = 0;
    this.#cacheEpoch = epoch;
  }

  invalidate(): Promise<void> {
    return this.#catalog.invalidate();
  }

  columnByOid(relationOid: number, attributeNumber: number): BaseColumn | undefined {
    const relation = this.#catalog.current?.snapshot.relationByOid.get(relationOid);
    if (relation === undefined || relation.viewText !== undefined) return undefined;
    const column = relation.columns.find((each) => each.attnum === attributeNumber);
    return column === undefined ? undefined : baseColumn(column);
  }

  typeOf(column: BaseColumn): number | undefined {
    const relation = this.#catalog.current?.snapshot.relations.get(column.schema)?.get(column.relation);
    return relation?.byName.get(column.column)?.type;
  }

  typeFunctions(oid: number): readonly FunctionUse[] | undefined {
    const snapshot = this.#catalog.current?.snapshot;
    const type = snapshot?.types.get(oid);
    return snapshot && type && [...functionsOfType(snapshot, type)];
  }

  async close(): Promise<void> {
    this.#catalog.close();
    await this.#parser.close();
  }
}

function classifyStatements(around: Surroundings, statements: readonly Ast[], sql: Uint8Array): ClassifiedStatement[] {
  const tokens = constantTokens(sql);
  return statements.map((statement) => {
    const start = number(statement, 'stmt_location');
    const length = number(statement, 'stmt_len');
    const end = length === 0 ? sql.length : start + length;
    const node = child(statement, 'stmt') ?? emptyAst;
    return classifyStatement(around, kindOf(node) === '' ? emptyAst : node, { sql, tokens, start, end });
  });
}
