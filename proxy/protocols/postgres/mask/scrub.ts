import { conditions } from './sqlstates.ts';

/**
 * The fields of an ErrorResponse or NoticeResponse in order: a one-letter code and its value.
 * @see https://www.postgresql.org/docs/18/protocol-error-fields.html
 */
export type ErrorFields = readonly (readonly [code: string, value: string])[];

/**
 * An error without anything that could carry a value: PostgreSQL quotes them in messages (a failed cast), details (a
 * failed CHECK shows the row) and contexts, and RAISE can put one into any field. What stays is the severity, the
 * SQLSTATE when it is one of PostgreSQL's own (else `P0001`, as RAISE could spell a value in it), and where in the
 * client's own text the error is. The message names the condition.
 */
export function scrubError(fields: ErrorFields): ErrorFields {
  return scrub(fields, errorSeverities, 'ERROR', 'P0001');
}

/** As {@link scrubError}, for a notice that must be forwarded at all: dropping it tells even less. */
export function scrubNotice(fields: ErrorFields): ErrorFields {
  return scrub(fields, noticeSeverities, 'NOTICE', '00000');
}

const errorSeverities: ReadonlySet<string> = new Set(['ERROR', 'FATAL', 'PANIC']);
const noticeSeverities: ReadonlySet<string> = new Set(['WARNING', 'NOTICE', 'DEBUG', 'INFO', 'LOG']);

function scrub(fields: ErrorFields, severities: ReadonlySet<string>, otherwise: string, unknown: string): ErrorFields {
  const given = new Map(fields);
  const severity =
    [given.get('V'), given.get('S')].find((one) => one !== undefined && severities.has(one)) ?? otherwise;
  const state = given.get('C') ?? '';
  const code = conditions.has(state) ? state : unknown;
  const condition = conditions.get(code)?.replaceAll('_', ' ') ?? 'other';
  const position = given.get('P') ?? '';
  return [
    ['S', severity],
    ['V', severity],
    ['C', code],
    ['M', `${condition} (the server's own words are withheld, because the statement touches masked data)`],
    ...(/^[0-9]{1,10}$/.test(position) ? ([['P', position]] as const) : []),
  ];
}
