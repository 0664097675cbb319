import type { ConfigDocument } from './document.ts';
import { isLoopback, type Readers } from './listeners.ts';
import type { RawConfig } from './raw.ts';
import type { RecordUploadConfig } from './types.ts';

/** `record.upload`; what is wrong is noted in the document. */
export function readRecordUpload(
  document: ConfigDocument,
  { upload, key }: RawConfig['record'],
  read: Pick<Readers, 'path' | 'secret'>,
): RecordUploadConfig | undefined {
  if (upload === undefined) return undefined;
  const { endpoint, region, bucket, prefix = '', ca } = upload;
  const at = ['record', 'upload'];
  if (key === undefined) document.add(at, 'needs record.key: recordings in clear stay on this machine');
  if (!URL.canParse(endpoint)) document.add([...at, 'endpoint'], 'is not a URL');
  else if (endpoint.startsWith('http:') && !isLoopback(new URL(endpoint).hostname))
    document.add([...at, 'endpoint'], 'must be https: only loopback may be in clear');
  return {
    endpoint: endpoint.replace(/\/$/, ''),
    region,
    bucket,
    prefix,
    accessKeyId: read.secret(upload.access_key_id),
    secretAccessKey: read.secret(upload.secret_access_key),
    ca: ca === undefined ? undefined : read.path(ca),
  };
}
