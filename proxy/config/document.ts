import { Ajv, type ErrorObject } from 'ajv';
import { isMap, isScalar, LineCounter, parseDocument, type Document as YamlDocument } from 'yaml';
import { limits } from '../core/limits.ts';
import type { RawConfig } from './raw.ts';
import { configSchema } from './schema.ts';

/** One thing that is wrong with a configuration file. Never carries a value of the file, only keys. */
export interface Problem {
  /** The keys that lead to it: `listeners[0].tls.key`. Empty for the file as a whole. */
  readonly path: string;
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** A configuration that cannot be used, with all that is wrong with it. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    const lines = problems.map(
      ({ path, line, column, message }) => `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`,
    );
    super(lines.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** Keys and indexes from the root of the file. */
export type KeyPath = readonly (string | number)[];

const validate = new Ajv({
  allErrors: true,
  strict: true,
  strictRequired: false,
  discriminator: true,
}).compile<RawConfig>(configSchema);

/**
 * A configuration file as data, after the schema, with the position of every key for errors that are
 * found later.
 */
export class ConfigDocument {
  readonly file: string;
  readonly #yaml: YamlDocument;
  readonly #lines: LineCounter;
  readonly #problems: Problem[] = [];
  /** The whole file as plain data. */
  readonly value: RawConfig;

  /** @throws ConfigError when the text is not YAML, or not of the schema's shape. */
  constructor(file: string, text: string) {
    this.file = file;
    this.#lines = new LineCounter();
    if (Buffer.byteLength(text) > limits.configBytesMax) {
      throw new ConfigError(file, [
        { path: '', line: 1, column: 1, message: `is larger than ${limits.configBytesMax} bytes` },
      ]);
    }
    this.#yaml = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true });
    const syntax = [...this.#yaml.errors, ...this.#yaml.warnings].map(({ pos, code }) => ({
      path: '',
      ...this.#position(pos[0]),
      message: syntaxMessages[code] ?? `is not YAML (${code.toLowerCase().replaceAll('_', ' ')})`,
    }));
    if (syntax.length > 0) throw new ConfigError(file, syntax);
    const data: unknown = this.#yaml.toJS({ maxAliasCount: 100 });
    if (!validate(data)) {
      for (const error of validate.errors ?? []) this.#addSchemaError(error, data);
      this.throwIfWrong();
      throw new ConfigError(file, [{ path: '', line: 1, column: 1, message: 'is not as the schema says' }]);
    }
    this.value = data;
  }

  /** Notes something wrong at a key; `throwIfWrong` reports all at once. */
  add(path: KeyPath, message: string): void {
    this.#problems.push({ path: written(path), ...this.#positionOf(path), message });
  }

  /** @throws ConfigError when anything was noted, in the order of the file. */
  throwIfWrong(): void {
    if (this.#problems.length === 0) return;
    const sorted = this.#problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
    throw new ConfigError(this.file, sorted);
  }

  #addSchemaError(error: ErrorObject, data: unknown): void {
    const path = pointer(error.instancePath, data);
    const unknown: unknown = error.params.additionalProperty;
    if (typeof unknown === 'string') this.add([...path, unknown], 'is not a known key');
    else this.add(path, schemaMessage(error));
  }

  /** The position of a key; where the path does not exist, of the nearest thing above it. */
  #positionOf(path: KeyPath): { line: number; column: number } {
    const parent = path.length <= 1 ? this.#yaml.contents : this.#yaml.getIn(path.slice(0, -1), true);
    const last = path.at(-1);
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === last);
      if (pair !== undefined && isScalar(pair.key) && pair.key.range) return this.#position(pair.key.range[0]);
    }
    const node: unknown = path.length === 0 ? this.#yaml.contents : this.#yaml.getIn(path, true);
    if (hasRange(node)) return this.#position(node.range[0]);
    return path.length === 0 ? { line: 1, column: 1 } : this.#positionOf(path.slice(0, -1));
  }

  #position(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }
}

const syntaxMessages: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'the same key is given twice',
  BAD_INDENT: 'is not indented like its neighbours',
  TAB_AS_INDENT: 'is indented with a tab',
};

/** What a schema error says to a person, without the value that caused it. */
function schemaMessage(error: ErrorObject): string {
  const detail: Readonly<Record<string, unknown>> = error.params;
  switch (error.keyword) {
    case 'required':
      return `the key ${String(detail.missingProperty)} is missing`;
    case 'discriminator':
      return 'must be a protocol that the gateway speaks: postgres, ssh or http';
    case 'enum':
      return `must be one of ${JSON.stringify(detail.allowedValues)}`;
    case 'pattern':
      return patternMessage(String(detail.pattern));
    default:
      return error.message ?? 'is not as the schema says';
  }
}

function patternMessage(pattern: string): string {
  if (pattern.startsWith('^(env:')) return 'must be a reference, env:NAME or file:PATH, never the secret itself';
  if (pattern.startsWith('^https?')) return 'must be an http or https URL';
  if (pattern.startsWith('^[a-z0-9@.-]+ ')) return 'must be a public key, as in "ssh-ed25519 AAAA…"';
  if (pattern.startsWith('^(\\[')) return 'must be HOST:PORT';
  return `must match ${pattern}`;
}

function hasRange(node: unknown): node is { range: readonly [number, number, number] } {
  return node !== null && typeof node === 'object' && 'range' in node && Array.isArray(node.range);
}

/** A JSON Pointer as keys, with numbers where the data has arrays (RFC 6901). */
function pointer(instancePath: string, root: unknown): (string | number)[] {
  const keys: (string | number)[] = [];
  let here = root;
  for (const part of instancePath.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    keys.push(Array.isArray(here) ? Number(key) : key);
    here = here !== null && typeof here === 'object' ? Reflect.get(here, key) : undefined;
  }
  return keys;
}

function written(path: KeyPath): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`),
    '',
  );
}
