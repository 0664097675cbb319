/** What approvers and administrators do in a browser to a psql that is really there: the whole gateway, nothing in its place. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { JsonObject } from '../../proxy/core/types.ts';
import { describePrograms, openStage, type Ran, run, type Stage } from '../clients/programs.ts';
import { nextRequest } from '../support/approvals.ts';
import { describeBrowser, signIn, startBrowser, violationsOf } from '../support/browser.ts';

const data: JsonObject = { sql: { approve: { delete: { groups: ['dba'], mode: 'wait', wait_seconds: 60 } } } };

describePrograms(['psql'], (programs) => {
  describeBrowser('and a browser', () => {
    let stage: Stage;
    let url: string;
    let browser: Browser;
    const contexts: BrowserContext[] = [];

    beforeAll(async () => {
      stage = await openStage(programs, { data, console: { oidc: { client_id: 'console' } } });
      url = stage.gateway.gateway.console ?? '';
      stage.gateway.oidc.invite({
        people: [
          { subject: 'ana', groups: ['dba'] },
          { subject: 'carl', groups: ['dba'] },
          { subject: 'paul', groups: ['dba', 'platform'] },
        ],
        applications: [{ clientId: 'console', redirectUris: [`${url}/auth/callback`] }],
      });
      browser = await startBrowser();
    }, 60_000);
    afterAll(async () => {
      await browser?.close();
      await stage?.stop();
    });
    afterEach(async () => {
      for (const context of contexts.splice(0)) await context.close();
    });

    /** The console as somebody, in a browser of their own. */
    async function consoleOf(subject: string): Promise<Page> {
      const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
      contexts.push(context);
      context.setDefaultTimeout(10_000);
      const page = await context.newPage();
      await signIn(page, url, subject);
      return page;
    }

    /** psql with some statements, one after the other, of an agent that acts for carl. */
    async function psql(agent: string, ...statements: string[]): Promise<Ran> {
      const token = await stage.gateway.token(agent, { onBehalfOf: { sub: 'carl', groups: ['support'] } });
      const commands = statements.flatMap((sql) => ['-c', sql]);
      return await run(stage, 'psql', ['-X', ...commands], { environment: stage.as(token) });
    }

    /** The request for a statement, in the inbox. */
    const cardOf = (page: Page, sql: string) => page.getByRole('article').filter({ hasText: sql });

    async function note(text: string): Promise<number> {
      const [row] = await stage.gateway.sql(
        `INSERT INTO scratch.notes (author, note) VALUES ('a', '${text}') RETURNING id`,
      );
      return Number(row?.id);
    }

    const exists = async (id: number) =>
      (await stage.gateway.sql(`SELECT 1 FROM scratch.notes WHERE id = ${id}`)).length === 1;

    test('a DELETE that psql waits for runs once somebody else approves it, with a reason', async () => {
      const id = await note('spam');
      const desk = stage.gateway.gateway.approvals;
      const page = await consoleOf('ana');
      await page.getByText('Nothing waits for you').waitFor();
      const asked = nextRequest(desk);
      const sql = `DELETE FROM scratch.notes WHERE id = ${id}`;
      const running = psql('triage-bot', sql);
      const { id: approval } = await asked;

      // By itself: what will run, where, for whom and why it was held.
      const card = cardOf(page, sql);
      await card.getByRole('heading', { name: 'triage-bot wants to run a' }).waitFor();
      const shown = await card.textContent();
      for (const words of ['orders', 'on behalf of carl', 'DELETE needs approval.']) expect(shown).toContain(words);
      expect(await violationsOf(page)).toEqual([]);

      // Whoever the agent acts for sees it, and does not decide it.
      const own = await consoleOf('carl');
      await own.getByText('This was asked for on your behalf: somebody else has to decide.').waitFor();
      expect(await own.getByRole('button', { name: 'Approve' }).count()).toBe(0);

      await page.getByRole('link', { name: 'Everything about this request' }).click();
      await page.getByText('waits for the answer').waitFor();
      expect(await violationsOf(page)).toEqual([]);
      await page.getByRole('button', { name: 'Approve' }).click();
      await page.getByText('Write a reason first').waitFor();
      expect(await exists(id)).toBe(true);
      await page.getByLabel('Reason').fill('it is spam indeed');
      await page.getByRole('button', { name: 'Approve' }).click();

      expect(await running).toEqual({
        code: 0,
        stdout: 'DELETE 1\n',
        stderr: expect.stringContaining(`NOTICE:  sallyport: Approval ${approval} was asked of dba.`),
      });
      expect(await exists(id)).toBe(false);
      expect(await desk.get(approval)).toMatchObject({
        state: 'used',
        votes: [{ approver: { id: 'ana' }, channel: 'console', reason: 'it is spam indeed' }],
      });
      await page.getByText('Approved and run').waitFor();
      expect(await violationsOf(page)).toEqual([]);
    });

    test('what is denied there does not run, and psql says why', async () => {
      const id = await note('kept');
      const page = await consoleOf('ana');
      const sql = `DELETE FROM scratch.notes WHERE id = ${id}`;
      const running = psql('triage-bot', sql);
      const card = cardOf(page, sql);
      await card.getByLabel('Reason').fill('ask Ben first');
      await card.getByRole('button', { name: 'Deny' }).click();
      const { code, stdout, stderr } = await running;
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain('approval_denied');
      expect(stderr).toContain('ask Ben first');
      expect(await exists(id)).toBe(true);
    });

    test('a psql is watched, ended in its own words within a second, and replayed', async () => {
      const ids = [await note('first'), await note('second')];
      const [first = '', second = ''] = ids.map((id) => `DELETE FROM scratch.notes WHERE id = ${id}`);
      const select = 'SELECT id, name FROM public.customers ORDER BY id LIMIT 3';
      const running = psql('watched-bot', first, select, second);
      const [page, inbox] = [await consoleOf('paul'), await consoleOf('ana')];
      const card = cardOf(inbox, first);
      await card.getByLabel('Reason').fill('go on');
      await page.getByRole('link', { name: 'Sessions' }).click();
      await page.getByRole('link', { name: /watched-bot/ }).click();
      await page.getByText('Watching live').waitFor();
      await card.getByRole('button', { name: 'Approve' }).click();
      await page.getByText(select).waitFor();
      await page.locator('td').first().waitFor();
      // While it waits again.
      await cardOf(inbox, second).waitFor();

      await page.getByRole('button', { name: 'End session…' }).click();
      await page.getByLabel('Reason').fill('that is enough');
      const clickedMs = performance.now();
      const [ended] = await Promise.all([
        running,
        page.getByRole('dialog').getByRole('button', { name: 'End session' }).click(),
      ]);
      expect(performance.now() - clickedMs).toBeLessThan(1_000);
      // What psql says of any server that ends a session: FATAL, and the exit status of a lost connection.
      expect(ended).toMatchObject({ code: 2, stderr: expect.stringMatching(/FATAL: .*that is enough/) });
      expect(ended.stdout).toContain('DELETE 1\n');
      expect(await Promise.all(ids.map(exists))).toEqual([false, true]);

      await page.getByText('This is its recording.').waitFor();
      await page.getByText(select).waitFor();
      await page.locator('td').first().waitFor();
      expect(await violationsOf(page)).toEqual([]);
    });
  });
});
