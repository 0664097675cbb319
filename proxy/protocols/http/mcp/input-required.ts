/**
 * Answers of the stateless era that ask for more (`input_required`): the client answers the questions and sends its
 * request again, with the server's state. The state goes out sealed, together with what was asked, so that it comes back
 * from whom it was given to, for the same thing, and with answers to nothing else.
 */
import type { Fault, JsonObject } from '../../../core/types.ts';
import { isObject, only } from './json-rpc.ts';
import { isServerRequest, type ServerRequest } from './methods.ts';
import type { Sealer } from './sealer.ts';

const asking: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** Passes the questions on where each of them is allowed. */
export function passInputRequired(
  method: string,
  result: JsonObject,
  allowed: ReadonlySet<ServerRequest>,
  seal: (text: string) => string,
): { readonly result: JsonObject } | { readonly fault: Fault } {
  const { inputRequests = {}, requestState } = result;
  if (!asking.has(method) || !isObject(inputRequests)) return refused('The server asks where it may not.');
  if (requestState !== undefined && typeof requestState !== 'string') return refused('The server asks unintelligibly.');
  const questions = Object.entries(inputRequests);
  if (questions.length === 0 && requestState === undefined) return refused('The server asks for nothing.');
  for (const [, question] of questions) {
    const asked = isObject(question) && only(question, ['method', 'params']) ? question.method : undefined;
    if (typeof asked !== 'string' || !isServerRequest(asked) || !allowed.has(asked)) {
      return refused('The server asks the client for something that does not pass the gateway.');
    }
  }
  const sealed = seal(JSON.stringify({ state: requestState ?? null, asked: questions.map(([key]) => key) }));
  return {
    result: {
      resultType: 'input_required',
      ...(questions.length > 0 && { inputRequests }),
      requestState: sealed,
      ...(isObject(result._meta) && { _meta: result._meta }),
    },
  };
}

/**
 * Opens what a client sends with its second attempt.
 *
 * @returns the parameters as the server knows them, or undefined when they are no answer to what was asked.
 */
export function openRetry(params: JsonObject, sealer: Sealer, scope: readonly string[]): JsonObject | undefined {
  const { inputResponses, requestState, ...others } = params;
  if (inputResponses === undefined && requestState === undefined) return params;
  const opened = typeof requestState === 'string' ? sealer.open(scope, requestState) : undefined;
  if (opened === undefined) return undefined;
  const { state, asked } = JSON.parse(opened) as { readonly state: string | null; readonly asked: readonly string[] };
  if (isObject(inputResponses) && !only(inputResponses, asked)) return undefined;
  return {
    ...others,
    ...(inputResponses !== undefined && { inputResponses }),
    ...(state !== null && { requestState: state }),
  };
}

function refused(message: string): { readonly fault: Fault } {
  return { fault: { code: 'operation_unsupported', message } };
}
