import type { Json, JsonObject } from '../../core/types.ts';

/** What is looked for among recordings: all that is given must match. */
export interface RecordingQuery {
  /** At most `limits.consolePageMax`. */
  readonly limit: number;
  /** The id of the last one already seen: older ones follow. */
  readonly before?: string | undefined;
  /** The id of the subject, or of somebody it acts for. */
  readonly subject?: string | undefined;
  readonly upstream?: string | undefined;
  readonly protocol?: string | undefined;
  readonly resource?: string | undefined;
  readonly label?: string | undefined;
  readonly outcome?: string | undefined;
  readonly code?: string | undefined;
  /** When the session began, since the epoch: the earliest time, and the first that no longer counts. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** True: sessions of the gateway's own as well. */
  readonly own?: boolean | undefined;
}

/** What is looked for among decisions: all that is given must match. */
export interface DecisionQuery {
  /** At most `limits.consolePageMax`. */
  readonly limit: number;
  /** The sequence number of the last one already seen. */
  readonly after?: string | undefined;
  readonly subject?: string | undefined;
  readonly session?: string | undefined;
  readonly effect?: string | undefined;
  /** `include`: what the gateway asked on its own behalf is looked for as well. */
  readonly own?: string | undefined;
}

/** A recording, as its index has it. */
export interface RecordingSummary {
  readonly session: string;
  readonly protocol: string;
  readonly upstream: string;
  /** The subject's id, then those of everybody it acted for. */
  readonly subjects: readonly string[];
  readonly client_address: string;
  readonly application: string;
  readonly started_at: string;
  /** Null while the session is open, and when its end was never written. */
  readonly ended_at: string | null;
  /** `open`, the status that the session ended with, or `cut`. */
  readonly outcome: string;
  /** The code that it ended with. */
  readonly code: string | null;
  readonly operations: number;
  /** Codes of refusals, labels and resources of what was touched: each once. */
  readonly refusals: readonly string[];
  readonly labels: readonly string[];
  readonly resources: readonly string[];
  /** Of an open one, those it began with. */
  readonly bytes: number;
  /** The key that it is encrypted with; null when it is in clear. */
  readonly key_id: string | null;
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
  recordings(query: RecordingQuery): readonly RecordingSummary[];
  recording(id: string): RecordingSummary | undefined;
  /** The frames of a recording that exists, in order. What is damaged, or that no key opens, ends with a frame `damaged` or `locked`. */
  frames(id: string): AsyncIterable<ShownFrame>;
  /** The lines of an asciicast of version 2 or 3, or why there are none. */
  cast(id: string, version: 2 | 3): Promise<AsyncIterable<string> | 'nothing' | 'locked'>;
  /** `decided` events of the trail, the newest first. */
  decisions(query: DecisionQuery): Promise<readonly JsonObject[]>;
}
