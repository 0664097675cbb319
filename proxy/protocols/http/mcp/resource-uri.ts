/**
 * URIs of resources. A server reads them with a parser of its own, so only those pass on which parsers agree: written in
 * the normal form of RFC 3986 section 6.2.2, without anything that climbs, hides or is decoded twice.
 */

const scheme = /^[a-z][a-z0-9+.-]*:/;
/** The characters of RFC 3986, without those that parsers of the web read as something else. */
const characters = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]*$/;
const unreserved = /^[A-Za-z0-9\-._~]$/;
/** Schemes whose authority is a host name, which has no case. */
const hostSchemes = /^(?:https?|wss?|file|ftp|sftp|ssh|postgres(?:ql)?|s3|git):\/\//;

/**
 * Says why policy cannot judge a URI by its text.
 *
 * @returns a sentence, or undefined for a URI that means what it says.
 */
export function uriProblem(uri: string): string | undefined {
  if (!scheme.test(uri)) return 'The URI has no scheme in lower case.';
  if (!characters.test(uri)) return 'The URI has a character that must be percent-encoded.';
  if (uri.includes('#')) return 'The URI has a fragment.';
  const [, authority = '', rest = ''] = /^[^:]*:(?:\/\/([^/?]*))?(.*)$/s.exec(uri) ?? [];
  if (authority.includes('@')) return 'The URI names a user.';
  if (hostSchemes.test(uri) && authority !== authority.toLowerCase())
    return 'The host of the URI is not in lower case.';
  const [path = '', query = ''] = splitOnce(rest, '?');
  if (path.includes('//')) return 'The path of the URI has an empty segment.';
  return percentProblem(uri) ?? dotProblem(path, query);
}

/** As {@link uriProblem}, for a template of RFC 6570: an expression counts as one segment of any text. */
export function uriTemplateProblem(template: string): string | undefined {
  return uriProblem(template.replaceAll(/\{[^{}]*\}/g, 'x'));
}

function percentProblem(uri: string): string | undefined {
  for (const [, hex = ''] of uri.matchAll(/%(.{0,2})/gs)) {
    if (!/^[0-9A-F]{2}$/.test(hex)) return 'A percent-encoding in the URI is not two hexadecimal digits in upper case.';
    const byte = Number.parseInt(hex, 16);
    // Slash, backslash and percent are decoded twice by somebody, sooner or later; so are control characters obeyed.
    if (byte < 0x20 || byte === 0x7f || hex === '2F' || hex === '5C' || hex === '25') {
      return 'The URI hides a separator or a control character.';
    }
    if (unreserved.test(String.fromCharCode(byte))) return 'The URI encodes a character that needs no encoding.';
  }
  try {
    decodeURIComponent(uri);
    return undefined;
  } catch {
    return 'The URI is not UTF-8.';
  }
}

function dotProblem(path: string, query: string): string | undefined {
  const climbs = path.split('/').some((segment) => segment === '.' || segment === '..');
  // Inside a query or an opaque path nobody says what separates, so a step upwards is refused behind anything.
  return climbs || /(?:^|[^A-Za-z0-9._~-])\.\.(?:$|[^A-Za-z0-9._~-])/.test(`${path}?${query}`)
    ? 'The URI has a segment of dots.'
    : undefined;
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
