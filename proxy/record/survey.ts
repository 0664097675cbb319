import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type RecordingKey, RecordingLocked } from './keys.ts';
import { RecordingDamaged, readRecording } from './reader.ts';
import { type RecordingEntry, Synopsis } from './synopsis.ts';

/**
 * What the index says of a recording, from the recording itself. Of one that is damaged or locked, what can be read of it.
 * @param file - from `directory`
 * @returns undefined when it has not even a header
 */
export async function survey(
  directory: string,
  file: string,
  keys: readonly RecordingKey[],
): Promise<RecordingEntry | undefined> {
  const path = join(directory, file);
  let synopsis: Synopsis | undefined;
  let lastMs = 0;
  let startedMs = 0;
  try {
    for await (const { kind, data, timeMs } of readRecording(path, keys)) {
      lastMs = timeMs;
      if (kind === 'header' && !(data instanceof Uint8Array)) {
        startedMs = Date.parse(String(data.started_at));
        synopsis = new Synopsis(file, data, statSync(path).size);
      } else synopsis?.note(kind, data);
    }
  } catch (error) {
    if (!(error instanceof RecordingDamaged || error instanceof RecordingLocked)) throw error;
  }
  return synopsis?.entry(startedMs + lastMs);
}
