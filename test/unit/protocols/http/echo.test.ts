/**
 * What was judged is what arrives: targets and heads go as bytes to a node:http server, through the canonical form, and
 * on to servers that tell what they understood.
 */
import { spawn } from 'node:child_process';
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { canonicalRequest } from '../../../../proxy/protocols/http/canonical.ts';
import type { CanonicalRequest, CanonicalResult } from '../../../../proxy/protocols/http/contract.ts';
import { randomFrom } from './random.ts';

const servers: Server[] = [];
/** What the front made of the requests it got. */
const results: CanonicalResult[] = [];
let frontPort = 0;
let echoPort = 0;

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  echoPort = await listen(
    createServer((incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const { method, url, rawHeaders } = incoming;
        response.end(JSON.stringify({ method, url, rawHeaders, body: Buffer.concat(chunks).toString('latin1') }));
      });
    }),
  );
  const front = createServer({ insecureHTTPParser: false }, (incoming, response) => {
    const result = canonicalRequest(incoming, { hosts: ['api.example'] });
    results.push(result);
    response.writeHead('fault' in result ? result.status : 200, { connection: 'close' }).end();
    incoming.resume();
  });
  front.maxHeadersCount = 0;
  frontPort = await listen(front);
});

afterAll(() => {
  for (const server of servers) server.close();
});

/** Sends a head as it is. @returns what it was understood as; `undefined` when node:http or the canonical form refused it */
async function understood(head: string): Promise<CanonicalRequest | undefined> {
  results.length = 0;
  await new Promise<void>((resolve, reject) => {
    const socket = connect(frontPort, '127.0.0.1', () => socket.end(Buffer.from(head, 'latin1')));
    socket
      .resume()
      .once('error', reject)
      .once('close', () => resolve());
  });
  const [result] = results;
  return result !== undefined && 'request' in result ? result.request : undefined;
}

interface Echo {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

/** What a server says that it got when a request is forwarded to it. */
function forward({ method, path, queryText, headers }: CanonicalRequest): Promise<Echo> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ host: '127.0.0.1', port: echoPort, method, path: queryText === '' ? path : `${path}?${queryText}` },
        headers: ['host', 'echo', ...headers.flat()],
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
      },
    );
    sent.once('error', reject).end();
  });
}

const get = (target: string, ...lines: string[]) =>
  `${[`GET ${target} HTTP/1.1`, 'Host: api.example', ...lines].join('\r\n')}\r\n\r\n`;

/** Targets that one server or another reads differently, and combinations of their pieces. */
function hostileTargets(): readonly string[] {
  const pieces =
    '/ a B . .. %2e %2f %5c %25 %00 %20 + ; = & ? # \\ : @ , %c3%a9 %c0%af %26 %3d %3b ~ * ( [ | " {'.split(' ');
  const random = randomFrom(31);
  return Array.from(
    { length: 400 },
    () => `/${Array.from({ length: 1 + random(7) }, () => pieces[random(pieces.length)]).join('')}`,
  );
}

describe('a request that is forwarded', () => {
  test('has the target that was judged, byte for byte, and node:http reads the same out of it', async () => {
    let taken = 0;
    for (const target of hostileTargets()) {
      const judged = await understood(get(target));
      if (judged === undefined) continue;
      taken++;
      const { url } = await forward(judged);
      expect(url).toBe(judged.queryText === '' ? judged.path : `${judged.path}?${judged.queryText}`);
      const [path = '', query = ''] = url.split('?');
      expect(path.slice(1).split('/').map(decodeURIComponent)).toEqual(judged.segments);
      expect([...new URLSearchParams(query)]).toEqual(judged.query);
    }
    expect(taken).toBeGreaterThan(30);
  });

  test('has the headers that were judged and no others', async () => {
    const judged = await understood(
      get(
        '/x',
        'accept: a',
        'ACCEPT:b ',
        'Cookie: a=b',
        'Authorization: Bearer x',
        'X-Forwarded-For: 1',
        'X-Original-URL: /admin',
        'X-HTTP-Method-Override: DELETE',
        'Connection: x, close',
        'Connection: user-agent',
        'User-Agent: me',
        'Trailer: authorization',
      ),
    );
    // Connection names `x`, which is no x-* header, and user-agent, which then is about the connection.
    expect(judged?.headers).toEqual([['accept', 'a, b']]);
    if (judged === undefined) return;
    const { rawHeaders } = await forward(judged);
    expect(rawHeaders).toEqual(['host', 'echo', 'accept', 'a, b', 'Connection', 'keep-alive']);
  });

  test.each([
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: api.example\r\n\r\n'],
    ['HTTP/0.9', 'GET / HTTP/0.9\r\nHost: api.example\r\n\r\n'],
    ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: api.example\r\n\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two hosts', get('/', 'Host: api.example')],
    ['an absolute target', get('http://admin.example/')],
    ['an absolute target of this host', get('http://api.example/')],
    ['an asterisk', get('*').replace('GET', 'OPTIONS')],
    ['two tokens', get('/', 'Authorization: Bearer a', 'Authorization: Bearer b')],
    ['two types', get('/', 'Content-Type: a/b', 'Content-Type: c/d')],
    ['an underscore', get('/', 'X_Forwarded_For: 1')],
    ['a raw byte in a header', get('/', 'Accept: \u00e9')],
    ['a folded header', get('/', 'Accept: a\r\n b')],
    ['a bare carriage return', get('/', 'Accept: a\rX: b')],
    ['a space before a colon', get('/', 'Accept : a')],
    ['a length and chunks', get('/', 'Content-Length: 5', 'Transfer-Encoding: chunked').replace('GET', 'POST')],
    ['chunks and chunks', get('/', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked').replace('GET', 'POST')],
    ['gzip in chunks', get('/', 'Transfer-Encoding: gzip, chunked').replace('GET', 'POST')],
    ['chunks in HTTP/1.0', get('/', 'Transfer-Encoding: chunked').replace('GET', 'POST').replace('/1.1', '/1.0')],
    ['a body of a GET', `${get('/', 'Content-Length: 5')}hello`],
    ['a chunked body of a GET', `${get('/', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
    ['a cache’s method', get('/').replace('GET', 'PURGE')],
    ['a method in lower case', get('/').replace('GET', 'get')],
    ['more headers than node:http tells by itself', get('/', ...Array(1_100).fill('a: '), 'Authorization: Bearer x')],
  ])('never had %s', async (_, head) => {
    expect(await understood(head)).toBeUndefined();
  });

  test('is the plain one that this table would refuse too much without', async () => {
    expect(await understood(get('/'))).toMatchObject({ path: '/' });
  });
});

/** Python's http.server and urllib, which split and decode by themselves. */
const script = `
import sys, json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit, unquote, parse_qsl
class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        parts = urlsplit('http://h' + self.path)
        told = json.dumps({'segments': [unquote(s, errors='strict') for s in parts.path[1:].split('/')],
                           'query': parse_qsl(parts.query, keep_blank_values=True, errors='strict'),
                           'headers': [[k.lower(), v] for k, v in self.headers.items()]}).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(told)))
        self.end_headers()
        self.wfile.write(told)
    def log_message(self, *_): pass
server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
`;

test('Python understands what was judged, where there is one', async () => {
  const python = spawn('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const port = await new Promise<number | undefined>((resolve) => {
    python.once('error', () => resolve(undefined));
    python.once('exit', () => resolve(undefined));
    python.stdout.once('data', (line: Buffer) => resolve(Number(line.toString())));
  });
  if (port === undefined) return;
  try {
    let taken = 0;
    for (const target of hostileTargets()) {
      const result = canonicalRequest(
        { method: 'GET', url: target, httpVersion: '1.1', rawHeaders: ['Host', 'api.example', 'Accept', 'a'] },
        { hosts: ['api.example'] },
      );
      if ('fault' in result) continue;
      taken++;
      const { path, queryText, segments, query, headers } = result.request;
      const response = await fetch(`http://127.0.0.1:${port}${path}${queryText === '' ? '' : `?${queryText}`}`, {
        headers: headers.map(([name, value]): [string, string] => [name, value]),
      });
      expect(await response.json()).toMatchObject({ segments, query, headers: expect.arrayContaining([...headers]) });
    }
    expect(taken).toBeGreaterThan(30);
  } finally {
    python.kill();
  }
});
