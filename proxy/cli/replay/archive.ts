import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { recordSecrets } from '../../config/materials.ts';
import { loadConfig } from '../../config.ts';
import { resolveSecret } from '../../core/secret-ref.ts';
import { type RecordingEntry, RecordingIndex, type RecordingKey, recordingKey } from '../../record/index.ts';
import { instantOf } from '../instant.ts';
import { type Io, UsageError } from '../io.ts';
import { printable } from '../printable.ts';

const text = { type: 'string' } as const;

/** Options that say where recordings are and what opens them. */
export const archiveOptions = {
  config: { type: 'string', short: 'c' },
  directory: text,
  key: { type: 'string', multiple: true },
} as const;

/** Options of `--list`. */
export const listOptions = {
  list: { type: 'boolean', default: false },
  subject: text,
  upstream: text,
  protocol: text,
  resource: text,
  label: text,
  outcome: text,
  code: text,
  since: text,
  until: text,
  limit: text,
} as const;

type Values<Options> = { readonly [Name in keyof Options]?: string | boolean | readonly string[] | undefined };

/** Recordings, and what opens them. */
export interface Archive {
  /** Undefined when nobody said: recordings are then named by their files. */
  readonly directory: string | undefined;
  readonly keys: readonly RecordingKey[];
}

/** Where recordings are, by `--config`, or by `--directory` and `--key`. */
export async function openArchive(values: {
  readonly config?: string | undefined;
  readonly directory?: string | undefined;
  readonly key?: readonly string[] | undefined;
}): Promise<Archive> {
  const given = await Promise.all((values.key ?? []).map(async (reference) => resolveSecret(reference)));
  if (values.config === undefined) return { directory: values.directory, keys: given.map(recordingKey) };
  const config = await loadConfig(values.config);
  const { recordKey, oldRecordKeys } = await recordSecrets(config);
  const secrets = [...given, ...(recordKey ? [recordKey] : []), ...oldRecordKeys];
  return { directory: values.directory ?? config.record.directory, keys: secrets.map(recordingKey) };
}

/** The file of a recording, named by itself or by its session. */
export function fileOf(named: string, { directory }: Archive): string {
  if (directory === undefined || existsSync(named)) return named;
  const entry = indexOf(directory).get(named);
  if (entry === undefined) throw new Error(`there is no recording of ${JSON.stringify(named)}`);
  return join(directory, entry.file);
}

/** Prints what the index knows. */
export function list({ directory }: Archive, values: Values<typeof listOptions> & { json?: boolean }, io: Io): void {
  if (directory === undefined) throw new UsageError('--list needs --config FILE or --directory DIR');
  const said = (name: keyof typeof listOptions) => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  const instant = (name: 'since' | 'until') => {
    const written = said(name);
    return written === undefined ? undefined : instantOf(`--${name}`, written);
  };
  const limit = said('limit');
  if (limit !== undefined && !/^[1-9]\d{0,3}$/.test(limit)) throw new UsageError('--limit is a number up to 9999');
  const entries = indexOf(directory).query({
    own: true,
    subject: said('subject'),
    upstream: said('upstream'),
    protocol: said('protocol'),
    resource: said('resource'),
    label: said('label'),
    outcome: said('outcome'),
    code: said('code'),
    sinceMs: instant('since'),
    untilMs: instant('until'),
    limit: limit === undefined ? undefined : Number(limit),
  });
  for (const entry of entries) io.stdout.write(`${printable(values.json ? JSON.stringify(entry) : lineOf(entry))}\n`);
}

function lineOf(entry: RecordingEntry): string {
  const { session, started_at, protocol, upstream, subjects, outcome, operations, refusals, bytes } = entry;
  const who = subjects.join(' for ');
  const refused = refusals.length === 0 ? '' : `, refused: ${refusals.join(' ')}`;
  return `${session}  ${started_at}  ${protocol.padEnd(8)} ${upstream}  ${who}  ${outcome}  ${operations} operations, ${bytes} bytes${refused}`;
}

function indexOf(directory: string): RecordingIndex {
  return new RecordingIndex(directory, () => {});
}
