/** What becomes of a held operation, whatever its protocol: real clients, real servers, one gateway. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Approval } from '../../proxy/core/approvals.ts';
import type { JsonObject, Principal } from '../../proxy/core/types.ts';
import { describeTools } from '../clients/tools.ts';
import {
  type ApprovalStage,
  type HeldProtocol,
  type Operation,
  protocols,
  type StageAgent,
  startApprovalStage,
} from '../support/approval-stage.ts';
import { ana, bo, nextRequest, vote } from '../support/approvals.ts';
import type { TokenRequest } from '../support/oidc.ts';
import { findSshd } from '../support/sshd.ts';

const waiting: JsonObject = { groups: ['dba'], mode: 'wait', wait_seconds: 60, reason_required: true };

describeTools(['ssh', 'curl'], findSshd() === undefined ? ['sshd'] : [], () => {
  let stage: ApprovalStage;
  const agents: StageAgent[] = [];
  beforeAll(async () => {
    stage = await startApprovalStage();
  }, 60_000);
  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.close();
  });
  afterAll(() => stage?.stop());

  const desk = () => stage.running.approvals;

  async function agentOn(access: JsonObject, request: Partial<TokenRequest> = {}): Promise<StageAgent> {
    const agent = await stage.agent(access, request);
    agents.push(agent);
    return agent;
  }

  /** An operation that is held, and the request for it. */
  async function hold(
    agent: StageAgent,
    protocol: HeldProtocol,
    name: string,
  ): Promise<{ operation: Operation; approval: Approval }> {
    const asked = nextRequest(desk());
    const operation = await agent.ask(protocol, name);
    const approval = await asked;
    expect(await operation.happened()).toBe(false);
    return { operation, approval };
  }

  /** The gateway knows that nobody waits for it any more. */
  async function abandoned(id: string): Promise<void> {
    const deadline = AbortSignal.timeout(20_000);
    for (;;) {
      const events = await stage.gateway.audit();
      if (
        events.some(
          ({ approval, code }) => approval === id && ['approval_abandoned', 'session_ended'].includes(String(code)),
        )
      )
        return;
      if (deadline.aborted) throw new Error(JSON.stringify(events.filter(({ approval }) => approval === id)));
    }
  }

  describe.each(protocols)('on %s', (protocol) => {
    test('a grant is for one use, and for the same operation', async () => {
      const agent = await agentOn(waiting);
      const first = await hold(agent, protocol, `${protocol}-once`);
      await vote(desk(), first.approval.id);
      expect(await first.operation.refusal).toBeUndefined();
      expect(await first.operation.happened()).toBe(true);

      const again = await hold(agent, protocol, `${protocol}-once`);
      expect(again.approval.digest).toBe(first.approval.digest);
      expect(again.approval.id).not.toBe(first.approval.id);
      await vote(desk(), again.approval.id, { verdict: 'deny' });
      expect(await again.operation.refusal).toContain('approval_denied');
      expect(await again.operation.happened()).toBe(false);
    });

    test('an approved operation that is changed is another one', async () => {
      const agent = await agentOn({ ...waiting, mode: 'return' });
      const asked = nextRequest(desk());
      const refused = await agent.ask(protocol, `${protocol}-meant`);
      const { id, digest } = await asked;
      expect(await refused.refusal).toContain(id);
      await vote(desk(), id);
      const other = nextRequest(desk());
      const changed = await agent.ask(protocol, `${protocol}-changed`);
      const { digest: otherDigest } = await other;
      expect(await changed.refusal).toContain('approval_pending');
      expect(await changed.happened()).toBe(false);
      expect(otherDigest).not.toBe(digest);
      expect(await desk().get(id)).toMatchObject({ state: 'approved', used: [] });
      // What was approved still runs.
      const meant = await agent.ask(protocol, `${protocol}-meant`);
      expect(await meant.refusal).toBeUndefined();
      expect(await meant.happened()).toBe(true);
    });

    test('one that nobody decides in time is refused', async () => {
      const agent = await agentOn({ ...waiting, ttl_seconds: 1 });
      const operation = await agent.ask(protocol, `${protocol}-late`);
      expect(await operation.refusal).toContain('approval_expired');
      expect(await operation.happened()).toBe(false);
    });

    test('neither the agent nor whom it acts for can approve it', async () => {
      const agent = await agentOn(waiting, { onBehalfOf: { sub: 'carl', groups: ['dba'] } });
      const { operation, approval } = await hold(agent, protocol, `${protocol}-own`);
      const members: readonly Principal[] = [approval.subject, ...approval.chain];
      expect(members.map(({ id }) => id)).toEqual(['bot', 'carl']);
      for (const member of members) {
        const administrator = { ...member, groups: ['dba', 'admin'] };
        await expect(vote(desk(), approval.id, { approver: administrator })).rejects.toMatchObject({
          code: 'approval_self',
        });
      }
      expect(await operation.happened()).toBe(false);
      await vote(desk(), approval.id, { verdict: 'deny' });
      await operation.refusal;
    });

    test('two of a quorum are needed, and of two who race each counts once', async () => {
      const agent = await agentOn({ ...waiting, quorum: 2 });
      const { operation, approval } = await hold(agent, protocol, `${protocol}-two`);
      const race = [ana, ana, ana].map((approver) => vote(desk(), approval.id, { approver }).catch(({ code }) => code));
      expect((await Promise.all(race)).filter((one) => one === 'approval_already_voted')).toHaveLength(2);
      expect(await desk().get(approval.id)).toMatchObject({ state: 'pending' });
      expect(await operation.happened()).toBe(false);
      await vote(desk(), approval.id, { approver: bo });
      expect(await operation.refusal).toBeUndefined();
      expect(await operation.happened()).toBe(true);
    });

    test('a client that leaves is not served, whatever is decided afterwards', async () => {
      const agent = await stage.agent(waiting);
      const { operation, approval } = await hold(agent, protocol, `${protocol}-gone`);
      await agent.close();
      await operation.refusal;
      await abandoned(approval.id);
      await vote(desk(), approval.id);
      // Another operation of the same kind goes all the way meanwhile.
      const other = await hold(await agentOn(waiting), protocol, `${protocol}-after`);
      await vote(desk(), other.approval.id);
      expect(await other.operation.refusal).toBeUndefined();
      expect(await operation.happened()).toBe(false);
      expect(await desk().get(approval.id)).toMatchObject({ state: 'approved', used: [] });
    });
  });

  test('requests of every protocol survive a restart of the gateway', async () => {
    const agent = await agentOn({ ...waiting, mode: 'return' });
    const pending: Approval[] = [];
    for (const protocol of protocols) {
      const asked = nextRequest(desk());
      const operation = await agent.ask(protocol, `${protocol}-restart`);
      const approval = await asked;
      expect(await operation.refusal).toContain(approval.id);
      pending.push(approval);
    }
    await stage.restart();
    for (const [index, protocol] of protocols.entries()) {
      const { id = '' } = pending[index] ?? {};
      expect(await desk().get(id)).toMatchObject({ state: 'pending' });
      await vote(desk(), id);
      const operation = await agent.ask(protocol, `${protocol}-restart`);
      expect(await operation.refusal).toBeUndefined();
      expect(await operation.happened()).toBe(true);
    }
  });
});
