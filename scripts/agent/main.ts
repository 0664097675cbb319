/**
 * `make demo-agent`: a real agent, made with the Claude Agent SDK, behind the gateway. Its model is a script, and it fails when
 * a step differs from what it should show; with ANTHROPIC_API_KEY in the environment it is the real one, and what it does
 * is shown.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../../proxy/core/types.ts';
import { Evidence, summary } from '../demo/evidence.ts';
import { inPath, lacking } from '../demo/host.ts';
import { agents, type DemoStack, startStack } from '../demo/stack.ts';
import { bold, cyan, dim, green, red, say, yellow } from '../demo/terminal.ts';
import { perform } from './performance.ts';
import { absentSdk, runAgent } from './sdk.ts';
import { differences, type Outcome, prompt, story } from './story.ts';
import { type AgentWorld, hiddenValues, makeWorld, toolServer } from './world.ts';

const agent = Object.keys(agents)[0] ?? '';
/** How long the agent may take, start to end: with a script, and with a model that thinks. */
const limitMs = { scripted: 120_000, real: 900_000 } as const;
/** What of our environment the way to the real model takes. */
const realModel = /^(ANTHROPIC_(API_KEY|BASE_URL|MODEL)|(HTTPS|NO)_PROXY|NODE_EXTRA_CA_CERTS)$/i;

function said(tool: string, input: Readonly<Record<string, unknown>>): void {
  const line = tool === 'Bash' ? String(input.command) : `${tool} ${JSON.stringify(input)}`;
  say(`  ${cyan('agent')}   ${line.replaceAll('\n', `\n${' '.repeat(10)}`)}`);
}

function given(text: string, failed: string | undefined): void {
  const label = failed === undefined ? green('given  ') : red(failed);
  say(`  ${label} ${text.trimEnd().replaceAll('\n', `\n${' '.repeat(10)}`)}`);
}

/** Plays the story. @returns what was not as it should be */
async function tellScripted(stack: DemoStack, world: AgentWorld, abort: AbortController): Promise<string[]> {
  const wrong: string[] = [];
  const ends = (outcome: Outcome) => {
    given(outcome.result.text, outcome.result.failed ? 'refused' : undefined);
    for (const event of outcome.events) say(`  ${yellow('audit')}   ${summary(event)}`);
    for (const what of differences(outcome)) {
      wrong.push(`${outcome.step.title}: ${what}`);
      say(`  ${red('DIFFERS')} ${what}`);
    }
  };
  const begins = ({ title, task, call }: Outcome['step']) => {
    say(`\n${bold(title)}  ${dim(task)}`);
    said(call.tool, { ...call.input });
  };
  const { outcomes, offered, received, last } = await perform(stack, world, abort, { begins, ends });
  if (outcomes.length !== story.length) wrong.push(`${outcomes.length} of ${story.length} steps were done`);
  if (!last.well) wrong.push(`the agent did not end well: ${last.text}`);

  say(`\n${bold('What the model saw')}  ${dim('The whole of what was sent to it, not what is shown here.')}`);
  const tools = [...offered].filter((name) => name.startsWith('mcp__'));
  say(`  ${green('tools')}   ${tools.join(', ')}`);
  if (tools.toSorted().join() !== ['lookup_customer', 'refund'].map((name) => `mcp__${toolServer}__${name}`).join()) {
    wrong.push('other tools were offered to the model');
  }
  const hidden = [...(await hiddenValues(stack)), world.token];
  const leaked = hidden.filter((value) => received.some((body) => body.includes(value)));
  say(`  ${green('sent')}    ${received.length} requests, ${leaked.length} of ${hidden.length} hidden values in them`);
  if (leaked.length > 0) wrong.push('the model was sent what it must not see');
  return wrong;
}

/** Lets the real model do it, its own way. */
async function tellReal(stack: DemoStack, world: AgentWorld, abort: AbortController): Promise<string[]> {
  const environment = Object.entries(process.env).filter(([name]) => realModel.test(name));
  const model = Object.fromEntries(environment.map(([name, value]) => [name, value ?? '']));
  const evidence = new Evidence(stack.files.auditFile, stack.adminUrl);
  let mark = await evidence.mark();
  for await (const event of runAgent({ world, prompt, model, abort })) {
    if (event.kind === 'says') say(`\n  ${event.text.trim().replaceAll('\n', '\n  ')}`);
    if (event.kind === 'calls') {
      say();
      said(event.tool, event.input);
    }
    if (event.kind === 'gets') {
      given(event.text, event.failed ? 'failed ' : undefined);
      const events = await evidence.eventsSince(mark, (found) => found.some(isDecision));
      for (const one of events.filter(isDecision)) say(`  ${yellow('audit')}   ${summary(one)}`);
      mark = await evidence.mark();
    }
    if (event.kind === 'ends' && !event.well) return [`the agent did not end well: ${event.text}`];
  }
  return [];
}

/** Whether it is one on what the agent was told to do: opening connections and sessions, and listing tools, is not. */
function isDecision({ event, action }: JsonObject): boolean {
  const opening = /^(connect|server\/discover|initialize|notifications\/.*|session\/.*|tools\/list)$/;
  return event === 'decided' && !opening.test(String(action));
}

async function main(): Promise<number> {
  const programs = ['psql', 'curl'].filter((program) => !inPath(program));
  const absent = absentSdk() ?? lacking(tmpdir()) ?? (programs[0] && `This machine lacks ${programs.join(', ')}.`);
  if (absent !== undefined) {
    say(absent);
    return 1;
  }
  const real = Boolean(process.env.ANTHROPIC_API_KEY);
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => abort.abort(new Error('interrupted')));
  const parent = await mkdtemp(join(tmpdir(), 'sallyport-demo-'));
  let stack: DemoStack | undefined;
  let world: AgentWorld | undefined;
  try {
    say(bold('Starting'));
    stack = await startStack({ directory: join(parent, 'demo'), ssh: true }, (what) => say(`  ${what}`));
    world = await makeWorld(stack, agent);
    say(`  the agent, with ${real ? 'the real model' : 'a script for a model (ANTHROPIC_API_KEY: the real one)'}`);
    const late = () => abort.abort(new Error('the agent took too long'));
    const timer = setTimeout(late, real ? limitMs.real : limitMs.scripted);
    const wrong = await (real ? tellReal : tellScripted)(stack, world, abort).finally(() => clearTimeout(timer));
    if (wrong.length > 0) say(`\n${red('Not as it should be:')}\n${wrong.map((what) => `  ${what}`).join('\n')}`);
    else if (!real) say(`\n${green('Every step went as it should.')}`);
    return wrong.length === 0 ? 0 : 1;
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    say(red(`\n${String(abort.signal.reason)}`));
    return 1;
  } finally {
    say(dim('\nStopping'));
    await world?.remove();
    await stack?.stop();
    await rm(parent, { recursive: true, force: true });
  }
}

process.exitCode = await main();
