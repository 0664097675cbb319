/** Random conversations: what is sent, in one write, before the answers are read. */
import { frontend } from '../../support/wire-client.ts';
import type { Random } from './random.ts';
import { Statements } from './statements.ts';

/** Messages that belong together, and how many ReadyForQuery they end in. */
export interface Step {
  readonly sql: readonly string[];
  readonly messages: readonly Buffer[];
  readonly readies: number;
}

/** What is put in front of every text, so that it can be counted at the upstream and in the audit trail. */
export const tagPattern = /\/\*#(\d+)\*\//;

/** Makes the steps of one connection. */
export class Steps {
  readonly #random: Random;
  readonly #statements: Statements;
  #texts = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#statements = new Statements(random);
  }

  step(): Step {
    const sort = this.#random.next();
    if (sort < 0.4) return this.#simple();
    if (sort < 0.62) return this.#extended();
    if (sort < 0.7) return this.#pipeline();
    if (sort < 0.76) return this.#several();
    if (sort < 0.84) return this.#cursor();
    if (sort < 0.92) return this.#prepared();
    if (sort < 0.95) return this.#copyIn();
    return this.#transaction();
  }

  #tagged(sql: string): string {
    this.#texts += 1;
    return `/*#${this.#texts}*/ ${sql}`;
  }

  #queries(texts: readonly string[]): Step {
    const sql = texts.map((text) => this.#tagged(text));
    return { sql, messages: sql.map((text) => frontend.query(text)), readies: sql.length };
  }

  /** One text, and sometimes the same one with other constants. */
  #simple(): Step {
    const text = this.#statements.any();
    const again = this.#random.chance(0.25) ? [text.replaceAll(/\b\d{1,3}\b/g, (digits) => this.#other(digits))] : [];
    return this.#queries([text, ...again]);
  }

  #other(digits: string): string {
    return this.#random.chance(0.5) ? digits : String(this.#random.int(0, 12));
  }

  #several(): Step {
    return this.#queries([this.#random.many(2, 3, () => this.#statements.any()).join(';\n')]);
  }

  #transaction(): Step {
    const inner = this.#random.many(1, 3, () => this.#statements.any());
    const middle = this.#random.pick([[], ['SAVEPOINT s'], ['SAVEPOINT s', 'ROLLBACK TO s']]);
    return this.#queries(['BEGIN', ...middle, ...inner, this.#random.pick(['COMMIT', 'ROLLBACK'])]);
  }

  #extended(): Step {
    const random = this.#random;
    const sql = this.#tagged(this.#statements.any());
    const statement = random.pick(['', '', 'named']);
    const portal = random.pick(['', '', 'door']);
    const formats = random.pick([[], [0], [1]]);
    const rowsMax = random.pick([0, 0, 1, 2]);
    const messages = [frontend.closeStatement(statement), frontend.parse(sql, statement)];
    if (random.chance(0.3)) messages.push(frontend.describeStatement(statement));
    messages.push(frontend.bind({ portal, statement, resultFormats: formats }));
    if (random.chance(0.5)) messages.push(frontend.describePortal(portal));
    messages.push(frontend.execute(portal, rowsMax));
    if (rowsMax > 0) messages.push(frontend.execute(portal, rowsMax), frontend.execute(portal));
    if (random.chance(0.2)) messages.push(frontend.flush());
    return { sql: [sql], messages: [...messages, frontend.sync()], readies: 1 };
  }

  /** Several extended queries in one write, with a Sync after each or after all, and re-used names. */
  #pipeline(): Step {
    const random = this.#random;
    const texts = random.many(2, 4, () => this.#tagged(this.#statements.any()));
    const messages: Buffer[] = [];
    let readies = 0;
    for (const [index, sql] of texts.entries()) {
      const statement = random.pick(['', 'p1', 'p2', 'named']);
      if (random.chance(0.8)) messages.push(frontend.closeStatement(statement));
      messages.push(
        frontend.parse(sql, statement),
        frontend.bind({ statement, resultFormats: random.pick([[], [1]]) }),
      );
      if (random.chance(0.3)) messages.push(frontend.describePortal());
      messages.push(frontend.execute());
      if (index < texts.length - 1 && random.chance(0.6)) continue;
      messages.push(frontend.sync());
      readies += 1;
    }
    return { sql: texts, messages, readies };
  }

  /** DECLARE and FETCH, a name used again before the answers are in, and a cursor run by its name as a portal. */
  #cursor(): Step {
    const random = this.#random;
    const scrolls = random.chance(0.3);
    const how = random.pick(scrolls ? ['SCROLL '] : ['', '', '', 'BINARY ']);
    const [one, two] = this.#pair();
    const first = `DECLARE c ${how}CURSOR${random.pick(['', ' WITH HOLD'])} FOR ${one}`;
    const second = `DECLARE c ${scrolls ? 'SCROLL ' : ''}CURSOR FOR ${two}`;
    const ways = ['FETCH 2 FROM c', 'FETCH ALL FROM c', 'MOVE 1 FROM c', 'FETCH 0 FROM c'];
    const fetch = () => random.pick(scrolls ? [...ways, 'FETCH FIRST FROM c', 'FETCH BACKWARD 1 FROM c'] : ways);
    const step = this.#queries(['BEGIN', first, fetch(), fetch(), 'CLOSE c', second, fetch()]);
    const end = this.#queries([
      random.pick(['COMMIT', 'ROLLBACK']),
      random.pick(['FETCH 1 FROM c', 'CLOSE ALL']),
      'CLOSE ALL',
    ]);
    const byPortal = [frontend.execute('c', random.int(0, 2)), frontend.sync()];
    return {
      sql: [...step.sql, ...end.sql],
      messages: [...step.messages, ...byPortal, ...end.messages],
      readies: step.readies + 1 + end.readies,
    };
  }

  /** PREPARE and EXECUTE, a name used again before the answers are in, and one bound by the protocol. */
  #prepared(): Step {
    const random = this.#random;
    const [one, two] = this.#pair();
    const step = this.#queries([
      'DEALLOCATE ALL',
      `PREPARE e AS ${one}`,
      'EXECUTE e',
      `DEALLOCATE e; PREPARE e AS ${two}`,
      'EXECUTE e',
      random.pick(['EXPLAIN (COSTS OFF) EXECUTE e', 'DISCARD ALL', 'EXECUTE e', 'CREATE TABLE scratch.x AS EXECUTE e']),
    ]);
    const bound = [
      frontend.bind({ statement: 'e', resultFormats: [random.int(0, 1)] }),
      frontend.execute(),
      frontend.sync(),
    ];
    return { sql: step.sql, messages: [...step.messages, ...bound], readies: step.readies + 1 };
  }

  /** Two queries that one name will stand for, often with columns alike. */
  #pair(): [string, string] {
    if (this.#random.chance(0.5)) return [this.#statements.query().sql, this.#statements.query().sql];
    const column = () => this.#random.pick(['city', 'joined', 'name', 'email', 'born', 'doc', 'handle']);
    const one = () => `SELECT id, ${column()} FROM people UNION ALL SELECT 0, NULL`;
    return [one(), one()];
  }

  #copyIn(): Step {
    const random = this.#random;
    const target = random.pick([
      'scratch.notes (k, t)',
      'scratch.contacts (id, city)',
      'plain (id, word)',
      'people (id, city)',
    ]);
    const step = this.#queries([`COPY ${target} FROM STDIN`, 'SELECT 1']);
    const [copy, after] = step.messages;
    const data = random.many(0, 3, (index) =>
      frontend.copyData(`${random.pick(['1', '700', 'x'])}${index}\ttext${index}\n`),
    );
    const end = random.chance(0.8) ? frontend.copyDone() : frontend.copyFail('enough');
    return { ...step, messages: [copy, ...data, end, after].filter((each) => each !== undefined) };
  }
}
