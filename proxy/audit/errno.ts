import { types } from 'node:util';

/** The code of an error of the system (`ENOSPC`), or undefined. */
export function errorCode(thrown: unknown): string | undefined {
  if (!types.isNativeError(thrown) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/** What went wrong in a few words: `write: ENOSPC` for an error of the system, the message of any other. */
export function describeError(thrown: unknown): string {
  if (!types.isNativeError(thrown)) return 'unknown';
  const code = errorCode(thrown);
  return code !== undefined && 'syscall' in thrown ? `${String(thrown.syscall)}: ${code}` : thrown.message;
}
