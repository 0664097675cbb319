/** Tells of approvals with psql and the command line of people: a DELETE that waits for somebody, and what becomes of it. */
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { JsonObject } from '../../proxy/core/types.ts';
import { confirmDevice } from '../../test/support/oidc-people.ts';
import { psqlEnvironment, type Ran, type Running, runLine, startLine } from './client.ts';
import { type Evidence, type Mark, summary } from './evidence.ts';
import { inPath } from './host.ts';
import { approvalTerms, type DemoStack, people, replayLine, sallyport } from './stack.ts';
import { dim, green, heading, leftOut, output, red, said, say, yellow } from './terminal.ts';

/** What the chapter is told with. */
export interface ApprovalChapter {
  readonly stack: DemoStack;
  readonly evidence: Evidence;
  readonly agent: string;
  /** For how long whoever watches may decide before the demo does; 0: nobody watches. */
  readonly patienceSeconds: number;
  /** Is told of what is not as it should be. */
  differs(title: string, what: string): void;
}

/** Something that waits for a person. */
interface Waiting {
  readonly psql: Running;
  /** The request's id. */
  readonly approval: string;
  /** How the trail was before. */
  readonly mark: Mark;
}

const approver = people[0].subject;
const wanted = "DELETE FROM scratch.notes WHERE note = 'Obsolete.'";
const twoStatements = `psql -c "INSERT INTO scratch.notes (author, note) VALUES ('agent', 'Obsolete.')" \\
       -c "${wanted}"`;

/** Tells it: one that is approved, the same again, which is denied, and once more, which nobody is asked about. */
export async function tellApprovals(chapter: ApprovalChapter): Promise<void> {
  if (!inPath('psql')) {
    leftOut(
      'Approvals',
      'This machine lacks psql. Debian, Ubuntu: sudo apt-get install postgresql-client. Then run make demo again.',
    );
    return;
  }
  const environment = await psqlEnvironment(chapter.stack, chapter.agent);
  const session = await tellApproved(chapter, environment);
  await tellDenied(chapter, environment);
  await tellDeniedAgain(chapter, environment);
  await tellReplay(chapter, session);
}

/** @returns the session of the one that ran */
async function tellApproved(chapter: ApprovalChapter, environment: NodeJS.ProcessEnv): Promise<string> {
  const { stack, patienceSeconds, differs } = chapter;
  const title = 'A DELETE that waits for a person';
  heading(title, 'Policy would allow it, once somebody of the group dba agrees. psql waits, and is told so.');
  const waiting = await hold(chapter, title, environment);
  if (waiting === undefined) return '';
  const { psql, approval } = waiting;
  const line = decision(stack, 'approve', approval, 'It is obsolete.');
  say(`  ${green('look')}    ${stack.consoleUrl}/approvals/${approval}  ${dim(`say that you are ${approver}`)}`);
  said('or type', line);
  let decided: Ran | undefined;
  if (patienceSeconds > 0) {
    say(
      `  ${dim(`Decide, here or in another terminal: in ${patienceSeconds} seconds the demo does, with that line.`)}`,
    );
    decided = await Promise.race([psql.ended, pause(patienceSeconds * 1000, undefined, { ref: false })]);
  }
  if (decided === undefined) await decide(chapter, title, line, `${approval} is approved`);
  const { code, output: printed } = await psql.ended;
  output(`${printed.trimEnd().split('\n').at(-1)}`);
  // Whoever watches may as well say no.
  if (decided !== undefined && code !== 0) return await tellTrail(chapter, title, waiting, ['filed', 'held']);
  if (code !== 0 || !/^DELETE 1$/m.test(printed)) differs(title, 'it did not run');
  return await tellTrail(chapter, title, waiting, ['filed', 'held', 'voted', 'used', 'allow']);
}

async function tellDenied(chapter: ApprovalChapter, environment: NodeJS.ProcessEnv): Promise<void> {
  const title = 'The same once more';
  heading(
    title,
    'An approval is for one use: the identical statement is asked about anew. This time the answer is no.',
  );
  const waiting = await hold(chapter, title, environment);
  if (waiting === undefined) return;
  const line = decision(chapter.stack, 'deny', waiting.approval, 'Keep this one.');
  said(approver, line);
  await decide(chapter, title, line, `${waiting.approval} is denied`);
  const { code, output: printed } = await waiting.psql.ended;
  output(printed.slice(printed.indexOf('ERROR')));
  say(`  ${red('refused')} exit ${code}`);
  if (code !== 1 || !printed.includes('Reason: Keep this one.')) chapter.differs(title, 'the agent is not told why');
  if (printed.includes('DELETE 1')) chapter.differs(title, 'it ran');
  await tellTrail(chapter, title, waiting, ['filed', 'held', 'voted', 'approval_denied']);
}

async function tellDeniedAgain({ evidence, differs }: ApprovalChapter, environment: NodeJS.ProcessEnv): Promise<void> {
  const title = 'And again';
  heading(title, 'No means no for a while: it is refused at once, nobody is asked, and the note is still there.');
  const mark = await evidence.mark();
  const line = `psql -c "${wanted}" -c "SELECT author, note FROM scratch.notes WHERE note = 'Obsolete.'"`;
  said('agent', line);
  const { output: printed } = await startLine(line, environment).ended;
  output(printed);
  if (!/ERROR:.* was denied/.test(printed) || !/\(1 row\)/.test(printed)) differs(title, 'the note is not as it was');
  const events = await evidence.eventsSince(mark, (found) => found.some(({ effect }) => effect === 'deny'));
  if (events.some(({ what }) => what === 'filed')) differs(title, 'somebody was asked');
}

async function tellReplay({ stack, differs }: ApprovalChapter, session: string): Promise<void> {
  const title = 'What was recorded of the one that ran';
  heading(title, 'Recordings are encrypted; whoever may read the gateway’s key can see them.');
  const line = replayLine(stack, session);
  said('you', line);
  const { code, output: printed } = await runLine(line);
  output(printed);
  if (code !== 0) differs(title, `exit ${code}`);
  if (!printed.includes(`> ${wanted}`)) differs(title, 'the statement is not in it');
}

/** Has the agent write a note and delete it, until that is held. */
async function hold(
  { evidence, differs }: ApprovalChapter,
  title: string,
  environment: NodeJS.ProcessEnv,
): Promise<Waiting | undefined> {
  const mark = await evidence.mark();
  said('agent', twoStatements);
  const psql = startLine(twoStatements, environment, approvalTerms.sql.approve.delete.wait_seconds + 30);
  const notice = await psql.prints(/NOTICE: .*Approval (\w+) was asked of dba\..*/);
  if (notice === undefined) {
    output((await psql.ended).output);
    differs(title, 'it does not wait');
    return undefined;
  }
  const [, approval = ''] = notice;
  output(notice[0]);
  return { psql, approval, mark };
}

/** What a person types. */
function decision({ consoleUrl }: DemoStack, verdict: 'approve' | 'deny', approval: string, reason: string): string {
  return `SALLYPORT_API=${consoleUrl} ${sallyport} approvals ${verdict} ${approval} --reason '${reason}'`;
}

/** Types it, and signs in as the approver where the provider asks who that is. */
async function decide({ stack, differs }: ApprovalChapter, title: string, line: string, prints: string): Promise<void> {
  // The token that is remembered goes when the demo goes.
  const running = startLine(line, { XDG_CACHE_HOME: join(dirname(stack.files.configFile), 'cache') });
  const link = await running.prints(/Sign in at (\S+)/);
  if (link?.[1] !== undefined) await confirmDevice(link[1], approver);
  const { code, output: printed } = await running.ended;
  output(printed);
  if (code !== 0 || !printed.includes(prints)) differs(title, `it is not decided: exit ${code}`);
}

/** What the trail says about a request. @returns the session that it came from */
async function tellTrail(
  { evidence, differs }: ApprovalChapter,
  title: string,
  { approval, mark }: Waiting,
  expected: readonly string[],
): Promise<string> {
  const lacking = (events: readonly JsonObject[]) => {
    const names = about(events, approval).map(({ event, what, effect, code }) =>
      String(event === 'decided' ? (code ?? effect) : (what ?? event)),
    );
    return expected.filter((name) => !names.includes(name));
  };
  const events = await evidence.eventsSince(mark, (found) => lacking(found).length === 0);
  for (const event of about(events, approval)) say(`  ${yellow('audit')}   ${summary(event)}`);
  for (const name of lacking(events)) differs(title, `the trail has no ${name}`);
  return String(about(events, approval)[0]?.session ?? '');
}

function about(events: readonly JsonObject[], id: string): readonly JsonObject[] {
  return events.filter(
    ({ approval, approvals }) => approval === id || (Array.isArray(approvals) && approvals.includes(id)),
  );
}
