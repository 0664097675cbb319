/**
 * What tools were when somebody accepted them. A description is read by the model as if it were told by its user, so a
 * server that changes one behind everybody's back gives orders: a changed tool is not shown and not called.
 */
import { limits } from '../../../core/limits.ts';
import type { JsonObject } from '../../../core/types.ts';
import { canonicalJson, digestOf } from './digest.ts';
import { isObject, isText } from './json-rpc.ts';

/** How a tool stands. */
export interface ToolStatus {
  /**
   * `accepted`: it is what was accepted. `changed`: it is not any more. `unlisted`: nobody accepted it yet, or it cannot
   * be kept. `unknown`: no list with it has passed since the gateway started.
   */
  readonly state: 'accepted' | 'changed' | 'unlisted' | 'unknown';
  /** Of the definition that the server showed last; empty for an unknown one. */
  readonly sha256: string;
  /** That definition; undefined for an unknown one. */
  readonly definition: JsonObject | undefined;
}

/** What an operator is shown of a tool. */
export interface ToolPin {
  readonly upstream: string;
  readonly tool: string;
  /** Accepted by being the first one; what the configuration lists counts before it. */
  readonly firstSha256: string;
  readonly lastSha256: string;
  readonly firstSeenAtMs: number;
  readonly changedAtMs: number | undefined;
}

interface Pin {
  readonly first: string;
  last: string;
  definition: JsonObject;
  /** Of the definition that is kept. */
  length: number;
  readonly firstSeenAtMs: number;
  changedAtMs: number | undefined;
}

const unknownTool: ToolStatus = { state: 'unknown', sha256: '', definition: undefined };

/** What tools were at their first use, for longer than the gateway runs. */
export interface FirstUses {
  /** SHA-256 of the definition that was accepted; undefined when there was none. */
  get(upstream: string, tool: string): string | undefined;
  /** Keeps the first one. False when it cannot be kept: the tool is then not accepted. */
  keep(upstream: string, tool: string, sha256: string): boolean;
}

/** What the pins are made from. */
export interface ToolPinsInit {
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Without it they are remembered while the gateway runs. */
  readonly firstUses?: FirstUses | undefined;
}

/**
 * The definitions that upstreams have shown, for all connections together. `data.config.mcp.pins` (upstream → tool →
 * SHA-256) says what is accepted; of a tool that it does not name the first definition is, unless `data.config.mcp.mode`
 * is `listed`. A pin is never pushed out by another one: what no longer fits is not accepted.
 */
export class ToolPins {
  readonly #clock: () => number;
  readonly #firstUses: FirstUses;
  readonly #upstreams = new Map<string, Map<string, Pin>>();
  #pins = 0;
  #length = 0;

  constructor({ clock, firstUses }: ToolPinsInit) {
    this.#clock = clock;
    this.#firstUses = firstUses ?? { get: () => undefined, keep: () => true };
  }

  /**
   * Takes note of a definition in a list of an upstream.
   *
   * @param config - `data.config` as active.
   */
  see(upstream: string, definition: JsonObject, config: JsonObject): ToolStatus {
    const name = definition.name;
    const text = canonicalJson(definition);
    const sha256 = digestOf(text);
    const unusable: ToolStatus = { state: 'unlisted', sha256, definition };
    if (!isText(name, toolNameLengthMax)) return unusable;
    const pins = this.#upstreams.get(upstream) ?? new Map<string, Pin>();
    const pin = pins.get(name);
    if (pin?.last === sha256) return this.status(upstream, name, config);
    const room = limits.mcpToolPinsLengthMax - this.#length + (pin?.length ?? 0);
    const fits = text.length <= Math.min(limits.mcpToolDefinitionLengthMax, room);
    if (pin === undefined) {
      if (!fits || this.#pins >= limits.mcpToolPinsMax) return unusable;
      const earlier = this.#firstUses.get(upstream, name);
      if (earlier === undefined && !this.#firstUses.keep(upstream, name, sha256)) return unusable;
      const times = { firstSeenAtMs: this.#clock(), changedAtMs: undefined };
      pins.set(name, { first: earlier ?? sha256, last: sha256, definition, length: text.length, ...times });
      this.#upstreams.set(upstream, pins);
      this.#pins += 1;
      this.#length += text.length;
    } else {
      // What does not fit is still a change.
      const length = fits ? text.length : 0;
      this.#length += length - pin.length;
      Object.assign(pin, { last: sha256, definition: fits ? definition : {}, length, changedAtMs: this.#clock() });
    }
    const status = this.status(upstream, name, config);
    return fits || status.state === 'changed' ? status : unusable;
  }

  /** How a tool stands under the configuration as active. */
  status(upstream: string, tool: string, config: JsonObject): ToolStatus {
    const pin = this.#upstreams.get(upstream)?.get(tool);
    if (pin === undefined) return unknownTool;
    const { listed, mode } = configured(config, upstream, tool);
    const accepted = listed ?? (mode === 'first_use' ? pin.first : undefined);
    const state = accepted === undefined ? 'unlisted' : accepted === pin.last ? 'accepted' : 'changed';
    return { state, sha256: pin.last, definition: pin.definition };
  }

  /** Everything that is remembered, for an operator. */
  entries(): readonly ToolPin[] {
    return [...this.#upstreams].flatMap(([upstream, pins]) =>
      [...pins].map(([tool, { first, last, firstSeenAtMs, changedAtMs }]) => ({
        ...{ upstream, tool, firstSha256: first, lastSha256: last, firstSeenAtMs, changedAtMs },
      })),
    );
  }
}

/** The longest name of a tool. */
export const toolNameLengthMax = 256;

function configured({ mcp }: JsonObject, upstream: string, tool: string) {
  const pins =
    isObject(mcp) && isObject(mcp.pins) && Object.hasOwn(mcp.pins, upstream) ? mcp.pins[upstream] : undefined;
  const pin = isObject(pins) && Object.hasOwn(pins, tool) ? pins[tool] : undefined;
  const mode = isObject(mcp) ? mcp.mode : undefined;
  return {
    // A pin that is no text accepts nothing, rather than everything.
    listed: pin === undefined ? undefined : typeof pin === 'string' ? pin.toLowerCase() : '',
    // As does a mode that is not known.
    mode: mode === undefined || mode === 'first_use' ? 'first_use' : 'listed',
  };
}
