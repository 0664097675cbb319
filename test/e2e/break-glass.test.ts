/** A held statement that the person behind the agent lets through alone, and who hears of it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { run } from '../../proxy/cli/command.ts';
import { apiClient } from '../support/api-client.ts';
import { nextRequest, vote } from '../support/approvals.ts';
import { consoleAudience, startTestGateway, type TestGateway } from '../support/gateway.ts';

const approve = { groups: ['dba'], mode: 'wait', wait_seconds: 60 };

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({
    console: {},
    data: { sql: { approve: { delete: { ...approve, break_glass: true }, update: approve } } },
  });
});
afterAll(() => gateway.stop());

const tokenOf = (subject: string, ...groups: string[]) => gateway.token(subject, { groups, audience: consoleAudience });

/** A statement of an agent that acts for ben, held. */
async function hold(sql: string) {
  const token = await gateway.token('bot', { groups: ['support'], onBehalfOf: { sub: 'ben', groups: ['staff'] } });
  const client = await gateway.connect({ token });
  const asked = nextRequest(gateway.gateway.approvals);
  const running = client.query(sql);
  running.catch(() => {});
  return { running, approval: await asked };
}

const path = (id: string) => `/api/approvals/${id}/break-glass`;

describe('breaking the glass', () => {
  test('lets the statement run for the person behind the agent, and is loud', async () => {
    const { running, approval } = await hold(`DELETE FROM scratch.notes WHERE author = 'nobody'`);
    const ben = await apiClient(gateway.gateway.console ?? '', await tokenOf('ben', 'staff'));
    expect(await ben('POST', path(approval.id), { body: { reason: ' ' } })).toMatchObject({
      status: 400,
      body: { code: 'approval_reason_required' },
    });
    const broken = await ben('POST', path(approval.id), { body: { reason: 'the shop is down' } });
    expect(broken).toMatchObject({
      status: 200,
      body: { state: 'approved', votes: [{ approver: { id: 'ben' }, reason: 'the shop is down', broke_glass: true }] },
    });
    await running;
    const events = await gateway.audit();
    expect(events.filter(({ approval: id, what }) => id === approval.id && what === 'broken_glass')).toMatchObject([
      { approver: { id: 'ben' }, reason: 'the shop is down', channel: 'cli' },
    ]);
    const metrics = await (await fetch(`${gateway.admin.url}/metrics`)).text();
    expect(metrics).toMatch(/^sallyport_approvals_total\{.*broken_glass.*\} 1$/m);
  });

  test('is nobody else’s, an approver’s included', async () => {
    const { running, approval } = await hold(`DELETE FROM scratch.notes WHERE author = 'nobody else'`);
    for (const [who, group] of [
      ['ana', 'dba'],
      ['vera', 'staff'],
      ['pat', 'platform'],
    ] as const) {
      const ask = await apiClient(gateway.gateway.console ?? '', await tokenOf(who, group));
      expect(await ask('POST', path(approval.id), { body: { reason: 'mine now' } })).toMatchObject({
        status: 403,
        body: { code: 'approval_not_yours' },
      });
    }
    await vote(gateway.gateway.approvals, approval.id, { verdict: 'deny' });
    await expect(running).rejects.toThrow();
  });

  test('is not offered where policy does not', async () => {
    const { running, approval } = await hold(`UPDATE scratch.notes SET note = '' WHERE author = 'nobody'`);
    const ben = await apiClient(gateway.gateway.console ?? '', await tokenOf('ben', 'staff'));
    expect(await ben('POST', path(approval.id), { body: { reason: 'please' } })).toMatchObject({
      status: 403,
      body: { code: 'approval_not_yours' },
    });
    await vote(gateway.gateway.approvals, approval.id, { verdict: 'deny' });
    await expect(running).rejects.toThrow();
  });

  test('is a command, which wants a reason', async () => {
    const { running, approval } = await hold(`DELETE FROM scratch.notes WHERE author = 'a command'`);
    const printed = { stdout: '', stderr: '' };
    const into = (stream: 'stdout' | 'stderr') => ({
      write(text: string) {
        printed[stream] += text;
      },
    });
    const cli = (...args: string[]) =>
      run(['approvals', 'break-glass', approval.id, ...args], {
        stdout: into('stdout'),
        stderr: into('stderr'),
        env,
      });
    const env = { SALLYPORT_API: gateway.gateway.console ?? '', SALLYPORT_API_TOKEN: await tokenOf('ben', 'staff') };
    expect(await cli()).toBe(2);
    expect(printed.stderr).toContain('--reason');
    expect(await cli('--reason', 'an emergency')).toBe(0);
    expect(printed.stdout).toBe(`${approval.id} is approved\n`);
    await running;
  });
});
