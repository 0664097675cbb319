/** Plays steps against a gateway and keeps all that came back. */
import {
  type BackendMessage,
  connectWire,
  errorFields,
  type WireClient,
  WireError,
  type WireLogin,
} from '../../support/wire-client.ts';
import type { Step } from './steps.ts';

/** What became of the statements. */
export interface Tally {
  allowed: number;
  refused: number;
  errors: number;
  /** Refusals by their code. */
  readonly codes: Map<string, number>;
}

/** One run through all steps. */
export interface Played {
  /** What came back for each step, in a form that is the same for the same answer. */
  readonly answers: readonly string[];
  readonly received: Buffer;
  readonly tally: Tally;
  /** Why the gateway or the server ended connections. */
  readonly ended: readonly string[];
}

const stepsPerConnection = 50;

export async function play(login: WireLogin, steps: readonly Step[]): Promise<Played> {
  const answers: string[] = [];
  const received: Buffer[] = [];
  const ended: string[] = [];
  const tally: Tally = { allowed: 0, refused: 0, errors: 0, codes: new Map() };
  let client: WireClient | undefined;
  for (const [index, step] of steps.entries()) {
    if (index % stepsPerConnection === 0) {
      await client?.end();
      client = undefined;
    }
    client ??= await connectWire(login);
    let messages: BackendMessage[];
    try {
      client.send(...step.messages);
      messages = await client.untilReady(step.readies);
    } catch (thrown) {
      if (!(thrown instanceof WireError)) throw thrown;
      messages = [...thrown.received];
      ended.push(`${thrown.message} in ${JSON.stringify(step.sql)}`);
      client.destroy();
      client = undefined;
    }
    for (const { body } of messages) received.push(body);
    for (const message of messages) count(tally, message);
    answers.push(messages.map(shown).filter(Boolean).join('\n'));
  }
  await client?.end();
  return { answers, received: Buffer.concat(received), tally, ended };
}

function count(tally: Tally, { type, body }: BackendMessage): void {
  if (type === 'C' || type === 's') tally.allowed += 1;
  if (type !== 'E') return;
  const code = refusalCode(errorFields(body).D ?? '');
  if (code === undefined) tally.errors += 1;
  else {
    tally.refused += 1;
    tally.codes.set(code, (tally.codes.get(code) ?? 0) + 1);
  }
}

function refusalCode(detail: string): string | undefined {
  return /^\{"code":"([a-z_]+)"/.exec(detail)?.[1];
}

/** A message without what differs between two runs of the same: decision numbers, places in the source of the server. */
function shown({ type, body }: BackendMessage): string {
  if (type === 'S' || type === 'K') return '';
  if (type !== 'E' && type !== 'N') return `${type} ${body.toString('latin1')}`;
  const { S, C, M, D = '', H } = errorFields(body);
  return `${type} ${[S, C, M, refusalCode(D) ?? D, H].join(' ')}`;
}
