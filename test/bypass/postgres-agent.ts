/** An agent on one connection: what it can ask, what it was told, and everything it ever received. */
import {
  type BackendMessage,
  copyDataOf,
  errorsOf,
  frontend,
  rowsOf,
  statusOf,
  type WireClient,
} from '../support/wire-client.ts';
import { leaksIn } from './postgres-canaries.ts';

/** Rows as text. */
export type Rows = (string | null)[][];

/** How a refusal reached the client. */
export interface Told {
  /** The messages of the answer: `EZ` is an error and the end of it. */
  readonly types: string;
  readonly sqlstate: string | undefined;
  /** The code in the detail's JSON; the whole message when the error is not the gateway's. */
  readonly code: string;
  readonly status: string | undefined;
}

/** One logged-in connection. */
export class Agent {
  readonly client: WireClient;
  /** The parser's words about what it typed may quote that to it. */
  hearsItself = false;
  readonly #canaries: readonly string[];
  readonly #received: Buffer[] = [];
  #names = 0;

  constructor(client: WireClient, canaries: readonly string[]) {
    this.client = client;
    this.#canaries = canaries;
    client.socket.on('data', (chunk: Buffer) => this.#received.push(chunk));
  }

  /** Every byte since the login. */
  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  /** The canaries among them. */
  leaks(): readonly string[] {
    return leaksIn(this.received, this.#canaries);
  }

  async end(): Promise<void> {
    if (!this.client.ended) await this.client.end();
  }

  /** A name not used on this connection. */
  name(): string {
    this.#names += 1;
    return `name_${this.#names}`;
  }

  /** The answer to a simple query. */
  async told(sql: string): Promise<Told> {
    return tell(await this.client.query(sql));
  }

  /** The answer to Parse, Bind, Describe and Execute of unnamed things, and a Sync. */
  async toldExtended(sql: string): Promise<Told> {
    return tell(
      await this.client.extended(frontend.parse(sql), frontend.bind(), frontend.describePortal(), frontend.execute()),
    );
  }

  /** The transaction status after a simple query. */
  async statusAfter(sql: string): Promise<string | undefined> {
    return statusOf(await this.client.query(sql));
  }

  /** The rows of a simple query. @throws when there is an error among the answers */
  async rows(sql: string): Promise<Rows> {
    return rowsIn(await this.client.query(sql));
  }

  /** The rows of messages of the extended protocol and a Sync. @throws as {@link rows} */
  async extended(...messages: readonly Uint8Array[]): Promise<Rows> {
    return rowsIn(await this.client.extended(...messages));
  }
}

/** What the answer to one statement says. */
export function tell(messages: readonly BackendMessage[]): Told {
  const [error] = errorsOf(messages);
  return {
    types: messages
      .map(({ type }) => type)
      .filter((type) => type !== 'S' && type !== 'N')
      .join(''),
    sqlstate: error?.C,
    code: codeIn(error),
    status: statusOf(messages),
  };
}

/** The rows of an answer. @throws when there is an error in it */
export function rowsIn(messages: readonly BackendMessage[]): Rows {
  const [error] = errorsOf(messages);
  if (error !== undefined) throw new Error(`${error.C} ${codeIn(error)}`);
  return rowsOf(messages);
}

function codeIn(error: Record<string, string> | undefined): string {
  if (error === undefined) return '';
  try {
    const detail: unknown = JSON.parse(error.D ?? '');
    if (typeof detail === 'object' && detail !== null && 'code' in detail) return String(detail.code);
  } catch {
    // Not one of the gateway's.
  }
  return `${error.M} ${error.D ?? ''}`;
}

type Way = (agent: Agent, sql: string) => Promise<Rows>;

/** Every way in which rows can be had. Each gives them as text, so columns should be of text types. */
export const ways: Readonly<Record<string, Way>> = {
  simple: (agent, sql) => agent.rows(sql),
  extended: (agent, sql) =>
    agent.extended(frontend.parse(sql), frontend.bind(), frontend.describePortal(), frontend.execute()),
  withoutDescribe: (agent, sql) => agent.extended(frontend.parse(sql), frontend.bind(), frontend.execute()),
  binary: (agent, sql) =>
    agent.extended(frontend.parse(sql), frontend.bind({ resultFormats: [1] }), frontend.execute()),
  async executedAgain(agent, sql) {
    const statement = agent.name();
    await agent.extended(frontend.parse(sql, statement), frontend.describeStatement(statement));
    await agent.extended(frontend.bind({ statement }), frontend.execute());
    return agent.extended(frontend.bind({ statement }), frontend.execute());
  },
  async rowByRow(agent, sql) {
    const portal = agent.name();
    const rows = await agent.extended(
      frontend.parse(sql),
      frontend.bind({ portal }),
      ...Array.from({ length: 8 }, () => frontend.execute(portal, 1)),
    );
    return rows;
  },
  async prepared(agent, sql) {
    const name = agent.name();
    await agent.rows(`PREPARE ${name} AS ${sql}`);
    await agent.rows(`EXECUTE ${name}`);
    return agent.rows(`EXECUTE ${name}`);
  },
  async preparedThenBound(agent, sql) {
    const statement = agent.name();
    await agent.rows(`PREPARE ${statement} AS ${sql}`);
    return agent.extended(frontend.bind({ statement }), frontend.execute());
  },
  async parsedThenExecuted(agent, sql) {
    const statement = agent.name();
    await agent.extended(frontend.parse(sql, statement));
    return agent.rows(`EXECUTE ${statement}`);
  },
  async cursor(agent, sql) {
    const name = agent.name();
    return inTransaction(agent, async () => {
      await agent.rows(`DECLARE ${name} CURSOR FOR ${sql}`);
      return agent.rows(`FETCH ALL ${name}`);
    });
  },
  async cursorThenExecuted(agent, sql) {
    const portal = agent.name();
    return inTransaction(agent, async () => {
      await agent.rows(`DECLARE ${portal} CURSOR FOR ${sql}`);
      return agent.extended(frontend.execute(portal));
    });
  },
  async portalThenFetched(agent, sql) {
    const portal = agent.name();
    return inTransaction(agent, async () => {
      await agent.extended(frontend.parse(sql), frontend.bind({ portal }));
      return agent.rows(`FETCH ALL ${portal}`);
    });
  },
  copyText: async (agent, sql) => copied(await agent.client.query(`COPY (${sql}) TO STDOUT`), '\t', '\\N'),
  copyCsv: async (agent, sql) => copied(await agent.client.query(`COPY (${sql}) TO STDOUT (FORMAT csv)`), ',', ''),
  copyExtended: async (agent, sql) =>
    copied(
      await agent.client.extended(frontend.parse(`COPY (${sql}) TO STDOUT`), frontend.bind(), frontend.execute()),
      '\t',
      '\\N',
    ),
};

/** The ways that a statement with RETURNING has: no cursor can hold it. */
export const waysOfReturning = [
  'simple',
  'extended',
  'withoutDescribe',
  'binary',
  'executedAgain',
  'prepared',
  'preparedThenBound',
  'copyText',
  'copyCsv',
] as const;

async function inTransaction(agent: Agent, task: () => Promise<Rows>): Promise<Rows> {
  await agent.rows('BEGIN');
  try {
    return await task();
  } finally {
    await agent.client.query('ROLLBACK');
  }
}

/** The rows in COPY data whose values need no quotes. */
function copied(messages: readonly BackendMessage[], delimiter: string, nullText: string): Rows {
  rowsIn(messages);
  return copyDataOf(messages)
    .toString('utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(delimiter).map((value) => (value === nullText ? null : value)));
}

/** The same statement in every way: rows, or the error in words. */
export async function everyWay(
  agent: Agent,
  sql: string,
  names: readonly string[] = Object.keys(ways),
): Promise<Record<string, Rows | string>> {
  const results: Record<string, Rows | string> = {};
  for (const name of names) {
    try {
      results[name] = (await ways[name]?.(agent, sql)) ?? 'no such way';
    } catch (error) {
      results[name] = error instanceof Error ? error.message : String(error);
    }
  }
  return results;
}

/** What {@link everyWay} gives when each way gives these rows. */
export function eachWay(
  rows: Rows | string,
  names: readonly string[] = Object.keys(ways),
): Record<string, Rows | string> {
  return Object.fromEntries(names.map((name) => [name, rows]));
}
