import { type IncomingMessage, request } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { cookie, cookieNames } from '../../../../proxy/admin/api/cookies.ts';
import type { Evidence, RecordingQuery, RecordingSummary } from '../../../../proxy/admin/api/evidence.ts';
import { type Api, type ApiOptions, startApi } from '../../../../proxy/admin/api/index.ts';
import { GatewayError } from '../../../../proxy/core/errors.ts';
import { limits } from '../../../../proxy/core/limits.ts';
import { LiveSessions } from '../../../../proxy/core/live.ts';
import type { AuditEvent, AuditPort } from '../../../../proxy/core/ports.ts';
import type { Identity } from '../../../../proxy/core/types.ts';
import { apiClient } from '../../../support/api-client.ts';
import { openDesk } from '../../../support/approval-desk.ts';
import { makeCertificates } from '../../../support/tls.ts';

let api: Api;
let trail: AuditEvent[];
let nowMs: number;
let auditReady: boolean;
beforeEach(() => {
  trail = [];
  nowMs = 1_000_000;
  auditReady = true;
});
afterEach(() => api.close());

const audit: AuditPort = {
  write(event) {
    if (!auditReady) throw new GatewayError('audit_unavailable', 'The audit trail cannot be written.');
    trail.push(event);
  },
  append: (event) => void trail.push(event),
  get ready() {
    return auditReady;
  },
};

/** Tokens here are names of people and their groups: `ana:dba`. Who a token is from is not what these tests are about. */
const identity: ApiOptions['identity'] = {
  ready: true,
  async authenticate({ secret }) {
    const [id = '', group = ''] = secret.split('.');
    if (id === 'down') throw new GatewayError('identity_unavailable', 'The identity provider could not be reached.');
    if (id === 'bad') throw new GatewayError('credential_invalid', 'The token is for another audience.');
    const base: Identity = {
      type: 'agent',
      issuer: 'https://idp',
      id,
      groups: [group],
      claims: {},
      chain: [],
      expiresAtMs: 2e12,
    };
    return base;
  },
};

async function start(options: Partial<ApiOptions> = {}): Promise<Api> {
  api = await startApi({
    host: '127.0.0.1',
    port: 0,
    tls: undefined,
    url: undefined,
    roles: { viewer: ['staff'], approver: ['dba'], admin: ['platform'] },
    identity,
    signIn: undefined,
    tokens: { issuer: 'https://idp', audience: 'https://console', deviceClientId: undefined },
    desk: openDesk(),
    live: new LiveSessions(new Map(), audit),
    policy: { ready: true, revisions: { bundle: 'b1', data: 'd1' }, onActivate: () => () => {} },
    audit,
    evidence: {
      recordings: () => [],
      recording: () => undefined,
      async *frames() {},
      cast: async () => 'nothing',
      decisions: async () => [],
    },
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    assets: undefined,
    onError: (error) => {
      throw error;
    },
    ...options,
  });
  return api;
}

interface Given {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

function get(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Given> {
  return new Promise((resolve, reject) => {
    const { body = '', headers = {}, ...rest } = options;
    const sized = body === '' ? headers : { ...headers, 'content-length': String(Buffer.byteLength(body)) };
    const sent = request({ ...api.address, path, agent: false, headers: sized, ...rest }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const codeOf = ({ body }: Given): unknown => JSON.parse(body).code;

describe('before anything is answered', () => {
  test.each([
    ['an address', '127.0.0.1', 401],
    ['localhost with a port', 'localhost:8080', 401],
    ['another name: a page that points its name here', 'evil.example', 421],
    ['nothing that is a host', 'a b', 421],
  ])('Host is looked at: %s', async (_what, host, status) => {
    await start();
    expect((await get('/api/me', { headers: { host } })).status).toBe(status);
  });

  test('the configured name is served', async () => {
    await start({ url: 'https://console.example' });
    expect((await get('/api/me', { headers: { host: 'console.example' } })).status).toBe(401);
  });

  test('every answer carries the headers that keep pages apart', async () => {
    await start({ url: 'https://console.example' });
    const { headers } = await get('/api/about');
    expect(headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'");
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['content-security-policy']).not.toContain('unsafe-inline');
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'cross-origin-opener-policy': 'same-origin',
      'strict-transport-security': 'max-age=31536000',
    });
  });

  test('a flood from one address is told to wait, and others are not', async () => {
    await start();
    for (let visit = 0; visit < limits.consoleRequestsPerMinuteMax; visit += 100) {
      await Promise.all(Array.from({ length: 100 }, () => get('/api/about')));
    }
    const refused = await get('/api/about');
    expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': '60' } });
    nowMs += 60_000;
    expect((await get('/api/about')).status).toBe(200);
  }, 60_000);

  test('a body past its bound, a path past its bound and too many headers are refused', async () => {
    await start();
    const headers = { authorization: 'Bearer paul.platform', 'content-type': 'application/json' };
    const body = JSON.stringify({ reason: 'x'.repeat(limits.consoleBodyBytesMax) });
    expect(codeOf(await get('/api/sessions/x', { method: 'DELETE', headers, body }))).toBe('body_too_large');
    expect((await get(`/api/me?${'a'.repeat(limits.consoleTargetBytesMax)}`, { headers })).status).toBe(400);
    const many = Object.fromEntries(Array.from({ length: limits.consoleHeadersMax + 1 }, (_, at) => [`x-${at}`, '1']));
    expect((await get('/api/me', { headers: many })).status).toBe(431);
  });

  test('two Host headers, or two credentials, are refused', async () => {
    await start();
    const raw = (lines: string) =>
      new Promise<string>((resolve) => {
        let received = '';
        const socket = connect(api.address.port, api.address.host, () =>
          socket.write(`GET /api/me HTTP/1.1\r\n${lines}\r\n\r\n`),
        );
        socket.on('data', (chunk) => {
          received += chunk.toString('latin1');
        });
        socket.on('close', () => resolve(received));
      });
    expect(await raw('Host: localhost\r\nHost: localhost')).toMatch(/^HTTP\/1\.1 400/);
    expect(await raw('Host: localhost\r\nAuthorization: Bearer a.staff\r\nAuthorization: Bearer b.platform')).toMatch(
      /^HTTP\/1\.1 400/,
    );
  });
});

describe('who asks', () => {
  test.each([
    ['no credential', undefined, 401, 'credential_missing'],
    ['another scheme', 'Basic YTpi', 401, 'credential_invalid'],
    ['a token that does not verify', 'Bearer bad', 401, 'credential_invalid'],
    ['a provider that is away', 'Bearer down', 503, 'identity_unavailable'],
    ['nobody with a role', 'Bearer eve.marketing', 403, 'role_missing'],
    ['somebody with one', 'Bearer vera.staff', 200, undefined],
  ])('%s', async (_what, authorization, status, code) => {
    await start();
    const given = await get('/api/me', authorization === undefined ? {} : { headers: { authorization } });
    expect({ status: given.status, code: codeOf(given) }).toEqual({ status, code });
  });

  test('a cookie that was made up opens nothing', async () => {
    await start();
    const headers = { cookie: `sallyport=${'A'.repeat(43)}` };
    expect((await get('/api/me', { headers })).status).toBe(401);
  });
});

describe('the document', () => {
  const routes = [
    'GET /api/about',
    'GET /api/approvals',
    'GET /api/approvals/{id}',
    'POST /api/approvals/{id}/decision',
    'POST /api/approvals/{id}/break-glass',
    'GET /api/bundle',
    'GET /api/decisions',
    'GET /api/events',
    'GET /api/me',
    'GET /api/openapi.json',
    'GET /api/recordings',
    'GET /api/recordings/{id}',
    'GET /api/sessions',
    'DELETE /api/sessions/{id}',
    'GET /api/sessions/{id}/live',
  ];

  test('names every route, and no other', async () => {
    await start();
    const document = JSON.parse((await get('/api/openapi.json')).body);
    const named = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(Object(methods)).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(named.toSorted()).toEqual(routes.toSorted());
    expect(document.openapi).toBe('3.1.1');
  });

  test.each(routes.filter((route) => route.startsWith('GET') && !/live|events/.test(route)))(
    '%s answers as it says',
    async (route) => {
      await start();
      const ask = await apiClient(api.url, 'paul.platform');
      const { status } = await ask('GET', route.slice(4).replace('{id}', 'unknown'));
      expect(status).toBe(route.includes('{id}') ? 404 : 200);
    },
  );

  test.each([
    ['an unknown parameter', '/api/decisions?who=ana'],
    ['a parameter given twice', '/api/decisions?limit=1&limit=2'],
    ['a parameter of another shape', '/api/decisions?limit=many'],
    ['a state that there is not', '/api/approvals?state=lost'],
  ])('%s is refused', async (_what, path) => {
    await start();
    const given = await get(path, { headers: { authorization: 'Bearer vera.staff' } });
    expect({ status: given.status, code: codeOf(given) }).toEqual({ status: 400, code: 'query_invalid' });
  });

  test('a method that is not there names those that are', async () => {
    await start();
    const given = await get('/api/approvals', { method: 'DELETE', headers: { authorization: 'Bearer paul.platform' } });
    expect(given).toMatchObject({ status: 405, headers: { allow: 'GET' } });
  });
});

test('over TLS cookies are bound to the origin, and a renewed certificate is shown to who comes next', async () => {
  const [first, second] = await Promise.all([makeCertificates(), makeCertificates()]);
  await start({ tls: first.server });
  const statusBy = (ca: string) =>
    new Promise<number | string>((resolve) => {
      const sent = tlsRequest({ ...api.address, path: '/api/about', ca, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on('error', () => resolve('not trusted'));
      sent.end();
    });
  expect(api.url).toMatch(/^https:/);
  expect([await statusBy(first.ca), await statusBy(second.ca)]).toEqual([200, 'not trusted']);
  api.renew(second.server);
  expect([await statusBy(first.ca), await statusBy(second.ca)]).toEqual(['not trusted', 200]);
  expect(cookieNames(true)).toEqual({ secure: true, session: '__Host-sallyport', signIn: '__Host-sallyport-sign-in' });
  const options = { secure: true, sameSite: 'Strict', maxAgeMs: 1_000 } as const;
  expect(cookie('__Host-sallyport', 'x', options)).toBe(
    '__Host-sallyport=x; Path=/; Max-Age=1; HttpOnly; SameSite=Strict; Secure',
  );
});

describe('what machines send', () => {
  test('reaches its hook with the bytes as they came, and needs no credential', async () => {
    const seen: string[] = [];
    await start({
      hooks: [
        {
          path: '/hooks/slack',
          async handle({ headers, body }) {
            seen.push(`${headers['x-signature']} ${body.toString('utf8')}`);
            return { status: 200, body: 'noted' };
          },
        },
      ],
    });
    const headers = { 'x-signature': 'v0=abc' };
    expect(await get('/hooks/slack', { method: 'POST', headers, body: 'payload=%7B%7D' })).toMatchObject({
      status: 200,
    });
    expect(seen).toEqual(['v0=abc payload=%7B%7D']);
    expect((await get('/hooks/slack')).status).toBe(405);
  });
});

/** As the index has it. */
const recording: RecordingSummary = {
  ...{ session: '01K', protocol: 'ssh', upstream: 'web1', subjects: ['bot', 'ana'], client_address: '::1' },
  ...{ application: 'OpenSSH', started_at: '2026-01-01T00:00:00.000Z', ended_at: null, outcome: 'open', code: null },
  ...{ operations: 2, refusals: ['x'], labels: ['pii'], resources: ['rm'], bytes: 7, key_id: 'k' },
};

/** Evidence of that one recording; notes what was asked. */
function oneRecording(asked: RecordingQuery[] = []): Evidence {
  return {
    recordings(query) {
      asked.push(query);
      return [recording];
    },
    recording: () => recording,
    async *frames() {
      yield { timeMs: 1, kind: 'stdout', decisionId: undefined, data: 'aGk=', base64: true };
    },
    cast: async () => 'locked',
    decisions: async () => [],
  };
}

test('recordings are searched by all that their index knows', async () => {
  const asked: RecordingQuery[] = [];
  await start({ evidence: oneRecording(asked) });
  const ask = await apiClient(api.url, 'vera.staff');
  const terms = {
    subject: 'ana',
    upstream: 'web1',
    protocol: 'ssh',
    resource: 'rm',
    label: 'pii',
    outcome: 'ok',
    code: 'x',
  };
  const range = { since: '2026-01-01T00:00:00Z', until: '2026-01-02T00:00:00.5+01:00', after: '01Z', limit: '7' };
  const found = await ask('GET', `/api/recordings?${new URLSearchParams({ ...terms, ...range, own: 'include' })}`);
  const { session, ...shown } = recording;
  expect(found).toMatchObject({ status: 200, body: { recordings: [{ ...shown, id: session, live: false }] } });
  const times = { sinceMs: Date.UTC(2026, 0, 1), untilMs: Date.UTC(2026, 0, 1, 23, 0, 0, 500) };
  expect(asked).toEqual([{ ...terms, ...times, before: '01Z', own: true, limit: 7 }]);
  for (const since of ['yesterday', '2026-01-01', '2026-13-01T00:00:00Z'])
    expect(await ask('GET', `/api/recordings?since=${since}`)).toMatchObject({
      status: 400,
      body: { code: 'query_invalid' },
    });
  expect(asked).toHaveLength(1);
});

test('a recording that no key opens is no film, and says why', async () => {
  await start({ evidence: oneRecording() });
  const ask = await apiClient(api.url, 'vera.staff');
  const answered = await ask('GET', '/api/recordings/01K?format=asciicast-v3');
  expect(answered).toMatchObject({ status: 409, body: { code: 'recording_locked' } });
});

test('what somebody looks at is noted first, or not shown', async () => {
  await start({ evidence: oneRecording() });
  const ask = await apiClient(api.url, 'vera.staff');
  expect(await ask('GET', '/api/recordings/01K')).toMatchObject({
    status: 200,
    body: { complete: true, frames: [{ data: 'aGk=' }] },
  });
  expect(trail).toMatchObject([{ event: 'viewed', own: { session: '01K', what: 'recording', by: { id: 'vera' } } }]);
  auditReady = false;
  expect(await ask('GET', '/api/recordings/01K')).toMatchObject({ status: 503, body: { code: 'audit_unavailable' } });
});
