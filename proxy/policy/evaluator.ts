import { createRequire } from 'node:module';
import type * as OpaWasm from '@open-policy-agent/opa-wasm';
import { asGatewayError, GatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Json, JsonObject } from '../core/types.ts';
import { entrypoint } from './bundle.ts';

// Its ESM build exports loadPolicySync only inside a default that its types do not know; its CommonJS build is what they describe.
const { loadPolicySync }: typeof OpaWasm = createRequire(import.meta.url)('@open-policy-agent/opa-wasm');
type LoadedPolicy = OpaWasm.LoadedPolicy;

/** A builtin that the gateway adds to those compiled into the module. Synchronous; throws when it cannot answer. */
export type HostBuiltin = (...args: readonly Json[]) => Json;

/** The SDK's own, which it prefers to ours and some of which answer wrongly: a module that needs one is refused. */
const sdkBuiltins = new Set([
  'json.is_valid',
  'regex.split',
  'sprintf',
  'yaml.is_valid',
  'yaml.marshal',
  'yaml.unmarshal',
]);

const pageBytes = 64 * 1024;
/** Data expands about fifteenfold in WebAssembly memory; growing it in small steps takes minutes. */
const dataExpansion = 16;

/** What an evaluator has besides policy and data. */
export interface EvaluatorOptions {
  /** None by default: the policies that ship need none. */
  readonly builtins?: ReadonlyMap<string, HostBuiltin>;
  /** At most `limits.policyMemoryBytesMax`, the default. */
  readonly memoryBytesMax?: number;
}

/**
 * One compiled policy with its data. Evaluates synchronously; after a trap the instance is thrown away and the next
 * evaluation makes a new one from the compiled module (about 0.15 ms).
 */
export class Evaluator {
  readonly #module: WebAssembly.Module;
  readonly #data: JsonObject;
  readonly #pages: number;
  readonly #pagesMax: number;
  readonly #builtins: Record<string, HostBuiltin>;
  #instance: LoadedPolicy | undefined;

  /** @throws GatewayError `policy_unavailable` when the module, its builtins or its data cannot be used. */
  constructor(wasm: Uint8Array, data: JsonObject, options: EvaluatorOptions = {}) {
    const { builtins = new Map<string, HostBuiltin>(), memoryBytesMax = limits.policyMemoryBytesMax } = options;
    this.#pagesMax = Math.floor(memoryBytesMax / pageBytes);
    const bytes = Buffer.byteLength(JSON.stringify(data));
    this.#pages = Math.ceil((bytes * dataExpansion + limits.policyMemoryBytesBase) / pageBytes);
    if (this.#pages > this.#pagesMax) throw unusable('the data is too large');
    this.#data = data;
    this.#builtins = Object.fromEntries([...builtins].map(([name, builtin]) => [name, guarded(name, builtin)]));
    try {
      // A copy: the SDK's types want a buffer of its own, and the module must not see later changes.
      this.#module = new WebAssembly.Module(new Uint8Array(wasm));
      const exported = new Set(WebAssembly.Module.exports(this.#module).map(({ name }) => name));
      if (!exported.has('opa_wasm_abi_version')) throw unusable('its module is not one of OPA');
      this.#instance = this.#instantiate();
    } catch (thrown) {
      throw asGatewayError(thrown, 'policy_unavailable', 'The policy bundle is refused: its module cannot be used.');
    }
    const missing = requiredBuiltins(this.#instance).find((name) => !builtins.has(name) || sdkBuiltins.has(name));
    if (missing !== undefined) throw unusable(`it needs the builtin ${missing}, which the gateway does not have`);
  }

  /**
   * The value of the entrypoint, or `undefined` when the policy leaves it undefined.
   *
   * @param input - an object that the gateway built and checked: anything else would evaluate as no input at all.
   * @throws GatewayError `policy_error` after a trap, an abort or a builtin that failed.
   */
  evaluate(input: JsonObject): Json | undefined {
    const instance = this.#instance;
    try {
      const policy = instance ?? this.#instantiate();
      this.#instance = undefined;
      const results: unknown = policy.evaluate(input, entrypoint);
      this.#instance = policy;
      if (!Array.isArray(results) || results.length > 1) throw new Error('not a result set');
      const [first] = results as unknown[];
      return typeof first === 'object' && first !== null
        ? (Reflect.get(first, 'result') as Json | undefined)
        : undefined;
    } catch (thrown) {
      // Strings and plain objects are thrown too. The instance may be in any state: it is not used again.
      this.#instance = undefined;
      throw asGatewayError(thrown, 'policy_error', 'The policy failed to evaluate.');
    }
  }

  /** Bytes of WebAssembly memory in use now. */
  get memoryBytes(): number {
    return this.#instance?.mem.buffer.byteLength ?? 0;
  }

  /** True when the memory had to grow after it was made for the data: each step copies all of it. */
  get grown(): boolean {
    return this.memoryBytes > this.#pages * pageBytes;
  }

  #instantiate(): LoadedPolicy {
    const policy = loadPolicySync(this.#module, { initial: this.#pages, maximum: this.#pagesMax }, this.#builtins);
    if (!Object.hasOwn(policy.entrypoints as object, entrypoint)) throw unusable(`it has no entrypoint ${entrypoint}`);
    policy.setData(this.#data);
    return policy;
  }
}

/**
 * A promise serialises to `{}`, which is true; `undefined` makes `not f(x)` true. Both are failures here, and a failure
 * ends the evaluation.
 */
function guarded(name: string, builtin: HostBuiltin): HostBuiltin {
  return (...args) => {
    const value: unknown = builtin(...args);
    if (value === undefined || typeof value === 'function') throw new Error(`${name} gave no value`);
    if (typeof value === 'object' && value !== null && 'then' in value) throw new Error(`${name} gave a promise`);
    return value as Json;
  };
}

/** The builtins a module imports, read from its memory as the SDK does. */
function requiredBuiltins(policy: LoadedPolicy): string[] {
  const { exports } = policy.wasmInstance as WebAssembly.Instance;
  const { builtins, opa_json_dump: dump } = exports;
  if (typeof builtins !== 'function' || typeof dump !== 'function') throw unusable('its module is not one of OPA');
  const memory = Buffer.from(policy.mem.buffer);
  const start = Number(dump(builtins()));
  const names: unknown = JSON.parse(memory.toString('utf8', start, memory.indexOf(0, start)));
  return typeof names === 'object' && names !== null ? Object.keys(names) : [];
}

function unusable(why: string): GatewayError {
  return new GatewayError('policy_unavailable', `The policy bundle is refused: ${why}.`);
}
