/** The Claude Agent SDK: where it is, how an agent is started with it, and what of its messages matters here. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repository } from '../demo/stack.ts';
import { type AgentWorld, toolServer } from './world.ts';

const name = '@anthropic-ai/claude-agent-sdk';
const installation = join(repository, '.tools/agent/package.json');

/** What an agent does, as it does it. */
export type AgentEvent =
  | { readonly kind: 'says'; readonly text: string }
  | { readonly kind: 'calls'; readonly tool: string; readonly input: Readonly<Record<string, unknown>> }
  | { readonly kind: 'gets'; readonly text: string; readonly failed: boolean }
  | { readonly kind: 'ends'; readonly well: boolean; readonly text: string };

/** How an agent is started. */
export interface AgentRun {
  readonly world: AgentWorld;
  readonly prompt: string;
  /** Where its model is, as variables that the SDK reads. */
  readonly model: Readonly<Record<string, string>>;
  /** Ends it. */
  readonly abort: AbortController;
}

/** What there is to do before {@link runAgent} can be called: undefined for nothing. */
export function absentSdk(): string | undefined {
  return sdkFile() === undefined
    ? 'the Claude Agent SDK is not installed (scripts/agent/install.sh installs it)'
    : undefined;
}

/**
 * Starts an agent that has a shell and the tools that the gateway lists, and nobody to ask: what it may do is the gateway's
 * to decide. It speaks to its model and to nobody else.
 *
 * @throws Error when the agent does not start or is aborted
 */
export async function* runAgent({ world, prompt, model, abort }: AgentRun): AsyncGenerator<AgentEvent> {
  const file = sdkFile();
  if (file === undefined) throw new Error(absentSdk());
  // By its file: the type checker must pass where it is not installed.
  const sdk = (await import(pathToFileURL(file).href)) as Sdk;
  const messages = sdk.query({
    prompt,
    options: {
      env: { ...world.environment, ...quiet, ...model },
      cwd: world.home,
      tools: ['Bash'],
      allowedTools: ['Bash', `mcp__${toolServer}`],
      // No settings of whoever runs this.
      settingSources: [],
      strictMcpConfig: true,
      mcpServers: {
        // Listed before the first turn, and not behind a search.
        [toolServer]: { type: 'http', url: world.tools.url, headers: world.tools.headers, alwaysLoad: true },
      },
      maxTurns: 40,
      abortController: abort,
    },
  });
  for await (const message of messages) yield* eventsOf(message);
}

/** The part of the SDK that is used. */
interface Sdk {
  query(given: { readonly prompt: string; readonly options: object }): AsyncIterable<unknown>;
}

/** Without these it speaks to more than its model. */
const quiet = {
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  DISABLE_TELEMETRY: '1',
  DISABLE_ERROR_REPORTING: '1',
  DISABLE_AUTOUPDATER: '1',
} as const;

function sdkFile(): string | undefined {
  try {
    return createRequire(installation).resolve(name);
  } catch {
    return undefined;
  }
}

function* eventsOf(message: unknown): Generator<AgentEvent> {
  const { type, subtype, result, is_error, message: inner } = members(message);
  if (type === 'result') {
    yield { kind: 'ends', well: subtype === 'success' && is_error !== true, text: String(result ?? subtype) };
  }
  const { content } = members(inner);
  if (!Array.isArray(content)) return;
  for (const part of content.map(members)) {
    if (part.type === 'text') yield { kind: 'says', text: String(part.text) };
    if (part.type === 'tool_use') yield { kind: 'calls', tool: String(part.name), input: members(part.input) };
    if (part.type === 'tool_result') {
      yield { kind: 'gets', text: textOf(part.content), failed: part.is_error === true };
    }
  }
}

/** The members of what should be an object; none of anything else. */
export function members(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** The text of a tool's result, which is a string or a list of blocks. */
export function textOf(content: unknown): string {
  if (!Array.isArray(content)) return String(content ?? '');
  return content.map((block) => String(members(block).text ?? '')).join('\n');
}
