/**
 * Parses long statements on a thread of its own, with a stack deep enough for what the main thread's is not.
 * One request at a time a message; the answer carries the request's number.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createParserInstance, type ParserInstance } from './parser-module.ts';

/** What the main thread sends. */
export interface ParseRequest {
  readonly id: number;
  readonly sql: Uint8Array;
}

/** What it gets back. `broken` names the failure; the instance behind it is already gone. */
export interface ParseReply {
  readonly id: number;
  readonly json?: string;
  readonly syntaxError?: string;
  readonly broken?: string;
}

function numberIn(data: unknown, name: 'serverMajor' | 'memoryBytesMax' | 'treeBytesMax'): number {
  const value: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, name) : undefined;
  if (typeof value !== 'number') throw new TypeError(`the parser worker was started without ${name}`);
  return value;
}

function isRequest(message: unknown): message is ParseRequest {
  return (
    typeof message === 'object' &&
    message !== null &&
    'id' in message &&
    typeof message.id === 'number' &&
    'sql' in message &&
    message.sql instanceof Uint8Array
  );
}

const port = parentPort;
if (port !== null) {
  const serverMajor = numberIn(workerData, 'serverMajor');
  const bounds = {
    memoryBytesMax: numberIn(workerData, 'memoryBytesMax'),
    treeBytesMax: numberIn(workerData, 'treeBytesMax'),
  };
  let instance: Promise<ParserInstance> | undefined;

  const answer = async (request: ParseRequest): Promise<ParseReply> => {
    instance ??= createParserInstance(serverMajor, bounds);
    const result = (await instance).parse(request.sql);
    if (!('broken' in result)) return { id: request.id, ...result };
    instance = undefined;
    return { id: request.id, broken: String(result.broken) };
  };

  port.on('message', (message: unknown) => {
    if (!isRequest(message)) return;
    answer(message).then(
      (reply) => port.postMessage(reply),
      (error: unknown) => {
        instance = undefined;
        port.postMessage({ id: message.id, broken: String(error) } satisfies ParseReply);
      },
    );
  });
}
