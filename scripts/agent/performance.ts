/** The story with a scripted model: the real agent, the real gateway, and what each step left in the trail. */
import type { JsonObject } from '../../proxy/core/types.ts';
import { Evidence, type Mark } from '../demo/evidence.ts';
import type { DemoStack } from '../demo/stack.ts';
import { type Asked, startMessages, type Turn } from './messages.ts';
import { runAgent } from './sdk.ts';
import { type AgentStep, type Outcome, prompt, story } from './story.ts';
import type { AgentWorld } from './world.ts';

/** What is told while it goes on. */
export interface Audience {
  begins?(step: AgentStep): void;
  ends?(outcome: Outcome): void;
}

/** What is left when it is over. */
export interface Performance {
  readonly outcomes: readonly Outcome[];
  /** The tools that the model was offered, in any of its turns. */
  readonly offered: ReadonlySet<string>;
  /** Everything that was sent to the model. */
  readonly received: readonly string[];
  /** Whether the agent ended well, and its last word. */
  readonly last: { readonly well: boolean; readonly text: string };
}

/** What the model says when the story is over. */
export const lastWord = 'Half of it was masked, half of it was refused, all of it is in the trail.';

/** Plays it. @throws Error when it is aborted, or the agent does not start */
export async function perform(
  stack: DemoStack,
  world: AgentWorld,
  abort: AbortController,
  audience: Audience = {},
): Promise<Performance> {
  const evidence = new Evidence(stack.files.auditFile, stack.adminUrl);
  const outcomes: Outcome[] = [];
  const offered = new Set<string>();
  let underWay: { readonly step: AgentStep; readonly mark: Mark } | undefined;

  const finish = async ({ results }: Asked): Promise<void> => {
    const result = results.at(-1);
    if (underWay === undefined || result === undefined) return;
    const { step, mark } = underWay;
    const last = 'refused' in step.expect ? 'decided' : 'completed';
    const events = await evidence.eventsSince(mark, (found) => {
      return ofStep(step, found).some(({ event }) => event === last);
    });
    const outcome = { step, result, events: ofStep(step, events) };
    outcomes.push(outcome);
    audience.ends?.(outcome);
  };
  const model = async (asked: Asked): Promise<Turn> => {
    for (const name of asked.offered) offered.add(name);
    await finish(asked);
    if (asked.results.length !== outcomes.length) throw new Error('the conversation is not where the story is');
    const step = story[outcomes.length];
    underWay = step && { step, mark: await evidence.mark() };
    if (step === undefined) return { text: lastWord };
    audience.begins?.(step);
    return step.call;
  };

  const endpoint = await startMessages(model);
  try {
    let last: Performance['last'] = { well: false, text: 'the agent ended without a result' };
    const at = { ANTHROPIC_BASE_URL: endpoint.url, ANTHROPIC_API_KEY: 'scripted' };
    for await (const event of runAgent({ world, prompt, model: at, abort })) if (event.kind === 'ends') last = event;
    return { outcomes, offered, received: endpoint.received, last };
  } finally {
    await endpoint.stop();
  }
}

/** Opening a connection or a session is not the step's own, nor is what an earlier step still has to complete. */
function ofStep({ protocol, action }: AgentStep, events: readonly JsonObject[]): readonly JsonObject[] {
  const own = events
    .filter((event) => event.event === 'decided' && event.protocol === protocol && event.action === action)
    .map(({ decision_id }) => decision_id);
  return events.filter(({ decision_id }) => own.includes(decision_id));
}
