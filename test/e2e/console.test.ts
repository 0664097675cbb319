import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { systemClock, ulids } from '../../proxy/core/clock.ts';
import { createRecorder, recordingKey } from '../../proxy/record/index.ts';
import { type FilledDesk, openDesk } from '../support/approval-desk.ts';
import { describeBrowser, signIn, startBrowser, violationsOf } from '../support/browser.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

/** Where pictures go, when somebody wants to look at them. */
const pictures = process.env.SALLYPORT_SCREENSHOTS;
const secret = 'r'.repeat(40);

/** A session of a terminal, recorded and encrypted before the gateway of this test started: there is no index of it yet. */
async function recordTerminal(directory: string): Promise<void> {
  const recorder = createRecorder({
    directory,
    clock: systemClock,
    key: recordingKey(Buffer.from(secret)),
    onError: (error) => {
      throw error;
    },
  });
  const subject = { type: 'agent', id: 'deploy-bot' };
  const about = { subject, upstream: 'web1', client_address: '10.0.0.8', application: 'OpenSSH_9.9' };
  const id = ulids(systemClock).session();
  const header = { id, ...about, started_at: new Date().toISOString() };
  const recording = recorder.open({ id, protocol: 'ssh', header });
  const decisionId = `${id}.1`;
  const data = { kind: 'exec', text: 'ls --color /srv', pty: { cols: 80, rows: 12, term: 'xterm' } };
  recording.frame({ decisionId, kind: 'judged', data: { labels: ['releases'], operation: { commands: ['ls'] } } });
  recording.frame({ decisionId, kind: 'command', data });
  recording.frame({ decisionId, kind: 'stdout', data: Buffer.from('\x1b[1;34mreleases\x1b[0m  shared\r\n') });
  recording.frame({ decisionId, kind: 'exit', data: { status: 0, signal: null, bytes: 30 } });
  await recording.close({ status: 'ok' });
  await recorder.close();
}

describeBrowser('the console in a browser', () => {
  let gateway: TestGateway;
  let desk: FilledDesk;
  let url: string;
  let browser: Browser;
  let directory: string;
  const contexts: BrowserContext[] = [];

  beforeAll(async () => {
    desk = openDesk();
    directory = await mkdtemp(join(tmpdir(), 'sallyport-console-'));
    await writeFile(join(directory, 'key'), secret, { mode: 0o600 });
    await recordTerminal(join(directory, 'recordings'));
    gateway = await startTestGateway({
      console: { oidc: { client_id: 'console' } },
      config: { record: { directory: join(directory, 'recordings'), key: `file:${join(directory, 'key')}` } },
      desk,
    });
    url = gateway.gateway.console ?? '';
    gateway.oidc.invite({
      people: [
        { subject: 'ana', groups: ['dba', 'platform'] },
        { subject: 'vera', groups: ['staff'] },
        { subject: 'eve', groups: ['marketing'] },
      ],
      applications: [{ clientId: 'console', redirectUris: [`${url}/auth/callback`] }],
    });
    browser = await startBrowser();
    if (pictures !== undefined) await mkdir(pictures, { recursive: true });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await gateway?.stop();
    await rm(directory, { recursive: true, force: true });
  });
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
  });

  interface Look {
    readonly phone?: boolean;
    readonly dark?: boolean;
  }

  /** A browser of its own; what its page complains about fails the test that looks at `complaints`. */
  async function open({ phone = false, dark = false }: Look = {}): Promise<{ page: Page; complaints: string[] }> {
    const context = await browser.newContext({
      viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 860 },
      deviceScaleFactor: phone ? 2 : 1,
      colorScheme: dark ? 'dark' : 'light',
      bypassCSP: false,
    });
    contexts.push(context);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => {
      const own = message.location().url.startsWith(url);
      if (message.type() === 'error' && own && !message.text().includes('401')) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      const { origin } = new URL(request.url());
      if (origin !== url && origin !== gateway.oidc.issuer && !request.url().startsWith('data:'))
        complaints.push(request.url());
    });
    return { page, complaints };
  }

  async function picture(page: Page, name: string): Promise<void> {
    if (pictures !== undefined)
      await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: !name.startsWith('phone') });
  }

  test('approves what is held, and nothing on the way is another’s', async () => {
    const held = desk.file();
    const { page, complaints } = await open();
    await page.goto(url);
    await page.getByRole('link', { name: 'Sign in' }).waitFor();
    expect(await violationsOf(page)).toEqual([]);
    await signIn(page, url, 'ana');
    const card = page.getByRole('article').first();
    await card.getByText('DELETE FROM public.tickets').waitFor();
    await card.getByText('A person looks at every DELETE in production.').waitFor();
    expect(await violationsOf(page)).toEqual([]);
    await card.getByLabel('Reason').fill('checked with Ben');
    await card.getByRole('button', { name: 'Approve' }).click();
    await card.getByText('Approved', { exact: true }).waitFor();
    expect((await held.decided).votes).toMatchObject([
      {
        approver: { id: 'ana', issuer: gateway.oidc.issuer },
        verdict: 'approve',
        reason: 'checked with Ben',
        channel: 'console',
      },
    ]);
    expect(complaints).toEqual([]);
  });

  test('breaks the glass for the person behind the agent, once they have said why and meant it', async () => {
    const chain = [{ issuer: gateway.oidc.issuer, id: 'vera', groups: ['staff'] }];
    const held = desk.file({ breakGlass: true, chain, operation: { text: 'DELETE FROM public.outage' } });
    desk.file({ chain, operation: { text: 'DELETE FROM public.offered_by_nobody' } });
    const { page, complaints } = await open({ phone: true });
    await signIn(page, url, 'vera');
    const card = page.getByRole('article').filter({ hasText: 'public.outage' });
    await card.getByText('about 1,204 rows').waitFor();
    await card.getByRole('button', { name: 'Break the glass…' }).click();
    await card.getByRole('alert').first().waitFor();
    expect(await violationsOf(page)).toEqual([]);
    await picture(page, 'phone-break-glass');
    const confirm = card.getByRole('button', { name: 'Break the glass and run it' });
    await confirm.click();
    await card.getByText('Write a reason first.').waitFor();
    expect((await desk.get(held.id))?.state).toBe('pending');
    await card.getByLabel('Why it cannot wait').fill('the shop is down');
    await confirm.click();
    await card.getByText('broke the glass').waitFor();
    expect((await held.decided).votes).toMatchObject([
      { approver: { id: 'vera' }, reason: 'the shop is down', channel: 'console', brokeGlass: true },
    ]);
    const other = page.getByRole('article').filter({ hasText: 'public.offered_by_nobody' });
    await other.getByText('somebody else has to decide').waitFor();
    expect(await other.getByRole('button', { name: 'Break the glass…' }).count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test('shows what comes in by itself, and a denial by somebody else', async () => {
    const { page } = await open();
    await signIn(page, url, 'ana');
    await page.getByRole('heading', { name: 'Approvals' }).waitFor();
    const held = desk.file({
      action: 'exec',
      protocol: 'ssh',
      upstream: 'web1',
      operation: { text: 'sudo systemctl restart nginx' },
    });
    await page.getByText('sudo systemctl restart nginx').waitFor();
    const { id } = held;
    const by = { issuer: gateway.oidc.issuer, id: 'carl', groups: ['dba'] };
    await desk.decide(id, { approver: by, verdict: 'deny', reason: '', channel: 'slack', clientAddress: '10.0.0.9' });
    await page.locator('.rows').getByText('Denied').first().waitFor();
  });

  test('watches a session live, ends it, and replays it', async () => {
    const client = await gateway.connect({ token: await gateway.token('watched') });
    const ended = new Promise<Error>((resolve) => client.once('error', resolve));
    const { page, complaints } = await open();
    await signIn(page, url, 'ana');
    await page.getByRole('link', { name: 'Sessions' }).click();
    await page
      .getByRole('link', { name: /watched/ })
      .first()
      .click();
    await page.getByText('Watching live').waitFor();
    await client.query('SELECT id, name, email FROM public.customers ORDER BY id LIMIT 3');
    await page.getByText('SELECT id, name, email FROM public.customers').waitFor();
    await page.locator('td').first().waitFor();
    await picture(page, 'desktop-session-live');
    expect(await violationsOf(page)).toEqual([]);
    await page.getByRole('button', { name: 'End session…' }).click();
    await page.getByLabel('Reason').fill('enough');
    await picture(page, 'desktop-session-end');
    await page.getByRole('dialog').getByRole('button', { name: 'End session' }).click();
    expect(await ended).toMatchObject({ message: expect.stringContaining('enough') });
    await page.getByText('This is its recording.').waitFor();
    await page.getByText('SELECT id, name, email FROM public.customers').waitFor();
    await picture(page, 'desktop-session-replay');
    expect(await violationsOf(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test('replays what was on a terminal', async () => {
    const { page, complaints } = await open();
    await signIn(page, url, 'ana');
    await page.goto(`${url}/sessions`);
    await page.getByLabel('Table, command or route').fill('ls');
    await page.getByLabel('Label').fill('nothing');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByText('No recording matches').waitFor();
    await page.getByLabel('Label').fill('releases');
    await page.getByLabel('How it ended').selectOption('Well');
    await page.getByLabel('From').fill('2020-01-01');
    await page.getByRole('button', { name: 'Search' }).click();
    await picture(page, 'desktop-sessions-search');
    expect(await violationsOf(page)).toEqual([]);
    await page.getByRole('link', { name: /deploy-bot/ }).click();
    await page.getByText('Exit status 0').waitFor();
    await page.locator('.ap-player .ap-term').waitFor();
    await page.locator('.ap-player').getByText('releases').first().waitFor();
    await picture(page, 'desktop-terminal');
    expect(await violationsOf(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test('tells a viewer what they may not do, and lets nobody in without a role', async () => {
    desk.file();
    const { page } = await open();
    await signIn(page, url, 'vera');
    await page.getByText('You may see this, and not decide it.').first().waitFor();
    expect(await page.getByRole('button', { name: 'Approve' }).count()).toBe(0);
    const other = await open();
    await signIn(other.page, url, 'eve');
    await other.page.getByText('none of your groups has a role').waitFor();
    // Cookies know no ports: those of the provider are here, too.
    expect((await other.page.context().cookies(url)).filter(({ name }) => name.includes('sallyport'))).toEqual([]);
  });

  test('signs out for good', async () => {
    const { page } = await open();
    await signIn(page, url, 'ana');
    const cookie = (await page.context().cookies(url)).find(({ name }) => name === 'sallyport');
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('link', { name: 'Sign in' }).waitFor();
    const answered = await fetch(`${url}/api/me`, { headers: { cookie: `${cookie?.name}=${cookie?.value}` } });
    expect(answered.status).toBe(401);
  });

  test.each([
    { phone: false, dark: false },
    { phone: false, dark: true },
    { phone: true, dark: false },
    { phone: true, dark: true },
  ])(
    'is readable by everybody, on every page (%j)',
    async (look) => {
      desk.file();
      desk.file({ quorum: 2, reasonRequired: true, breakGlass: true, chain: [] });
      const client = await gateway.connect({ token: await gateway.token('agent-seven') });
      await client.query('SELECT * FROM public.orders LIMIT 5');
      await client.query('TRUNCATE public.orders').catch(() => {});
      const { page, complaints } = await open(look);
      const name = `${look.phone ? 'phone' : 'desktop'}-${look.dark ? 'dark' : 'light'}`;
      await page.goto(url);
      await page.getByRole('link', { name: 'Sign in' }).waitFor();
      await picture(page, `${name}-sign-in`);
      await signIn(page, url, 'ana');
      for (const [path, shows] of [
        ['/', 'Would affect'],
        ['/sessions', 'agent-seven'],
        ['/decisions', 'TRUNCATE'],
        ['/policy', 'Every decision names'],
        ['/nothing', 'There is no such page'],
      ] as const) {
        await page.goto(url + path);
        await page.getByText(shows).first().waitFor();
        await picture(page, `${name}-${path.slice(1) || 'approvals'}`);
        expect({ path, violations: await violationsOf(page) }).toEqual({ path, violations: [] });
        const overflow = await page.evaluate(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        expect({ path, overflow }).toEqual({ path, overflow: 0 });
      }
      await page.goto(`${url}/`);
      await page.getByRole('link', { name: 'Everything about this request' }).first().click();
      await page.getByText('Fingerprint').waitFor();
      await picture(page, `${name}-approval`);
      expect(await violationsOf(page)).toEqual([]);
      expect(complaints).toEqual([]);
      await client.end();
    },
    60_000,
  );
});
