import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { asGatewayError, GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Clock, PolicyPort, PolicyQuery } from '../core/ports.ts';
import type { Decision, Fault, JsonObject } from '../core/types.ts';
import { type Active, activate } from './activation.ts';
import { cacheKey } from './cache.ts';
import { inputOf, inputProblem } from './input.ts';
import { verdictOf } from './result.ts';
import type { BundleVerification } from './signature.ts';

/** Where policy comes from, and who is told when it changes. */
export interface PolicyEngineOptions {
  readonly bundle: { readonly file: string; readonly verification?: BundleVerification | undefined };
  /** `data.config`: a JSON or YAML file, or the document itself. */
  readonly data: { readonly file: string } | { readonly value: JsonObject };
  readonly clock: Clock;
  /** Looks at the files every `limits.policyWatchIntervalMs` and activates what changed. */
  readonly watch?: boolean | undefined;
  readonly onEvent?: ((event: PolicyEvent) => void) | undefined;
}

/** What became of an attempt to activate. */
export type PolicyEvent =
  | { readonly type: 'activated'; readonly epoch: number; readonly bundle: string; readonly data: string }
  /** What was active stays active. */
  | { readonly type: 'refused'; readonly fault: Fault };

/** The policy decision point, and how to change what it decides by. */
export interface PolicyEngine extends PolicyPort {
  /** What is active, byte for byte as it was read. */
  readonly sources: { readonly bundle: Uint8Array; readonly data: Uint8Array };
  /**
   * Reads bundle and data again and activates them together, or not at all.
   * @throws GatewayError `policy_unavailable`; what was active stays active.
   */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** @throws GatewayError `policy_unavailable` when bundle or data cannot be activated. */
export async function createPolicyEngine(options: PolicyEngineOptions): Promise<PolicyEngine> {
  const engine = new WasmPolicyEngine(options);
  await engine.reload();
  if (options.watch === true) engine.watch();
  return engine;
}

type Answer = { readonly decision: Decision } | { readonly fault: Fault };

class WasmPolicyEngine implements PolicyEngine {
  readonly #options: PolicyEngineOptions;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #active: Active | undefined;
  #epoch = 0;
  #sources: PolicyEngine['sources'] = { bundle: new Uint8Array(), data: new Uint8Array() };
  /** Digests of what is active. */
  #loaded = '';
  /** What the files looked like before they were last read. */
  #seen = '';
  #reloading: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PolicyEngineOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get ready(): boolean {
    return this.#active !== undefined;
  }

  get sources(): PolicyEngine['sources'] {
    return this.#sources;
  }

  get revisions(): { readonly bundle: string; readonly data: string } {
    return this.#active?.revisions ?? { bundle: '', data: '' };
  }

  get config(): JsonObject {
    return this.#active?.config ?? {};
  }

  onActivate(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  decide(query: PolicyQuery): Answer {
    const active = this.#active;
    if (active === undefined) return unavailable;
    const { projection } = active;
    // Same subject, same session where it is read, same facts, nothing read that can change: the same answer.
    const identified =
      projection.stable &&
      (query.approval === undefined || projection.approval === undefined) &&
      (query.variable === undefined || !projection.variable);
    const who = projection.session === undefined ? query.subject : query.session;
    if (identified) {
      const cached = active.byIdentity.get(who, query.facts);
      if (cached !== undefined && cached.subject === query.subject && this.#current(cached.untilMs))
        return cached.answer;
    }
    try {
      return this.#judge(query, active, identified ? who : undefined);
    } catch (thrown) {
      const { code, message } = asGatewayError(thrown, 'policy_error', 'The policy failed to evaluate.');
      return { fault: { code, message } };
    }
  }

  /** The slow path: serialise what the policy reads, look that up, evaluate. */
  #judge(query: PolicyQuery, active: Active, who: object | undefined): Answer {
    const { projection } = active;
    const input = inputOf(query, projection, this.#clock);
    const problem = inputProblem(input, limits.policyInputDepthMax);
    if (problem !== undefined)
      return { fault: { code: 'operation_malformed', message: `The operation cannot be judged: ${problem}.` } };
    const document = JSON.stringify(input);
    if (Buffer.byteLength(document) > limits.policyInputBytesMax) return tooLarge;
    // Bound values are not kept, not even as a digest, and a moment never comes again.
    const remembers =
      query.approval === undefined &&
      (query.variable === undefined || !projection.variable) &&
      !projection.time.has('time') &&
      !projection.time.has('time_ms');
    const key = remembers ? cacheKey(document) : '';
    let cached = remembers ? active.byDocument.get(key) : undefined;
    if (cached === undefined || !this.#current(cached.untilMs)) {
      const { decision, ttlMs } = this.#evaluate(input, active);
      cached = {
        answer: { decision },
        untilMs: ttlMs === undefined ? Number.POSITIVE_INFINITY : this.#clock.monotonicMs() + ttlMs,
        subject: query.subject,
      };
      if (remembers) active.byDocument.set(key, cached);
    }
    if (who !== undefined) active.byIdentity.set(who, query.facts, { ...cached, subject: query.subject });
    return cached.answer;
  }

  #evaluate(input: JsonObject, active: Active): { readonly decision: Decision; readonly ttlMs: number | undefined } {
    const startMs = this.#clock.monotonicMs();
    const result = active.evaluator.evaluate(input);
    if (this.#clock.monotonicMs() - startMs > limits.policyEvaluationMsMax) {
      throw new GatewayError('policy_error', 'The policy took too long to evaluate.');
    }
    if (result === undefined) throw new GatewayError('policy_undefined', 'The policy gave no decision.');
    const document = JSON.stringify(result);
    if (Buffer.byteLength(document) > limits.policyResultBytesMax) {
      throw new GatewayError('policy_result_invalid', 'The policy returned more than its bound.');
    }
    // The same words are the same decision object: what adapters derive from it is found again.
    const key = cacheKey(document);
    const known = active.decisions.get(key);
    if (known !== undefined) return known;
    const { ttlMs, ...verdict } = verdictOf(result);
    const { bundle: bundleRevision, data: dataRevision } = active.revisions;
    const made = { decision: Object.freeze({ ...verdict, bundleRevision, dataRevision }), ttlMs };
    active.decisions.set(key, made);
    return made;
  }

  #current(untilMs: number): boolean {
    return untilMs === Number.POSITIVE_INFINITY || this.#clock.monotonicMs() < untilMs;
  }

  reload(): Promise<void> {
    // One after another: two activations must not overtake each other.
    this.#reloading = this.#reloading.catch(() => undefined).then(() => this.#activate());
    return this.#reloading;
  }

  async #activate(): Promise<void> {
    const { bundle, data, onEvent } = this.#options;
    try {
      this.#seen = await this.#stamp();
      const bytes = await readBounded(bundle.file, limits.bundleBytesMax);
      const source =
        'file' in data
          ? await readBounded(data.file, limits.policyDataBytesMax)
          : Buffer.from(JSON.stringify(data.value));
      const loaded = `${digest(bytes)} ${digest(source)}`;
      if (loaded === this.#loaded) return;
      const next = await activate({
        bundle: bytes,
        verification: bundle.verification,
        data: source.toString('utf8'),
        previous: this.#active,
      });
      this.#active = next;
      this.#loaded = loaded;
      this.#sources = { bundle: bytes, data: source };
      this.#epoch += 1;
    } catch (thrown) {
      const error = asGatewayError(thrown, 'policy_unavailable', 'The policy could not be activated.');
      onEvent?.({ type: 'refused', fault: { code: error.code, message: error.message } });
      throw error;
    }
    onEvent?.({ type: 'activated', epoch: this.#epoch, ...this.revisions });
    for (const listener of this.#listeners) listener();
  }

  /** Compares the files with what was looked at last, until `close`. */
  watch(): void {
    let looking = false;
    const look = async (): Promise<void> => {
      // A refused file is tried again when it has changed again; `onEvent` was told why.
      if ((await this.#stamp()) !== this.#seen) await this.reload().catch(() => undefined);
    };
    this.#timer = setInterval(() => {
      if (looking) return;
      looking = true;
      void look().finally(() => {
        looking = false;
      });
    }, limits.policyWatchIntervalMs);
    this.#timer.unref();
  }

  async #stamp(): Promise<string> {
    const { bundle, data } = this.#options;
    const files = 'file' in data ? [bundle.file, data.file] : [bundle.file];
    const stats = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
    return stats.map((entry) => `${entry?.ino}:${entry?.size}:${entry?.mtimeMs}`).join(' ');
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#listeners.clear();
    await this.#reloading.catch(() => undefined);
  }
}

const unavailable: Answer = { fault: { code: 'policy_unavailable', message: 'No policy bundle is active.' } };
const tooLarge: Answer = {
  fault: { code: 'policy_input_too_large', message: 'The operation has too many facts to judge.' },
};

async function readBounded(file: string, bytesMax: number): Promise<Buffer> {
  const { size } = await stat(file);
  if (size > bytesMax) throw new GatewayError('policy_unavailable', 'A policy file is larger than its bound.');
  return readFile(file);
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
