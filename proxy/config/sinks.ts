import type { ConfigDocument } from './document.ts';
import { isLoopback, type Readers } from './listeners.ts';
import type { RawAuditSink } from './raw.ts';
import type { AuditSinkConfig } from './types.ts';

/** `audit.sinks[]`; what is wrong is noted in the document. */
export function readSinks(
  document: ConfigDocument,
  sinks: readonly RawAuditSink[],
  read: Pick<Readers, 'path' | 'secret'>,
): AuditSinkConfig[] {
  return sinks.map(({ type, name, required = false, url, token, secret = token, ca }, index) => {
    const at = ['audit', 'sinks', index];
    if (sinks.findIndex((other) => other.name === name) !== index)
      document.add([...at, 'name'], 'is that of another sink');
    if (url !== undefined && !URL.canParse(url)) document.add([...at, 'url'], 'is not a URL');
    else if (url?.startsWith('http:') && !isLoopback(new URL(url).hostname))
      document.add([...at, 'url'], 'must be https: only loopback may be in clear');
    return {
      type,
      name,
      required,
      url,
      secret: secret === undefined ? undefined : read.secret(secret),
      ca: ca === undefined ? undefined : read.path(ca),
    };
  });
}
