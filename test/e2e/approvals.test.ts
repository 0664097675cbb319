import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import type { Approval } from '../../proxy/core/approvals.ts';
import type { JsonObject } from '../../proxy/core/types.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

const issuer = 'https://people.example';
const ana = { issuer, id: 'ana', groups: ['dba'] };
const bo = { issuer, id: 'bo', groups: ['dba'] };

let postgres: PostgresServer;
let gateway: TestGateway;

const data: JsonObject = {
  sql: {
    approve: {
      delete: { groups: ['dba'], mode: 'wait', wait_seconds: 60 },
      update: { groups: ['dba'], mode: 'return', quorum: 2, uses: 1 },
    },
  },
};

beforeAll(async () => {
  postgres = await startPostgres();
  gateway = await startTestGateway({ postgres, data });
});
afterAll(async () => {
  await gateway.stop();
  await postgres.stop();
});

/** The next request that is filed. */
function nextRequest(): Promise<Approval> {
  const { approvals } = gateway.gateway;
  return new Promise((resolve) => {
    const stop = approvals.onChange((id) => {
      void approvals.get(id).then((approval) => {
        if (approval?.state !== 'pending' || approval.votes.length > 0) return;
        stop();
        resolve(approval);
      });
    });
  });
}

function vote(id: string, approver = ana, verdict: 'approve' | 'deny' = 'approve'): Promise<Approval> {
  return gateway.gateway.approvals.decide(id, {
    approver,
    verdict,
    reason: 'looked at it',
    channel: 'test',
    clientAddress: '127.0.0.1',
  });
}

async function refused(client: pg.Client, sql: string, values?: unknown[]): Promise<pg.DatabaseError> {
  try {
    await client.query(sql, values);
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error;
    throw error;
  }
  throw new Error(`not refused: ${sql}`);
}

const detail = (error: pg.DatabaseError): JsonObject => JSON.parse(error.detail ?? '');

/** A note of its own for each test. */
async function note(text: string): Promise<number> {
  const [row] = await gateway.sql(`INSERT INTO scratch.notes (author, note) VALUES ('a', '${text}') RETURNING id`);
  return Number(row?.id);
}

const exists = async (id: number) => (await gateway.sql(`SELECT 1 FROM scratch.notes WHERE id = ${id}`)).length === 1;

describe('a statement that waits', () => {
  test('runs once it is approved, and tells its client meanwhile', async () => {
    const id = await note('held');
    const client = await gateway.connect();
    const notices: (string | undefined)[] = [];
    client.on('notice', ({ message }) => notices.push(message));
    const asked = nextRequest();
    const running = client.query(`DELETE FROM scratch.notes WHERE id = ${id}`);
    const approval = await asked;
    expect(approval).toMatchObject({
      upstream: 'orders',
      action: 'delete',
      subject: { id: 'test-agent' },
      reasons: [{ policy: 'approved_changes', code: 'delete_approval' }],
      groups: ['dba'],
      operation: { text: `DELETE FROM scratch.notes WHERE id = ${id}` },
    });
    expect(await exists(id)).toBe(true);
    await vote(approval.id);
    expect((await running).rowCount).toBe(1);
    expect(await exists(id)).toBe(false);
    expect(notices.join()).toContain(approval.id);
    expect(await gateway.gateway.approvals.get(approval.id)).toMatchObject({
      state: 'used',
      used: [{ outcome: 'ok' }],
    });
  });
});

describe('a statement that is sent again', () => {
  test('runs once after two people agreed, and not a second time', async () => {
    const id = await note('twice');
    const client = await gateway.connect();
    const sql = `UPDATE scratch.notes SET note = 'x' WHERE id = $1`;
    const first = await refused(client, sql, [id]);
    expect(detail(first)).toMatchObject({ code: 'approval_pending', approval: expect.any(String) });
    const { approval } = detail(first);
    // The same operation is the same request.
    expect(detail(await refused(client, sql, [id])).approval).toBe(approval);
    await vote(String(approval));
    expect(detail(await refused(client, sql, [id])).approval).toBe(approval);
    expect(await vote(String(approval), bo)).toMatchObject({ state: 'approved' });
    // Another value is another operation.
    expect(detail(await refused(client, sql, [id + 1])).approval).not.toBe(approval);
    expect((await client.query(sql, [id])).rowCount).toBe(1);
    expect(detail(await refused(client, sql, [id])).approval).not.toBe(approval);
  });
});
