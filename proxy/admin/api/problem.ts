/** A refusal over HTTP, as an RFC 9457 problem document. Thrown by whatever finds it, written by the listener. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param code - stable, for machines.
   * @param detail - a sentence for people. Never a token, never a value that could be masked.
   */
  constructor(status: number, code: string, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  /** @see https://www.rfc-editor.org/rfc/rfc9457 */
  get document() {
    return {
      type: 'about:blank',
      title: titles[this.status] ?? 'Error',
      status: this.status,
      code: this.code,
      detail: this.message,
    };
  }
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** The problem that a code of the gateway is; unknown ones are faults of the server's. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  const status = Object.hasOwn(statuses, code) ? statuses[code] : undefined;
  if (status === undefined || !(thrown instanceof Error))
    return new Problem(500, 'internal_error', 'The gateway failed.');
  return new Problem(status, code, thrown.message);
}

const statuses: Readonly<Record<string, number>> = {
  credential_missing: 401,
  credential_invalid: 401,
  credential_expired: 401,
  identity_unavailable: 503,
  approval_unknown: 404,
  approval_closed: 409,
  approval_already_voted: 409,
  approval_not_yours: 403,
  approval_self: 403,
  approval_reason_required: 400,
  store_unavailable: 503,
  audit_unavailable: 503,
  limit_reached: 429,
};
