/** axios and got, as services use them, in front of a server that does what HTTP servers do. */
import { once } from 'node:events';
import { Agent } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import axios, { type AxiosInstance } from 'axios';
import got, { type Got } from 'got';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';

const big = JSON.stringify(Array.from({ length: 50_000 }, (_, id) => ({ id, city: 'Zürich', sum: `${id}.10` })));

let upstream: Upstream;
let gateway: HttpGateway;
/** The same clients twice: past the gateway, and through it. */
let direct: { axios: AxiosInstance; got: Got };
let through: { axios: AxiosInstance; got: Got };

beforeAll(async () => {
  upstream = await startUpstream();
  upstream.answer = (request, response, body) => {
    const json = { 'content-type': 'application/json' };
    switch (request.url) {
      case '/big':
        return void response.writeHead(200, json).end(big);
      case '/gzip':
        return void response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(gzipSync(big));
      case '/nothing':
        return void response.writeHead(302, { location: 'echo', 'content-length': 0 }).end();
      case '/moved':
        return void response.writeHead(302, { location: '/echo' }).end();
      case '/see-other':
        return void response.writeHead(303, { location: '/echo' }).end();
      case '/cached': {
        const known = request.headers['if-none-match'] === '"one"';
        return void response
          .writeHead(known ? 304 : 200, { ...json, etag: '"one"' })
          .end(known ? undefined : '{"a":1}');
      }
      case '/never':
        return;
      case '/missing':
        return void response.writeHead(404, json).end('{"error":"not here"}');
      case '/sink':
        return void response.writeHead(200, json).end(JSON.stringify({ bytes: body.length }));
      default: {
        const { method, url, headers } = request;
        // A parameter of a type is written in one way, which may be another than the client's.
        const type = headers['content-type']?.replace('; ', ';') ?? null;
        return void response.writeHead(200, json).end(JSON.stringify({ method, url, type, body: body.toString() }));
      }
    }
  };
  const { host, port } = upstream;
  gateway = await startHttpGateway({
    upstreams: [
      { name: 'web', host, port, routes: [{ path: '/{any}' }] },
      { name: 'masked', prefix: '/masked', host, port, routes: [{ path: '/{any}' }] },
    ],
    data: {
      upstreams: { web: { labels: { env: 'prod' } }, masked: { labels: { env: 'prod' } } },
      http: {
        upstreams: { web: { write: ['POST /{any}', 'PUT /{any}'], opaque: ['PUT /{any}'], masks: { text: {} } } },
      },
    },
  });
  const headers = { authorization: `Bearer ${await gateway.token()}` };
  const base = `http://${host}:${port}`;
  direct = { axios: axios.create({ baseURL: base, proxy: false }), got: got.extend({ prefixUrl: base }) };
  through = {
    axios: axios.create({ baseURL: gateway.url, headers, proxy: false }),
    got: got.extend({ prefixUrl: gateway.url, headers }),
  };
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** What a client does past the gateway it does through it. */
async function unnoticed<Client, Result>(one: Client, other: Client, use: (client: Client) => Promise<Result>) {
  const result = await use(other);
  expect(result).toEqual(await use(one));
  return result;
}

const bytesOf = async (stream: AsyncIterable<Uint8Array>) => {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
};
const pieces = function* () {
  for (let count = 0; count < 64; count++) yield Buffer.alloc(64 * 1024, count);
};
const unknownType = { 'content-type': 'application/octet-stream' };

describe('axios', () => {
  const same = <Result>(use: (client: AxiosInstance) => Promise<Result>) => unnoticed(direct.axios, through.axios, use);

  test.each([
    ['JSON', { a: 1, b: ['ü'] }, undefined],
    ['a form', new URLSearchParams({ a: 'b c', d: 'ü&' }), undefined],
    ['text that is JSON', '{"a":1}', { 'content-type': 'application/json' }],
  ])('sends %s and reads what comes back', async (_what, body, headers) => {
    const echoed = await same(async (client) => (await client.post('/echo', body, headers && { headers })).data);
    expect(echoed).toMatchObject({ method: 'POST', url: '/echo' });
  });

  test('encodes parameters as it always does', async () => {
    const params = { q: 'a b', list: [1, 2], at: '2026-01-01T00:00:00Z', 'what?': 'ü' };
    const search = async (client: AxiosInstance) => [
      ...new URL((await client.get('/echo', { params })).data.url, 'http://a').searchParams,
    ];
    expect(await same(search)).toHaveLength(5);
  });

  test('reads much, at once and as a stream, plain and compressed', async () => {
    for (const path of ['/big', '/gzip']) {
      const whole = await same(
        async (client) => (await client.get(path, { responseType: 'text', transformResponse: [] })).data,
      );
      expect(whole === big).toBe(true);
      const stream = await through.axios.get<Readable>(path, { responseType: 'stream' });
      expect((await bytesOf(stream.data)).equals(Buffer.from(big))).toBe(true);
    }
  });

  test('sends a stream', async () => {
    const put = async (client: AxiosInstance) =>
      (await client.put('/sink', Readable.from(pieces()), { headers: unknownType, maxRedirects: 0 })).data;
    expect(await same(put)).toEqual({ bytes: 64 * 64 * 1024 });
  });

  test('follows redirects', async () => {
    expect(await same(async (client) => (await client.get('/moved')).data)).toMatchObject({
      method: 'GET',
      url: '/echo',
    });
    expect(await same(async (client) => (await client.post('/see-other', { a: 1 })).data)).toMatchObject({
      method: 'GET',
    });
  });

  test('follows one that has no body where answers are masked', async () => {
    expect((await through.axios.get('/masked/nothing')).data).toMatchObject({ method: 'GET', url: '/echo' });
  });

  test('is told that what it has is still good', async () => {
    const again = async (client: AxiosInstance) => {
      const first = await client.get('/cached');
      const headers = { 'if-none-match': first.headers.etag as string };
      const second = await client.get('/cached', { headers, validateStatus: () => true });
      return [first.status, first.data, second.status, second.data];
    };
    expect(await same(again)).toEqual([200, { a: 1 }, 304, '']);
  });

  test('keeps its connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    for (let count = 0; count < 5; count++) {
      const { request } = await through.axios.get('/echo', { httpAgent: agent });
      ports.add(request.res?.req?.socket?.localPort ?? request.socket?.localPort);
    }
    agent.destroy();
    expect(ports.size).toBe(1);
  });

  test('gives up by its own clock, and shows errors of the upstream as they are', async () => {
    const late = async (client: AxiosInstance) =>
      (await client.get('/never', { timeout: 100 }).catch((error) => error)).code;
    expect(await same(late)).toBe('ECONNABORTED');
    const missing = async (client: AxiosInstance) => {
      const { response } = await client.get('/missing').catch((error) => error);
      return [response.status, response.data];
    };
    expect(await same(missing)).toEqual([404, { error: 'not here' }]);
  });

  test('shows a refusal with its code and what to do', async () => {
    const { response } = await through.axios.delete('/echo').catch((error) => error);
    expect([response.status, response.headers['content-type']]).toEqual([403, 'application/problem+json']);
    expect(response.data).toMatchObject({ code: 'write_refused', status: 403, hint: expect.any(String) });
  });
});

describe('got', () => {
  const same = <Result>(use: (client: Got) => Promise<Result>) => unnoticed(direct.got, through.got, use);

  test('sends JSON and forms, and reads what comes back', async () => {
    expect(await same((client) => client.post('echo', { json: { a: ['ü'] } }).json())).toMatchObject({
      body: '{"a":["ü"]}',
    });
    expect(await same((client) => client.post('echo', { form: { a: 'b c' } }).json())).toMatchObject({ body: 'a=b+c' });
    expect(await same((client) => client('echo', { searchParams: { a: 'b' } }).json())).toMatchObject({
      url: '/echo?a=b',
    });
  });

  test('reads much, at once and as a stream, plain and compressed', async () => {
    for (const path of ['big', 'gzip']) {
      expect((await through.got(path).text()) === big).toBe(true);
      expect((await bytesOf(through.got.stream(path))).equals(Buffer.from(big))).toBe(true);
    }
  });

  test('sends a stream', async () => {
    const put = async (client: Got) => {
      const stream = client.stream.put('sink', { headers: unknownType });
      const answer = bytesOf(stream);
      await pipeline(Readable.from(pieces()), stream);
      return JSON.parse((await answer).toString());
    };
    expect(await same(put)).toEqual({ bytes: 64 * 64 * 1024 });
  });

  test('follows redirects', async () => {
    expect(await same((client) => client('moved').json())).toMatchObject({ method: 'GET', url: '/echo' });
    expect(await same((client) => client.post('see-other', { json: {} }).json())).toMatchObject({ method: 'GET' });
  });

  test('answers from its cache what is still good', async () => {
    const again = async (client: Got) => {
      const cached = client.extend({ cache: new Map(), cacheOptions: { shared: false } });
      const answers = [await cached('cached'), await cached('cached')];
      return answers.map(({ statusCode, body, isFromCache }) => [statusCode, body, isFromCache]);
    };
    expect((await same(again)).at(-1)).toEqual([200, '{"a":1}', true]);
  });

  test('keeps its connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const connected: unknown[] = [];
    for (let count = 0; count < 5; count++) {
      const asked = through.got('echo', { agent: { http: agent } });
      asked.on('request', (request) => void once(request, 'socket').then(([socket]) => connected.push(socket)));
      await asked;
    }
    agent.destroy();
    expect([connected.length, new Set(connected).size]).toEqual([5, 1]);
  });

  test('gives up by its own clock, and shows errors of the upstream as they are', async () => {
    const retry = { limit: 0 };
    const late = async (client: Got) =>
      (await client('never', { timeout: { response: 100 }, retry }).catch((error) => error)).code;
    expect(await same(late)).toBe('ETIMEDOUT');
    const missing = async (client: Got) => {
      const { response } = await client('missing', { retry }).catch((error) => error);
      return [response.statusCode, response.body];
    };
    expect(await same(missing)).toEqual([404, '{"error":"not here"}']);
  });

  test('shows a refusal with its code and what to do', async () => {
    const { response } = await through.got.delete('echo', { retry: { limit: 0 } }).catch((error) => error);
    expect([response.statusCode, response.headers['content-type']]).toEqual([403, 'application/problem+json']);
    expect(JSON.parse(response.body)).toMatchObject({ code: 'write_refused', hint: expect.any(String) });
  });
});
