import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { refusalCodes } from '../../../../proxy/core/errors.ts';
import type { Refusal } from '../../../../proxy/core/types.ts';
import {
  backend,
  backendTypes,
  type ErrorFields,
  frontend,
  MessageReader,
  type MessageSink,
} from '../../../../proxy/protocols/postgres/codec.ts';
import {
  denyDescribe,
  denyQuery,
  errorResponse,
  isDenial,
  refusalResponse,
  sqlstateOf,
} from '../../../../proxy/protocols/postgres/refuse.ts';
import { connectUpstream, type UpstreamLink } from '../../../../proxy/protocols/postgres/upstream.ts';
import { type PostgresServer, startPostgres } from '../../../support/postgres.ts';

const refusal: Refusal = {
  decisionId: 'D1',
  code: 'ddl_denied',
  policy: 'ddl',
  message: 'Agents may not drop databases.',
  hint: 'Ask a person.',
  reasons: [{ policy: 'ddl', code: 'ddl_denied', message: 'Agents may not drop databases.' }],
  endSession: false,
};

function fields(message: Buffer): ErrorFields {
  expect(message[0]).toBe(backendTypes.errorResponse);
  expect(message.readInt32BE(1)).toBe(message.length - 1);
  const parsed = backend.parseErrorFields(message.subarray(5));
  if (parsed === undefined) throw new Error('not an error');
  return parsed;
}

describe('a refusal', () => {
  test('tells people what and why, and machines in JSON what to do', () => {
    const told = fields(refusalResponse(refusal));
    expect(Object.fromEntries(told)).toMatchObject({
      S: 'ERROR',
      V: 'ERROR',
      C: '42501',
      M: 'Agents may not drop databases. (ddl_denied)',
      H: 'Ask a person.',
    });
    expect(JSON.parse(told.get('D') ?? '')).toEqual({
      code: 'ddl_denied',
      policy: 'ddl',
      decision_id: 'D1',
      reasons: refusal.reasons,
      hint: 'Ask a person.',
    });
  });

  test('is fatal when it ends the session, or when it is asked to be', () => {
    expect(fields(refusalResponse({ ...refusal, endSession: true })).get('S')).toBe('FATAL');
    expect(fields(refusalResponse(refusal, 'FATAL')).get('V')).toBe('FATAL');
  });

  test('has a SQLSTATE for each code of the gateway, and that of missing privilege for those of policies', () => {
    for (const code of Object.keys(refusalCodes)) expect(sqlstateOf(code)).toMatch(/^[0-9A-Z]{5}$/);
    expect(
      ['credential_expired', 'operation_malformed', 'draining', 'constructor', '__proto__', 'of_a_policy'].map(
        sqlstateOf,
      ),
    ).toEqual(['28000', '08P01', '57P01', '42501', '42501', '42501']);
  });

  test('survives a NUL in a text, which would end a field early', () => {
    const told = fields(errorResponse({ severity: 'ERROR', sqlstate: '42501', message: 'a\0Cevil', hint: '\0' }));
    expect(Object.fromEntries(told)).toEqual({ S: 'ERROR', V: 'ERROR', C: '42501', M: 'aCevil', H: '' });
  });
});

describe('a denial is not taken for', () => {
  test.each([
    ['another nonce', { C: '26000', M: 'prepared statement "sallyport_deny_b" does not exist' }],
    ['another SQLSTATE', { C: '42P01', M: 'relation "sallyport_deny_a" does not exist' }],
    ['an error without a message', { C: '26000' }],
  ])('%s', (_, error) => {
    expect(isDenial(new Map(Object.entries(error)), 'a')).toBe(false);
  });
});

describe('the deny primitive at a real server', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  /** Sends messages at once and describes the answers up to `ready` ReadyForQuery, one word each. */
  async function answers(link: UpstreamLink, messages: Buffer[], ready: number): Promise<string[]> {
    const words: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const sink: MessageSink = {
      onMessage(type, body) {
        if (type === backendTypes.errorResponse) {
          const error = backend.parseErrorFields(body) ?? new Map();
          words.push(isDenial(error, 'n1') ? 'denied' : `error ${error.get('C')}`);
        } else if (type === backendTypes.readyForQuery) {
          words.push(`ready ${backend.parseReadyForQuery(body)?.status}`);
          if (--ready === 0) resolve();
        } else if (type === backendTypes.commandComplete) words.push(backend.parseCommandComplete(body)?.tag ?? '');
        return false;
      },
      onPassthrough() {},
    };
    const reader = new MessageReader({
      direction: 'upstream',
      inspect: () => true,
      maxInspectedBytes: () => 1e6,
      maxMessageBytes: 1e6,
    });
    link.socket.on('data', (chunk: Buffer) => void reader.push(chunk, sink));
    link.socket.write(Buffer.concat(messages));
    await promise;
    link.socket.removeAllListeners('data');
    return words;
  }

  const run = (sql: string) => [frontend.parse('', sql), frontend.bind('', ''), frontend.execute('')];
  const deny = denyDescribe('n1');
  const cases: [string, Buffer[], string[]][] = [
    ['when idle', [denyQuery('n1')], ['denied', 'ready I']],
    [
      'in a transaction',
      [frontend.query('BEGIN'), denyQuery('n1'), frontend.query('ROLLBACK')],
      ['BEGIN', 'ready T', 'denied', 'ready E', 'ROLLBACK', 'ready I'],
    ],
    [
      'in a failed transaction',
      [frontend.query('BEGIN'), frontend.query('x'), denyQuery('n1'), frontend.query('ROLLBACK')],
      ['BEGIN', 'ready T', 'error 42601', 'ready E', 'denied', 'ready E', 'ROLLBACK', 'ready I'],
    ],
    ['of an extended message when idle', [deny, frontend.sync()], ['denied', 'ready I']],
    ['skips to Sync', [deny, ...run('SELECT 1'), frontend.sync()], ['denied', 'ready I']],
    [
      'rolls back what the pipeline did before',
      [...run('CREATE TABLE rolled_back ()'), deny, frontend.sync(), frontend.query('TABLE rolled_back')],
      ['CREATE TABLE', 'denied', 'ready I', 'error 42P01', 'ready I'],
    ],
    [
      'of an extended message in a failed transaction',
      [frontend.query('BEGIN'), frontend.query('x'), deny, frontend.sync(), frontend.query('ROLLBACK')],
      ['BEGIN', 'ready T', 'error 42601', 'ready E', 'denied', 'ready E', 'ROLLBACK', 'ready I'],
    ],
    [
      'says nothing when the pipeline had failed before',
      [frontend.parse('', 'x'), deny, frontend.sync()],
      ['error 42601', 'ready I'],
    ],
    [
      'leaves the unnamed statement alone',
      [
        frontend.parse('', 'SELECT 1'),
        frontend.sync(),
        deny,
        frontend.sync(),
        frontend.bind('', ''),
        frontend.execute(''),
        frontend.sync(),
      ],
      ['ready I', 'denied', 'ready I', 'SELECT 1', 'ready I'],
    ],
  ];

  test.each(cases)('%s', async (_, messages, expected) => {
    const { host, port, ca, user, password } = server;
    const link = await connectUpstream({
      host,
      port,
      tls: { mode: 'verify-full', ca },
      user,
      password,
      database: 'postgres',
      parameters: {},
    });
    const ready = expected.filter((word) => word.startsWith('ready')).length;
    expect(await answers(link, messages, ready)).toEqual(expected);
    link.socket.destroy();
  });
});
