/**
 * `make demo`: starts everything, tells the story, and stays up until ctrl-c. With `--once` it stops after the
 * story, and fails when a step differs from what it should show. `--without-sshd` is for seeing what it does on a machine
 * that has none.
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { tellApprovals } from './approval-chapter.ts';
import { connect } from './client.ts';
import { Evidence, summary } from './evidence.ts';
import { tellEvidence } from './evidence-chapter.ts';
import { howToGet, lacking } from './host.ts';
import { tellHttp, tellMcp } from './http-chapter.ts';
import { instructions } from './instructions.ts';
import { tellSsh } from './ssh-chapter.ts';
import { agents, type DemoStack, startStack } from './stack.ts';
import { type Answer, type Refused, type Step, story } from './story.ts';
import { bold, cyan, dim, green, leftOut, red, say, table, yellow } from './terminal.ts';

const { values: options } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    directory: { type: 'string', default: '.demo' },
    'without-sshd': { type: 'boolean', default: false },
  },
});
const agent = Object.keys(agents)[0] ?? '';
const differences: string[] = [];

function differs(title: string, what: string): void {
  differences.push(`${title}: ${what}`);
  say(`  ${red('DIFFERS')} ${what}`);
}

/** Tells one step. @returns false when the connection did not survive it. */
async function tell(step: Step, client: pg.Client, evidence: Evidence): Promise<boolean> {
  say(`\n${bold(step.title)}  ${dim(step.why)}`);
  say(`  ${cyan('agent')}   ${step.sql}${step.parameters ? dim(`  -- $1 = ${step.parameters.join(', ')}`) : ''}`);
  const mark = await evidence.mark();
  const refused = 'code' in step.expect;
  const outcome = await attempt(client, step);
  if ('lost' in outcome) {
    differs(step.title, `the connection was lost: ${outcome.lost}`);
    return false;
  }
  if ('error' in outcome) {
    showError(outcome.error);
    if (!('code' in step.expect)) differs(step.title, 'it was refused');
    else for (const what of compare(outcome.error, step.expect)) differs(step.title, what);
  } else {
    say(
      indent(
        table(
          outcome.columns,
          outcome.rows.map((row) => Object.values(row).map(String)),
        ),
      ),
    );
    const wrong = 'check' in step.expect ? step.expect.check(outcome) : 'it was answered';
    if (wrong !== undefined) differs(step.title, wrong);
  }

  const wanted = refused ? 'decided' : 'completed';
  const events = await evidence.eventsSince(mark, (found) => found.some(({ event }) => event === wanted));
  for (const event of events) say(`  ${yellow('audit')}   ${summary(event)}`);
  const decided = events.find(({ event }) => event === 'decided');
  if (decided?.effect !== (refused ? 'deny' : 'allow'))
    differs(step.title, `the trail says ${String(decided?.effect)}`);
  if (!refused && !events.some(({ event, status }) => event === 'completed' && status === 'ok')) {
    differs(step.title, 'the trail does not say that it completed');
  }

  const growth = await evidence.growthSince(mark);
  for (const [name, by] of growth) say(`  ${green('metric')}  ${name} +${by}`);
  const grew = (pattern: RegExp) => [...growth.keys()].some((name) => pattern.test(name));
  if (!grew(new RegExp(`^sallyport_decisions_total.*effect="${refused ? 'deny' : 'allow'}"`))) {
    differs(step.title, 'no metric counted the decision');
  }
  if ('masked' in step.expect && !grew(/^sallyport_masked_cells_total/))
    differs(step.title, 'no metric counted masked values');
  if ('code' in step.expect && !grew(new RegExp(`^sallyport_refusals_total.*code="${step.expect.code}"`))) {
    differs(step.title, 'no metric counted the refusal by its code');
  }
  return true;
}

async function attempt(
  client: pg.Client,
  step: Step,
): Promise<Answer | { error: pg.DatabaseError } | { lost: string }> {
  try {
    const result = await client.query<Record<string, unknown>>(step.sql, step.parameters && [...step.parameters]);
    const columns = result.fields.map(({ name }) => name);
    return { columns, rows: result.rows, rowCount: result.rowCount ?? 0 };
  } catch (error) {
    if (error instanceof pg.DatabaseError) return { error };
    return { lost: error instanceof Error ? error.message : String(error) };
  }
}

function showError(error: pg.DatabaseError): void {
  say(`  ${red('refused')} ${error.code}  ${error.message}`);
  if (error.hint) say(`  ${dim('hint')}    ${error.hint}`);
}

function compare(error: pg.DatabaseError, expected: Refused): string[] {
  const wrong: string[] = [];
  if (error.code !== expected.sqlstate) wrong.push(`SQLSTATE ${error.code} instead of ${expected.sqlstate}`);
  let code: unknown;
  try {
    code = Object(JSON.parse(error.detail ?? '')).code;
  } catch {
    wrong.push('the detail is not JSON');
  }
  if (code !== expected.code) wrong.push(`code ${String(code)} instead of ${expected.code}`);
  return wrong;
}

function indent(text: string): string {
  return text.replace(/^ {4}/gm, '          ');
}

/** A password that is no token opens nothing. */
async function tellLogin(stack: DemoStack): Promise<pg.Client> {
  say(
    `\n${bold('Signing in')}  ${dim('The password is a short-lived OIDC token; the agent never has a database password.')}`,
  );
  try {
    await (await connect(stack, 'hunter2')).end();
    differences.push('Signing in: a made-up password was accepted');
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    showError(error);
    if (error.code !== '28000') differences.push(`Signing in: SQLSTATE ${error.code} instead of 28000`);
  }
  const client = await connect(stack, await stack.token(agent));
  say(`  ${green('signed in')} as ${agent}, with a token of ${agents[agent]?.join(', ')}`);
  return client;
}

async function main(): Promise<number> {
  let stack: DemoStack | undefined;
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve('interrupted'));
  });
  try {
    say(bold('Starting'));
    const absent = options['without-sshd'] ? howToGet(['sshd']) : lacking(options.directory);
    stack = await startStack({ directory: options.directory, ssh: absent === undefined }, (what) => say(`  ${what}`));
    const evidence = new Evidence(stack.files.auditFile, stack.adminUrl);
    let client = await tellLogin(stack);
    for (const step of story) {
      if (!(await tell(step, client, evidence))) client = await connect(stack, await stack.token(agent));
    }
    await client.end();
    if (absent === undefined) await tellSsh({ stack, evidence, agent, differs });
    else leftOut('SSH', absent);
    await tellHttp({ stack, evidence, agent, differs });
    await tellMcp({ stack, evidence, agent, differs });
    await tellApprovals({ stack, evidence, agent, differs, patienceSeconds: options.once ? 0 : 45 });
    await tellEvidence({ stack, differs });
    if (differences.length > 0) {
      say(`\n${red('Not as it should be:')}\n${differences.map((difference) => `  ${difference}`).join('\n')}`);
    } else say(`\n${green('Every step went as it should.')}`);
    if (options.once) return differences.length === 0 ? 0 : 1;
    say(instructions(stack, agent));
    const end = await Promise.race([interrupted, stack.ended]);
    if (end !== 'interrupted') say(red(`The gateway ended: ${end}`));
    return end === 'interrupted' ? 0 : 1;
  } finally {
    say(dim('\nStopping'));
    await stack?.stop();
  }
}

process.exitCode = await main();
