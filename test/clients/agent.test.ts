/**
 * The real Claude Agent SDK behind the gateway: its shell runs psql, ssh and curl, its MCP client calls tools, and its model is
 * asked at an endpoint of our own. Anthropic's package is large and proprietary: where it is missing, the tests are named
 * and skipped; in CI they fail.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startMessages } from '../../scripts/agent/messages.ts';
import { lastWord, type Performance, perform } from '../../scripts/agent/performance.ts';
import { absentSdk } from '../../scripts/agent/sdk.ts';
import { differences, type Outcome, story } from '../../scripts/agent/story.ts';
import { type AgentWorld, hiddenValues, makeWorld } from '../../scripts/agent/world.ts';
import { inPath, lacking } from '../../scripts/demo/host.ts';
import { type DemoStack, repository, startStack } from '../../scripts/demo/stack.ts';

const missing =
  absentSdk() ?? lacking(tmpdir()) ?? ['psql', 'curl'].filter((name) => !inPath(name)).map((name) => `no ${name}`)[0];

if (missing === undefined) describe('the Claude Agent SDK', tests);
else if (process.env.CI === 'true') {
  test('the Claude Agent SDK: required in CI', () => {
    throw new Error(missing);
  });
} else test.skip(`the Claude Agent SDK: skipped, ${missing}`, () => {});

function tests(): void {
  describe('with a scripted model', () => {
    let parent: string;
    let stack: DemoStack;
    let world: AgentWorld;
    let before: string;
    let hidden: readonly string[];
    let performance: Performance;

    beforeAll(async () => {
      process.env.SALLYPORT_DEMO_PORTS = '1000';
      parent = await mkdtemp(join(tmpdir(), 'sallyport-agent-test-'));
      stack = await startStack({ directory: join(parent, 'demo'), ssh: true }, () => {});
      world = await makeWorld(stack, 'support-agent');
      hidden = await hiddenValues(stack);
      before = await contents(world.home);
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(), 60_000);
      performance = await perform(stack, world, abort).finally(() => clearTimeout(timer));
    }, 120_000);
    afterAll(async () => {
      await world?.remove();
      await stack?.stop();
      await rm(parent, { recursive: true, force: true });
    }, 30_000);

    const outcome = (title: string): Outcome => {
      const found = performance.outcomes.find(({ step }) => step.title.startsWith(title));
      if (found === undefined) throw new Error(`there is no ${title}`);
      return found;
    };

    test.each(story.map(({ title }) => title))('%s', (title) => {
      const { step, result, events } = outcome(title);
      expect({ wrong: differences({ step, result, events }), result, events }).toMatchObject({ wrong: [] });
    });

    test('each way has one that is masked and one that is refused', () => {
      const ways = story.map(({ title, expect }) => `${title.split(':')[0]} ${Object.keys(expect)}`);
      expect(ways).toEqual(['PostgreSQL', 'SSH', 'HTTP', 'MCP'].flatMap((way) => [`${way} masked`, `${way} refused`]));
    });

    test('a refused tool call is the tool’s own answer, as the model is told it', () => {
      expect(outcome('MCP: a tool out').result).toEqual({
        failed: true,
        text: expect.stringMatching(/^Refused by the gateway \(amount_too_large\): .* Decision \S+\.$/),
      });
    });

    test('it comes to its end, and the model is offered no tool that policy hides', () => {
      expect(performance.last).toMatchObject({ well: true, text: lastWord });
      const tools = [...performance.offered].filter((name) => name.startsWith('mcp__'));
      expect(tools.toSorted()).toEqual(['mcp__shop__lookup_customer', 'mcp__shop__refund']);
      expect(performance.received.join('\n')).not.toContain('run_shell');
    });

    test('nothing that is hidden is sent to the model, or kept by the agent, before or after', async () => {
      const after = await contents(world.home);
      // The agent keeps what it said and heard: this looks in the right place.
      expect(after).toContain(lastWord);
      expect(after).toContain('***4321');
      expect(hidden.length).toBeGreaterThan(20);
      const sent = performance.received.join('\n');
      expect(sent).toContain('***4321');
      const had = [before, JSON.stringify(world.environment), after, sent].map((text) =>
        hidden.filter((value) => text.includes(value)),
      );
      expect(had).toEqual([[], [], [], []]);
      expect(sent).not.toContain(world.token);
    });

    test('the trail holds, and names the agent in each decision', async () => {
      const { auditFile, auditKeyFile } = stack.files;
      const verified = await stack.cli(['audit', 'verify', '--file', auditFile, '--key', `file:${auditKeyFile}`]);
      expect(verified).toMatchObject({ code: 0 });
      const subjects = performance.outcomes.map(({ events }) => Object(events[0]?.subject).id);
      expect(subjects).toEqual(story.map(() => 'support-agent'));
    });
  });

  test('make demo-agent without a key tells the story to its end', async () => {
    const { code, told } = await demo({});
    expect({ code, told }).toMatchObject({ code: 0 });
    for (const { title } of story) expect(told).toContain(`\n${title}  `);
    expect(told).toContain('Every step went as it should.');
  }, 120_000);

  test('make demo-agent with a key asks the real model, and shows what it does', async () => {
    const endpoint = await startMessages(({ results: [result] }) =>
      result === undefined
        ? { tool: 'Bash', input: { command: 'psql -c "DROP DATABASE shop"', description: 'As I was told' } }
        : { text: `It said: ${result.text.split('\n')[1]}` },
    );
    try {
      const { code, told } = await demo({ ANTHROPIC_API_KEY: 'a-key', ANTHROPIC_BASE_URL: endpoint.url });
      expect({ code, told }).toMatchObject({ code: 0 });
      expect([...endpoint.keys]).toEqual(['a-key']);
      expect(told).toContain('  agent   psql -c "DROP DATABASE shop"\n  failed  Exit code 1\n');
      expect(told).toMatch(/audit {3}.*"effect":"deny","action":"ddl","code":"drop_database"/);
      expect(told).toContain('\n  It said: ERROR:  Agents may not drop a database. (drop_database)\n');
      expect(told).not.toContain('a-key');
    } finally {
      await endpoint.stop();
    }
  }, 120_000);
}

/** Runs it as make does; a key of whoever runs the tests is never used. */
async function demo(environment: Readonly<Record<string, string>>): Promise<{ code: number; told: string }> {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('ANTHROPIC_'));
  const child = spawn(process.execPath, ['scripts/agent/main.ts'], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...Object.fromEntries(own), NODE_OPTIONS: '', ...environment },
  });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
  }
  const [code] = await once(child, 'close');
  return { code: Number(code ?? 128), told };
}

/** Everything in the files below a folder. */
async function contents(directory: string): Promise<string> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  return (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
}
