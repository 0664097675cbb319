/** Everything that a closed gateway has left behind in its files, recordings opened. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RecordingKey, readRecording } from '../../proxy/record/index.ts';
import type { GatewayFiles } from './gateway-files.ts';

/** A place, and the bytes found there. */
export type Trace = readonly [where: string, bytes: Buffer];

/** The audit trail, the index of recordings, and each recording as it is stored and frame by frame. */
export async function tracesOf(files: GatewayFiles, keys: readonly RecordingKey[]): Promise<Trace[]> {
  const { recordDirectory, auditFile } = files;
  const traces: Trace[] = [['audit', readFileSync(auditFile)]];
  for (const entry of readdirSync(recordDirectory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    traces.push([entry.name, readFileSync(file)]);
    if (!entry.name.endsWith('.sprec')) continue;
    const raw = new Map<string, Buffer[]>();
    for await (const { kind, decisionId, data } of readRecording(file, keys)) {
      // What was cut into frames is looked at as one, too.
      if (data instanceof Uint8Array) {
        const stream = `${kind} ${decisionId}`;
        raw.set(stream, [...(raw.get(stream) ?? []), Buffer.from(data)]);
      } else traces.push([`${kind} of ${entry.name}`, Buffer.from(JSON.stringify(data))]);
    }
    for (const [stream, pieces] of raw) traces.push([`${stream} of ${entry.name}`, Buffer.concat(pieces)]);
  }
  return traces;
}
