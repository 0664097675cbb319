/** An agent with a raw connection, and the gateway in front of it, for attacks that were found and are over. */
import type { JsonObject } from '../../../proxy/core/types.ts';
import { startTestGateway, type TestGateway, type TestGatewayOptions } from '../../support/gateway.ts';
import { type BackendMessage, connectWire, errorsOf, rowsOf, type WireClient } from '../../support/wire-client.ts';

/** What came of one query string. */
export interface Outcome {
  readonly rows: (string | null)[][];
  /** The code of a refusal, or the SQLSTATE of an error of the server. */
  readonly error: string | undefined;
}

export interface Attacker {
  readonly gateway: TestGateway;
  connect(database?: string): Promise<WireClient>;
  /** One simple query on a connection of its own. */
  query(sql: string): Promise<Outcome>;
  close(): Promise<void>;
}

export async function openAttacker(options: TestGatewayOptions = {}): Promise<Attacker> {
  const gateway = await startTestGateway(options);
  const clients: WireClient[] = [];
  const connect = async (database = gateway.database) => {
    const { host, port, ca } = gateway;
    const client = await connectWire({ host, port, ca, database, user: 'agent', password: await gateway.token() });
    clients.push(client);
    return client;
  };
  return {
    gateway,
    connect,
    async query(sql) {
      const client = await connect();
      const outcome = outcomeOf(await client.query(sql));
      await client.end();
      return outcome;
    },
    async close() {
      for (const client of clients) client.destroy();
      await gateway.stop();
    },
  };
}

/** The rows of an answer, and its first error. */
export function outcomeOf(messages: readonly BackendMessage[]): Outcome {
  const [error] = errorsOf(messages);
  return { rows: rowsOf(messages), error: error && (/^\{"code":"(\w+)"/.exec(error.D ?? '')?.[1] ?? error.C) };
}

/** `data.config` that labels columns of tables as personal: `{ 'public.people': ['ssn'] }`. */
export function personal(columns: Readonly<Record<string, readonly string[]>>): JsonObject {
  const schemas: Record<string, Record<string, JsonObject>> = {};
  for (const [table, names] of Object.entries(columns)) {
    const [schema = '', name = ''] = table.split('.');
    schemas[schema] ??= {};
    schemas[schema][name] = { columns: Object.fromEntries(names.map((each) => [each, ['pii']])) };
  }
  return { upstreams: { orders: { schemas } } };
}
