/** What a step left behind: its audit events and the counters that moved. */
import { readFile } from 'node:fs/promises';
import type { Json, JsonObject } from '../../proxy/core/types.ts';
import { parseTrail } from '../../test/support/gateway.ts';

/** Counters by name with labels, as `/metrics` shows them. */
export type Counters = ReadonlyMap<string, number>;

/** The audit events and counters at one moment. */
export interface Mark {
  readonly events: number;
  readonly counters: Counters;
}

/** Reads the trail and `/metrics` of the running gateway. */
export class Evidence {
  readonly #auditFile: string;
  readonly #adminUrl: string;

  constructor(auditFile: string, adminUrl: string) {
    this.#auditFile = auditFile;
    this.#adminUrl = adminUrl;
  }

  /** Where things stand now. */
  async mark(): Promise<Mark> {
    return { events: (await this.#events()).length, counters: await this.#counters() };
  }

  /**
   * The agent's events since a mark, once `enough` of them are there: what completes is written with the next
   * event or a moment later. What the gateway asked on its own behalf is left out.
   */
  async eventsSince(mark: Mark, enough: (events: readonly JsonObject[]) => boolean): Promise<readonly JsonObject[]> {
    const until = performance.now() + 5_000;
    for (;;) {
      const events = ofAgents((await this.#events()).slice(mark.events));
      if (enough(events) || performance.now() > until) return events;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The counters that grew since a mark, and by how much. */
  async growthSince(mark: Mark): Promise<Counters> {
    const growth = new Map<string, number>();
    for (const [name, value] of await this.#counters()) {
      const by = value - (mark.counters.get(name) ?? 0);
      if (by > 0) growth.set(name, by);
    }
    return growth;
  }

  async #events(): Promise<readonly JsonObject[]> {
    return parseTrail(await readFile(this.#auditFile, 'utf8'));
  }

  async #counters(): Promise<Counters> {
    const text = await (await fetch(`${this.#adminUrl}/metrics`)).text();
    const lines = text.matchAll(/^(sallyport_\w+_total(?:\{[^}]*\})?) (\d+)/gm);
    return new Map([...lines].map(([, name = '', value]) => [name, Number(value)]));
  }
}

/** The members of an event that tell the story. */
export function summary(event: JsonObject): string {
  const names = [
    'seq',
    'event',
    'what',
    'approval',
    'approver',
    'verdict',
    'decision_id',
    'effect',
    'action',
    'code',
    'reasons',
    'status',
    'rows',
    'masked_cells',
  ];
  const told = names.flatMap((name) => {
    const value = event[name];
    if (value === undefined || (Array.isArray(value) && value.length === 0)) return [];
    return [[name, shortened(name, value)] as const];
  });
  return JSON.stringify(Object.fromEntries(told));
}

function shortened(name: string, value: Json): Json {
  if (name === 'decision_id' || name === 'approval') return String(value).slice(-8);
  if (name === 'approver') return String(Object(value).id);
  return Array.isArray(value) ? value.map((reason) => String(Object(reason).code)) : value;
}

/** Leaves out what the gateway's own sessions did. */
function ofAgents(events: readonly JsonObject[]): readonly JsonObject[] {
  const own = new Set(events.filter((event) => typeOf(event.subject) === 'gateway').map(({ session }) => session));
  return events.filter((event) => typeOf(event.subject) !== 'gateway' && !own.has(event.session ?? null));
}

function typeOf(subject: JsonObject[string] | undefined): string {
  return typeof subject === 'object' && subject !== null && 'type' in subject ? String(subject.type) : '';
}
