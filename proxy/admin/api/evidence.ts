import type { Json, JsonObject } from '../../core/types.ts';

/** What is looked for among recordings and decisions: all that is given must match. */
export interface EvidenceQuery {
  /** At most `limits.consolePageMax`. */
  readonly limit: number;
  /** The id (of a recording) or the sequence number (of a decision) of the last one already seen. */
  readonly after?: string | undefined;
  readonly subject?: string | undefined;
  readonly upstream?: string | undefined;
  readonly protocol?: string | undefined;
  readonly session?: string | undefined;
  readonly effect?: string | undefined;
  /** `include`: what the gateway asked on its own behalf is looked for as well. */
  readonly own?: string | undefined;
}

/** A recording, as its header tells. */
export interface RecordingSummary {
  /** The session's. */
  readonly id: string;
  readonly protocol: string;
  readonly upstream: string;
  /** As in the audit trail: `issuer`, `id`, and `on_behalf_of[]`. */
  readonly subject: JsonObject;
  readonly clientAddress: string;
  readonly application: string;
  readonly startedAt: string;
  /** When it was written last. */
  readonly lastAt: string;
  readonly bytes: number;
}

/** One frame, after masking. Raw bytes are base64. */
export interface ShownFrame {
  readonly timeMs: number;
  readonly kind: string;
  readonly decisionId: string | undefined;
  readonly data: Json;
  readonly base64: boolean;
}

/** What the console shows of what was kept. One implementation: `main.ts` gives it the recordings and the trail. */
export interface Evidence {
  /** The newest first. */
  recordings(query: EvidenceQuery): Promise<readonly RecordingSummary[]>;
  recording(id: string): Promise<RecordingSummary | undefined>;
  /** The frames of a recording that exists, in order. What is damaged ends with a frame of kind `damaged`. */
  frames(id: string): AsyncIterable<ShownFrame>;
  /** The lines of an asciicast of version 2 or 3; undefined when it has nothing that a terminal could show. */
  cast(id: string, version: 2 | 3): Promise<AsyncIterable<string> | undefined>;
  /** `decided` events of the trail, the newest first. */
  decisions(query: EvidenceQuery): Promise<readonly JsonObject[]>;
}
