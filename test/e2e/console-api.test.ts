import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { type FilledDesk, openDesk } from '../support/approval-desk.ts';
import { consoleAudience, startTestGateway, type TestGateway } from '../support/gateway.ts';

let gateway: TestGateway;
let desk: FilledDesk;
let url: string;
beforeAll(async () => {
  desk = openDesk();
  gateway = await startTestGateway({ console: {}, desk });
  url = gateway.gateway.console ?? '';
});
afterAll(() => gateway.stop());

const tokenOf = (subject: string, ...groups: string[]) => gateway.token(subject, { groups, audience: consoleAudience });
const as = async (subject: string, ...groups: string[]): Promise<ApiClient> =>
  await apiClient(url, await tokenOf(subject, ...groups));

describe('who may ask', () => {
  test('a token for the data path opens nothing here', async () => {
    const ask = await apiClient(url, await gateway.token('ana', { groups: ['platform'] }));
    const answered = await ask('GET', '/api/me');
    expect(answered).toMatchObject({ status: 401, body: { code: 'credential_invalid' } });
    expect(answered.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
  });

  test('a token for the console opens nothing on the data path', async () => {
    await expect(gateway.connect({ token: await tokenOf('ana', 'support') })).rejects.toThrow(/audience/);
  });

  test('nobody is told what there is', async () => {
    const ask = await apiClient(url);
    expect(await ask('GET', '/api/me')).toMatchObject({ status: 401, body: { code: 'credential_missing' } });
    expect(await ask('GET', '/api/nothing')).toMatchObject({ status: 401 });
  });

  test('a group without a role opens nothing', async () => {
    const ask = await as('eve', 'marketing');
    expect(await ask('GET', '/api/me')).toMatchObject({ status: 403, body: { code: 'role_missing' } });
  });

  test('an agent that acts for a person is not that person', async () => {
    const token = await gateway.token('bot', {
      groups: ['platform'],
      audience: consoleAudience,
      onBehalfOf: { sub: 'ana', groups: ['platform'] },
    });
    const ask = await apiClient(url, token);
    expect(await ask('GET', '/api/me')).toMatchObject({ status: 401, body: { code: 'credential_invalid' } });
  });

  test('each role may do what those below it may, and no more', async () => {
    const { id } = desk.file();
    const viewer = await as('vera', 'staff');
    const approver = await as('ana', 'dba');
    expect(await viewer('GET', '/api/me')).toMatchObject({ status: 200, body: { role: 'viewer', channel: 'cli' } });
    expect(await viewer('POST', `/api/approvals/${id}/decision`, { body: { verdict: 'approve' } })).toMatchObject({
      status: 403,
      body: { code: 'role_insufficient' },
    });
    expect(await approver('DELETE', '/api/sessions/unknown', { body: {} })).toMatchObject({
      status: 403,
      body: { code: 'role_insufficient' },
    });
    const admin = await as('paul', 'platform');
    expect(await admin('DELETE', '/api/sessions/unknown', { body: {} })).toMatchObject({ status: 404 });
  });
});

describe('approvals', () => {
  test('are listed by state, and decided once', async () => {
    const { id, decided } = desk.file();
    const ask = await as('ana', 'dba');
    const listed = await ask('GET', '/api/approvals?state=pending&limit=1');
    expect(listed.body.approvals).toMatchObject([{ id, state: 'pending', subject: { id: 'triage-bot' } }]);
    const given = await ask('POST', `/api/approvals/${id}/decision`, {
      body: { verdict: 'approve', reason: ' seen ' },
    });
    expect(given).toMatchObject({ status: 200, body: { state: 'approved' } });
    expect((await decided).votes).toMatchObject([
      { approver: { id: 'ana', issuer: gateway.oidc.issuer }, verdict: 'approve', reason: 'seen', channel: 'cli' },
    ]);
    const again = await ask('POST', `/api/approvals/${id}/decision`, { body: { verdict: 'deny' } });
    expect(again).toMatchObject({ status: 409, body: { code: 'approval_closed' } });
    expect((await ask('GET', `/api/approvals/${id}`)).body.state).toBe('approved');
  });

  test('what the desk refuses is refused in its words', async () => {
    const { issuer } = gateway.oidc;
    const own = desk.file({ chain: [{ issuer, id: 'ana', groups: [] }] });
    const others = desk.file({ groups: ['security'] });
    const ask = await as('ana', 'dba');
    const decide = (id: string) => ask('POST', `/api/approvals/${id}/decision`, { body: { verdict: 'approve' } });
    expect(await decide(own.id)).toMatchObject({ status: 403, body: { code: 'approval_self' } });
    expect(await decide(others.id)).toMatchObject({ status: 403, body: { code: 'approval_not_yours' } });
    expect(await decide('01KUNKNOWN')).toMatchObject({ status: 404, body: { code: 'approval_unknown' } });
  });

  test.each([
    ['an unknown verdict', { verdict: 'maybe' }],
    ['a further member', { verdict: 'approve', approver: 'paul' }],
    ['a reason of two lines', { verdict: 'deny', reason: 'a\nb' }],
    ['no object', 'approve'],
    ['no JSON', '{'],
  ])('a verdict with %s is refused', async (_what, body) => {
    const { id } = desk.file();
    const ask = await as('ana', 'dba');
    const answered = await ask('POST', `/api/approvals/${id}/decision`, { body });
    expect(answered).toMatchObject({ status: 400, body: { code: 'body_invalid' } });
    expect((await desk.get(id))?.state).toBe('pending');
  });
});

describe('sessions', () => {
  test('are listed with what they did', async () => {
    const client = await gateway.connect({ token: await gateway.token('counted') });
    await client.query('SELECT id, status FROM public.tickets');
    await client.query('DROP TABLE public.tickets').catch(() => {});
    const ask = await as('vera', 'staff');
    const { body } = await ask('GET', '/api/sessions');
    const [own] = body.sessions.filter(({ subject }: { subject: { id: string } }) => subject.id === 'counted');
    expect(own).toMatchObject({ protocol: 'postgres', upstream: 'orders', operations: 2, refusals: 1, ending: false });
    expect(own.bytes).toBeGreaterThan(100);
  });

  test('are ended in their protocol’s words, at once, and the trail says by whom', async () => {
    const client = await gateway.connect({ token: await gateway.token('runaway') });
    const ended = new Promise<Error>((resolve) => client.once('error', resolve));
    const ask = await as('paul', 'platform');
    const { body } = await ask('GET', '/api/sessions');
    const { id } = body.sessions.find(({ subject }: { subject: { id: string } }) => subject.id === 'runaway');
    const startedMs = performance.now();
    expect(await ask('DELETE', `/api/sessions/${id}`, { body: { reason: 'it went astray' } })).toMatchObject({
      status: 200,
    });
    const error = await ended;
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(error).toMatchObject({ message: expect.stringContaining('it went astray') });
    expect(await gateway.audit()).toContainEqual(
      expect.objectContaining({
        event: 'ended',
        session: id,
        by: { issuer: gateway.oidc.issuer, id: 'paul' },
        reason: 'it went astray',
      }),
    );
  });
});

test('a masked value is in no answer', async () => {
  const [secret] = await gateway.sql('SELECT ssn, email FROM public.customers ORDER BY id LIMIT 1');
  const markers = Object.values(secret ?? {}).map(String);
  expect(markers).toHaveLength(2);
  const client = await gateway.connect({ token: await gateway.token('curious') });
  await client.query(`SELECT ssn, email FROM public.customers WHERE email = '${markers[1]}'`);
  await client.query('SELECT ssn FROM public.customers WHERE email = $1', [markers[1]]);
  await client.end();
  const ask = await as('vera', 'staff');
  const { body: found } = await ask('GET', '/api/recordings?subject=curious');
  const { body: replay } = await ask('GET', `/api/recordings/${found.recordings[0].id}`);
  const { body: decisions } = await ask('GET', '/api/decisions?subject=curious');
  expect(replay.frames.filter(({ kind }: { kind: string }) => kind === 'rows').length).toBeGreaterThan(0);
  expect(decisions.decisions.length).toBeGreaterThan(2);
  const decoded = replay.frames.map(({ data, base64 }: { data: unknown; base64: boolean }) =>
    base64 ? Buffer.from(String(data), 'base64').toString('latin1') : JSON.stringify(data),
  );
  const everything = [...decoded, JSON.stringify(decisions), JSON.stringify(found)].join('\n');
  for (const marker of markers) expect(everything).not.toContain(marker);
});
