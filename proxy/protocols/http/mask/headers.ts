import type { Header } from '../contract.ts';

/**
 * What asks for an answer that is compressed, a part, or none. A mask needs the whole text, and what the client has from an
 * earlier answer may have been masked by another decision.
 */
const ofRequests: ReadonlySet<string> = new Set(
  'accept-encoding te range if-range if-none-match if-modified-since want-digest want-repr-digest want-content-digest a-im'.split(
    ' ',
  ),
);

/** The headers of a request whose answer will be masked. @param headers - names in lower case */
export function maskedRequestHeaders(headers: readonly Header[]): Header[] {
  return [...headers.filter(([name]) => !ofRequests.has(name)), ['accept-encoding', 'identity']];
}

/**
 * What says something of the bytes before they were masked: their length, their coding, their digest (from which a short value
 * could be guessed), and how to ask for the same or a part of them.
 */
export const droppedHeaders: readonly string[] = [
  ...[
    'content-length',
    'content-encoding',
    'content-range',
    'accept-ranges',
    'etag',
    'last-modified',
    'expires',
    'age',
  ],
  ...[
    'digest',
    'repr-digest',
    'content-digest',
    'content-md5',
    'signature',
    'signature-input',
    'x-goog-hash',
    'im',
    'delta-base',
  ],
  ...['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256', 'type'].map((kind) => `x-amz-checksum-${kind}`),
];

/** A masked answer is for who asked, under the decision that was made. @see https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.5 */
export const setHeaders: readonly Header[] = [['cache-control', 'no-store']];
