/**
 * What policy holds, on each protocol, decided by each way that people have: one gateway, real clients and servers, the real
 * command line. Slack and the receiver of the webhook are peers of this test, which speak what the real ones speak.
 */
import { createHmac } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import type { Approval } from '../../proxy/core/approvals.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { describeTools } from '../clients/tools.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import {
  type ApprovalStage,
  type HeldProtocol,
  type Operation,
  protocols,
  type StageAgent,
  startApprovalStage,
} from '../support/approval-stage.ts';
import { ana, nextRequest } from '../support/approvals.ts';
import { hasBrowser, signIn, startBrowser } from '../support/browser.ts';
import { consoleAudience } from '../support/gateway.ts';
import { sallyport } from '../support/gateway-process.ts';
import { type Received, startUpstream, type Upstream } from '../support/http-gateway.ts';
import type { SshGateway } from '../support/ssh-gateway.ts';
import { findSshd } from '../support/sshd.ts';

const access: JsonObject = { groups: ['dba'], mode: 'wait', wait_seconds: 60, reason_required: true };
const secrets = { SALLYPORT_TEST_HOOK: 'a key of the webhook', SALLYPORT_TEST_SLACK: 'what Slack signs with' };

/** The browser's own tests say so where there is none. */
const ways = ['api', 'cli', 'slack', ...(hasBrowser ? ['page'] : [])];
/** What the trail calls them: whoever comes with a token of their own is the command line or speaks in its place. */
const recorded: Readonly<Record<string, string>> = { api: 'cli', cli: 'cli', slack: 'slack', page: 'console' };

type Verdict = 'approve' | 'deny';

describeTools(['ssh', 'curl'], findSshd() === undefined ? ['sshd'] : [], () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-channels-'));
  const tokenFile = join(directory, 'token');
  let peers: Upstream;
  /** Says `post` when something was posted to them. */
  const arrivals = new EventEmitter();
  let stage: ApprovalStage;
  let gateway: SshGateway;
  let console: string;
  let api: ApiClient;
  let browser: Browser | undefined;
  let page: Page | undefined;
  let agent: StageAgent;

  beforeAll(async () => {
    Object.assign(process.env, secrets);
    peers = await startUpstream();
    const { answer } = peers;
    peers.answer = (...asked) => {
      answer(...asked);
      arrivals.emit('post');
    };
    const peer = `http://${peers.host}:${peers.port}`;
    stage = await startApprovalStage({
      console: { oidc: { client_id: 'console' } },
      config: {
        notify: {
          webhooks: [
            { name: 'hook', url: `${peer}/hook`, secret: 'env:SALLYPORT_TEST_HOOK', allow_insecure_http: true },
          ],
          slack: {
            ...{ url: `${peer}/slack`, token: 'env:SALLYPORT_TEST_SLACK', channel: 'C1' },
            signing_secret: 'env:SALLYPORT_TEST_SLACK',
            users: [{ slack: 'U1', issuer: ana.issuer, id: ana.id, groups: ana.groups }],
          },
        },
      },
    });
    gateway = stage.gateway;
    console = gateway.gateway.console ?? '';
    const person = await gateway.token('ana', { groups: ['dba'], audience: consoleAudience });
    api = await apiClient(console, person);
    writeFileSync(tokenFile, person, { mode: 0o600 });
    if (hasBrowser) {
      gateway.oidc.invite({
        people: [{ subject: 'ana', groups: ['dba'] }],
        applications: [{ clientId: 'console', redirectUris: [`${console}/auth/callback`] }],
      });
      browser = await startBrowser();
      page = await browser.newPage();
      await signIn(page, console, 'ana');
    }
    agent = await stage.agent(access);
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await agent?.close();
    await stage?.stop();
    await peers?.stop();
    rmSync(directory, { recursive: true, force: true });
    for (const name of Object.keys(secrets)) delete process.env[name];
  });

  /** Somebody's word on a request, by each way that there is. */
  const channels: Record<string, (id: string, verdict: Verdict, reason: string) => Promise<void>> = {
    async api(id, verdict, reason) {
      const answer = await api('POST', `/api/approvals/${id}/decision`, { body: { verdict, reason } });
      expect(answer.status).toBe(200);
    },
    async cli(id, verdict, reason) {
      const { code, output } = await approvals(verdict, id, '--reason', reason);
      expect({ code, output }).toEqual({ code: 0, output: `${id} is ${stateAfter(verdict)}\n` });
    },
    /** The page stays open all the time: what is asked turns up by itself. */
    async page(id, verdict, reason) {
      const card = page?.locator(`[aria-labelledby="title-${id}"]`);
      await card?.getByLabel('Reason').fill(reason);
      await card?.getByRole('button', { name: verdict === 'approve' ? 'Approve' : 'Deny' }).click();
      await card?.getByText(verdict === 'approve' ? 'Approved' : 'Denied', { exact: true }).waitFor();
    },
    async slack(id, verdict, reason) {
      const { document } = await heard('/slack/chat.postMessage', (one) => buttonsOf(one, id).length > 0);
      const button = buttonsOf(document, id).find(({ action_id }) => action_id === verdict);
      const answer = await click(button ?? {}, reason);
      expect({ status: answer.status, body: await answer.text() }).toMatchObject({ status: 200 });
    },
  };

  /** `sallyport approvals`, as a process. */
  const approvals = (...args: string[]) => sallyport('approvals', ...args, '--api', console, '--token-file', tokenFile);

  /** The first document that was posted to a path of the peers and is looked for, once there is one. */
  async function heard(path: string, wanted: (document: JsonObject) => boolean) {
    for (;;) {
      const posts = peers.received.filter(({ url }) => url === path);
      const documents = posts.map((post) => ({ post, document: JSON.parse(post.body.toString()) as JsonObject }));
      const found = documents.find(({ document }) => wanted(document));
      if (found !== undefined) return found;
      await once(arrivals, 'post');
    }
  }

  /** Posts what Slack posts for a click, signed as it signs. */
  async function click(button: JsonObject, reason: string, secret: string = secrets.SALLYPORT_TEST_SLACK) {
    const payload = {
      ...{ type: 'block_actions', user: { id: 'U1' }, actions: [button] },
      state: { values: { reason: { reason: { type: 'plain_text_input', value: reason } } } },
    };
    const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
    const timestamp = String(Math.floor(Date.now() / 1000));
    const signature = createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex');
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      ...{ 'x-slack-request-timestamp': timestamp, 'x-slack-signature': `v0=${signature}` },
    };
    return await fetch(`${console}/hooks/slack`, { method: 'POST', headers, body });
  }

  /** An operation that is held, and the request for it. */
  async function hold(protocol: HeldProtocol, name: string): Promise<{ operation: Operation; approval: Approval }> {
    const asked = nextRequest(gateway.gateway.approvals);
    const operation = await agent.ask(protocol, name);
    const approval = await asked;
    expect(await operation.happened()).toBe(false);
    return { operation, approval };
  }

  describe.each(protocols)('what is held on %s', (protocol) => {
    test.each(ways)('is done when it is approved by %s', async (channel) => {
      const { operation, approval } = await hold(protocol, `${protocol}-${channel}-approved`);
      const reason = `seen by ${channel}`;
      await channels[channel]?.(approval.id, 'approve', reason);
      expect(await operation.refusal).toBeUndefined();
      expect(await operation.happened()).toBe(true);
      await told(approval.id, 'approve', channel, reason);
    });

    test.each(ways)('is not done when it is denied by %s', async (channel) => {
      const { operation, approval } = await hold(protocol, `${protocol}-${channel}-denied`);
      const reason = `not with ${channel}`;
      await channels[channel]?.(approval.id, 'deny', reason);
      const refusal = await operation.refusal;
      for (const words of ['approval_denied', approval.id, reason]) expect(refusal).toContain(words);
      expect(await operation.happened()).toBe(false);
      await told(approval.id, 'deny', channel, reason);
    });
  });

  /** Who decided is kept, is in the trail, and the webhook heard of it and of the request before, signed. */
  async function told(id: string, verdict: Verdict, channel: string, reason: string): Promise<void> {
    const after = stateAfter(verdict);
    const issuer = channel === 'slack' ? ana.issuer : gateway.oidc.issuer;
    const vote = { verdict, reason, channel: recorded[channel] };
    expect(await gateway.gateway.approvals.get(id)).toMatchObject({
      votes: [{ ...vote, approver: { issuer, id: 'ana' } }],
    });
    expect(await votesInTrail(id)).toEqual([expect.objectContaining({ what: 'voted', ...vote })]);
    await heard(
      '/slack/chat.postMessage',
      ({ text }) => text === `Approval ${id} is ${after}. ${verdict} by ana: ${reason}`,
    );
    for (const state of ['pending', after]) {
      const isIt = (document: JsonObject) => document.type === `approval.${state}` && Object(document.data).id === id;
      const { post } = await heard('/hook', isIt);
      expect(headerOf(post, 'webhook-id')).toBe(`${id}.${state}`);
      const signed = `${id}.${state}.${headerOf(post, 'webhook-timestamp')}.${post.body}`;
      const signature = createHmac('sha256', secrets.SALLYPORT_TEST_HOOK).update(signed).digest('base64');
      expect(headerOf(post, 'webhook-signature')).toBe(`v1,${signature}`);
    }
  }

  /** The votes on a request in the trail, which gets them a moment after they counted. */
  async function votesInTrail(id: string): Promise<JsonObject[]> {
    for (;;) {
      const events = await gateway.audit();
      const voted = events.filter(({ approval, what }) => approval === id && what === 'voted');
      if (voted.length > 0) return voted;
    }
  }

  test('a click that Slack did not sign decides nothing', async () => {
    const { operation, approval } = await hold('http', 'forged');
    const forged = await click({ action_id: 'approve', value: approval.id }, 'hurry', 'some other secret');
    expect(forged.status).toBe(401);
    expect((await gateway.audit()).at(-1)).toMatchObject({
      ...{ event: 'approval', what: 'refused', code: 'credential_invalid', channel: 'slack' },
      client_address: '127.0.0.1',
    });
    expect(await gateway.gateway.approvals.get(approval.id)).toMatchObject({ state: 'pending', votes: [] });
    await channels.api?.(approval.id, 'deny', 'forged');
    await operation.refusal;
    expect(await operation.happened()).toBe(false);
  });

  test('the command line lists what waits, shows it, and says why a word does not count', async () => {
    const { operation, approval } = await hold('postgres', 'by the command line');
    const { id } = approval;
    const text = 'DELETE FROM scratch.notes WHERE note = $1';
    const listed = await approvals('list');
    expect(listed.code).toBe(0);
    for (const words of [`${id}  pending, one approval missing`, 'bot at orders (postgres)', `> ${text}`])
      expect(listed.output).toContain(words);
    expect(JSON.parse((await approvals('list', '--json')).output)).toMatchObject([{ id, state: 'pending' }]);
    const shown = await approvals('show', id);
    expect(shown.output).toContain(approval.digest);
    expect(JSON.parse((await approvals('show', id, '--json')).output)).toMatchObject({ id, operation: { text } });

    expect(await approvals('approve', id)).toMatchObject({ code: 1, output: expect.stringContaining('reason') });
    writeFileSync(`${tokenFile}-bot`, await gateway.token('bot', { groups: ['dba'], audience: consoleAudience }));
    const own = await sallyport(
      ...['approvals', 'approve', id, '--reason', 'mine', '--api', console, '--token-file', `${tokenFile}-bot`],
    );
    expect(own).toMatchObject({ code: 1, output: expect.stringContaining('(approval_self)') });
    expect(await operation.happened()).toBe(false);

    const denied = await approvals('deny', id, '--reason', 'no', '--json');
    expect(JSON.parse(denied.output)).toMatchObject({ id, state: 'denied', votes: [{ reason: 'no' }] });
    expect(await operation.refusal).toContain('approval_denied');
    const late = await approvals('approve', id, '--reason', 'after all');
    expect(late).toMatchObject({ code: 1, output: expect.stringContaining('(approval_closed)') });
    expect(JSON.parse((await approvals('list', '--json')).output)).toEqual([]);
    expect(JSON.parse((await approvals('list', '--all', '--json')).output)).toContainEqual(
      expect.objectContaining({ id, state: 'denied' }),
    );
  }, 60_000);
});

const stateAfter = (verdict: Verdict) => (verdict === 'approve' ? 'approved' : 'denied');

/** The buttons of a message that are about a request. */
function buttonsOf({ blocks }: JsonObject, id: string): JsonObject[] {
  const all = Array.isArray(blocks) ? blocks.flatMap((block) => Object(block).elements ?? []) : [];
  return all.map((element): JsonObject => Object(element)).filter(({ value }) => value === id);
}

function headerOf({ headers }: Received, name: string): string | undefined {
  return headers.find(([one]) => one === name)?.[1];
}
