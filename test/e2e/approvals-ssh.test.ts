/** Commands that wait for a person, through the real ssh and a real sshd. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JsonObject } from '../../proxy/core/types.ts';
import { describeTools } from '../clients/tools.ts';
import { heldBy, nextRequest, vote } from '../support/approvals.ts';
import { connectSsh, startSsh } from '../support/ssh-client.ts';
import { type SshGateway, spoken, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd } from '../support/sshd.ts';

describeTools(['ssh'], findSshd() === undefined ? ['sshd'] : [], () => {
  let gateway: SshGateway;
  beforeAll(async () => {
    gateway = await startSshGateway(spoken);
  });
  afterAll(() => gateway.stop());

  const waits: JsonObject = { groups: ['dba'], mode: 'wait', wait_seconds: 60 };
  const agentOf = async (subject: string, access: JsonObject) =>
    await gateway.agent({ token: await gateway.token(subject, { claims: heldBy(access) }) });

  test('a command waits, tells its client, and runs once it is approved', async () => {
    const { approvals } = gateway.gateway;
    const asked = nextRequest(approvals);
    const running = gateway.ssh(await agentOf('waits', waits), ['web1', 'echo', 'approved']);
    const approval = await asked;
    expect(approval).toMatchObject({ protocol: 'ssh', action: 'exec', subject: { id: 'waits' } });
    expect(JSON.stringify(approval.operation)).toContain('echo');
    await vote(approvals, approval.id);
    const { code, stdout, stderr } = await running;
    expect(stdout.toString()).toBe('approved\n');
    expect(stderr).toContain(approval.id);
    expect(code).toBe(0);
  });

  test('a command that is denied does not run, and says why', async () => {
    const { approvals } = gateway.gateway;
    const asked = nextRequest(approvals);
    const running = gateway.ssh(await agentOf('denied', waits), ['web1', 'echo', 'never']);
    await vote(approvals, (await asked).id, { verdict: 'deny' });
    const { code, stdout, stderr } = await running;
    expect(code).toBe(126);
    expect(stdout.toString()).toBe('');
    expect(stderr).toContain('approval_denied');
    expect(stderr).toContain('looked at it');
  });

  test('a command that may not wait is refused at once, and runs when it is sent again', async () => {
    const { approvals } = gateway.gateway;
    const agent = await agentOf('returns', { groups: ['dba'] });
    const asked = nextRequest(approvals);
    const first = await gateway.ssh(agent, ['web1', 'echo', 'again']);
    const { id } = await asked;
    expect(first.code).toBe(126);
    expect(first.stderr).toContain(id);
    await vote(approvals, id);
    const other = await gateway.ssh(agent, ['web1', 'echo', 'changed']);
    expect(other.stderr).toContain('approval_pending');
    expect((await gateway.ssh(agent, ['web1', 'echo', 'again'])).stdout.toString()).toBe('again\n');
    expect((await gateway.ssh(agent, ['web1', 'echo', 'again'])).code).toBe(126);
  });

  test('a client that leaves ends the wait, and its request stands', async () => {
    const { approvals } = gateway.gateway;
    const token = await gateway.token('leaves', { claims: heldBy(waits) });
    const client = await connectSsh({ host: gateway.host, port: gateway.port, token });
    const asked = nextRequest(approvals);
    const channel = startSsh(client, 'echo gone');
    channel.catch(() => {});
    const { id } = await asked;
    client.end();
    await decided(id, 'approval_abandoned');
    expect(await approvals.get(id)).toMatchObject({ state: 'pending', used: [] });
  });

  /** Until the trail has the decision on what was held. */
  async function decided(approval: string, code: string): Promise<void> {
    for (;;) {
      const events = await gateway.audit();
      if (events.some((event) => event.event === 'decided' && event.approval === approval && event.code === code))
        return;
    }
  }
});
