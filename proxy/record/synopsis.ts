import { limits } from '../core/limits.ts';
import type { Json, JsonObject } from '../core/types.ts';

/** What the index knows of one recording. */
export interface RecordingEntry {
  /** The session's id. Sorts by time. */
  readonly session: string;
  /** From the directory of recordings: `2026-11-22/01J….sprec`. */
  readonly file: string;
  readonly protocol: string;
  readonly upstream: string;
  /** The subject's id, then those of everybody it acted for. */
  readonly subjects: readonly string[];
  /** A session of the gateway's own, for its catalog or a login shell. */
  readonly own: boolean;
  readonly application: string;
  readonly client_address: string;
  readonly started_at: string;
  /** Null while the session is open, and when its end was never written. */
  readonly ended_at: string | null;
  /** `open`, the status of the session's outcome, or `cut`: the gateway or its disk stopped first. */
  readonly outcome: string;
  /** The code that it ended with. */
  readonly code: string | null;
  /** Operations that were permitted or refused; one that was only executed again is not counted again. */
  readonly operations: number;
  /** Codes of refusals, each once. */
  readonly refusals: readonly string[];
  /** Labels of what was touched. */
  readonly labels: readonly string[];
  /** What was touched: resource ids, relations, commands, routes, tools. */
  readonly resources: readonly string[];
  readonly bytes: number;
  /** The key it is encrypted with; null when it is in clear. */
  readonly key_id: string | null;
  /** When it was found to be in the bucket, of one that was uploaded. */
  readonly uploaded_at?: string;
}

/** Sums a recording up: from its frames as they are written, or as they are read again. */
export class Synopsis {
  readonly #file: string;
  readonly #header: JsonObject;
  readonly #labels = new Set<string>();
  readonly #resources = new Set<string>();
  readonly #refusals = new Set<string>();
  #operations = 0;
  #end: JsonObject | undefined;
  /** In the file so far. */
  bytes: number;

  constructor(file: string, header: JsonObject, bytes: number) {
    this.#file = file;
    this.#header = header;
    this.bytes = bytes;
  }

  /** Takes a frame into account. */
  note(kind: string, data: JsonObject | Uint8Array): void {
    if (data instanceof Uint8Array) return;
    if (kind === 'judged') this.#judged(data);
    else if (kind === 'refused') add(this.#refusals, [data.code]);
    else if (kind === 'end') this.#end = data;
  }

  /**
   * What the index says of it.
   * @param endedAtMs - since the epoch; undefined while it is being written
   * @param unfinished - what it is called without an `end` frame
   */
  entry(
    endedAtMs: number | undefined,
    unfinished: 'open' | 'cut' = endedAtMs === undefined ? 'open' : 'cut',
  ): RecordingEntry {
    const { session, protocol, upstream, subject, application, client_address, started_at, encryption } = this.#header;
    const outcome = objectOf(this.#end?.outcome);
    return {
      session: textOf(session),
      file: this.#file,
      protocol: textOf(protocol),
      upstream: textOf(upstream),
      subjects: subjectsOf(objectOf(subject)),
      own: objectOf(subject).type === 'gateway',
      application: textOf(application),
      client_address: textOf(client_address),
      started_at: textOf(started_at),
      ended_at: this.#end === undefined || endedAtMs === undefined ? null : new Date(endedAtMs).toISOString(),
      outcome: this.#end === undefined ? unfinished : textOf(outcome.status),
      code: typeof outcome.code === 'string' ? outcome.code : null,
      operations: this.#operations,
      refusals: [...this.#refusals],
      labels: [...this.#labels],
      resources: [...this.#resources],
      bytes: this.bytes,
      key_id: typeof objectOf(encryption).key_id === 'string' ? textOf(objectOf(encryption).key_id) : null,
    };
  }

  #judged({ labels, resource, operation }: JsonObject): void {
    this.#operations += 1;
    add(this.#labels, listOf(labels));
    const { relations, commands, route } = objectOf(operation);
    add(this.#resources, [...listOf(relations), ...listOf(commands), route, objectOf(resource).id]);
  }
}

function subjectsOf({ id, on_behalf_of: chain }: JsonObject): string[] {
  return [id, ...listOf(chain).map((one) => objectOf(one).id)].filter((one) => typeof one === 'string');
}

function add(terms: Set<string>, found: readonly (Json | undefined)[]): void {
  for (const term of found) {
    if (typeof term === 'string' && term !== '' && terms.size < limits.recordIndexTermsMax) terms.add(term);
  }
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function objectOf(value: Json | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}
