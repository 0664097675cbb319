import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Api, startApi } from '../../../../proxy/admin/api/index.ts';
import { limits } from '../../../../proxy/core/limits.ts';
import { LiveSessions } from '../../../../proxy/core/live.ts';
import type { AuditEvent, AuditPort } from '../../../../proxy/core/ports.ts';
import { openDesk } from '../../../support/approval-desk.ts';
import { type Oidc, startOidc } from '../../../support/oidc.ts';

let oidc: Oidc;
let api: Api;
const trail: AuditEvent[] = [];
let nowMs = 0;
const audit: AuditPort = {
  write: (event) => void trail.push(event),
  append: (event) => void trail.push(event),
  ready: true,
};

beforeAll(async () => {
  oidc = await startOidc();
  api = await startApi({
    host: '127.0.0.1',
    port: 0,
    tls: undefined,
    url: undefined,
    roles: { viewer: [], approver: ['dba'], admin: [] },
    identity: {
      ready: true,
      authenticate: async () => {
        throw new Error('no tokens here');
      },
    },
    signIn: {
      issuer: oidc.issuer,
      clientId: 'console',
      clientSecret: 'a secret of the console',
      scopes: ['openid'],
      groupsClaim: 'groups',
      ca: undefined,
      allowInsecureHttp: true,
    },
    tokens: { issuer: oidc.issuer, audience: 'x', deviceClientId: undefined },
    desk: openDesk(),
    live: new LiveSessions(new Map(), audit),
    policy: { ready: true, revisions: { bundle: '', data: '' }, onActivate: () => () => {} },
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
    onError: () => {},
  });
  oidc.invite({
    people: [
      { subject: 'ana', groups: ['dba'] },
      { subject: 'eve', groups: ['marketing'] },
    ],
    applications: [
      { clientId: 'console', secret: 'a secret of the console', redirectUris: [`${api.url}/auth/callback`] },
    ],
  });
});
afterAll(async () => {
  await api.close();
  await oidc.stop();
});
beforeEach(() => {
  nowMs += 3_600_000;
});

/** A browser: it keeps cookies, and follows only where it is told to. */
class Browser {
  readonly cookies = new Map<string, string>();

  async go(url: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answered = await fetch(url, { redirect: 'manual', ...init, headers: { cookie, ...init.headers } });
    for (const line of answered.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return answered;
  }

  /** Goes to the provider and says who it is. @returns the address that leads back. */
  async callback(subject: string): Promise<string> {
    let answered = await this.go(`${api.url}/auth/sign-in`);
    for (let step = 0; step < 10; step++) {
      const location = answered.headers.get('location');
      if (location === null) throw new Error(`stuck with ${answered.status}`);
      const url = new URL(location, oidc.issuer);
      if (url.origin === api.url) return url.href;
      answered = url.pathname.startsWith('/interaction/')
        ? await this.go(`${url.href}?subject=${subject}`, { method: 'POST' })
        : await this.go(url.href);
    }
    throw new Error('the provider asks for ever');
  }

  async signIn(subject: string): Promise<Response> {
    return await this.go(await this.callback(subject));
  }

  async me(): Promise<number> {
    return (await this.go(`${api.url}/api/me`)).status;
  }
}

describe('signing in', () => {
  test('ends where one began, with a cookie that scripts and other sites do not get', async () => {
    const browser = new Browser();
    const answered = await browser.signIn('ana');
    expect(answered.headers.get('location')).toBe('/');
    const [, session = ''] = answered.headers.getSetCookie();
    expect(session).toMatch(/^sallyport=[\w-]{43}; Path=\/; Max-Age=28800; HttpOnly; SameSite=Strict$/);
    expect(await browser.me()).toBe(200);
    expect(trail.at(-1)).toMatchObject({ event: 'signed_in', own: { by: { issuer: oidc.issuer, id: 'ana' } } });
  });

  test('asks for a code with PKCE, state and nonce', async () => {
    const answered = await new Browser().go(`${api.url}/auth/sign-in`);
    const { searchParams } = new URL(answered.headers.get('location') ?? '');
    expect(searchParams.get('response_type')).toBe('code');
    expect(searchParams.get('code_challenge_method')).toBe('S256');
    for (const name of ['state', 'nonce', 'code_challenge']) expect(searchParams.get(name)).toMatch(/^[\w-]{43}$/);
  });

  test('that another browser began is not finished in this one', async () => {
    const [attacker, victim] = [new Browser(), new Browser()];
    const way = await attacker.callback('ana');
    expect((await victim.go(way)).headers.get('location')).toBe('/?problem=sign_in_expired');
    expect(await victim.me()).toBe(401);
  });

  test('with another state, or twice, is not finished', async () => {
    const browser = new Browser();
    const way = new URL(await browser.callback('ana'));
    way.searchParams.set('state', 'A'.repeat(43));
    expect((await browser.go(way.href)).headers.get('location')).toBe('/?problem=sign_in_failed');
    const other = new Browser();
    const again = await other.callback('ana');
    expect((await other.go(again)).headers.get('location')).toBe('/');
    expect((await other.go(again)).headers.get('location')).toBe('/?problem=sign_in_expired');
  });

  test('that takes too long is not finished', async () => {
    const browser = new Browser();
    const way = await browser.callback('ana');
    nowMs += limits.consoleSignInMs + 1;
    expect((await browser.go(way)).headers.get('location')).toBe('/?problem=sign_in_expired');
  });

  test('lets nobody in who has no role', async () => {
    const browser = new Browser();
    expect((await browser.signIn('eve')).headers.get('location')).toBe('/?problem=role_missing');
    expect(await browser.me()).toBe(401);
  });

  test('gives a new key each time, and the old one opens nothing', async () => {
    const browser = new Browser();
    await browser.signIn('ana');
    const old = browser.cookies.get('sallyport') ?? '';
    await browser.signIn('ana');
    expect(browser.cookies.get('sallyport')).not.toBe(old);
    const stale = new Browser();
    stale.cookies.set('sallyport', old);
    expect(await stale.me()).toBe(401);
  });

  test('too often from one address is told to wait', async () => {
    const statuses = new Set<number>();
    for (let attempt = 0; attempt <= limits.consoleSignInsPerMinuteMax; attempt++) {
      statuses.add((await new Browser().go(`${api.url}/auth/sign-in`)).status);
    }
    expect([...statuses]).toEqual([303, 429]);
  });
});

describe('a browser that is signed in', () => {
  test('is signed out after an hour without a request, and after eight with', async () => {
    const browser = new Browser();
    await browser.signIn('ana');
    nowMs += limits.consoleSessionIdleMs - 1;
    expect(await browser.me()).toBe(200);
    nowMs += limits.consoleSessionIdleMs + 1;
    expect(await browser.me()).toBe(401);
    await browser.signIn('ana');
    for (let hours = 1; hours < 8; hours++) {
      nowMs += limits.consoleSessionIdleMs - 1;
      expect(await browser.me()).toBe(200);
    }
    nowMs += limits.consoleSessionIdleMs - 1;
    expect(await browser.me()).toBe(200);
    nowMs += 10;
    expect(await browser.me()).toBe(401);
  });

  const write = { 'content-type': 'application/json', 'x-sallyport-console': '1' };
  test.each([
    ['the console’s own page', () => ({ ...write, origin: api.url, 'sec-fetch-site': 'same-origin' }), 404],
    ['a browser that says less', () => ({ ...write, origin: api.url }), 404],
    ['another origin', () => ({ ...write, origin: 'https://evil.example' }), 403],
    [
      'another port of this machine',
      () => ({ ...write, origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' }),
      403,
    ],
    ['no origin', () => write, 403],
    ['no header of the console’s', () => ({ 'content-type': 'application/json', origin: api.url }), 403],
    [
      'a page of another site that claims the origin',
      () => ({ ...write, origin: api.url, 'sec-fetch-site': 'cross-site' }),
      403,
    ],
  ])('writes for %s', async (_what, headers, status) => {
    const browser = new Browser();
    await browser.signIn('ana');
    const url = `${api.url}/api/approvals/unknown/decision`;
    const answered = await browser.go(url, { method: 'POST', headers: headers(), body: '{"verdict":"approve"}' });
    expect(answered.status).toBe(status);
  });

  test('writes JSON, and nothing that a form could send', async () => {
    const browser = new Browser();
    await browser.signIn('ana');
    const headers = { ...write, 'content-type': 'text/plain', origin: api.url };
    const url = `${api.url}/api/approvals/unknown/decision`;
    const answered = await browser.go(url, { method: 'POST', headers, body: '{"verdict":"approve"}' });
    expect(answered.status).toBe(415);
  });

  test('is not signed out by another page', async () => {
    const browser = new Browser();
    await browser.signIn('ana');
    expect(
      (await browser.go(`${api.url}/auth/sign-out`, { method: 'POST', headers: { origin: 'https://evil.example' } }))
        .status,
    ).toBe(403);
    expect(await browser.me()).toBe(200);
  });

  test('with two cookies of the name is nobody: one of them is not ours', async () => {
    const browser = new Browser();
    await browser.signIn('ana');
    const key = browser.cookies.get('sallyport');
    const cookie = `sallyport=${'A'.repeat(43)}; sallyport=${key}`;
    expect((await fetch(`${api.url}/api/me`, { headers: { cookie } })).status).toBe(401);
  });
});
