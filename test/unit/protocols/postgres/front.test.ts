import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, createSecureContext, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import postgres from 'postgres';
import { limits } from '../../../../proxy/core/limits.ts';
import type { Refusal } from '../../../../proxy/core/types.ts';
import { ByteSource } from '../../../../proxy/protocols/postgres/byte-source.ts';
import { backend, type ErrorFields, frontend, startup } from '../../../../proxy/protocols/postgres/codec.ts';
import { acceptClient, type FrontOutcome } from '../../../../proxy/protocols/postgres/front.ts';
import { type Certificates, makeCertificates } from '../../../support/tls.ts';

let certificates: Certificates;
let server: Server;
let port: number;
let frontLimits = limits as { -readonly [Name in keyof typeof limits]: number };
const outcomes: Promise<FrontOutcome>[] = [];
const open = new Set<Socket>();

beforeAll(async () => {
  certificates = await makeCertificates();
  const tls = createSecureContext({
    cert: certificates.server.certificate,
    key: certificates.server.key,
    minVersion: 'TLSv1.2',
  });
  server = createServer((socket) => {
    open.add(socket.once('close', () => open.delete(socket)));
    outcomes.push(acceptClient(socket, { tls, limits: frontLimits }).then(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

afterEach(() => {
  for (const socket of open) socket.destroy();
  outcomes.length = 0;
  frontLimits = limits;
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

/** Does what an adapter does: a refusal is told, everything else is left to the test. */
function answer(outcome: FrontOutcome): FrontOutcome {
  if (outcome.kind === 'refused') outcome.fail(refusal(outcome.fault.code, outcome.fault.message));
  return outcome;
}

function refusal(code: string, message: string): Refusal {
  return { decisionId: 'D1', code, policy: undefined, message, hint: 'Do better.', reasons: [], endSession: true };
}

async function outcome(): Promise<FrontOutcome> {
  const first = outcomes[0];
  if (first === undefined) throw new Error('nothing was accepted yet');
  return first;
}

/** Collects what a peer sends until it closes. */
async function everything(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks);
}

/** Reads exactly `count` bytes. */
async function take(socket: Socket, count: number): Promise<Buffer> {
  const source = new ByteSource(socket);
  const bytes = await source.read(count);
  source.release();
  if (bytes === undefined) throw new Error('the stream ended early');
  return bytes;
}

function raw(...packets: Buffer[]): Socket {
  const socket = connect(port, '127.0.0.1');
  open.add(socket);
  socket.on('error', () => {});
  if (packets.length > 0) socket.write(Buffer.concat(packets));
  return socket;
}

async function secure(socket: Socket, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const tls = connectTls({ socket, ca: certificates.ca, host: 'localhost', servername: 'localhost', ...options });
  tls.on('error', () => {});
  await once(tls, 'secureConnect');
  return tls;
}

/** The usual way: SSLRequest, `S`, TLS. */
async function encrypted(): Promise<TLSSocket> {
  const socket = raw(startup.sslRequest());
  expect((await take(socket, 1)).toString()).toBe('S');
  return secure(socket);
}

/** The FATAL a stream ends with. */
function lastWords(bytes: Buffer): ErrorFields {
  const at = bytes.indexOf('E');
  const fields = at < 0 ? undefined : backend.parseErrorFields(bytes.subarray(at + 5));
  if (fields === undefined) throw new Error(`no error in ${bytes.toString('latin1')}`);
  return fields;
}

const anyone = startup.startupMessage([
  ['user', 'ana'],
  ['database', 'app'],
]);
const cleartextRequest = backend.authentication(3);

describe('a login over TLS', () => {
  test('asks for the token as a password and hands both on, with what was sent behind it', async () => {
    const client = await encrypted();
    client.write(
      startup.startupMessage([
        ['user', 'ana'],
        ['database', 'app'],
        ['application_name', 'psql'],
        ['TimeZone', 'UTC'],
      ]),
    );
    expect(await take(client, cleartextRequest.length)).toEqual(cleartextRequest);
    client.write(Buffer.concat([frontend.password('a.b.c'), frontend.query('select 1')]));
    const session = await outcome();
    if (session.kind !== 'session') throw new Error(session.kind);
    expect(session.token).toBe('a.b.c');
    expect(session.startup).toEqual({
      user: 'ana',
      database: 'app',
      application: 'psql',
      parameters: { application_name: 'psql', TimeZone: 'UTC', client_encoding: 'UTF8' },
    });
    expect(session.remainingMs()).toBeGreaterThan(0);
    expect(await take(session.socket, 14)).toEqual(frontend.query('select 1'));
    session.fail(refusal('credential_invalid', 'No.'));
    const words = lastWords(await everything(client));
    expect(Object.fromEntries(words)).toMatchObject({
      S: 'FATAL',
      V: 'FATAL',
      C: '28000',
      M: 'No. (credential_invalid)',
    });
    expect(JSON.parse(words.get('D') ?? '')).toMatchObject({ code: 'credential_invalid', decision_id: 'D1' });
  });

  test('is the same one byte at a time', async () => {
    const socket = raw();
    for (const byte of startup.sslRequest()) socket.write(Buffer.from([byte]));
    expect((await take(socket, 1)).toString()).toBe('S');
    const client = await secure(socket);
    for (const byte of anyone) client.write(Buffer.from([byte]));
    expect(await take(client, cleartextRequest.length)).toEqual(cleartextRequest);
    for (const byte of frontend.password('t')) client.write(Buffer.from([byte]));
    expect(await outcome()).toMatchObject({ kind: 'session', token: 't' });
  });

  test('goes on with what arrived while the session was opened, in flowing mode', async () => {
    const client = await encrypted();
    client.write(anyone);
    await take(client, cleartextRequest.length);
    client.write(Buffer.concat([frontend.password('t'), frontend.sync()]));
    const session = await outcome();
    if (session.kind !== 'session') throw new Error(session.kind);
    expect((await once(session.socket, 'data'))[0]).toEqual(frontend.sync());
    client.write(frontend.flush());
    expect((await once(session.socket, 'data'))[0]).toEqual(frontend.flush());
  });

  test('without a request for it needs the ALPN protocol postgresql', async () => {
    const client = await secure(raw(), { ALPNProtocols: ['postgresql'] });
    client.write(anyone);
    expect(await take(client, cleartextRequest.length)).toEqual(cleartextRequest);
    expect(client.alpnProtocol).toBe('postgresql');

    const stranger = await secure(raw());
    stranger.write(anyone);
    expect(lastWords(await everything(stranger)).get('C')).toBe('08P01');
    expect(await outcomes[1]).toMatchObject({ kind: 'refused', fault: { code: 'operation_malformed' } });
  });

  test('with another ALPN protocol fails in the handshake', async () => {
    const client = connectTls({ socket: raw(), ca: certificates.ca, servername: 'localhost', ALPNProtocols: ['h2'] });
    const [error] = await once(client, 'error');
    expect(String(error)).toContain('no application protocol');
    expect(await outcome()).toMatchObject({ kind: 'closed', fault: { code: 'operation_malformed' } });
  });

  test('goes on after a request for GSS encryption was declined', async () => {
    const socket = raw(startup.gssRequest());
    expect((await take(socket, 1)).toString()).toBe('N');
    socket.write(startup.sslRequest());
    expect((await take(socket, 1)).toString()).toBe('S');
    const client = await secure(socket);
    client.write(anyone);
    expect(await take(client, cleartextRequest.length)).toEqual(cleartextRequest);
  });

  test.each([
    ['a newer minor version', startup.startupMessage([['user', 'ana']], (3 << 16) | 2), []],
    [
      'protocol extensions',
      startup.startupMessage([
        ['user', 'ana'],
        ['_pq_.cipher', '1'],
      ]),
      ['_pq_.cipher'],
    ],
  ])('negotiates %s down to 3.0', async (_, packet, unsupported) => {
    const client = await encrypted();
    client.write(packet);
    const expected = Buffer.concat([backend.negotiateProtocolVersion(3 << 16, unsupported), cleartextRequest]);
    expect(await take(client, expected.length)).toEqual(expected);
  });
});

describe('a cancel request', () => {
  const secret = Buffer.from([1, 2, 3, 4]);

  test('is handed on with its socket, in clear or in TLS', async () => {
    raw(startup.cancelRequest(77, secret));
    await once(server, 'connection');
    expect(await outcome()).toMatchObject({ kind: 'cancel', pid: 77, secret });
    const client = await encrypted();
    client.write(startup.cancelRequest(-5, secret));
    expect(await outcomes[1]).toMatchObject({ kind: 'cancel', pid: -5, secret });
  });
});

describe('refused before TLS, in words, and the process lives', () => {
  const longLength = Buffer.from([0, 0, 0x27, 0x11]);
  test.each([
    ['a login without TLS', anyone, '28000', 'operation_unsupported'],
    ['an eight-byte startup packet', Buffer.from('0000000800030000', 'hex'), '08P01', 'operation_malformed'],
    ['a length below 8', Buffer.from('0000000400030000', 'hex'), '08P01', 'operation_malformed'],
    ['a negative length', Buffer.from('ffffffff00030000', 'hex'), '08P01', 'operation_malformed'],
    ['a length over 10,000', longLength, '08P01', 'operation_malformed'],
    ['another protocol altogether', Buffer.from('GET / HTTP/1.1\r\n\r\n'), '08P01', 'operation_malformed'],
    [
      'a startup packet behind the request for TLS',
      Buffer.concat([startup.sslRequest(), anyone]),
      '08P01',
      'operation_malformed',
    ],
    [
      'a startup packet behind the request for GSS',
      Buffer.concat([startup.gssRequest(), anyone]),
      '08P01',
      'operation_malformed',
    ],
    ['a request for TLS that is too long', Buffer.from('0000000904d2162f00', 'hex'), '08P01', 'operation_malformed'],
    ['a cancel without a key', Buffer.from('0000000c04d2162e00000001', 'hex'), '08P01', 'operation_malformed'],
    ['protocol 2', startup.startupMessage([['user', 'a']], 2 << 16), '28000', 'operation_unsupported'],
  ])('%s', async (_, packet, sqlstate, code) => {
    const bytes = await everything(raw(packet));
    expect(bytes.toString('latin1', 0, 1)).toBe('E');
    expect(Object.fromEntries(lastWords(bytes))).toMatchObject({ S: 'FATAL', C: sqlstate });
    expect(await outcome()).toMatchObject({ kind: 'refused', fault: { code } });
  });

  test('a second request for GSS', async () => {
    const socket = raw(startup.gssRequest());
    await take(socket, 1);
    socket.write(startup.gssRequest());
    expect(lastWords(await everything(socket)).get('C')).toBe('08P01');
  });

  test('plain bytes in the segment after the request for TLS are not taken for a login', async () => {
    const socket = raw(startup.sslRequest());
    await take(socket, 1);
    socket.write(anyone);
    const bytes = await everything(socket);
    expect(bytes.indexOf(cleartextRequest)).toBe(-1);
    expect(await outcome()).toMatchObject({ kind: 'closed', fault: { code: 'operation_malformed' } });
  });
});

describe('refused inside TLS, in words', () => {
  test.each([
    ['TLS again', startup.sslRequest(), '08P01'],
    ['GSS', startup.gssRequest(), '08P01'],
    ['protocol 2', startup.startupMessage([['user', 'a']], 2 << 16), '0A000'],
    ['protocol 4', startup.startupMessage([['user', 'a']], 4 << 16), '0A000'],
    ['no user', startup.startupMessage([['database', 'a']]), '28000'],
    ['a parameter without a value', Buffer.from('0000000e000300007573657200', 'hex').fill(13, 3, 4), '08P01'],
    [
      'a parameter twice',
      startup.startupMessage([
        ['user', 'a'],
        ['user', 'b'],
      ]),
      '08P01',
    ],
    [
      'replication',
      startup.startupMessage([
        ['user', 'a'],
        ['replication', 'database'],
      ]),
      '0A000',
    ],
    [
      'search_path',
      startup.startupMessage([
        ['user', 'a'],
        ['search_path', 'evil'],
      ]),
      '0A000',
    ],
    [
      'a role in options',
      startup.startupMessage([
        ['user', 'a'],
        ['options', '-c role=admin'],
      ]),
      '0A000',
    ],
  ])('%s', async (_, packet, sqlstate) => {
    const client = await encrypted();
    client.write(packet);
    expect(Object.fromEntries(lastWords(await everything(client)))).toMatchObject({ S: 'FATAL', C: sqlstate });
    expect(await outcome()).toMatchObject({ kind: 'refused' });
  });

  test.each([
    ['a statement before the login', frontend.query('drop table t'), 'operation_malformed'],
    ['an empty token', frontend.password(''), 'credential_missing'],
    ['a token over the bound', frontend.password('x'.repeat(limits.tokenBytesMax + 1)), 'operation_too_large'],
    ['a password with a NUL in it', Buffer.from('700000000861006200', 'hex'), 'operation_malformed'],
    ['a password that is not text', Buffer.from('7000000006ff00', 'hex'), 'operation_malformed'],
    ['a length below 4', Buffer.from('7000000003', 'hex'), 'operation_malformed'],
    ['a negative length', Buffer.from('70ffffffff', 'hex'), 'operation_malformed'],
  ])('%s', async (_, packet, code) => {
    const client = await encrypted();
    client.write(anyone);
    await take(client, cleartextRequest.length);
    client.write(packet);
    expect(lastWords(await everything(client)).get('S')).toBe('FATAL');
    expect(await outcome()).toMatchObject({ kind: 'refused', fault: { code } });
  });

  test('a token at the bound is taken', async () => {
    const client = await encrypted();
    client.write(anyone);
    await take(client, cleartextRequest.length);
    client.write(frontend.password('x'.repeat(limits.tokenBytesMax)));
    expect(await outcome()).toMatchObject({ kind: 'session' });
  });
});

describe('a client that goes away or stays silent', () => {
  test('without a word leaves nothing behind', async () => {
    raw().end();
    await once(server, 'connection');
    expect(await outcome()).toEqual({ kind: 'closed' });
  });

  test('when asked for its password (psql asks its user and comes back) is nothing to audit', async () => {
    const client = await encrypted();
    client.write(anyone);
    await take(client, cleartextRequest.length);
    client.end();
    expect(await outcome()).toEqual({ kind: 'closed' });
  });

  test('is told at the deadline that it took too long, in clear', async () => {
    frontLimits = { ...limits, loginTimeoutMs: 50 };
    const bytes = await everything(raw(Buffer.from([0, 0])));
    expect(lastWords(bytes).get('C')).toBe('57014');
    expect(await outcome()).toMatchObject({ kind: 'refused', fault: { code: 'limit_reached' } });
  });

  test('is disconnected at the deadline in the middle of the handshake', async () => {
    frontLimits = { ...limits, loginTimeoutMs: 50 };
    const socket = raw(startup.sslRequest());
    await take(socket, 1);
    socket.write(Buffer.from('1603010100', 'hex'));
    await everything(socket);
    expect((await outcome()).kind).toBe('closed');
  });

  test('is told at the deadline inside TLS too', async () => {
    frontLimits = { ...limits, loginTimeoutMs: 1_000 };
    const socket = raw(startup.sslRequest());
    await take(socket, 1);
    const client = connectTls({ socket, ca: certificates.ca, servername: 'localhost' });
    await once(client, 'secureConnect');
    client.write(anyone.subarray(0, 10));
    expect(lastWords(await everything(client)).get('C')).toBe('57014');
  });

  test('that keeps its side open after the last words is disconnected', async () => {
    frontLimits = { ...limits, postgresLingerMs: 20 };
    const accepted = once(server, 'connection');
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    open.add(client);
    client.on('error', () => {}).resume();
    client.write(anyone);
    const [socket] = await accepted;
    await once(client, 'end');
    client.write('still here');
    await once(socket, 'close');
    expect(socket.destroyed).toBe(true);
  });

  test('that breaks its TLS records after the handshake is closed', async () => {
    const socket = raw(startup.sslRequest());
    await take(socket, 1);
    await secure(socket);
    const gone = outcome();
    socket.write(Buffer.from(`17030300${'40'}${'00'.repeat(64)}`, 'hex'));
    expect(await gone).toMatchObject({ kind: 'closed' });
  });
});

describe('real clients', () => {
  /** Waits for the session of a client that is then refused, and returns what it asked for. */
  async function asked(client: Promise<unknown>) {
    const failed = client.then(
      () => undefined,
      (error: unknown) => error,
    );
    while (outcomes.length === 0) await once(server, 'connection');
    const session = await outcome();
    if (session.kind === 'session') session.fail(refusal('credential_invalid', 'Not today.'));
    const error = await failed;
    if (session.kind !== 'session') throw new Error(`${session.kind}: ${error}`);
    return { token: session.token, startup: session.startup, error };
  }

  const password = 'a.token';
  const connection = { host: 'localhost', user: 'ana', password, database: 'app' };

  test('node-postgres', async () => {
    const client = new pg.Client({
      ...connection,
      port,
      ssl: { ca: certificates.ca },
      application_name: 'agent',
      statement_timeout: 5000,
    });
    const { token, startup, error } = await asked(client.connect());
    expect({ token, startup }).toMatchObject({
      token: password,
      startup: { user: 'ana', database: 'app', application: 'agent', parameters: { statement_timeout: '5000' } },
    });
    expect(error).toMatchObject({ code: '28000', message: 'Not today. (credential_invalid)', hint: 'Do better.' });
  });

  test('postgres.js', async () => {
    const sql = postgres({ ...connection, port, ssl: { ca: certificates.ca }, max: 1 });
    const { startup, error } = await asked(sql`select 1`.execute());
    expect(startup).toMatchObject({ user: 'ana', application: 'postgres.js', parameters: { client_encoding: 'UTF8' } });
    expect(error).toMatchObject({ code: '28000' });
    await sql.end({ timeout: 0 });
  });

  const environment = {
    ...process.env,
    PGPASSWORD: password,
    PGSSLMODE: 'require',
    PGUSER: 'ana',
    PGHOST: '127.0.0.1',
    PGDATABASE: 'app',
  };
  test.each([
    ['psql', ['-c', 'select 1'], 'psql'],
    ['pgbench', ['-n', '-S', '-t', '1'], 'pgbench'],
    ['pg_dump', [], 'pg_dump'],
  ])('%s', async (command, args, application) => {
    if (!(await isInstalled(command))) return console.warn(`${command} is not installed: skipped`);
    const env = { ...environment, PGPORT: String(port), PGOPTIONS: '-c statement_timeout=5s', PGTZ: 'Europe/Zurich' };
    const { token, startup, error } = await asked(promisify(execFile)(command, args, { env }));
    expect({ token, startup }).toMatchObject({
      token: password,
      startup: { application, parameters: { statement_timeout: '5s', TimeZone: 'Europe/Zurich' } },
    });
    expect(String((error as { stderr?: string }).stderr)).toContain('Not today. (credential_invalid)');
  });

  async function isInstalled(command: string): Promise<boolean> {
    return promisify(execFile)(command, ['--version']).then(
      () => true,
      () => false,
    );
  }
});
