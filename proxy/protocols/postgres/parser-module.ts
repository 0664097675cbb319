/**
 * PostgreSQL's own parser as a WebAssembly instance that can be thrown away.
 *
 * The npm package offers a ready-made instance, but one only, and a stack overflow inside it leaks its stack
 * until it is corrupt. So the package's glue is called here with a compiled module of our own, once an instance.
 *
 * @see https://github.com/constructive-io/libpg-query-node
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The two functions of the platform that are used; its types come with the DOM's, which have no place here. */
declare const WebAssembly: {
  compile(bytes: Uint8Array): Promise<object>;
  instantiate(module: object, imports: object): Promise<object>;
};

/** What became of one parse: the tree as JSON text, a syntax error of the server's own parser, or a broken instance. */
export type ParseResult =
  | { readonly json: string }
  | { readonly syntaxError: string }
  /** The instance must not be used again. */
  | { readonly broken: unknown };

/** One parser instance. Not re-entrant. */
export interface ParserInstance {
  /** @param sql valid UTF-8 without NUL, not empty. Never throws. */
  parse(sql: Uint8Array): ParseResult;
}

/** How much one parse may take. Past either the result is `broken`. */
export interface InstanceBounds {
  readonly memoryBytesMax: number;
  readonly treeBytesMax: number;
}

/** The part of the Emscripten module object that is used. */
interface Glue {
  readonly HEAPU8?: Uint8Array;
  _malloc(size: number): number;
  _free(pointer: number): void;
  _wasm_parse_query_raw(pointer: number): number;
  _wasm_free_parse_result(pointer: number): void;
  getValue(pointer: number, type: 'i32'): number;
  UTF8ToString(pointer: number): string;
  stringToUTF8(text: string, pointer: number, size: number): void;
}

const functions = [
  '_malloc',
  '_free',
  '_wasm_parse_query_raw',
  '_wasm_free_parse_result',
  'getValue',
  'UTF8ToString',
  'stringToUTF8',
] as const;

function isGlue(value: unknown): value is Glue {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return functions.every((name) => typeof record[name] === 'function');
}

const require = createRequire(import.meta.url);
const packages: Record<number, string> = { 15: 'libpg-query-15', 16: 'libpg-query-16', 17: 'libpg-query-17' };
const compiled = new Map<string, Promise<object>>();

/** The package with the grammar of a server's major version; the newest one where there is no exact match. */
export function parserPackage(serverMajor: number): string {
  return packages[serverMajor] ?? 'libpg-query';
}

/**
 * Makes a fresh instance. Compiling happens once a package and thread; instantiating takes milliseconds.
 *
 * @throws when the package is missing or is not what this module was written against.
 */
export async function createParserInstance(serverMajor: number, bounds: InstanceBounds): Promise<ParserInstance> {
  const name = parserPackage(serverMajor);
  const entry = require.resolve(name);
  const folder = dirname(entry);
  let module = compiled.get(name);
  if (module === undefined) {
    module = readFile(join(folder, 'libpg-query.wasm')).then((bytes) => WebAssembly.compile(bytes));
    compiled.set(name, module);
  }
  const wasm = await module;
  const factory: unknown = require(join(folder, 'libpg-query.js'));
  if (typeof factory !== 'function') throw new TypeError(`${name} does not export its module factory`);
  const glue: unknown = await factory({
    instantiateWasm(imports: object, done: (instance: object) => void) {
      boundMemory(imports, bounds.memoryBytesMax);
      WebAssembly.instantiate(wasm, imports).then(done);
      return {};
    },
    // The parser prints nothing that is wanted here; its errors come back in the result.
    print: () => {},
    printErr: () => {},
  });
  if (!isGlue(glue)) throw new TypeError(`${name} does not offer the functions it used to`);
  return new Instance(glue, bounds.treeBytesMax);
}

/** Emscripten asks one import for more memory; which one is known by its function's name alone. */
function boundMemory(imports: object, memoryBytesMax: number): void {
  let found = false;
  for (const group of Object.values(imports)) {
    if (typeof group !== 'object' || group === null) continue;
    for (const [key, original] of Object.entries(group)) {
      if (typeof original !== 'function' || original.name !== '_emscripten_resize_heap') continue;
      Reflect.set(group, key, (size: number) => (size >>> 0 > memoryBytesMax ? 0 : original(size)));
      found = true;
    }
  }
  if (!found) throw new TypeError('the parser does not ask for memory where it used to');
}

class Instance implements ParserInstance {
  readonly #glue: Glue;
  readonly #treeBytesMax: number;

  constructor(glue: Glue, treeBytesMax: number) {
    this.#glue = glue;
    this.#treeBytesMax = treeBytesMax;
  }

  parse(sql: Uint8Array): ParseResult {
    const glue = this.#glue;
    // Emscripten's idea of an exit is to set the process's exit code and throw.
    const { exitCode } = process;
    try {
      const query = this.#copyIn(sql);
      const result = glue._wasm_parse_query_raw(query);
      glue._free(query);
      if (result === 0) return { broken: new Error('the parser is out of memory') };
      // PgQueryParseResult: tree, captured stderr, error. PgQueryError starts with the message.
      const tree = glue.getValue(result, 'i32');
      const error = glue.getValue(result + 8, 'i32');
      const outcome =
        error !== 0
          ? { syntaxError: glue.UTF8ToString(glue.getValue(error, 'i32')) }
          : { json: tree === 0 ? '' : this.#read(tree) };
      glue._wasm_free_parse_result(result);
      return outcome;
    } catch (broken) {
      process.exitCode = exitCode;
      return { broken };
    }
  }

  #read(pointer: number): string {
    const end = this.#glue.HEAPU8?.indexOf(0, pointer) ?? 0;
    if (end - pointer > this.#treeBytesMax) throw new RangeError('the tree is over its bound');
    return this.#glue.UTF8ToString(pointer);
  }

  #copyIn(sql: Uint8Array): number {
    const glue = this.#glue;
    const pointer = glue._malloc(sql.length + 1);
    if (pointer === 0) throw new Error('the parser is out of memory');
    const heap = glue.HEAPU8;
    if (heap instanceof Uint8Array) {
      heap.set(sql, pointer);
      heap[pointer + sql.length] = 0;
    } else {
      const text = Buffer.from(sql.buffer, sql.byteOffset, sql.length).toString('utf8');
      glue.stringToUTF8(text, pointer, sql.length + 1);
    }
    return pointer;
  }
}
