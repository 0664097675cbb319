import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { type ConnectionOptions, connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Agent, request } from 'undici';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';
import { type Certificates, makeCertificates } from '../support/tls.ts';

let own: Certificates;
let foreign: Certificates;
let upstream: Upstream;
let gateway: HttpGateway;
let token: string;
/** Who each request came from, by the certificate that the upstream verified. */
const callers: string[] = [];

beforeAll(async () => {
  own = await makeCertificates({ clientName: 'the-gateway' });
  foreign = await makeCertificates({ clientName: 'the-gateway' });
  const { certificate: cert, key } = await own.issueServer(['127.0.0.1', 'crm.internal']);
  upstream = await startUpstream(createServer({ cert, key, ca: own.ca, requestCert: true, rejectUnauthorized: true }));
  upstream.answer = ({ socket }, response) => {
    callers.push(String((socket as TLSSocket).getPeerCertificate().subject.CN));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
  };
  const { host, port } = upstream;
  const { ca, client } = own;
  const upstreams = {
    shown: { ca, client },
    named: { ca, client, serverName: 'crm.internal' },
    hosted: { ca, client, serverName: 'crm.internal', ownHost: 'crm.example' },
    missing: { ca },
    forged: { ca, client: foreign.client },
    misnamed: { ca, client, serverName: 'billing.internal' },
    mistrusted: { ca: foreign.ca, client },
  };
  gateway = await startHttpGateway({
    tls: true,
    upstreams: Object.entries(upstreams).map(([name, files]) => ({
      ...{ name, host, port, routes: [{ path: '/a' }], ...files },
      ...(name !== 'hosted' && { prefix: `/${name}` }),
    })),
    limits: { login_timeout_ms: 500 },
    data: { upstreams: Object.fromEntries(Object.keys(upstreams).map((name) => [name, { labels: { env: 'prod' } }])) },
  });
  token = await gateway.token();
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});
beforeEach(() => {
  callers.length = 0;
});

async function ask(path: string, host?: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const dispatcher = new Agent({ connect: { ca: gateway.files.ca } });
  try {
    const headers = { authorization: `Bearer ${token}`, ...(host !== undefined && { host }) };
    // The name of the certificate is the gateway's own, whatever host is asked for.
    const answer = await request(`${gateway.url}${path}`, { headers, dispatcher });
    return { status: answer.statusCode, body: await answer.body.json() };
  } finally {
    await dispatcher.close();
  }
}

describe('an upstream that asks for a certificate', () => {
  test.each(['/shown/a', '/named/a'])('answers the gateway, which shows its own: %s', async (path) => {
    expect(await ask(path)).toEqual({ status: 200, body: { ok: true } });
    expect(callers).toEqual(['the-gateway']);
  });

  test('is verified by its configured name, whatever host it is asked for', async () => {
    const secure = await handshake({ servername: 'localhost' });
    const lines = ['GET /a HTTP/1.1', 'host: crm.example', `authorization: Bearer ${token}`, 'connection: close'];
    secure.write(`${lines.join('\r\n')}\r\n\r\n`);
    expect(await everything(secure)).toMatch(/^HTTP\/1\.1 200 [\s\S]*"ok":true/);
    expect(callers).toEqual(['the-gateway']);
  });

  test.each([
    ['without a certificate', '/missing/a'],
    ['with the certificate of another authority', '/forged/a'],
    ['when it is somebody else', '/misnamed/a'],
    ['when another authority vouches for it', '/mistrusted/a'],
  ])('is not reached %s', async (_, path) => {
    const answer = await ask(path);
    expect(answer).toMatchObject({ status: 502, body: { code: 'upstream_unavailable' } });
    expect(callers).toEqual([]);
    const [, name] = path.split('/');
    const decided = await audited(({ event, upstream: about }) => event === 'decided' && about === name);
    expect(decided.map(({ action, effect }) => [action, effect])).toEqual([
      ['connect', 'allow'],
      ['GET', 'allow'],
    ]);
  });

  test('that could not be reached is in the trail as such', async () => {
    const ended = await audited(({ event, code }) => event === 'completed' && code === 'upstream_unavailable');
    expect(ended.length).toBeGreaterThan(0);
  });
});

describe('a listener with TLS', () => {
  test('speaks HTTP/1.1 and nothing else', async () => {
    const secure = await handshake({ ALPNProtocols: ['h2', 'http/1.1'] });
    expect(secure.alpnProtocol).toBe('http/1.1');
    secure.destroy();
    await expect(handshake({ ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol|alert/);
  });

  test('speaks no TLS that is too old', async () => {
    const old: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' };
    await expect(handshake(old)).rejects.toThrow(/protocol version|alert/);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const secure = await handshake({ minVersion: version, maxVersion: version });
      expect(secure.getProtocol()).toBe(version);
      secure.destroy();
    }
  });

  test('drops who speaks in clear, and says so in the trail', async () => {
    const before = await failedHandshakes();
    const plain = connectTcp(gateway.port, '127.0.0.1');
    plain.write(`GET /shown/a HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n\r\n`);
    // At most an alert of TLS.
    expect(await everything(plain)).not.toMatch(/HTTP/);
    expect(callers).toEqual([]);
    expect(await failedHandshakes()).toBe(before + 1);
  });

  test('waits for no handshake for ever', async () => {
    const before = await failedHandshakes();
    expect(await everything(connectTcp(gateway.port, '127.0.0.1'))).toBe('');
    expect(await failedHandshakes()).toBe(before + 1);
  });

  test('shows another certificate once it is reloaded, and goes on with the connections that it has', async () => {
    const earlier = await handshake({});
    const { certificate, key } = await foreign.issueServer(['localhost', '127.0.0.1']);
    const before = fingerprint(earlier.getPeerCertificate());
    await writeFile(gateway.files.certificateFile, certificate);
    await writeFile(gateway.files.keyFile, key);
    await gateway.reload();
    await expect(handshake({})).rejects.toThrow(/signature|certificate|issuer/);
    const later = await handshake({ ca: foreign.ca });
    expect(fingerprint(later.getPeerCertificate())).not.toBe(before);
    later.destroy();
    earlier.write(
      `GET /shown/a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer ${token}\r\n\r\n`,
    );
    expect(await everything(earlier)).toMatch(/^HTTP\/1\.1 200 /);
  });
});

/** A connection to the listener; rejects when there is none to be had. */
async function handshake(options: ConnectionOptions): Promise<TLSSocket> {
  const secure = connect({ host: '127.0.0.1', port: gateway.port, ca: gateway.files.ca, ...options });
  await once(secure, 'secureConnect');
  return secure;
}

/** What a connection brings until it is closed. */
async function everything(socket: NodeJS.ReadWriteStream): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  await once(socket, 'close');
  return text;
}

function fingerprint({ fingerprint256 }: PeerCertificate): string {
  return fingerprint256;
}

type Event = Awaited<ReturnType<HttpGateway['audit']>>[number];

async function audited(wanted: (event: Event) => boolean): Promise<readonly Event[]> {
  return (await gateway.audit()).filter(wanted);
}

/** How many the trail has: what is forwarded after them is written after them. */
async function failedHandshakes(): Promise<number> {
  expect(await ask('/shown/a')).toMatchObject({ status: 200 });
  callers.length = 0;
  return (await audited((event) => JSON.stringify(event).includes('TLS handshake'))).length;
}
