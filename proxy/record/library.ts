import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Json } from '../core/types.ts';
import { castLines, NothingToShow, readCast } from './asciicast.ts';
import type { RecordingIndex, RecordingQuery } from './catalog.ts';
import { type RecordingKey, RecordingLocked } from './keys.ts';
import { type Frame, RecordingDamaged, readRecording } from './reader.ts';
import type { RecordingEntry } from './synopsis.ts';

/** A frame as JSON: raw bytes are base64. */
export interface LibraryFrame {
  readonly timeMs: number;
  readonly kind: string;
  readonly decisionId: string | undefined;
  readonly data: Json;
  readonly base64: boolean;
}

/** The recordings of one directory, for people. */
export interface Library {
  /** Those that match, the newest first. */
  recordings(query: RecordingQuery): readonly RecordingEntry[];
  /** Undefined when the index does not know it, or its file is gone. */
  recording(id: string): RecordingEntry | undefined;
  /** In order. What is damaged, or locked, ends with a frame of that kind. */
  frames(id: string): AsyncIterable<LibraryFrame>;
  /** `nothing`: no terminal showed anything. `locked`: none of the keys opens it. */
  cast(id: string, version: 2 | 3): Promise<AsyncIterable<string> | 'nothing' | 'locked'>;
}

/**
 * Opens a directory of recordings for reading.
 * @param index - what there is in it
 * @param keys - that recordings may be encrypted with
 */
export function openLibrary(directory: string, index: RecordingIndex, keys: readonly RecordingKey[] = []): Library {
  const fileOf = ({ file }: RecordingEntry) => join(directory, file);
  const recording = (id: string) => {
    const entry = index.get(id);
    return entry !== undefined && existsSync(fileOf(entry)) ? entry : undefined;
  };
  return {
    recordings: (query) => index.query(query),
    recording,
    async *frames(id) {
      const entry = recording(id);
      if (entry !== undefined) yield* shownFrames(readRecording(fileOf(entry), keys));
    },
    async cast(id, version) {
      const entry = recording(id);
      if (entry === undefined) return 'nothing';
      try {
        return castLines(await readCast(() => readRecording(fileOf(entry), keys)), version);
      } catch (error) {
        if (error instanceof NothingToShow) return 'nothing';
        if (error instanceof RecordingLocked) return 'locked';
        throw error;
      }
    },
  };
}

/** Frames as JSON; why there are no more of them is the last, in words. */
async function* shownFrames(frames: AsyncIterable<Frame>): AsyncGenerator<LibraryFrame> {
  let lastMs = 0;
  try {
    for await (const { timeMs, kind, decisionId, data, truncatedFrom } of frames) {
      lastMs = timeMs;
      if (data instanceof Uint8Array) {
        yield { timeMs, kind, decisionId, data: Buffer.from(data).toString('base64'), base64: true };
      } else {
        const shown = truncatedFrom === undefined ? data : { ...data, truncated_from_bytes: truncatedFrom };
        yield { timeMs, kind, decisionId, data: shown, base64: false };
      }
    }
  } catch (error) {
    const locked = error instanceof RecordingLocked;
    if (!locked && !(error instanceof RecordingDamaged)) throw error;
    const kind = locked ? 'locked' : 'damaged';
    yield { timeMs: lastMs, kind, decisionId: undefined, data: { message: error.message }, base64: false };
  }
}
