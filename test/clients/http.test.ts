import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, interceptors, Pool, request } from 'undici';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';
import { describeTools } from './tools.ts';

const big = JSON.stringify({
  rows: Array.from({ length: 20_000 }, (_, id) => ({ id, city: 'Zürich', sum: `${id}.10` })),
});

const routes = ['/{any}', '/{any}/{more}'].map((path) => ({ path }));

let upstream: Upstream;
let gateway: HttpGateway;
let token: string;

beforeAll(async () => {
  upstream = await startUpstream();
  upstream.answer = (request, response, body) => {
    if (request.url === '/big') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(big);
    } else if (request.url === '/none') {
      response.writeHead(204);
      response.end();
    } else if (request.url === '/missing') {
      response.writeHead(404, { 'content-type': 'text/plain' });
      response.end('not here\n');
    } else {
      response.writeHead(200, { 'content-type': 'application/json', 'x-request': '1' });
      response.end(JSON.stringify({ method: request.method, url: request.url, body: body.toString() }));
    }
  };
  gateway = await startHttpGateway({
    upstreams: [{ name: 'web', host: upstream.host, port: upstream.port, routes }],
    data: {
      upstreams: { web: { labels: { env: 'prod' } } },
      http: { upstreams: { web: { write: ['POST /{any}'] } } },
    },
  });
  token = await gateway.token();
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** What curl prints, and the code it ends with. */
async function curl(...args: string[]): Promise<{ code: number | null; text: string }> {
  const child = spawn('curl', ['-sS', '--max-time', '20', '-H', '@-', ...args]);
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  child.stderr.on('data', (piece: Buffer) => pieces.push(piece));
  // The token goes in through standard input: arguments can be seen by others.
  child.stdin.end(`Authorization: Bearer ${token}\n`);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, text: Buffer.concat(pieces).toString() };
}

/** The same, past the gateway. */
async function direct(path: string, init?: RequestInit): Promise<string> {
  return await (await fetch(`http://${upstream.host}:${upstream.port}${path}`, init)).text();
}

describeTools(['curl'], [], () => {
  test.each(['/a/b?c=d&e', '/big', '/none', '/missing', '/with%20space/%C3%BC'])('GET %s', async (path) => {
    expect(await curl(`${gateway.url}${path}`)).toEqual({ code: 0, text: await direct(path) });
  });

  test('POST, -I, -f, several on one connection, and --compressed', async () => {
    expect(await curl('-H', 'Content-Type: application/json', '-d', '{"a":1}', `${gateway.url}/echo`)).toEqual({
      code: 0,
      text: await direct('/echo', { method: 'POST', body: '{"a":1}' }),
    });
    expect((await curl('-I', `${gateway.url}/a`)).text).toMatch(/^HTTP\/1.1 200 [\s\S]*x-request: 1/);
    expect((await curl('-f', `${gateway.url}/missing`)).code).toBe(22);
    const two = await curl('-w', '%{num_connects} ', `${gateway.url}/none`, `${gateway.url}/none`);
    expect(two.text).toBe('1 0 ');
    expect(await curl('--compressed', `${gateway.url}/big`)).toEqual({ code: 0, text: big });
  });

  test('Expect: 100-continue is answered before the body goes up', async () => {
    const sent = ['-H', 'Expect: 100-continue', '-H', 'Content-Type: application/json', '-d', '{"a":1}'];
    const { code, text } = await curl(...sent, '-i', `${gateway.url}/echo`);
    expect(code).toBe(0);
    expect(text).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
  });
});

describe('undici', () => {
  test('fetch, request, a client and a pool', async () => {
    const headers = { authorization: `Bearer ${token}` };
    expect(await (await fetch(`${gateway.url}/big`, { headers })).text()).toBe(big);
    const answer = await request(`${gateway.url}/a`, { headers });
    expect([answer.statusCode, await answer.body.text()]).toEqual([200, await direct('/a')]);
    const client = new Client(gateway.url).compose(interceptors.decompress());
    const pool = new Pool(gateway.url, { connections: 4 });
    const asked = Array.from({ length: 40 }, () => pool.request({ path: '/a', method: 'GET', headers }));
    const texts = await Promise.all(asked.map(async (answer) => await (await answer).body.text()));
    expect(new Set(texts)).toEqual(new Set([await direct('/a')]));
    await pool.close();
    await client.close();
  });

  test('pipelined requests are answered in order', async () => {
    const client = new Client(gateway.url, { pipelining: 8 });
    const headers = { authorization: `Bearer ${token}` };
    const asked = Array.from({ length: 16 }, (_, n) => client.request({ path: `/a?n=${n}`, method: 'GET', headers }));
    const urls = await Promise.all(
      asked.map(async (answer) => ((await (await answer).body.json()) as { url: string }).url),
    );
    expect(urls).toEqual(Array.from({ length: 16 }, (_, n) => `/a?n=${n}`));
    await client.close();
  });
});
