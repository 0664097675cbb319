import type { Json, JsonObject } from '../../core/types.ts';
import type { BaseColumn } from './classification.ts';

/**
 * Relation labels that grant something and say nothing about the data. Every other label marks data whose
 * values may not be kept, so a label the gateway has never heard of is on the safe side.
 */
const grantingLabels: ReadonlySet<string> = new Set(['working']);

/**
 * The labels that `data.config` gives to one upstream's relations and columns, read once per activation.
 * `rego/schemas/config.json` documents the shape; `*` stands for every relation of a schema.
 */
export class Labels {
  /** Labels of the upstream itself: `resource.properties.labels`. */
  readonly upstream: JsonObject;
  readonly #schemas: ReadonlyMap<string, ReadonlyMap<string, RelationLabels>>;

  constructor(config: JsonObject, upstream: string) {
    const own = object(object(config.upstreams)[upstream]);
    this.upstream = object(own.labels);
    this.#schemas = mapOf(own.schemas, (relations) => mapOf(relations, relationLabels));
  }

  ofRelation(schema: string, name: string): readonly string[] {
    return this.#find(schema, name).flatMap(({ labels }) => labels);
  }

  ofColumn({ schema, relation, column }: BaseColumn): readonly string[] {
    return this.#find(schema, relation).flatMap(({ columns }) => columns.get(column) ?? []);
  }

  /** The labelled columns of a relation, for statements that may touch any column of it. */
  columnsOf(schema: string, name: string): readonly string[] {
    return this.#find(schema, name).flatMap(({ columns }) => [...columns.keys()]);
  }

  /** Whether a value of this column may not be kept in a recording, an audit event or a log. */
  isSensitive(column: BaseColumn): boolean {
    return this.ofColumn(column).length > 0 || this.ofRelation(column.schema, column.relation).some(isSensitiveLabel);
  }

  /** Whether errors and notices about a relation may carry values that may not be shown. */
  hasSensitive(schema: string, name: string): boolean {
    return this.columnsOf(schema, name).length > 0 || this.ofRelation(schema, name).some(isSensitiveLabel);
  }

  #find(schema: string, name: string): readonly RelationLabels[] {
    const relations = this.#schemas.get(schema);
    if (relations === undefined) return none;
    return [relations.get(name), relations.get('*')].filter((found) => found !== undefined);
  }
}

interface RelationLabels {
  readonly labels: readonly string[];
  readonly columns: ReadonlyMap<string, readonly string[]>;
}

const none: readonly RelationLabels[] = [];

function isSensitiveLabel(label: string): boolean {
  return !grantingLabels.has(label);
}

function relationLabels(value: Json): RelationLabels {
  const { labels, columns } = object(value);
  return { labels: strings(labels), columns: mapOf(columns, strings) };
}

function mapOf<T>(value: Json | undefined, convert: (item: Json) => T): ReadonlyMap<string, T> {
  return new Map(Object.entries(object(value)).map(([key, item]) => [key, convert(item)]));
}

function object(value: Json | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function strings(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}
