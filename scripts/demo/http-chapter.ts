/** Tells the HTTP chapter with curl, and the MCP chapter with the official client. */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { JsonObject } from '../../proxy/core/types.ts';
import { runLine } from './client.ts';
import { knownCustomer } from './dataset.ts';
import { type Evidence, summary } from './evidence.ts';
import { inPath } from './host.ts';
import { type DemoStack, shown } from './stack.ts';
import { cyan, green, heading, leftOut, red, say, yellow } from './terminal.ts';

/** What the chapters are told with. */
export interface HttpChapter {
  readonly stack: DemoStack;
  readonly evidence: Evidence;
  readonly agent: string;
  /** Is told of what is not as it should be. */
  differs(title: string, what: string): void;
}

interface Step {
  readonly title: string;
  readonly why: string;
  /** A code of the trail's reasons where it is refused. */
  readonly refused?: string;
  /** Parts of what the agent is given. */
  readonly prints: readonly string[];
}

interface HttpStep extends Step {
  /** What curl is given besides the token. */
  readonly request: string;
}

interface McpStep extends Step {
  readonly tool: string;
  readonly given: JsonObject;
}

const httpStory: readonly HttpStep[] = [
  {
    title: 'HTTP: a customer, masked',
    why: 'The API’s own key is put in the token’s place; members that policy names are masked while the answer passes.',
    request: `/crm/customers/${knownCustomer.id}`,
    prints: ['"balance":12.5', '4321"'],
  },
  {
    title: 'A refund within bounds',
    why: 'Policy reads the body before a byte of it goes on.',
    request: `/crm/refunds -H 'Content-Type: application/json' -d '{"amount":20}'`,
    prints: ['{"refunded":20}'],
  },
  {
    title: 'A refund out of bounds',
    why: 'A refusal is a problem document: what it was, and what to do instead.',
    request: `/crm/refunds -H 'Content-Type: application/json' -d '{"amount":9000}'`,
    refused: 'amount_too_large',
    prints: ['"decision_id"'],
  },
  {
    title: 'The same amount, said twice',
    why: 'What two readers could read differently is not read at all.',
    request: `/crm/refunds -H 'Content-Type: application/json' -d '{"amount":20,"amount":9000}'`,
    refused: 'operation_malformed',
    prints: ['"status":400'],
  },
  {
    title: 'The back office',
    why: 'Routes come from the API’s own description, and some are not for agents.',
    request: '/crm/admin/users',
    refused: 'admin_route',
    prints: ['"status":403'],
  },
];

const mcpStory: readonly McpStep[] = [
  {
    title: 'A tool, masked',
    why: 'Results are JSON inside of JSON; the masks reach that as well.',
    ...{ tool: 'lookup_customer', given: { id: knownCustomer.id } },
    prints: [knownCustomer.name],
  },
  {
    title: 'A tool out of bounds',
    why: 'Its arguments are judged; the model reads the refusal as the tool’s own answer.',
    ...{ tool: 'refund', given: { amount: 9000 } },
    refused: 'amount_too_large',
    prints: ['Refused by the gateway'],
  },
  {
    title: 'A tool that is not listed',
    why: 'Knowing its name does not help.',
    ...{ tool: 'run_shell', given: { command: 'id' } },
    refused: 'tool_refused',
    prints: ['Refused by the gateway'],
  },
];

/** Tells of the API. */
export async function tellHttp(chapter: HttpChapter): Promise<void> {
  if (!inPath('curl')) {
    leftOut('HTTP', 'This machine lacks curl. Debian, Ubuntu: sudo apt-get install curl. Then run make demo again.');
    return;
  }
  const { stack, agent } = chapter;
  const file = join(dirname(stack.files.configFile), 'authorization');
  await writeFile(file, `Authorization: Bearer ${await stack.token(agent)}\n`, { mode: 0o600 });
  for (const step of httpStory) {
    const line = `curl -sS -H @${shown(file)} ${stack.http}${step.request}`;
    await tell(chapter, step, line, async () => (await runLine(line)).output);
  }
}

/** Tells of the tools. */
export async function tellMcp(chapter: HttpChapter): Promise<void> {
  const { stack, agent, differs } = chapter;
  const title = 'MCP: the tools of a server';
  heading(title, 'An MCP client has the gateway’s address and its token; it is shown what it may call.');
  const authorization = `Bearer ${await stack.token(agent)}`;
  const transport = new StreamableHTTPClientTransport(new URL(`${stack.http}/tools/mcp`), {
    requestInit: { headers: { authorization } },
  });
  const client = new Client({ name: 'demo', version: '1.0.0' });
  await client.connect(transport as Parameters<Client['connect']>[0]);
  try {
    const names = (await client.listTools()).tools.map(({ name }) => name);
    say(`  ${green('listed')}  ${names.join(', ')}`);
    if (names.join() !== 'lookup_customer,refund') differs(title, 'other tools are listed');
    for (const step of mcpStory) {
      const line = `${step.tool} ${JSON.stringify(step.given)}`;
      await tell(chapter, step, line, async () => {
        const { content } = await client.callTool({ name: step.tool, arguments: step.given });
        return (content as readonly { text?: string }[]).map(({ text }) => text ?? '').join('\n');
      });
    }
    await transport.terminateSession();
  } finally {
    await client.close();
  }
}

async function tell({ evidence, differs }: HttpChapter, step: Step, line: string, run: () => Promise<string>) {
  const { title, refused, prints } = step;
  heading(title, step.why);
  say(`  ${cyan('agent')}   ${line}`);
  const mark = await evidence.mark();
  const printed = await run();
  say(`  ${refused === undefined ? green('given  ') : red('refused')} ${printed.trimEnd()}`);
  for (const part of prints) if (!printed.includes(part)) differs(title, `it does not print ${JSON.stringify(part)}`);
  for (const value of [knownCustomer.ssn, knownCustomer.email]) {
    if (printed.includes(value)) differs(title, 'a value came through unmasked');
  }
  const wanted = refused === undefined ? 'completed' : 'decided';
  const events = ofOperations(
    await evidence.eventsSince(mark, (found) => ofOperations(found).some(({ event }) => event === wanted)),
  );
  for (const event of events) say(`  ${yellow('audit')}   ${summary(event)}`);
  const decided = events.filter(({ event }) => event === 'decided');
  // A fault of the request itself has a code and no policy's reasons.
  const codes = decided.flatMap(({ effect, code, reasons }) =>
    effect === 'deny'
      ? [String(code), ...(Array.isArray(reasons) ? reasons.map((reason) => String(Object(reason).code)) : [])]
      : [],
  );
  if (refused !== undefined && !codes.includes(refused)) differs(title, `the trail has no refusal for ${refused}`);
  if (refused === undefined && codes.length > 0) differs(title, `the trail refuses it: ${codes.join(', ')}`);
}

/** Opening a session, and asking what of a list may be shown, are left out. */
function ofOperations(events: readonly JsonObject[]): readonly JsonObject[] {
  const opening = events
    .filter(({ action }) => action === 'connect' || action === 'tools/list')
    .map(({ decision_id }) => decision_id);
  return events.filter((event) => event.decision_id !== undefined && !opening.includes(event.decision_id));
}
