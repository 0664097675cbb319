/**
 * `multipart/form-data` by the names, sizes and types of its parts. Parsers of it differ on nearly everything that is not
 * plain (line ends, text around the parts, parameters that come twice, escapes in names), so only the plain form is read.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7578
 */
import { isUtf8 } from 'node:buffer';
import { limits } from '../../../core/limits.ts';
import type { BodyResult, ParsedBody, Refused } from '../contract.ts';
import { type MediaType, parseMediaType } from '../media-type.ts';
import { malformed, refused } from '../refused.ts';
import { fieldProblem } from './form.ts';

type Part = Extract<ParsedBody, { kind: 'multipart' }>['parts'][number];

const crlf = Buffer.from('\r\n');
const headEnd = Buffer.from('\r\n\r\n');

/** Reads a whole body. One pass over it, and a bound on parts and on the head of each. */
export function parseMultipart(mediaType: MediaType, bytes: Uint8Array): BodyResult {
  const boundary = mediaType.parameters.get('boundary') ?? '';
  if (!/^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary))
    return malformed('The multipart boundary is missing or no boundary.');
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dashes = Buffer.from(`--${boundary}`);
  if (!body.subarray(0, dashes.length).equals(dashes))
    return malformed('The multipart body does not begin with its boundary.');
  const parts: Part[] = [];
  let at = dashes.length;
  while (body.subarray(at, at + 2).equals(crlf)) {
    if (parts.length === limits.httpMultipartPartsMax) {
      return refused(
        413,
        'operation_too_large',
        `The multipart body has more than ${limits.httpMultipartPartsMax} parts.`,
      );
    }
    const end = nextBoundary(body, at, dashes);
    if (end === undefined) return malformed('A multipart boundary is missing or not on a line of its own.');
    const part = readPart(body.subarray(at + 2, end));
    if ('fault' in part) return part;
    parts.push(part);
    at = end + 2 + dashes.length;
  }
  const rest = body.subarray(at).toString('latin1');
  if (rest !== '--' && rest !== '--\r\n') return malformed('The multipart body does not end with its last boundary.');
  return { kind: 'multipart', parts };
}

/**
 * Where the line end before the next boundary is. The boundary anywhere else than after one is not content: lenient
 * parsers take a bare line feed for a line end.
 */
function nextBoundary(body: Buffer, from: number, dashes: Buffer): number | undefined {
  const found = body.indexOf(dashes, from);
  if (found < 0 || !body.subarray(found - 2, found).equals(crlf)) return undefined;
  return found - 2;
}

/** A part from behind its boundary's line end to the line end before the next. */
function readPart(part: Buffer): Part | Refused<400 | 413> {
  const end = part.indexOf(headEnd);
  if (end > limits.httpMultipartHeaderBytesMax) {
    return refused(
      413,
      'operation_too_large',
      `A part's head is longer than ${limits.httpMultipartHeaderBytesMax} bytes.`,
    );
  }
  if (end < 0) return malformed('A part of the multipart body has no head.');
  const head = part.subarray(0, end);
  if (!isUtf8(head)) return malformed('The head of a part is not UTF-8.');
  const content = part.subarray(end + headEnd.length);
  const headers = readHead(head.toString('utf8'));
  if ('fault' in headers) return headers;
  const name = partName(headers.get('content-disposition') ?? '');
  if (name === undefined) return malformed('A part has no plain Content-Disposition with a name.');
  const problem = fieldProblem(name, content.length > 16 ? undefined : content.toString('latin1'));
  if (problem !== undefined) return malformed(problem);
  const length = headers.get('content-length');
  if (length !== undefined && length !== String(content.length))
    return malformed('A part says a length that it has not.');
  if (!/^(?:7bit|8bit|binary)$/i.test(headers.get('content-transfer-encoding') ?? 'binary')) {
    return malformed('A part has a transfer encoding.');
  }
  const given = headers.get('content-type');
  const type = given === undefined ? 'text/plain' : parseMediaType(given)?.type;
  if (type === undefined || type.startsWith('multipart/')) return malformed('A part has no plain Content-Type.');
  return { name, bytes: content.length, contentType: type };
}

const known: ReadonlySet<string> = new Set([
  'content-disposition',
  'content-length',
  'content-transfer-encoding',
  'content-type',
]);

function readHead(head: string): ReadonlyMap<string, string> | Refused<400> {
  const headers = new Map<string, string>();
  for (const line of head.split('\r\n')) {
    const [, given = '', value = ''] = /^([\w-]+): ?([^\p{Cc}]*)$/u.exec(line) ?? [];
    const name = given.toLowerCase();
    if (!known.has(name)) return malformed('The head of a part has a line that is not one of those that belong there.');
    if (headers.has(name)) return malformed(`A part has ${name} twice.`);
    headers.set(name, value);
  }
  return headers;
}

/** The name in `form-data; name="…"; filename="…"`; parameters in quotes without backslashes, each once, no others. */
function partName(disposition: string): string | undefined {
  const plain = /^form-data; *name="([^"\\%]*)"(?:; *filename="[^"\\]*")?$/i.exec(disposition);
  return plain?.[1];
}
