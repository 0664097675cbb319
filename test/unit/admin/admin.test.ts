import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Admin, type Readiness, startAdmin } from '../../../proxy/admin/index.ts';
import { limits } from '../../../proxy/core/limits.ts';
import { createMetrics } from '../../../proxy/metrics/registry.ts';

let admin: Admin;
let readiness: () => Readiness;
let page: () => Promise<string>;
beforeEach(async () => {
  const metrics = createMetrics({ process: false });
  metrics.sessionOpened('postgres');
  page = () => metrics.text();
  readiness = () => ({ ready: true, checks: { policy: true } });
  admin = await startAdmin({
    host: '127.0.0.1',
    port: 0,
    metrics: { text: () => page(), contentType: metrics.contentType },
    readiness: () => readiness(),
    allowedHosts: ['Gateway.internal'],
  });
});
afterEach(() => admin.close());

interface Given {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

function get(path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Given> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...admin.address, path, agent: false, ...options }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** Sends raw bytes and resolves to all that comes back until the connection closes. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(admin.address.port, admin.address.host, () => socket.write(bytes));
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      received += chunk;
    });
    socket.on('close', () => resolve(received));
    socket.on('error', reject);
  });
}

describe('the admin listener', () => {
  test('says that the process runs', async () => {
    expect(await get('/healthz')).toMatchObject({ status: 200, body: 'ok\n' });
  });

  test('serves the metrics page with its content type', async () => {
    const given = await get('/metrics');
    expect(given.status).toBe(200);
    expect(given.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(given.body).toContain('sallyport_sessions_active{protocol="postgres"} 1');
  });

  test('answers HEAD with the headers alone', async () => {
    const given = await get('/metrics', { method: 'HEAD' });
    expect(given).toMatchObject({ status: 200, body: '' });
    expect(Number(given.headers['content-length'])).toBeGreaterThan(100);
  });

  test('ignores a query', async () => {
    expect((await get('/healthz?probe=1')).status).toBe(200);
  });

  test.each(['/', '/healthz/', '/Healthz', '//healthz', '/metrics/../healthz', '/debug'])(
    'has nothing at %s',
    async (path) => {
      expect((await get(path)).status).toBe(404);
    },
  );

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('refuses %s', async (method) => {
    const given = await get('/metrics', { method });
    expect(given.status).toBe(405);
    expect(given.headers.allow).toBe('GET, HEAD');
  });

  test('says so when the page cannot be made, and nothing of why', async () => {
    page = () => Promise.reject(new Error('secret reason'));
    const given = await get('/metrics');
    expect(given.status).toBe(500);
    expect(given.body).not.toContain('secret');
  });
});

describe('readiness', () => {
  test('is 200 while every check passes', async () => {
    const given = await get('/readyz');
    expect(given.status).toBe(200);
    expect(JSON.parse(given.body)).toEqual({ ready: true, failing: [], checks: { policy: true } });
  });

  test('is 503 and names the failing checks', async () => {
    readiness = () => ({ ready: false, checks: { policy: true, identity: false, audit: false } });
    const given = await get('/readyz');
    expect(given.status).toBe(503);
    expect(JSON.parse(given.body)).toMatchObject({ ready: false, failing: ['identity', 'audit'] });
  });

  test('is 503 when the summary and a check disagree', async () => {
    readiness = () => ({ ready: true, checks: { policy: false } });
    expect((await get('/readyz')).status).toBe(503);
    readiness = () => ({ ready: false, checks: { policy: true } });
    expect((await get('/readyz')).status).toBe(503);
  });

  test('that cannot be told is not 200', async () => {
    readiness = () => {
      throw new Error('broken');
    };
    expect((await get('/readyz')).status).toBe(500);
  });
});

describe('the Host header', () => {
  test.each([
    '127.0.0.1',
    '127.0.0.1:9464',
    'localhost',
    'LOCALHOST:9464',
    '[::1]:9464',
    '10.2.3.4:9464',
    'gateway.internal:9464',
    'GATEWAY.INTERNAL',
  ])('%s is served', async (host) => {
    expect((await get('/healthz', { headers: { host } })).status).toBe(200);
  });

  test.each([
    ['evil.example', 421],
    ['127.0.0.1.evil.example', 421],
    ['localhost.evil.example', 421],
    ['gateway.internal.evil.example', 421],
    ['localhost:9464@evil.example', 421],
    ['evil.example#localhost', 421],
    ['localhost,evil.example', 421],
    ['[::1', 421],
  ])('%p is not', async (host, status) => {
    expect((await get('/metrics', { headers: { host } })).status).toBe(status);
  });

  test('is needed once', async () => {
    expect(await raw('GET /metrics HTTP/1.1\r\nHost:\r\n\r\n')).toMatch(/^HTTP\/1\.1 421 /);
    expect(await raw('GET /metrics HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw('GET /metrics HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    const two = await raw('GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n');
    expect(two).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('counts also when the request line names a host of its own', async () => {
    const answered = await raw('GET http://localhost/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n');
    expect(answered).toMatch(/^HTTP\/1\.1 421 /);
  });
});

describe('a request past the bounds', () => {
  test('in the number of its headers is refused', async () => {
    const headers = (count: number) => Array.from({ length: count }, (_, number) => `x-${number}: 1\r\n`).join('');
    const send = (count: number) =>
      raw(`GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headers(count)}\r\n`);
    expect(await send(limits.adminHeadersMax - 2)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await send(limits.adminHeadersMax - 1)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await send(limits.adminHeadersMax + 300)).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('in the size of its headers is refused', async () => {
    const filler = 'a'.repeat(limits.adminHeaderBytesMax);
    expect(await raw(`GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${filler}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('that is no HTTP at all is refused', async () => {
    expect(await raw('\u0000\u0000\u0000\u0008\u0004\u00d2\u0016\u002f')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('with a body that is announced and never sent is not waited for', async () => {
    expect(await raw('POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 405 /,
    );
  });
});

describe('the listener itself', () => {
  test('fails to start on a port that is taken', async () => {
    const { port } = admin.address;
    const metrics = createMetrics({ process: false });
    await expect(startAdmin({ host: '127.0.0.1', port, metrics, readiness })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });

  test('closes with connections open', async () => {
    const { port, host } = admin.address;
    const closed = new Promise<void>((resolve, reject) => {
      const socket = connect(port, host, () => void admin.close());
      socket.on('close', () => resolve());
      socket.on('error', reject);
    });
    await closed;
    await expect(get('/healthz')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    admin = await startAdmin({ host, port: 0, metrics: createMetrics({ process: false }), readiness });
  });
});
