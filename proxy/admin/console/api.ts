/** The API, as this page asks it. */
import type { Json } from './types.ts';

/** A refusal of the API, in words. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Asks for JSON. @throws ApiError; its message is for people. */
export async function ask<Answer>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: Json): Promise<Answer> {
  let answered: Response;
  try {
    answered = await fetch(path, {
      method,
      headers: {
        ...(method !== 'GET' && { 'x-sallyport-console': '1' }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(0, 'unreachable', 'The gateway cannot be reached. Check your connection.');
  }
  if (answered.status === 204) return undefined as Answer;
  const json = await answered.json().catch(() => ({}));
  if (!answered.ok)
    throw new ApiError(answered.status, String(json.code), String(json.detail ?? 'Something went wrong.'));
  return json as Answer;
}

/** `?a=1&b=2` of what is given. */
export function query(parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).flatMap(([name, value]) => (value ? [[name, value]] : []));
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}
