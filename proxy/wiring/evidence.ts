/** What is left of what happened: sinks of the trail, recordings, the policies that were in force. */
import { dirname, join } from 'node:path';
import { type Audit, Sinks } from '../audit/index.ts';
import type { Materials } from '../config/materials.ts';
import type { Config } from '../config.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../metrics/registry.ts';
import type { PolicyArchive } from '../policy/archive.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import {
  createRecorder,
  type RecordingEntry,
  RecordingIndex,
  RecordingUpload,
  recordingKey,
  S3Bucket,
  startRetention,
} from '../record/index.ts';
import { asError, noMaterials, type Surroundings } from './surroundings.ts';

/** Where every bundle and data document stays that was ever active: beside the trail that names them. */
export function policyArchiveOf(config: Config): string {
  return join(dirname(config.audit.file), 'policies');
}

/** Keeps what was activated for the evidence. Where it cannot, the trail still has the revisions. */
export function keepPolicy({ bundle, data }: PolicyEngine['sources'], archive: PolicyArchive, log: Log) {
  try {
    return { bundle_sha256: archive.keep(bundle), data_sha256: archive.keep(data) };
  } catch (error) {
    log.error('what was activated could not be kept', { error: asError(error) });
    return {};
  }
}

/** Copies of the trail, delivered behind its back. Closed after the trail, so that they get its last lines. */
export function startSinks(
  config: Config,
  materials: Materials,
  { audit, metrics, log, clock }: Surroundings & { readonly audit: Audit; readonly metrics: Metrics },
): Sinks {
  const sinks = new Sinks(
    config.audit.sinks.map((sink, index) => ({ ...sink, ...(materials.auditSinks[index] ?? noMaterials()) })),
    {
      file: config.audit.file,
      headSeq: () => audit.head.seq,
      clock,
      onError: (sink, error) => {
        metrics.auditSinkFailed(sink);
        log.error('audit sink', { sink, error });
      },
    },
  );
  metrics.watchAuditSinks(() => sinks.lags);
  return sinks;
}

/** Recordings, their index, where copies of them go, and how long they stay. */
export function startRecording(
  config: Config,
  materials: Materials,
  { audit, metrics, log, clock }: Surroundings & { readonly audit: Audit; readonly metrics: Metrics },
) {
  const { directory, retentionDays: days, bytesMax } = config.record;
  const onError = (error: Error) => log.error('record', { error });
  const key = materials.recordKey && recordingKey(materials.recordKey);
  const index = new RecordingIndex(directory, onError);
  const settling = new AbortController();
  const keys = [...(key ? [key] : []), ...materials.oldRecordKeys.map(recordingKey)];
  const settled = index.settle(keys, settling.signal).catch((cause: unknown) => {
    onError(new Error('the index of recordings could not be settled', { cause }));
  });
  const upload = startUpload(config, materials, { index, settled, metrics, log, clock });
  const put = (entry: RecordingEntry) => {
    index.put(entry);
    upload?.offer(entry);
  };
  const recorder = createRecorder({
    ...{ directory, clock, key, index: { put }, onError },
    // What binds a recording to the signed heads of the trail.
    sealed: (recording) => audit.append({ event: 'recorded', members: '', own: { ...recording } }),
  });
  const removed = ({ session, started_at, uploaded_at }: RecordingEntry) => {
    if (upload !== undefined && uploaded_at === undefined) log.error('recording removed, not uploaded', { session });
    log.info('recording removed', { session, started_at });
    audit.append({ event: 'removed', members: '', own: { session, started_at } });
  };
  const stopRetention = startRetention(
    index,
    { days, bytesMax, upload: upload !== undefined },
    { clock, removed, onError },
  );
  const stop = async () => {
    stopRetention();
    settling.abort();
    await Promise.all([settled, upload?.close()]);
  };
  return { recorder, recordings: { index, stop } };
}

/** Uploads run beside everything else: what fails there is logged and counted, and no session notices. */
function startUpload(
  { record: { directory, upload } }: Config,
  { recordUpload: secrets }: Materials,
  about: Omit<Surroundings, 'audit'> & {
    readonly index: RecordingIndex;
    readonly settled: Promise<void>;
    readonly metrics: Metrics;
  },
): RecordingUpload | undefined {
  if (upload === undefined || secrets === undefined) return undefined;
  const { index, settled, metrics, log, clock } = about;
  const bucket = new S3Bucket({ ...upload, ...secrets });
  const onError = (error: Error) => {
    metrics.recordUploadFailed();
    log.error('record upload', { error });
  };
  const running = new RecordingUpload({ directory, index, bucket, ready: settled, clock, onError });
  metrics.watchRecordUpload(() => running.lag);
  return running;
}
