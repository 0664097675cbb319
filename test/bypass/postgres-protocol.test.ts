/** Messages and packets that no driver sends. */
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  cancelWire,
  connectWire,
  frontend,
  message,
  openWire,
  rowsOf,
  tagsOf,
  typesOf,
} from '../support/wire-client.ts';
import { type Agent, tell } from './postgres-agent.ts';
import { openStage, type Stage } from './postgres-stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage?.close());

const endpoint = (tls: 'negotiated' | 'direct' | 'none' = 'negotiated') => ({
  host: stage.gateway.host,
  port: stage.gateway.port,
  ca: stage.gateway.ca,
  tls,
});

/** Somebody else is still served. */
async function expectServed(): Promise<void> {
  const agent = await stage.agent();
  expect(await agent.rows('SELECT 1')).toEqual([['1']]);
  await agent.end();
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

describe('the first packet', () => {
  test.each([
    ['of eight bytes', Buffer.concat([int32(8), int32(196608)])],
    ['with a length of zero', int32(0)],
    ['with a negative length', Buffer.concat([int32(-1), int32(196608)])],
    ['with a length of four', int32(4)],
    ['that claims 2 GB', Buffer.concat([int32(0x7fffffff), int32(196608)])],
    ['without an end of its parameters', Buffer.concat([int32(13), int32(196608), Buffer.from('user\0')])],
    ['of protocol 2', Buffer.concat([int32(9), int32(0x20000), Buffer.alloc(1)])],
    ['of nothing known', Buffer.concat([int32(8), int32(0x04d2162a)])],
    ['that is HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['that is a TLS alert', Buffer.from('1503010002022a', 'hex')],
    ['that is half a TLS hello', Buffer.from('160301ffff', 'hex')],
  ])('%s takes nobody else down', async (_title, bytes) => {
    for (const tls of ['none', 'negotiated'] as const) {
      const client = await openWire(endpoint(tls));
      client.send(bytes);
      client.socket.end();
      await client.untilClosed();
    }
    await expectServed();
  });

  test('withheld on fifty connections stalls no other', async () => {
    const { host, port } = stage.gateway;
    const idle = Array.from({ length: 50 }, (_, index) => {
      const socket = connectTcp({ host, port });
      socket.on('error', () => {});
      if (index % 2 === 0) socket.write(Buffer.from([0, 0, 0]));
      if (index % 3 === 0) socket.write(frontend.sslRequest());
      return socket;
    });
    await expectServed();
    for (const socket of idle) socket.destroy();
  });

  test('in clear behind a request for TLS is not taken for one inside of it', async () => {
    const client = await openWire(endpoint('none'));
    client.send(
      Buffer.concat([frontend.sslRequest(), frontend.startup({ user: 'agent', database: stage.gateway.database })]),
    );
    // An error in clear, and never the `S` that would let a handshake begin over what lies there.
    expect(tell(await client.untilClosed())).toMatchObject({ types: 'E', code: 'operation_malformed' });
    await expectServed();
  });

  test('inside of direct TLS that names no protocol is refused', async () => {
    const { host, port, ca } = stage.gateway;
    const socket = connectTls({ host, port, ca });
    socket.on('error', () => {});
    const answer: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => answer.push(chunk));
    socket.write(frontend.startup({ user: 'agent', database: stage.gateway.database }));
    await new Promise((resolve) => socket.once('close', resolve));
    // No request for a password: an error, if anything.
    expect(Buffer.concat(answer).toString('latin1')).not.toMatch(/^R/);
    const login = { ...endpoint('direct'), user: 'agent', database: stage.gateway.database };
    const client = await connectWire({ ...login, password: await stage.gateway.token() });
    expect(await client.ping()).toBe('I');
    await client.end();
  });

  test('in clear is refused, and the token that follows is not read', async () => {
    const login = { ...endpoint('none'), user: 'agent', database: stage.gateway.database, password: 'in the clear' };
    await expect(connectWire(login)).rejects.toMatchObject({ fields: { S: 'FATAL', C: '28000' } });
  });

  test.each([
    ['replication', { replication: 'database' }],
    ['replication', { replication: 'true' }],
    ['options', { options: '-c search_path=scratch' }],
    ['options', { options: '-csearch_path=scratch' }],
    ['options', { options: '--search-path=scratch' }],
    ['options', { options: '-c role=postgres' }],
    ['options', { options: '-c ro\\le=postgres' }],
    ['options', { options: '-c session_preload_libraries=x' }],
    ['options', { options: '-c standard_conforming_strings=off' }],
    ['options', { options: '-d 5' }],
    ['options', { options: '-c application_name=a\\' }],
    ['search_path', { search_path: 'scratch' }],
    ['role', { role: 'postgres' }],
    ['session_authorization', { session_authorization: 'postgres' }],
    ['standard_conforming_strings', { standard_conforming_strings: 'off' }],
    ['client_encoding', { client_encoding: 'LATIN1' }],
    ['client_encoding', { client_encoding: 'SJIS' }],
    ['SEARCH_PATH', { SEARCH_PATH: 'scratch' }],
    ['my.own', { 'my.own': '1' }],
  ])('with the startup parameter %s is refused', async (_title, startup) => {
    await expect(stage.agent({ startup })).rejects.toMatchObject({
      fields: { S: 'FATAL', C: '0A000', D: expect.stringContaining('"operation_unsupported"') },
    });
    await expectServed();
  });

  test.each(['orders/postgres', 'postgres', 'template1', '../orders', 'orders\u0000x'])(
    'for the database %p, which is not this one, opens nothing of this one',
    async (database) => {
      const login = { ...endpoint(), user: 'agent', database, password: await stage.gateway.token() };
      const client = await connectWire(login).catch(() => undefined);
      if (client === undefined) return;
      expect(rowsOf(await client.query('SELECT current_database()'))).not.toEqual([[stage.gateway.database]]);
      expect(typesOf(await client.query('SELECT ssn FROM customers'))).toBe('EZ');
      await client.end();
    },
  );
});

describe('a message before the login', () => {
  test.each([
    ['Query', frontend.query('DROP TABLE customers'), 'operation_malformed'],
    ['Parse', frontend.parse('DROP TABLE customers'), 'operation_malformed'],
    ['FunctionCall', frontend.functionCall(1, []), 'operation_malformed'],
    ['Sync', frontend.sync(), 'operation_malformed'],
    ['a password of 100 KB', frontend.password('x'.repeat(100_000)), 'operation_too_large'],
    ['a password without an end', message('p', Buffer.from('token')), 'operation_malformed'],
    ['an empty password', frontend.password(''), 'credential_missing'],
    ['a password that is no token', frontend.password('hunter2'), 'credential_invalid'],
  ])('%s ends the connection', async (_title, bytes, code) => {
    const client = await openWire(endpoint());
    client.send(frontend.startup({ user: 'agent', database: stage.gateway.database }));
    await client.until('R');
    client.send(bytes);
    const told = tell(await client.untilClosed());
    expect(told).toMatchObject({ types: 'E', code });
    expect(stage.carried('DROP TABLE customers')).toBe(false);
  });
});

describe('a message that is not one', () => {
  const malformed: readonly (readonly [string, Buffer])[] = [
    ['of a type that does not exist', message('!')],
    ['of a type that only a server sends', message('T', Buffer.alloc(2))],
    ['another password', frontend.password('x')],
    ['with a length below four', Buffer.concat([Buffer.from('Q'), int32(3)])],
    ['with a negative length', Buffer.concat([Buffer.from('Q'), int32(-5)])],
    ['with a length of 2 GB', Buffer.concat([Buffer.from('Q'), int32(0x7fffffff)])],
    ['a Parse with a length of 2 GB', Buffer.concat([Buffer.from('P'), int32(0x7fffffff)])],
    ['a Bind with a length of 2 GB', Buffer.concat([Buffer.from('B'), int32(0x7fffffff)])],
    ['a Parse with bytes behind its end', message('P', Buffer.from('\0SELECT 1\0\0\0DROP'))],
    ['a Parse that counts more types than it has', message('P', Buffer.from('\0SELECT 1\0\0\x09'))],
    ['a Bind that counts more values than it has', message('B', Buffer.from('\0\0\0\0\0\x05\0\0'))],
    [
      'a Bind with a value longer than itself',
      message('B', Buffer.from('\0\0\0\0\0\x01'), int32(1000), Buffer.from('x')),
    ],
    ['a Bind with a negative length', message('B', Buffer.from('\0\0\0\0\0\x01'), int32(-2), Buffer.alloc(2))],
    ['a Bind with the format 7', message('B', Buffer.from('\0\0\0\x01\0\x07\0\0\0\0'))],
    ['a Query with bytes behind its end', message('Q', Buffer.from('SELECT 1\0DROP\0'))],
    ['a Bind with bytes behind its end', message('B', Buffer.from('\0\0\0\0\0\0\0\0DROP'))],
    ['a Describe with bytes behind its end', message('D', Buffer.from('S\0DROP'))],
    ['an Execute with bytes behind its end', message('E', Buffer.from('\0\0\0\0\0DROP'))],
    ['a Describe of nothing known', message('D', Buffer.from('X\0'))],
    ['a Close of nothing known', message('C', Buffer.from('X\0'))],
    ['an Execute without its bound', message('E', Buffer.from('\0'))],
    ['a Sync with a body', message('S', Buffer.from('x'))],
    ['a Flush with a body', message('H', Buffer.from('x'))],
    ['a CopyDone with a body', message('c', Buffer.from('x'))],
  ];
  test.each(malformed)('%s ends the connection, and what is behind it is not run', async (_title, bytes) => {
    const before = await stage.state();
    const agent = await stage.agent();
    agent.client.send(bytes, frontend.query("INSERT INTO scratch.lines VALUES ('smuggled')"));
    const told = tell(await agent.client.untilClosed());
    expect(told).toMatchObject({ types: 'E', code: expect.stringMatching(/^operation_(malformed|too_large)$/) });
    expect(stage.carried("VALUES ('smuggled')")).toBe(false);
    expect(await stage.state()).toBe(before);
    await expectServed();
  });

  test('nothing of a statement whose body is withheld reaches the server', async () => {
    const agent = await stage.agent();
    const whole = frontend.query('DELETE FROM orders WHERE id = 1 -- withheld');
    agent.client.send(whole.subarray(0, whole.length - 1));
    await expectServed();
    expect(stage.carried('withheld')).toBe(false);
    agent.client.send(whole.subarray(whole.length - 1));
    expect(tell(await agent.client.untilReady())).toMatchObject({ types: 'EZ', code: 'write_outside_working_data' });
    expect(stage.carried('withheld')).toBe(false);
  });

  test('a statement that comes byte by byte is judged whole', async () => {
    const agent = await stage.agent();
    const bytes = Buffer.concat([
      frontend.parse('SELECT purge()'),
      frontend.bind(),
      frontend.execute(),
      frontend.sync(),
    ]);
    for (const byte of bytes) agent.client.send(Buffer.of(byte));
    expect(tell(await agent.client.untilReady())).toMatchObject({ types: 'EZ', code: 'function_refused', status: 'I' });
    expect(stage.carried('SELECT purge()')).toBe(false);
  });
});

describe('what is pipelined', () => {
  test('simple queries are answered in order, a refused one among them', async () => {
    const agent = await stage.agent();
    const sqls = ['SELECT 1', 'DROP TABLE customers', 'SELECT 2', 'BEGIN', 'SELECT purge()', 'SELECT 3', 'ROLLBACK'];
    agent.client.send(...sqls.map(frontend.query));
    const answer = await agent.client.untilReady(7);
    expect(typesOf(answer)).toBe('TDCZEZTDCZCZEZEZCZ');
    expect(rowsOf(answer)).toEqual([['1'], ['2']]);
    expect(
      answer
        .filter(({ type }) => type === 'Z')
        .map(({ body }) => body.toString())
        .join(''),
    ).toBe('IIITEEI');
    expect(await agent.client.ping()).toBe('I');
  });

  test('a Query among messages without a Sync is judged like any other', async () => {
    const agent = await stage.agent();
    agent.client.send(
      frontend.parse('SELECT 1'),
      frontend.bind(),
      frontend.execute(),
      frontend.query('DROP TABLE customers'),
      frontend.parse("SELECT 'behind'"),
      frontend.bind(),
      frontend.execute(),
      frontend.sync(),
    );
    const answer = await agent.client.untilReady(2);
    expect(tell(answer)).toMatchObject({ types: '12DCEZ12DCZ', code: 'ddl_refused' });
    expect(await agent.client.ping()).toBe('I');
  });

  test('what follows an error up to the Sync is neither judged allowed nor run, simple queries included', async () => {
    const agent = await stage.agent();
    agent.client.send(
      frontend.parse('SELECT 1 / (id - 1) FROM orders WHERE id = 1'),
      frontend.bind(),
      frontend.execute(),
      frontend.query("INSERT INTO scratch.lines VALUES ('after an error')"),
      frontend.query('DROP TABLE customers'),
      frontend.sync(),
    );
    expect(tell(await agent.client.untilReady())).toMatchObject({ types: '12EZ', sqlstate: '22012', status: 'I' });
    expect(await stage.gateway.sql("SELECT 1 FROM scratch.lines WHERE line = 'after an error'")).toEqual([]);
    expect(await agent.client.ping()).toBe('I');
  });

  test('a refusal before a failing message is told, one behind it is not', async () => {
    const agent = await stage.agent();
    const failing = [
      frontend.parse('SELECT 1 / (id - 1) FROM orders WHERE id = 1'),
      frontend.bind(),
      frontend.execute(),
    ];
    agent.client.send(frontend.parse('SELECT purge()'), ...failing, frontend.sync());
    expect(tell(await agent.client.untilReady())).toMatchObject({ types: 'EZ', code: 'function_refused' });
    agent.client.send(...failing, frontend.parse('SELECT purge()'), frontend.sync());
    expect(tell(await agent.client.untilReady())).toMatchObject({ types: '12EZ', sqlstate: '22012' });
    expect(await agent.client.ping()).toBe('I');
  });

  test('a refused simple query does not make the server wait for a Sync', async () => {
    const agent = await stage.agent();
    for (let round = 0; round < 3; round++) {
      expect(await agent.told('DROP TABLE customers')).toMatchObject({ types: 'EZ', status: 'I' });
      expect(await agent.rows('SELECT 1')).toEqual([['1']]);
    }
  });
});

describe('COPY from the client', () => {
  async function copying(): Promise<Agent> {
    const agent = await stage.agent();
    agent.client.send(frontend.query('COPY scratch.lines FROM STDIN'));
    await agent.client.until('G');
    return agent;
  }

  test('a statement in place of data ends the connection, and is not run', async () => {
    const agent = await copying();
    agent.client.send(frontend.query('DROP TABLE customers'));
    expect(tell(await agent.client.untilClosed())).toMatchObject({ types: 'E', code: 'operation_malformed' });
    expect(stage.carried('DROP TABLE customers')).toBe(false);
  });

  test('data that looks like messages is data', async () => {
    const agent = await copying();
    agent.client.send(frontend.copyData(frontend.query('DROP TABLE customers')), frontend.copyFail('enough'));
    expect(tell(await agent.client.untilReady())).toMatchObject({ types: 'EZ', status: 'I' });
    expect(await stage.gateway.sql('SELECT count(*)::int AS n FROM customers')).toEqual([{ n: 61 }]);
    expect(await agent.client.ping()).toBe('I');
  });

  test('data without a COPY is dropped, as the server would', async () => {
    const agent = await stage.agent();
    agent.client.send(frontend.copyData('stray'), frontend.copyDone(), frontend.query('SELECT 1'));
    expect(rowsOf(await agent.client.untilReady())).toEqual([['1']]);
    expect(stage.carried('stray')).toBe(false);
  });

  test('a COPY that is refused takes no data', async () => {
    const agent = await stage.agent();
    agent.client.send(
      frontend.query('COPY customers FROM STDIN'),
      frontend.copyData('1\tsmuggled data\n'),
      frontend.copyDone(),
      frontend.query('SELECT 1'),
    );
    const answer = await agent.client.untilReady(2);
    expect(tell(answer)).toMatchObject({ types: 'EZTDCZ', code: 'write_outside_working_data' });
    expect(stage.carried('smuggled data')).toBe(false);
  });

  test('two in one string are told apart', async () => {
    const agent = await stage.agent();
    agent.client.send(frontend.query('COPY scratch.lines FROM STDIN; COPY scratch.lines FROM STDIN; SELECT 7'));
    await agent.client.until('G');
    agent.client.send(frontend.copyData('first\n'), frontend.copyDone());
    await agent.client.until('G');
    agent.client.send(frontend.copyData('second\n'), frontend.copyDone());
    const answer = await agent.client.untilReady();
    expect(tagsOf(answer)).toEqual(['COPY 1', 'SELECT 1']);
    expect(await agent.client.ping()).toBe('I');
  });
});

describe('cancel keys', () => {
  test('are not the server’s, and one that is not a session’s own cancels nothing', async () => {
    const agent = await stage.agent();
    const other = await stage.agent();
    const pids = (await agent.rows('SELECT pg_backend_pid()')).flat();
    expect(pids).not.toContain(String(agent.client.processId));
    agent.client.send(frontend.query('SELECT count(*) FROM generate_series(1, 3000000)'));
    const plain = endpoint('none');
    const guess = Buffer.from([1, 2, 3, 4]);
    await cancelWire(plain, other.client.processId, agent.client.secret);
    await cancelWire(plain, agent.client.processId, guess);
    await cancelWire(plain, Number(pids[0]), guess);
    await cancelWire(plain, other.client.processId, other.client.secret);
    expect(rowsOf(await agent.client.untilReady())).toEqual([['3000000']]);
    expect(await other.client.ping()).toBe('I');
  });
});

test('what a client says behind its goodbye is not run', async () => {
  const agent = await stage.agent();
  agent.client.send(frontend.terminate(), frontend.query("INSERT INTO scratch.lines VALUES ('after goodbye')"));
  await agent.client.untilClosed();
  expect(await stage.gateway.sql("SELECT 1 FROM scratch.lines WHERE line = 'after goodbye'")).toEqual([]);
});

test('nothing that no agent may see was received, audited, recorded, logged or counted', async () => {
  expect(await stage.kept()).toEqual([]);
});
