import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https';
import { connect as connectTcp, createServer as createTcpServer, type Server } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ProxyAgent, fetch as undiciFetch } from 'undici';
import type { JsonObject } from '../../proxy/core/types.ts';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';
import { type Certificates, makeCertificates } from '../support/tls.ts';

const secret = 'the-api-key-of-the-gateway';
const customer = { id: 7, name: 'Ada', ssn: '078-05-1120' };

let certificates: Certificates;
let api: Upstream;
let intranet: Upstream;
let other: HttpsServer;
let otherPort: number;
let echo: Server;
let echoPort: number;
let gateway: HttpGateway;
let token: string;

beforeAll(async () => {
  certificates = await makeCertificates();
  const pair = await certificates.issueServer(['crm.example']);
  api = await startUpstream(createTlsServer({ cert: pair.certificate, key: pair.key }));
  intranet = await startUpstream();
  other = createTlsServer({ cert: certificates.server.certificate, key: certificates.server.key }, (_, response) =>
    response.end('from the other side'),
  );
  otherPort = await listening(other);
  echo = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.write('greeting\n');
    socket.pipe(socket);
  });
  echoPort = await listening(echo);
  gateway = await startHttpGateway({
    upstreams: [
      {
        ...{
          name: 'crm',
          host: '127.0.0.1',
          port: api.port,
          ca: certificates.ca,
          serverName: 'crm.example',
          ownHost: 'crm.example',
          secret,
        },
        credential: { header: { name: 'x-api-key', value: 'SECRET' } },
        routes: [{ path: '/customers/{id}' }, { path: '/admin/users' }],
      },
      {
        name: 'intranet',
        host: '127.0.0.1',
        port: intranet.port,
        ownHost: 'intranet.example',
        routes: [{ path: '/{page}' }],
      },
      { name: 'behind', host: '127.0.0.1', port: intranet.port, prefix: '/behind', routes: [{ path: '/{page}' }] },
    ],
    forward: { inspects: true, upstreams: ['crm', 'intranet'] },
    data: {
      upstreams: { egress: {}, intranet: {}, behind: {} },
      http: { destinations: ['crm', 'intranet', 'behind', `localhost:${otherPort}`, `127.0.0.1:${echoPort}`] },
    },
  });
  token = await gateway.token();
});
afterAll(async () => {
  await gateway?.stop();
  await api?.stop();
  await intranet?.stop();
  other?.close();
  echo?.close();
});
beforeEach(() => {
  api.received.length = 0;
  intranet.received.length = 0;
  api.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(customer));
  };
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

/** A client that knows the proxy and the certificate authority, as `HTTPS_PROXY` and `SSL_CERT_FILE` would have it. */
async function through<T>(
  use: (dispatcher: ProxyAgent) => Promise<T>,
  { ca = gateway.files.ca, as = token }: { ca?: string; as?: string } = {},
): Promise<T> {
  const agent = new ProxyAgent({
    uri: `http://127.0.0.1:${gateway.forwardPort}`,
    token: `Basic ${Buffer.from(`agent:${as}`).toString('base64')}`,
    requestTls: { ca },
  });
  try {
    return await use(agent);
  } finally {
    await agent.destroy();
  }
}

/** CONNECT by hand. */
async function tunnel(
  to: string,
  headers: readonly string[] = [`Proxy-Authorization: Bearer ${token}`],
  at: HttpGateway = gateway,
) {
  const socket = connectTcp(at.forwardPort, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`);
  let text = '';
  const head = await new Promise<string>((done) => {
    const read = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      socket.off('data', read);
      socket.pause();
      const rest = text.slice(text.indexOf('\r\n\r\n') + 4);
      if (rest !== '' && text.startsWith('HTTP/1.1 200')) socket.unshift(Buffer.from(rest, 'latin1'));
      done(text);
    };
    socket.on('data', read);
    socket.once('close', () => done(text));
  });
  return { socket, status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), head };
}

/** The trail with everything before: what nothing waits for is written along with the next session. */
async function trail(at: HttpGateway = gateway): Promise<readonly JsonObject[]> {
  (await tunnel('flush.example:1', undefined, at)).socket.destroy();
  return (await at.audit()).filter((event) => !JSON.stringify(event).includes('flush.example'));
}

function named(events: readonly JsonObject[], event: string, action?: string): readonly JsonObject[] {
  return events.filter((one) => one.event === event && (action === undefined || one.action === action));
}

describe('a tunnel to an upstream, with a certificate authority', () => {
  test('is opened up: each request is judged, gets the credential of the gateway, and its answer is masked', async () => {
    await through(async (dispatcher) => {
      const answer = await undiciFetch('https://crm.example/customers/7', {
        dispatcher,
        headers: { authorization: 'Bearer what-the-agent-has-of-its-own' },
      });
      expect(answer.status).toBe(200);
      expect(await answer.json()).toEqual({ ...customer, ssn: expect.stringMatching(/^\*+1120$/) });
      const [received] = api.received;
      const headers = new Map(received?.headers);
      expect(headers.get('x-api-key')).toBe(secret);
      expect(headers.get('authorization')).toBeUndefined();
      expect(headers.get('host')).toBe('crm.example');

      const refused = await undiciFetch('https://crm.example/admin/users', { dispatcher });
      expect(refused.status).toBe(403);
      expect(refused.headers.get('content-type')).toBe('application/problem+json');
      expect(api.received).toHaveLength(1);
    });
    const events = await trail();
    expect(named(events, 'decided', 'connect_tunnel').at(-1)).toMatchObject({
      effect: 'allow',
      upstream: 'egress',
      operation: { destination: { host: 'crm.example', port: 443, upstream: 'crm' } },
    });
    expect(named(events, 'decided', 'GET').slice(-2)).toMatchObject([
      { effect: 'allow', upstream: 'crm' },
      { effect: 'deny', upstream: 'crm' },
    ]);
  });

  test('shows a certificate that only those trust who were told to', async () => {
    const refused = through((dispatcher) => undiciFetch('https://crm.example/customers/7', { dispatcher }), {
      ca: (await makeCertificates()).ca,
    });
    await expect(refused).rejects.toThrow();
    expect(api.received).toHaveLength(0);
  });

  test('serves the one host that it was opened to', async () => {
    const { socket, status } = await tunnel('crm.example:443');
    expect(status).toBe(200);
    const secure = connectTls({ socket, servername: 'crm.example', ca: gateway.files.ca });
    secure.write('GET / HTTP/1.1\r\nHost: intranet.example\r\nConnection: close\r\n\r\n');
    const text = Buffer.concat(await secure.toArray()).toString();
    expect(text).toMatch(/^HTTP\/1\.1 421 /);
    expect(api.received).toHaveLength(0);
    expect(intranet.received).toHaveLength(0);
  });
});

describe('a tunnel elsewhere', () => {
  test('is judged by where it leads: nobody stands between the client and a destination that the data names', async () => {
    const answer = await through(
      async (dispatcher) => await (await undiciFetch(`https://localhost:${otherPort}/`, { dispatcher })).text(),
      { ca: certificates.ca },
    );
    expect(answer).toBe('from the other side');
    const [decided] = named(await trail(), 'decided', 'connect_tunnel').slice(-1);
    expect(decided).toMatchObject({
      effect: 'allow',
      operation: { destination: { host: 'localhost', port: otherPort, upstream: '' } },
    });
    const completed = named(await trail(), 'completed').find((one) => one.decision_id === decided?.decision_id);
    expect(completed).toMatchObject({ status: 'ok', bytes: expect.any(Number) });
  });

  test('carries a protocol in which the server speaks first', async () => {
    const { socket, status } = await tunnel(`127.0.0.1:${echoPort}`);
    expect(status).toBe(200);
    socket.resume();
    socket.end('ping\n');
    expect(Buffer.concat(await socket.toArray()).toString()).toBe('greeting\nping\n');
  });

  test('is refused where the data does not name it', async () => {
    const { status, head } = await tunnel('elsewhere.example:443');
    expect(status).toBe(403);
    expect(head).toContain('tunnel_refused');
    expect(named(await trail(), 'decided', 'connect_tunnel').at(-1)).toMatchObject({ effect: 'deny' });
  });

  test('ends when its client asks for another server inside', async () => {
    const { socket } = await tunnel(`localhost:${otherPort}`);
    const secure = connectTls({ socket, servername: 'elsewhere.example', ca: certificates.ca });
    await expect(
      new Promise((done, failed) => secure.once('secureConnect', done).once('error', failed)),
    ).rejects.toThrow();
    const events = await trail();
    const { decision_id: id } = named(events, 'decided', 'connect_tunnel').at(-1) ?? {};
    expect(named(events, 'completed').find((one) => one.decision_id === id)).toMatchObject({
      ...{ status: 'aborted', code: 'inspection_refused' },
    });
  });

  test('to an upstream of another listener is that listener’s to serve', async () => {
    const { socket, status } = await tunnel('behind:80');
    expect(status).toBe(200);
    socket.resume();
    socket.write(
      `GET /behind/x HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
    );
    expect(Buffer.concat(await socket.toArray()).toString()).toMatch(/^HTTP\/1\.1 200 /);
    expect(intranet.received.map(({ url }) => url)).toEqual(['/x']);
  });
});

describe('a request in absolute form', () => {
  const get = async (target: string, ...headers: readonly string[]) => {
    const socket = connectTcp(gateway.forwardPort, '127.0.0.1');
    socket.write(`GET ${target} HTTP/1.1\r\n${[...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`);
    return Buffer.concat(await socket.toArray()).toString();
  };

  test('goes to the upstream of that name, and what it says about the proxy does not', async () => {
    const text = await get(
      'http://intranet.example/a?b=c',
      'Host: intranet.example',
      `Proxy-Authorization: Bearer ${token}`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    const [received] = intranet.received;
    expect(received?.url).toBe('/a?b=c');
    expect(received?.headers.map(([name]) => name)).not.toContain('proxy-authorization');
    expect(named(await trail(), 'decided', 'GET').at(-1)).toMatchObject({
      effect: 'allow',
      upstream: 'intranet',
    });
  });

  test('needs a token', async () => {
    const text = await get('http://intranet.example/', 'Host: intranet.example', `Authorization: Bearer ${token}`);
    expect(text).toMatch(/^HTTP\/1\.1 407 /);
    expect(text.toLowerCase()).toContain('proxy-authenticate: basic realm="sallyport"');
    expect(intranet.received).toHaveLength(0);
  });

  test.each([
    ['/a', 'Host: intranet.example', 400],
    ['http://intranet.example/a', 'Host: crm.example', 400],
    ['http://user@intranet.example/a', 'Host: intranet.example', 400],
    ['https://intranet.example/a', 'Host: intranet.example', 400],
    ['http://intranet.example/%2e%2e/a', 'Host: intranet.example', 400],
    ['http://elsewhere.example/a', 'Host: elsewhere.example', 404],
  ])('%s with %s is answered %d', async (target, host, status) => {
    const text = await get(target, host, `Proxy-Authorization: Bearer ${token}`);
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(intranet.received).toHaveLength(0);
  });
});

describe('CONNECT', () => {
  test.each([
    ['no token', 'crm.example:443', [], 407],
    ['a token that is none', 'crm.example:443', ['Proxy-Authorization: Bearer x.y.z'], 407],
    ['no port', 'crm.example', undefined, 400],
    ['a number that URL parsers take for an address', '2130706433:443', undefined, 400],
    ['another spelling of an address', '0x7f.1:443', undefined, 400],
    ['a user', 'a@crm.example:443', undefined, 400],
    ['the credentials of a cloud', '169.254.169.254:80', undefined, 403],
  ] as const)('with %s is refused', async (_what, to, headers, status) => {
    expect((await tunnel(to, headers)).status).toBe(status);
  });

  test('with a body is refused', async () => {
    const refused = await tunnel('crm.example:443', [`Proxy-Authorization: Bearer ${token}`, 'Content-Length: 3']);
    expect(refused.status).toBe(400);
  });

  test('is not for the listener that takes requests', async () => {
    const socket = connectTcp(gateway.port, '127.0.0.1');
    socket.end(
      `CONNECT crm.example:443 HTTP/1.1\r\nHost: crm.example:443\r\nProxy-Authorization: Bearer ${token}\r\n\r\n`,
    );
    expect(Buffer.concat(await socket.toArray()).toString()).toMatch(/^HTTP\/1\.1 405 /);
  });
});

describe('without a certificate authority', () => {
  test('TLS to an upstream is not let through unread', async () => {
    const blind = await startHttpGateway({
      upstreams: [
        {
          name: 'crm',
          host: '127.0.0.1',
          port: api.port,
          ca: certificates.ca,
          serverName: 'crm.example',
          ownHost: 'crm.example',
        },
      ],
      forward: { inspects: false, upstreams: ['crm'] },
      data: { upstreams: { egress: {} }, http: { destinations: ['crm'] } },
      oidc: gateway.oidc,
    });
    const agent = new ProxyAgent({
      uri: `http://127.0.0.1:${blind.forwardPort}`,
      token: `Bearer ${await blind.token()}`,
      requestTls: { ca: certificates.ca },
    });
    await expect(undiciFetch('https://crm.example/customers/7', { dispatcher: agent })).rejects.toThrow();
    expect(api.received).toHaveLength(0);
    expect(named(await trail(blind), 'rejected').at(-1)).toMatchObject({ code: 'operation_unsupported' });
    await agent.destroy();
    await blind.stop();
  });
});
