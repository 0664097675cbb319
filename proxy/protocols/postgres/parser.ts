/**
 * Query string → syntax tree, by PostgreSQL's own parser. Short texts on this thread, long ones on a worker.
 *
 * Fails closed: NUL, invalid UTF-8, oversize, a broken instance, a full queue and a timeout are all faults.
 */
import { isUtf8 } from 'node:buffer';
import { Worker } from 'node:worker_threads';
import { limits } from '../../core/limits.ts';
import { createParserInstance, type InstanceBounds, type ParserInstance } from './parser-module.ts';
import type { ParseReply, ParseRequest } from './parser-worker.ts';

/** Why a text has no tree. */
export interface ParseFault {
  readonly code:
    | 'operation_unparseable'
    | 'operation_too_large'
    | 'operation_malformed'
    | 'limit_reached'
    | 'internal_error';
  /** A fixed sentence: never quotes the text. */
  readonly message: string;
  /** The parser's own words, which may quote the text: for the client that sent it alone. */
  readonly detail?: string;
}

/** The tree, untyped as it came, or a fault. */
export type Parsed = { readonly tree: unknown } | { readonly fault: ParseFault };

/** The bounds a parser keeps. */
export interface ParserLimits {
  readonly sqlBytesMax: number;
  readonly parserInThreadBytesMax: number;
  readonly parserQueueMax: number;
  readonly parserTimeoutMs: number;
  readonly parserMemoryBytesMax: number;
  readonly parserWorkerMemoryBytesMax: number;
  readonly parserTreeBytesMax: number;
  readonly sqlMultipliedBytesMax: number;
}

/** Parses query strings. */
export interface Parser {
  /** Synchronous up to `parserInThreadBytesMax`, a promise past it. Never throws or rejects. */
  parse(sql: Uint8Array): Parsed | Promise<Parsed>;
  /** Ends the worker; what it still owes comes back as a fault. */
  close(): Promise<void>;
}

const emptyTree: Parsed = { tree: { stmts: [] } };

function fault(code: ParseFault['code'], message: string, detail?: string): { readonly fault: ParseFault } {
  return { fault: detail === undefined ? { code, message } : { code, message, detail } };
}

/**
 * Loads the grammar of a server's major version (the newest one where there is none).
 *
 * @throws when the parser's package cannot be loaded.
 */
export async function createParser(serverMajor: number, bounds: ParserLimits = limits): Promise<Parser> {
  const instance = await createParserInstance(serverMajor, inThread(bounds));
  return new TwoLaneParser(serverMajor, bounds, instance);
}

function inThread(bounds: ParserLimits): InstanceBounds {
  return { memoryBytesMax: bounds.parserMemoryBytesMax, treeBytesMax: bounds.parserTreeBytesMax };
}

/** Text that is repeated in the tree weighs less than text that has to be read. */
const treeFactor = 16;

/**
 * The most that `SET (a, b, …) = source` can come to once the parser has written the source out for every column:
 * a few kilobytes of it make hundreds of megabytes. Looks for `)` before `=`, over white space and comments, and
 * takes every comma in front of it for a column. Zero for texts without.
 */
export function multipliedBytes(sql: Uint8Array): number {
  let most = 0;
  let commas = 0;
  let closed = false;
  for (let at = 0; at < sql.length; at++) {
    const byte = sql[at] ?? 0;
    if (byte === 0x2c) commas++;
    if (byte === 0x29) closed = true;
    else if (byte === 0x3d && closed) {
      most = Math.max(most, commas * (sql.length - at));
      closed = false;
    } else if (closed && byte > 0x20) at = afterComment(sql, at, () => (closed = false));
  }
  return most;
}

/** Past a comment that begins here, as its last byte; `other` is called when none does. */
function afterComment(sql: Uint8Array, at: number, other: () => void): number {
  const pair = (sql[at] ?? 0) * 256 + (sql[at + 1] ?? 0);
  const end = pair === 0x2d2d ? sql.indexOf(0x0a, at) : pair === 0x2f2a ? commentEnd(sql, at) : -2;
  if (end === -2) {
    other();
    return at;
  }
  return end < 0 ? sql.length : end;
}

/** The last byte of a comment; comments nest. */
function commentEnd(sql: Uint8Array, from: number): number {
  let depth = 0;
  for (let at = from; at < sql.length; at++) {
    const pair = (sql[at] ?? 0) * 256 + (sql[at + 1] ?? 0);
    if (pair === 0x2f2a) depth++;
    else if (pair === 0x2a2f) depth--;
    else continue;
    at++;
    if (depth === 0) return at;
  }
  return -1;
}

class TwoLaneParser implements Parser {
  readonly #serverMajor: number;
  readonly #bounds: ParserLimits;
  #instance: ParserInstance | undefined;
  #renewal: Promise<void> | undefined;
  #lane: WorkerLane | undefined;

  constructor(serverMajor: number, bounds: ParserLimits, instance: ParserInstance) {
    this.#serverMajor = serverMajor;
    this.#bounds = bounds;
    this.#instance = instance;
  }

  parse(sql: Uint8Array): Parsed | Promise<Parsed> {
    if (sql.length > this.#bounds.sqlBytesMax) return fault('operation_too_large', 'The query string is too long.');
    if (sql.includes(0)) return fault('operation_malformed', 'The query string contains a NUL byte.');
    if (!isUtf8(sql)) return fault('operation_malformed', 'The query string is not valid UTF-8.');
    if (sql.length === 0) return emptyTree;
    const multiplied = multipliedBytes(sql);
    if (multiplied > this.#bounds.sqlMultipliedBytesMax) {
      return fault('operation_too_large', 'A source that is assigned to several columns is too long.');
    }
    if (Math.max(sql.length, multiplied / treeFactor) > this.#bounds.parserInThreadBytesMax) {
      this.#lane ??= new WorkerLane(this.#serverMajor, this.#bounds);
      return this.#lane.parse(sql);
    }
    const instance = this.#instance;
    // Between a broken instance and its successor (milliseconds) statements wait instead of failing.
    if (instance === undefined) return this.#renew().then(() => this.parse(sql));
    const result = instance.parse(sql);
    if ('broken' in result) {
      this.#instance = undefined;
      return this.#renew().then(() => fault('operation_unparseable', 'The parser failed on the query string.'));
    }
    return toParsed(result);
  }

  #renew(): Promise<void> {
    this.#renewal ??= createParserInstance(this.#serverMajor, inThread(this.#bounds)).then((instance) => {
      this.#instance = instance;
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async close(): Promise<void> {
    await this.#lane?.close();
  }
}

function toParsed(result: { json: string } | { syntaxError: string }): Parsed {
  if ('syntaxError' in result) {
    return fault('operation_unparseable', 'The query string is not valid PostgreSQL.', result.syntaxError);
  }
  if (result.json === '') return fault('operation_unparseable', 'The parser gave no tree.');
  try {
    return { tree: JSON.parse(result.json) };
  } catch {
    return fault('operation_too_large', 'The query string is nested too deeply.');
  }
}

interface Job {
  readonly request: ParseRequest;
  readonly settle: (parsed: Parsed) => void;
}

/** A worker and the queue in front of it. One job at a time, so that a timeout ends the job that caused it alone. */
class WorkerLane {
  readonly #serverMajor: number;
  readonly #bounds: ParserLimits;
  readonly #queue: Job[] = [];
  #worker: Worker | undefined;
  #running: Job | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextId = 1;
  #closed = false;

  constructor(serverMajor: number, bounds: ParserLimits) {
    this.#serverMajor = serverMajor;
    this.#bounds = bounds;
  }

  parse(sql: Uint8Array): Promise<Parsed> {
    if (this.#closed) return Promise.resolve(fault('internal_error', 'The parser is closed.'));
    if (this.#queue.length >= this.#bounds.parserQueueMax) {
      return Promise.resolve(fault('limit_reached', 'Too many long query strings wait to be parsed.'));
    }
    return new Promise((settle) => {
      // A copy: the caller's bytes may be a view of a socket buffer that is reused.
      this.#queue.push({ request: { id: this.#nextId++, sql: Uint8Array.from(sql) }, settle });
      this.#next();
    });
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#running = job;
    this.#worker ??= this.#start();
    this.#timer = setTimeout(
      () => this.#fail(fault('operation_too_large', 'The query string takes too long to parse.')),
      this.#bounds.parserTimeoutMs,
    );
    this.#worker.postMessage(job.request);
  }

  #start(): Worker {
    // Sources and build output run alike: the worker has this file's own extension.
    const file = import.meta.url.endsWith('.ts') ? './parser-worker.ts' : './parser-worker.js';
    const worker = new Worker(new URL(file, import.meta.url), {
      workerData: {
        serverMajor: this.#serverMajor,
        memoryBytesMax: this.#bounds.parserWorkerMemoryBytesMax,
        treeBytesMax: this.#bounds.parserTreeBytesMax,
      },
      resourceLimits: { stackSizeMb: 16, maxOldGenerationSizeMb: 512 },
      execArgv: [],
    });
    worker.on('message', (reply: ParseReply) => {
      if (worker === this.#worker) this.#receive(reply);
    });
    worker.on('error', () => {
      if (worker === this.#worker) this.#fail(fault('operation_unparseable', 'The parser failed on the query string.'));
    });
    worker.on('exit', () => {
      if (worker === this.#worker) this.#fail(fault('operation_unparseable', 'The parser failed on the query string.'));
    });
    worker.unref();
    return worker;
  }

  #receive(reply: ParseReply): void {
    if (reply.id !== this.#running?.request.id) return;
    if (reply.json !== undefined) this.#settle(toParsed({ json: reply.json }));
    else if (reply.syntaxError !== undefined) this.#settle(toParsed({ syntaxError: reply.syntaxError }));
    else this.#settle(fault('operation_unparseable', 'The parser failed on the query string.'));
  }

  /** The worker is not to be trusted any more: replaced at the next job. */
  #fail(parsed: Parsed): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
    this.#settle(parsed);
  }

  #settle(parsed: Parsed): void {
    clearTimeout(this.#timer);
    const job = this.#running;
    this.#running = undefined;
    job?.settle(parsed);
    this.#next();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0)) job.settle(fault('internal_error', 'The parser is closed.'));
    const worker = this.#worker;
    this.#worker = undefined;
    this.#settle(fault('internal_error', 'The parser is closed.'));
    await worker?.terminate();
  }
}
