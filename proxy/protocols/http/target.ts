/** A request's target: split once, decoded once, and written again in the one form that is judged and forwarded. */
import { limits } from '../../core/limits.ts';
import type { Header, Refused } from './contract.ts';
import { overridesMethod, parseParameters } from './parameters.ts';
import { decodePercent, encodeParameter, encodeSegment } from './percent.ts';
import { malformed, refused } from './refused.ts';

/** A target in its one form. */
export interface Target {
  readonly path: string;
  readonly segments: readonly string[];
  readonly queryText: string;
  readonly query: readonly Header[];
}

/** What the upstreams of a listener take as part of a name, although other servers give it a meaning. */
export interface TargetOptions {
  /** `%2F` in a segment, as GitLab and npm have it; it stays encoded. Elsewhere it is decoded before the path is split. */
  readonly encodedSlashes?: boolean | undefined;
}

/**
 * Escapes in a path that somebody decodes before it splits, or twice: `/` `\` `.` `;` `%`, and control characters.
 * A client has no reason to write `.` so.
 */
const ambiguous = /%(?:[01][\da-f]|7f|25|2e|2f|3b|5c)/i;
const ambiguousButSlash = /%(?:[01][\da-f]|7f|25|2e|3b|5c)/i;

/**
 * Reads a target in origin form (RFC 9112 section 3.2.1). What two servers could read in two ways is refused; what all
 * read alike is written in one way. Parameters that override the method are left out.
 */
export function parseTarget(url: string, options: TargetOptions = {}): Target | Refused<400 | 414> {
  if (url.length > limits.httpTargetBytesMax) {
    return refused(414, 'operation_too_large', `The target is longer than ${limits.httpTargetBytesMax} bytes.`);
  }
  if (!url.startsWith('/')) return malformed('The target of a request must be a path, beginning with a slash.');
  if (!/^[\x21-\x7e]*$/.test(url)) return malformed('The target has characters that must be percent-encoded.');
  if (/[\\#]/.test(url)) return malformed('The target has a backslash or a fragment in it.');
  const mark = url.indexOf('?');
  const segments = parsePath(mark < 0 ? url : url.slice(0, mark), options);
  if ('fault' in segments) return segments;
  const query = mark < 0 ? [] : parseParameters(url.slice(mark + 1), 'query');
  if ('fault' in query) return { ...query, status: query.status === 413 ? 414 : query.status };
  const kept = query.filter(({ pair: [name] }) => !overridesMethod(name));
  return {
    path: `/${segments.map(encodeSegment).join('/')}`,
    segments,
    queryText: kept
      .map(({ pair: [name, value], bare }) =>
        bare ? encodeParameter(name) : `${encodeParameter(name)}=${encodeParameter(value)}`,
      )
      .join('&'),
    query: kept.map(({ pair }) => pair),
  };
}

function parsePath(path: string, options: TargetOptions): readonly string[] | Refused<400 | 414> {
  if (path.includes('//')) return malformed('The path has an empty segment.');
  // It begins parameters that many servers leave out before they look a path up (`/admin;x`).
  if (path.includes(';')) return malformed('The path has a semicolon in it.');
  if ((options.encodedSlashes ? ambiguousButSlash : ambiguous).test(path)) {
    return malformed('The path has an escape in it that servers read differently.');
  }
  const segments: string[] = [];
  for (const piece of path.slice(1).split('/')) {
    if (segments.length === limits.httpSegmentsMax) {
      return refused(414, 'operation_too_large', `The path has more than ${limits.httpSegmentsMax} segments.`);
    }
    if (piece === '.' || piece === '..') return malformed('The path has a segment that only points elsewhere.');
    const segment = decodePercent(piece);
    if (segment === undefined) return malformed('The path has an escape that is not one, or text that is not UTF-8.');
    segments.push(segment);
  }
  return segments;
}
