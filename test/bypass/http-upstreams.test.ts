/**
 * What policy judged and what the upstream understood never disagree, for node:http, nginx and Python's http.server: each
 * hostile request is refused before anything of it arrives, or arrives as what the trail says was judged, once.
 */
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import { describeTools } from '../clients/tools.ts';
import { type HttpGateway, startHttpGateway } from '../support/http-gateway.ts';
import { randomFrom } from '../unit/protocols/http/random.ts';
import { type Attempt, family, mixture } from './http/attempts.ts';
import { type EchoServer, findNginx, startNginx, startNode, startPython } from './http/servers.ts';
import { disagreements, type Judged, parameters, type Understood } from './http/understood.ts';

/** What came back: a status for each answer, and whether the gateway ended the connection. */
interface Answered {
  readonly statuses: readonly number[];
  readonly text: string;
}

/** Sends the pieces one after the other; all that comes back until the connection ends or, where it may, is quiet. */
function send(port: number, pieces: readonly Buffer[], quietMs: number): Promise<Answered> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let text = '';
    const done = () => {
      socket.destroy();
      resolve({ text, statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status)) });
    };
    socket.setTimeout(quietMs, done);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', done);
    socket.on('close', done);
    const [first = Buffer.alloc(0), ...rest] = pieces;
    socket.write(first, () => {
      for (const piece of rest) socket.write(piece);
    });
  });
}

/** The documents that policy was asked about and allowed, by the id of their request. */
function judgedIn(events: readonly JsonObject[]): ReadonlyMap<string, readonly Judged[]> {
  const found = new Map<string, Judged[]>();
  for (const { event, effect, action, reasons } of events) {
    if (event !== 'decided' || effect !== 'allow' || action === 'connect') continue;
    const pieces = (reasons as { code: string; message: string }[]).toSorted((one, other) =>
      one.code < other.code ? -1 : 1,
    );
    const judged: Judged = JSON.parse(pieces.map(({ message }) => message).join(''));
    const id = judged.action.properties.headers['x-request-id'] ?? '';
    found.set(id, [...(found.get(id) ?? []), judged]);
  }
  return found;
}

const idOf = ({ headers }: Understood) => headers.find(([name]) => name === 'x-request-id')?.[1] ?? '';

const nginx = findNginx();

describeTools(['python3'], nginx === undefined ? ['nginx'] : [], () => {
  let servers: readonly EchoServer[];
  let gateway: HttpGateway;
  let token: string;

  beforeAll(async () => {
    servers = await Promise.all([startNode(), startNginx(nginx ?? ''), startPython()]);
    gateway = await startHttpGateway({
      bundle: join(import.meta.dirname, 'judged/judged.tar.gz'),
      upstreams: servers.map(({ name, port }) => ({ name, host: '127.0.0.1', port, ownHost: `${name}.test` })),
      data: { upstreams: Object.fromEntries(servers.map(({ name }) => [name, { labels: { env: 'prod' } }])) },
    });
    token = await gateway.token('test-agent', { lifetimeSeconds: 600 });
  });
  afterAll(async () => {
    await gateway?.stop();
    for (const server of servers ?? []) await server.stop();
  });

  /** Sends each attempt to each server, and holds what arrived against what was judged. */
  async function run(name: string, attempts: Iterable<Attempt>) {
    const already = await Promise.all(servers.map(async (server) => (await server.understood()).length));
    const answers = new Map<string, { readonly attempt: Attempt; readonly answered: Answered }>();
    const queue = attempts[Symbol.iterator]();
    let count = 0;
    const work = async () => {
      for (let next = queue.next(); next.done !== true; next = queue.next()) {
        const number = count;
        count += 1;
        for (const server of servers) {
          const id = `${name}-${number}-${server.name}`;
          const pieces = next.value.bytes({ host: `${server.name}.test`, token, id });
          const answered = await send(gateway.port, pieces, next.value.withheld ? 150 : 5_000);
          answers.set(id, { attempt: next.value, answered });
        }
      }
    };
    await Promise.all(Array.from({ length: 12 }, work));
    // What comes last is written last, by the upstreams as well.
    for (const server of servers) {
      const id = `${name}-last-${server.name}`;
      const last: Attempt = { what: 'the last', bytes: () => [] };
      const head = `GET /last HTTP/1.1\r\nHost: ${server.name}.test\r\nAuthorization: Bearer ${token}\r\nX-Request-Id: ${id}\r\nConnection: close\r\n\r\n`;
      answers.set(id, { attempt: last, answered: await send(gateway.port, [Buffer.from(head)], 5_000) });
      while (!(await server.understood()).some((seen) => idOf(seen) === id));
    }
    // What is judged is in the trail before it arrives: in this order, whatever arrived must be there.
    const seenBy = await Promise.all(
      servers.map(async (server, at) => [server.name, (await server.understood()).slice(already[at])] as const),
    );
    const events = await gateway.audit();
    const judged = judgedIn(events);
    const found: string[] = [];
    const complain = (id: string, what: string) => {
      const { attempt } = answers.get(id.replace(/-b$/, '')) ?? {};
      found.push(`${id}: ${what}\n    ${attempt?.what ?? 'nobody sent this'}`);
    };
    const arrived = new Set<string>();
    for (const [server, requests] of seenBy) {
      for (const seen of requests) {
        const id = idOf(seen);
        const asked = judged.get(id) ?? [];
        if (arrived.has(id)) complain(id, `arrived more than once, now at ${server}`);
        if (asked.length !== 1) complain(id, `arrived at ${server}, judged ${asked.length} times`);
        arrived.add(id);
        for (const one of asked) for (const what of disagreements(one, seen, server)) complain(id, what);
      }
    }
    const trail = new Set(events.map(({ decision_id: id }) => id));
    const audited = events.filter(({ event, effect }) => event === 'rejected' || effect === 'deny').length;
    let [refused, failed] = [0, 0];
    for (const [id, { answered }] of answers) {
      const { statuses, text } = answered;
      if (statuses[0] === 200 && !arrived.has(id)) complain(id, 'was answered, and did not arrive');
      if (text.includes(token)) complain(id, 'the token was in the answer');
      for (const [, decision] of text.matchAll(/"decision_id":"([^"]+)"/g)) {
        if (!trail.has(decision ?? '')) complain(id, `the trail has no ${decision}`);
      }
      refused += statuses.filter((status) => status >= 400).length;
      // The upstream's own: it does not read chunks, or has nothing that matches.
      failed += statuses.filter((status) => status === 502 || status === 412).length;
    }
    return {
      found,
      counts: {
        sent: answers.size,
        permitted: [...judged.keys()].filter((id) => id.startsWith(name)).length,
        arrived: arrived.size,
        refused,
        failed,
        audited,
      },
    };
  }

  test('each named attempt is refused, or arrives as it was judged', async () => {
    const { found, counts } = await run('family', family);
    expect(found).toEqual([]);
    expect(counts.permitted).toBeGreaterThan(800);
    expect(counts.permitted).toBeLessThan(1_100);
    expect(counts.arrived).toBeGreaterThan(counts.permitted * 0.9);
    expect(counts.refused).toBeGreaterThan(900);
    expect(counts.audited).toBeGreaterThanOrEqual(counts.refused - counts.failed);
  }, 60_000);

  test('so is what a mixture of them makes', async () => {
    const random = randomFrom(20_261_128);
    const endMs = performance.now() + 15_000;
    function* attempts() {
      for (let count = 0; count < 1_000 && performance.now() < endMs; count++) yield mixture(random);
    }
    const { found, counts } = await run('mixture', attempts());
    expect(found).toEqual([]);
    expect(counts.sent).toBeGreaterThan(300);
    expect(counts.permitted).toBeGreaterThan(counts.sent * 0.1);
    expect(counts.refused).toBeGreaterThan(counts.sent * 0.5);
  }, 60_000);

  describe('without the gateway the oracle sees it', () => {
    /** What a gateway would judge that takes a request as it is written; what each server understood instead. */
    async function direct(target: string, ...fields: string[]): Promise<readonly number[]> {
      const [path = '', query = ''] = target.split('?');
      const differences: number[] = [];
      for (const server of servers) {
        const id = `direct-${server.name}-${target}-${fields.join()}`;
        const host = `${server.name}.test`;
        const head = [`GET ${target} HTTP/1.1`, `Host: ${host}`, `X-Request-Id: ${id}`, 'Connection: close', ...fields];
        await send(server.port, [Buffer.from(`${head.join('\r\n')}\r\n\r\n`)], 5_000);
        let seen: Understood | undefined;
        while (seen === undefined) seen = (await server.understood()).find((one) => idOf(one) === id);
        const properties = {
          ...{ segments: path.slice(1).split('/'), query: parameters(query), content_type: '', incomplete: [] },
          headers: { 'x-request-id': id },
        };
        const resource = { properties: { upstream: server.name, host } };
        const judged = { action: { name: 'GET', properties }, resource, complete: true };
        differences.push(disagreements(judged, seen, server.name).length);
      }
      return differences;
    }

    test('nothing, where nothing is wrong', async () => {
      expect(await direct('/a/b?c=d')).toEqual([0, 0, 0]);
    });

    test('paths and queries that servers repair', async () => {
      expect(await direct('/a%2fb')).toEqual([1, 1, 1]);
      expect(await direct('/a/../b')).toEqual([1, 1, 0]);
      expect(await direct('//a')).toEqual([1, 1, 1]);
      expect(await direct('/a;b')).toEqual([0, 0, 1]);
    });

    test('headers and parameters that take the place of the method or the host', async () => {
      expect(await direct('/a', 'X-HTTP-Method-Override: DELETE')).toEqual([2, 2, 2]);
      expect(await direct('/a?_method=DELETE')).toEqual([1, 1, 1]);
      expect(await direct('/a', 'X-Forwarded-Host: evil.test')).toEqual([2, 2, 2]);
    });

    test('a second request in the body of the first', async () => {
      const [, , python] = servers;
      const before = (await python?.understood())?.length ?? 0;
      const inner = 'GET /smuggled HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n';
      const fields = 'Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked';
      await send(python?.port ?? 0, [Buffer.from(`POST /a HTTP/1.1\r\n${fields}\r\n\r\n0\r\n\r\n${inner}`)], 5_000);
      while (((await python?.understood())?.length ?? 0) < before + 2);
      expect((await python?.understood())?.at(-1)?.path).toBe('/smuggled');
    });
  });
});
