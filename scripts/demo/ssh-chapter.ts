/** Tells the SSH chapter with the ssh and scp of this machine: from a token to what is left of it all in the recordings. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { JsonObject } from '../../proxy/core/types.ts';
import { agentEnvironment, connect, runLine } from './client.ts';
import { knownCustomer } from './dataset.ts';
import { type Evidence, summary } from './evidence.ts';
import { planted } from './host.ts';
import { type SshStep, sshStory } from './ssh-story.ts';
import { type DemoStack, freePort, replayLine, repository, sallyport, shown } from './stack.ts';
import { cyan, dim, green, heading, output, red, said, say, table, yellow } from './terminal.ts';

/** What the chapter is told with. */
export interface SshChapter {
  readonly stack: DemoStack;
  readonly evidence: Evidence;
  readonly agent: string;
  /** Is told of what is not as it should be. */
  differs(title: string, what: string): void;
}

/** The Host entries that the chapter leaves for whoever tries the demo. */
export function hostEntries(stack: DemoStack): string {
  return join(dirname(stack.files.configFile), 'ssh_config');
}

/** Tells it. Without Host entries or a certificate there is nothing more to tell. */
export async function tellSsh(chapter: SshChapter): Promise<void> {
  const { stack } = chapter;
  if (stack.ssh === undefined || !(await tellEntrance(chapter, stack.ssh.port))) return;
  const file = join(dirname(stack.files.configFile), 'note.txt');
  await writeFile(file, 'The agent was here.\n');
  const sessions: string[] = [];
  for (const step of sshStory(shown(hostEntries(stack)), shown(file))) {
    sessions.push(await tellStep(chapter, step, stack.ssh.host.home));
  }
  await tellTunnel(chapter);
  await tellRecording(chapter, sessions[0] ?? '');
}

/** From a token to a certificate, and to names that ssh knows. @returns false when there is no way in */
async function tellEntrance({ stack, agent, differs }: SshChapter, port: number): Promise<boolean> {
  const title = 'SSH: a certificate for a token';
  heading(title, 'The agent has a key of its own and a certificate for some minutes; it never has a key of the host.');
  const directory = shown(join(dirname(stack.files.configFile), 'agent'));
  const who = `--directory ${directory} --agent ${agent} --profile ${shown(stack.profileFile)}`;

  const configure = `${sallyport} ssh-config --config ${shown(stack.files.configFile)} --known-hosts ${directory}/known_hosts ${who}`;
  said('agent', configure);
  const config = await runLine(configure);
  const lines = config.output.trimEnd().split('\n');
  output([...lines.slice(0, 5), ...(lines.length > 5 ? [`… ${lines.length - 5} more lines`] : [])].join('\n'));
  // ssh finds the command without PATH. A connection for each command: no socket whose path could be too long, and
  // nothing that stays when the demo ends.
  const entries = config.output.replace('exec "sallyport ', `exec "${join(repository, 'scripts/sallyport')} `);
  await writeFile(hostEntries(stack), `ControlMaster no\nControlPath none\n\n${entries}`);
  say(`  ${green('kept')}    as ${shown(hostEntries(stack))}, for ssh -F`);

  const exchange = `${sallyport} ssh login --gateway ${stack.host}:${port} ${who}`;
  said('agent', exchange);
  const login = await runLine(exchange);
  output(login.output);
  if (config.code !== 0) differs(title, 'there are no Host entries');
  const held = new RegExp(`a certificate for \\S*#${agent}, for [1-9]\\d* more minutes: web1$`, 'm');
  if (login.code !== 0 || !held.test(login.output)) differs(title, 'there is no certificate');
  return config.code === 0 && login.code === 0;
}

/** @returns the session that the trail has for it */
async function tellStep({ evidence, differs }: SshChapter, step: SshStep, home: string): Promise<string> {
  const { title, expect } = step;
  heading(title, step.why);
  said('agent', step.line);
  const mark = await evidence.mark();
  const ran = await runLine(step.line);
  output(ran.output);
  if (ran.code !== 0) say(`  ${red('refused')} exit ${ran.code}`);
  const allowed = 'prints' in expect;
  const asExpected = allowed ? ran.code === 0 : expect.exit === 126 ? ran.code === 126 : ran.code !== 0;
  if (!asExpected) differs(title, `exit ${ran.code}`);
  if (Object.values(planted).some((value) => ran.output.includes(value)))
    differs(title, 'a value came through unmasked');

  const events = ofOperations(await evidence.eventsSince(mark, over(1)));
  for (const event of events) say(`  ${yellow('audit')}   ${summary(event)}`);
  for (const what of compare(step, ran.output, events)) differs(title, what);
  const wrong = step.after?.(home);
  if (wrong !== undefined) differs(title, wrong);

  const growth = await evidence.growthSince(mark);
  const effect = allowed ? 'allow' : 'deny';
  const counted = new RegExp(`^sallyport_decisions_total.*protocol="ssh",effect="${effect}"`);
  if (![...growth.keys()].some((name) => counted.test(name))) differs(title, 'no metric counted the decision');
  return String(events[0]?.session ?? '');
}

function compare({ expect }: SshStep, printed: string, events: readonly JsonObject[]): string[] {
  const decided = events.filter(({ event }) => event === 'decided');
  if ('prints' in expect) {
    const missing = expect.prints.filter((part) => !printed.includes(part));
    const masked = events.reduce((sum, event) => sum + Number(event.masked_cells ?? 0), 0);
    return [
      ...missing.map((part) => `it does not print ${JSON.stringify(part)}`),
      ...(masked === expect.masked ? [] : [`the trail says that ${masked} values were masked`]),
      ...(decided.length > 0 && decided.every(({ effect }) => effect === 'allow') ? [] : ['the trail has no allow']),
      ...(events.some(({ event }) => event === 'completed') ? [] : ['the trail does not say that it completed']),
    ];
  }
  const codes = decided.flatMap(({ effect, reasons }) => (effect === 'deny' ? codesOf(reasons) : []));
  return codes.includes(expect.code) ? [] : [`the trail has no refusal for ${expect.code}`];
}

function codesOf(reasons: JsonObject[string] | undefined): string[] {
  return Array.isArray(reasons) ? reasons.map((reason) => String(Object(reason).code)) : [];
}

/** Whether so many sessions that opened are closed again. */
const over = (count: number) => (events: readonly JsonObject[]) => {
  const opened = new Set(events.filter(({ action }) => action === 'connect').map(({ session }) => session));
  return events.filter(({ event, session }) => event === 'closed' && opened.has(session)).length >= count;
};

/** Opening the connection is left out: it is the same each time. */
function ofOperations(events: readonly JsonObject[]): readonly JsonObject[] {
  const opening = events.filter(({ action }) => action === 'connect').map(({ decision_id }) => decision_id);
  return events.filter((event) => event.decision_id !== undefined && !opening.includes(event.decision_id));
}

/** A port forwarded to the database ends at the gateway, which masks there what it masks everywhere. */
async function tellTunnel({ stack, evidence, agent, differs }: SshChapter): Promise<void> {
  const title = 'The database through a tunnel';
  heading(title, 'A port that is forwarded to a known upstream ends in the gateway: no way around the masks.');
  const port = await freePort(6543);
  const forward = ['-F', shown(hostEntries(stack)), '-N', '-L', `${port}:orders:5432`, 'web1.sallyport'];
  said('agent', `ssh ${forward.join(' ')} &`);
  const mark = await evidence.mark();
  const child = spawn('ssh', forward, { stdio: ['ignore', 'ignore', 'inherit'], env: agentEnvironment() });
  const ended = once(child, 'close');
  try {
    if (!(await listening(port, ended))) {
      differs(title, 'ssh does not forward the port');
      return;
    }
    const sql = `SELECT id, name, email, ssn FROM customers WHERE id = ${knownCustomer.id}`;
    said('agent', `${sql}  ${dim(`-- at port ${port}`)}`);
    const client = await connect(stack, await stack.token(agent), port);
    const { fields, rows } = await client.query<Record<string, unknown>>(sql);
    await client.end();
    output(
      table(
        fields.map(({ name }) => name),
        rows.map((row) => Object.values(row).map(String)),
      ).replace(/^ {4}/gm, ''),
    );
    const text = JSON.stringify(rows);
    if (rows.length !== 1) differs(title, `expected 1 row, got ${rows.length}`);
    if (text.includes(knownCustomer.ssn) || text.includes(knownCustomer.email)) differs(title, 'a value came unmasked');
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
  const events = ofOperations(await evidence.eventsSince(mark, over(2)));
  for (const event of events) say(`  ${yellow('audit')}   ${summary(event)}`);
  for (const action of ['forward', 'select']) {
    if (!events.some((event) => event.action === action && event.effect === 'allow'))
      differs(title, `the trail has no ${action}`);
  }
}

/** Whether somebody listens there, as Linux tells it: connecting to find out would be forwarded. */
async function listening(port: number, ended: Promise<unknown>): Promise<boolean> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  const entry = `:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`;
  const until = performance.now() + 20_000;
  while (!over && performance.now() < until) {
    if ((await readFile('/proc/net/tcp', 'utf8')).includes(entry)) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

async function tellRecording({ stack, differs }: SshChapter, session: string): Promise<void> {
  const title = 'What was recorded of the first one';
  heading(title, 'What the client saw, and when: masked before it was written.');
  const replay = replayLine(stack, session);
  say(`  ${cyan('you')}     ${replay}`);
  const { code, output: printed } = await runLine(replay);
  // What comes before the first time stamp says whose session it is.
  output(printed.replace(/^[\s\S]*?(?= +\d+\.\d+s {2})/, '').replace(/^ {4}/gm, ''));
  if (code !== 0) differs(title, `exit ${code}`);
  if (!printed.includes('[redacted]')) differs(title, 'nothing in it is masked');
  if (Object.values(planted).some((value) => printed.includes(value))) differs(title, 'a value was recorded unmasked');
}
