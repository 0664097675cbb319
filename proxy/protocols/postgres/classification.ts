/**
 * What the classifier says about SQL, and what the relay and the facts for policy are made from.
 * Independent of labels, masks and policy, so that it can be cached by text and catalog epoch alone.
 */

/** The strongest thing a statement does, in the words of the decision contract. */
export type Effect =
  | 'select'
  | 'insert'
  | 'update'
  | 'delete'
  | 'merge'
  | 'truncate'
  | 'ddl'
  | 'grant'
  | 'copy'
  | 'call'
  | 'set'
  | 'transaction'
  | 'explain'
  | 'listen'
  | 'utility';

/** How a statement uses a column. `sink`: the value is stored, sent or raised somewhere. */
export type ColumnUse = 'output' | 'derived' | 'equality' | 'predicate' | 'order' | 'group' | 'join' | 'sink';

/** A column of a table, after views, CTEs and subqueries have been followed to the bottom. */
export interface BaseColumn {
  readonly schema: string;
  readonly relation: string;
  readonly column: string;
}

/** One relation a statement touches. Views are listed as well as what they read (`via` names the view). */
export interface RelationUse {
  readonly schema: string;
  readonly name: string;
  readonly kind:
    | 'table'
    | 'view'
    | 'materialized_view'
    | 'foreign_table'
    | 'partitioned_table'
    | 'sequence'
    | 'temporary'
    | 'unknown';
  readonly access: 'read' | 'write' | 'read_write' | 'define';
  /** `schema.name` of the view or relative it is reached through; empty when named by the statement. */
  readonly via: string;
  readonly columns: readonly { readonly name: string; readonly uses: readonly ColumnUse[] }[];
  /** The statement may touch every column (whole row, unresolved star, DDL). */
  readonly wholeRow: boolean;
}

/** One column of a result set. */
export interface OutputColumn {
  readonly name: string;
  /** Every base column whose value can influence this one's. Sound: may be too many, never too few. */
  readonly from: readonly BaseColumn[];
  /**
   * Other names under which policy may know the same values: columns of the views passed on the way, the same
   * column of inheritance parents, children and partitions. A mask on one of these applies, too.
   */
  readonly through: readonly BaseColumn[];
  /** The value is exactly that of the single column in `from`, unchanged. */
  readonly exact: boolean;
  /** The lineage was lost: the value may come from anywhere. */
  readonly unknown: boolean;
}

/** A constant in the text. Byte offsets into the UTF-8 text of the whole query string. */
export interface Literal {
  readonly start: number;
  readonly end: number;
  /** The base columns it is compared with, stored in or combined with; `unknown` when that was lost. */
  readonly meets: readonly BaseColumn[] | 'unknown';
}

/** A function a statement calls, named, as an operator, a cast or a type's own. */
export interface FunctionUse {
  readonly schema: string;
  readonly name: string;
  readonly volatility: 'immutable' | 'stable' | 'volatile' | 'unknown';
}

/** A run-time setting that is changed. `value` undefined: back to the session's default, or not a constant. */
export interface SettingUse {
  readonly name: string;
  readonly value: string | undefined;
  readonly local: boolean;
}

/** What a statement means for the relay, beyond being forwarded. */
export type Control =
  | { readonly type: 'none' }
  | { readonly type: 'prepare'; readonly name: string; readonly statement: ClassifiedStatement }
  | { readonly type: 'execute'; readonly name: string; readonly arguments: readonly Literal[] }
  /** `name` undefined: DEALLOCATE ALL. */
  | { readonly type: 'deallocate'; readonly name: string | undefined }
  | { readonly type: 'declare'; readonly name: string; readonly hold: boolean }
  | { readonly type: 'fetch'; readonly name: string; readonly move: boolean }
  | { readonly type: 'close'; readonly name: string | undefined }
  /** `options` are the resolved COPY options; the columns are the statement's `output`. */
  | { readonly type: 'copy_out'; readonly options: CopyOptions }
  | { readonly type: 'copy_in'; readonly options: CopyOptions }
  | { readonly type: 'transaction'; readonly kind: string }
  | ({ readonly type: 'set' } & SettingUse)
  | { readonly type: 'discard'; readonly what: 'all' | 'plans' | 'sequences' | 'temp' };

/** The options of a COPY, each resolved to its default where the statement is silent. */
export interface CopyOptions {
  readonly format: 'text' | 'csv' | 'binary';
  readonly delimiter: string;
  readonly nullText: string;
  readonly header: boolean;
  readonly quote: string;
  readonly escape: string;
  /** True when an option was not understood: the relay cannot mask and must refuse if it had to. */
  readonly unknown: boolean;
}

/** One statement of a query string. */
export interface ClassifiedStatement {
  /** Lower case: `select`, `drop_database`, `create_table`, `copy`, `begin`, … the parser's node, readable. */
  readonly verb: string;
  /** Strongest first; the first one names the action. */
  readonly effects: readonly Effect[];
  /** For UPDATE and DELETE (any in the statement, CTEs included): every one has a WHERE that is not constant. `undefined` when it has neither. */
  readonly hasWhere: boolean | undefined;
  /** A constant LIMIT or FETCH FIRST at the top level. */
  readonly limit: number | undefined;
  readonly functions: readonly FunctionUse[];
  readonly relations: readonly RelationUse[];
  /** Objects other than relations that the statement names (databases, roles, extensions, …), `kind:name`. */
  readonly objects: readonly string[];
  /**
   * The columns of the result set in order, or `undefined` when there is none (or it cannot be known: then `incomplete`
   * says so, except for FETCH and EXECUTE, whose columns are those of the cursor or prepared statement). For DECLARE
   * these are the columns of the cursor; for COPY TO those of the copied rows.
   */
  readonly output: readonly OutputColumn[] | undefined;
  readonly control: Control;
  /** Settings changed by calls of `set_config`; those of SET are in `control`. */
  readonly settings: readonly SettingUse[];
  /** Byte range in the query string, without the semicolon. */
  readonly start: number;
  readonly end: number;
  readonly literals: readonly Literal[];
  /** `$n` → the base columns it meets. Every parameter of the statement is a key. */
  readonly parameters: ReadonlyMap<number, readonly BaseColumn[] | 'unknown'>;
  /** Why the statement is not fully accounted for, as short stable words; empty when it is. */
  readonly incomplete: readonly string[];
  /** The statement can change what names mean (DDL, SET ROLE, search_path): the catalog must be read again. */
  readonly changesCatalog: boolean;
}

/** What became of one query string. */
export type Classification =
  | {
      readonly statements: readonly ClassifiedStatement[];
      readonly fingerprint: string;
      /** Where the constants begin (byte offsets) whose value had no say in any of this. */
      readonly inertConstants: ReadonlySet<number>;
    }
  | {
      readonly fault: {
        readonly code:
          | 'operation_unparseable'
          | 'operation_too_large'
          | 'operation_malformed'
          | 'limit_reached'
          | 'upstream_unavailable'
          | 'internal_error';
        /** A fixed sentence. */
        readonly message: string;
        /** The parser's own words; they may quote the text, so they are for the client that sent it alone. */
        readonly detail?: string;
      };
    };

/** Classifies query strings against one database's catalog. */
export interface Classifier {
  /** Grows whenever the catalog changed; cached classifications of an older epoch must not be used. */
  readonly epoch: number;
  /** Synchronous up to the in-thread parse bound, a promise past it. Never throws or rejects. */
  classify(sql: Uint8Array): Classification | Promise<Classification>;
  /** The catalog may be stale (DDL was seen). The next `classify` sees the new catalog or refuses. */
  invalidate(): Promise<void>;
}

/** Runs one catalog query on the gateway's own upstream connection; judged and audited like any other. Rows of text values. */
export type CatalogQuery = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;
