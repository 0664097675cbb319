import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { backend, frontend } from '../../../../proxy/protocols/postgres/codec.ts';
import {
  connectUpstream,
  sendCancel,
  type UpstreamLink,
  type UpstreamOptions,
  UpstreamSession,
  type UpstreamTls,
} from '../../../../proxy/protocols/postgres/upstream.ts';
import { type PostgresServer, startPostgres } from '../../../support/postgres.ts';
import { makeCertificates } from '../../../support/tls.ts';

let server: PostgresServer;
const opened: Socket[] = [];
const suffix = process.pid;
const role = (name: string) => `upstream_${name}_${suffix}`;

beforeAll(async () => {
  server = await startPostgres();
  await server.psql(`
    CREATE ROLE ${role('scram')} LOGIN PASSWORD 'sécret 1';
    CREATE ROLE ${role('password')} LOGIN PASSWORD 'secret2' IN ROLE by_password;
    SET password_encryption = 'md5';
    CREATE ROLE ${role('md5')} LOGIN PASSWORD 'secret3' IN ROLE by_md5;
    CREATE ROLE ${role('trust')} LOGIN IN ROLE by_trust;
    DO $$ BEGIN CREATE ROLE client LOGIN IN ROLE by_certificate; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
  `);
});

afterAll(async () => {
  for (const socket of opened) socket.destroy();
  await server.stop();
});

function options(overrides: Partial<UpstreamOptions> = {}): UpstreamOptions {
  return {
    host: 'localhost',
    port: server.port,
    tls: { mode: 'verify-full', ca: server.ca },
    user: role('scram'),
    password: 'sécret 1',
    database: 'postgres',
    parameters: { client_encoding: 'UTF8', application_name: 'gateway', TimeZone: 'UTC' },
    ...overrides,
  };
}

async function connected(overrides: Partial<UpstreamOptions> = {}): Promise<UpstreamLink> {
  const link = await connectUpstream(options(overrides));
  opened.push(link.socket);
  return link;
}

async function whoAmI(overrides: Partial<UpstreamOptions>): Promise<(string | null)[] | undefined> {
  const session = new UpstreamSession(await connected(overrides));
  const [row] = await session.query(
    'SELECT current_user::text, coalesce(ssl, false)::text FROM (VALUES (1)) v LEFT JOIN pg_stat_ssl ON pid = pg_backend_pid()',
  );
  session.close();
  return row === undefined ? undefined : [...row];
}

describe('a login at a real server', () => {
  test('by SCRAM-SHA-256 inside TLS, and the link tells what the server reported', async () => {
    const link = await connected();
    expect(link.parameters.get('TimeZone')).toBe('UTC');
    expect(link.serverVersion).toMatch(/^\d+/);
    expect(link.key.secret).toHaveLength(4);
    expect(await whoAmI({})).toEqual([role('scram'), 'true']);
  });

  test('by SCRAM-SHA-256 in clear on this machine', async () => {
    expect(await whoAmI({ tls: { mode: 'disable' } })).toEqual([role('scram'), 'false']);
  });

  test('by password inside TLS', async () => {
    expect(await whoAmI({ user: role('password'), password: 'secret2' })).toEqual([role('password'), 'true']);
  });

  test('by MD5 where it is allowed', async () => {
    const login = { user: role('md5'), password: 'secret3' };
    expect(await whoAmI({ ...login, methods: ['md5'] })).toEqual([role('md5'), 'true']);
  });

  test('by client certificate, at an address instead of a name', async () => {
    const { certificate, key } = server.clientCertificate ?? {};
    const tls: UpstreamTls = { mode: 'verify-full', ca: server.ca, certificate, key };
    expect(await whoAmI({ host: '127.0.0.1', tls, user: 'client', password: undefined })).toEqual(['client', 'true']);
  });

  test('under the name the certificate is for, where the address is another', async () => {
    const tls: UpstreamTls = { mode: 'verify-full', ca: server.ca, serverName: 'localhost' };
    expect(await whoAmI({ host: '127.0.0.1', tls })).toEqual([role('scram'), 'true']);
  });

  test('without a password, where none is configured and none is asked for', async () => {
    expect(await whoAmI({ user: role('trust'), password: undefined })).toEqual([role('trust'), 'true']);
  });
});

describe('a login that must not happen at a real server', () => {
  const refused: [string, () => Promise<Partial<UpstreamOptions>> | Partial<UpstreamOptions>, string][] = [
    ['with a wrong password', () => ({ password: 'wrong' }), '28P01'],
    ['as nobody', () => ({ user: 'nobody_at_all' }), '28P01'],
    [
      'when the certificate is signed by another CA',
      async () => ({ tls: { mode: 'verify-full', ca: (await makeCertificates()).ca } }),
      'could not be verified',
    ],
    [
      'when the certificate is for another host',
      () => ({ tls: { mode: 'verify-full', ca: server.ca, serverName: 'db.example' } }),
      'could not be verified',
    ],
    ['when the system does not know the CA', () => ({ tls: { mode: 'verify-full' } }), 'could not be verified'],
    [
      'by a password in clear',
      () => ({ user: role('password'), password: 'secret2', tls: { mode: 'disable' } }),
      'not allowed',
    ],
    ['by MD5, which was not allowed', () => ({ user: role('md5'), password: 'secret3' }), 'not allowed'],
    ['by SCRAM when only MD5 is allowed', () => ({ methods: ['md5'] }), 'not allowed'],
    [
      'when the server lets everybody in although there is a password',
      () => ({ user: role('trust') }),
      'lets everybody in',
    ],
    ['when a password is asked for and there is none', () => ({ password: undefined }), 'none is configured'],
    [
      'without the client certificate',
      () => ({ user: 'client', password: undefined }),
      'SQLSTATE|28000|none is configured',
    ],
  ];
  test.each(refused)('%s', async (_, overrides, message) => {
    const failure = await connectUpstream(options(await overrides())).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'upstream_unavailable', message: expect.stringMatching(message) });
    expect(String(failure)).not.toContain('secret');
  });

  test('to a database that does not exist says so, and nothing else does', async () => {
    await expect(connectUpstream(options({ database: 'no_such_database' }))).rejects.toMatchObject({
      code: 'upstream_unknown',
    });
  });
});

describe('a server that does not do its part', () => {
  /** A server of one connection that does what `script` says. */
  async function scripted(script: (socket: Socket) => void): Promise<number> {
    const listener = createServer((socket) => {
      opened.push(socket);
      socket.on('error', () => {});
      listener.close();
      script(socket);
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return (listener.address() as AddressInfo).port;
  }

  const clear: UpstreamTls = { mode: 'disable' };
  const login = { tls: clear, user: 'u', password: 'secret' };
  const replying =
    (...answers: (Buffer | string)[]) =>
    (socket: Socket) => {
      socket.on('data', () => {
        const answer = answers.shift();
        if (answer !== undefined) socket.write(answer);
      });
    };
  const scramOffer = backend.authentication(10, backend.saslMechanisms(['SCRAM-SHA-256']));
  const ready = [backend.backendKeyData(1, Buffer.alloc(4)), backend.readyForQuery('I')];

  test.each([
    ['declines TLS', replying('N'), { tls: { mode: 'verify-full' } as const }, 'does not offer TLS'],
    [
      'answers the request for TLS with an error',
      replying(backend.errorResponse(new Map([['M', 'x']]))),
      { tls: { mode: 'verify-full' } as const },
      'does not offer TLS',
    ],
    [
      'sends bytes ahead of TLS',
      replying(Buffer.concat([Buffer.from('S'), backend.authentication(0)])),
      { tls: { mode: 'verify-full' } as const },
      'before TLS|verified',
    ],
    [
      'lets us in without asking',
      replying(Buffer.concat([backend.authentication(0), ...ready])),
      {},
      'lets everybody in',
    ],
    ['asks for the password in clear', replying(backend.authentication(3)), {}, 'not allowed'],
    ['asks for MD5', replying(backend.authentication(5, Buffer.alloc(4))), {}, 'not allowed'],
    ['asks for GSS', replying(backend.authentication(7)), {}, 'not allowed'],
    [
      'lets us in in the middle of SCRAM',
      replying(scramOffer, Buffer.concat([backend.authentication(0), ...ready])),
      {},
      'cut short',
    ],
    [
      'asks for SCRAM with one round',
      replying(scramOffer, backend.authentication(11, Buffer.from('r=x,s=AAAA,i=1'))),
      {},
      'SCRAM|nonce',
    ],
    [
      'offers only mechanisms nobody knows',
      replying(backend.authentication(10, backend.saslMechanisms(['X']))),
      {},
      'no mechanism',
    ],
    ['sends rows instead', replying(backend.commandComplete('X')), {}, 'does not speak the protocol'],
    ['speaks another protocol', replying('HTTP/1.1 400 Bad Request\r\n\r\n'), {}, 'does not speak the protocol'],
    ['sends a huge message', replying(Buffer.from('527fffffff', 'hex')), {}, 'does not speak the protocol'],
    ['sends a length below 4', replying(Buffer.from('5200000003', 'hex')), {}, 'does not speak the protocol'],
    ['closes', (socket: Socket) => socket.end(), {}, 'closed|reached'],
    [
      'never becomes ready',
      replying(Buffer.concat([backend.authentication(0), ...Array(1100).fill(backend.parameterStatus('a', 'b'))])),
      { password: undefined },
      'never becomes ready',
    ],
    [
      'gives no key',
      replying(Buffer.concat([backend.authentication(0), backend.readyForQuery('I')])),
      { password: undefined },
      'no key',
    ],
    [
      'starts in a transaction',
      replying(Buffer.concat([backend.authentication(0), backend.readyForQuery('T')])),
      { password: undefined },
      'transaction',
    ],
    ['is silent', () => {}, { connectTimeoutMs: 30 }, 'too long'],
  ])('%s: no login', async (_, script, overrides, message) => {
    const port = await scripted(script);
    await expect(
      connectUpstream({ ...options(), host: '127.0.0.1', ...login, ...overrides, port }),
    ).rejects.toMatchObject({
      code: 'upstream_unavailable',
      message: expect.stringMatching(message),
    });
  });

  test('and never sees the password in clear, whatever it asks for', async () => {
    const seen: Buffer[] = [];
    const port = await scripted((socket) => {
      socket.on('data', (chunk) => {
        seen.push(chunk);
        socket.write(backend.authentication(3));
      });
    });
    await expect(connectUpstream({ ...options(), host: '127.0.0.1', ...login, port })).rejects.toThrow();
    expect(Buffer.concat(seen).includes('secret')).toBe(false);
  });

  test('nobody listens', async () => {
    const port = await scripted(() => {});
    const socket = new (await import('node:net')).Socket().connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
    await expect(connectUpstream({ ...options(), host: '127.0.0.1', ...login, port })).rejects.toMatchObject({
      code: 'upstream_unavailable',
    });
  });
});

test('without TLS only this machine is an upstream', async () => {
  const [address] = Object.values((await import('node:os')).networkInterfaces())
    .flat()
    .filter((entry) => entry !== undefined && !entry.internal && entry.family === 'IPv4');
  if (address === undefined) return console.warn('this machine has no address but its own: skipped');
  const listener = createServer((socket) => opened.push(socket.on('error', () => {}))).listen(0, address.address);
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  await expect(connectUpstream(options({ host: address.address, port, tls: { mode: 'disable' } }))).rejects.toThrow(
    'must use TLS',
  );
  listener.close();
});

describe('a link', () => {
  test('is handed over with everything behind ReadyForQuery unread in it', async () => {
    const link = await connected();
    link.socket.write(frontend.query('SELECT 7'));
    const [chunk] = await once(link.socket, 'data');
    expect(chunk[0]).toBe(0x54);
  });

  test('can be cancelled with its key, and by no other', async () => {
    const link = await connected();
    const session = new UpstreamSession(link);
    const other = { pid: link.key.pid, secret: Buffer.from(link.key.secret.map((byte) => byte ^ 1)) };
    let settled = false;
    const sleeping = session.query('SELECT pg_sleep(600)').finally(() => {
      settled = true;
    });
    const ended = expect(sleeping).rejects.toThrow('57014');
    await until(async () => {
      const rows = await server.psql(
        `SELECT 1 FROM pg_stat_activity WHERE pid = ${link.key.pid} AND wait_event = 'PgSleep'`,
      );
      return rows.length > 0;
    });
    await sendCancel(options(), other);
    expect(settled).toBe(false);
    await sendCancel(options(), link.key);
    await ended;
    expect(await session.query('SELECT 1')).toEqual([['1']]);
    session.close();
  });

  test('sending a cancel to nobody settles too', async () => {
    await sendCancel(options({ port: 1 }), { pid: 1, secret: Buffer.alloc(4) });
  });
});

describe('queries of the gateway’s own', () => {
  test('give text rows of all statements, and null', async () => {
    const session = new UpstreamSession(await connected());
    expect(await session.query("SELECT 1, NULL, 'é'; SELECT 'x'")).toEqual([['1', null, 'é'], ['x']]);
    expect(await session.query('')).toEqual([]);
    session.close();
  });

  test('fail with their SQLSTATE, without the words of the server, and the session goes on', async () => {
    const session = new UpstreamSession(await connected());
    await expect(session.query("SELECT 'value'::int")).rejects.toMatchObject({
      message: expect.stringMatching(/^[^:]*22P02[^:]*$/),
    });
    expect(await session.query('SELECT 1')).toEqual([['1']]);
    session.close();
  });

  test('one at a time', async () => {
    const session = new UpstreamSession(await connected());
    const first = session.query('SELECT 1');
    await expect(session.query('SELECT 2')).rejects.toThrow('one query at a time');
    expect(await first).toEqual([['1']]);
    session.close();
  });

  test('fail when the session is closed or lost, and ever after', async () => {
    const closed = new UpstreamSession(await connected());
    const pending = closed.query('SELECT pg_sleep(600)');
    closed.close();
    await expect(pending).rejects.toThrow('closed');
    await expect(closed.query('SELECT 1')).rejects.toThrow('closed');

    const lost = new UpstreamSession(await connected());
    await expect(lost.query('SELECT pg_terminate_backend(pg_backend_pid())')).rejects.toThrow('lost');
    expect(lost.open).toBe(false);
  });

  test('never wait for a COPY', async () => {
    const session = new UpstreamSession(await connected());
    await session.query('CREATE TEMP TABLE t (a int)');
    await expect(session.query('COPY t FROM STDIN')).rejects.toThrow('asked for data');
    expect(session.open).toBe(false);
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition()));
}
