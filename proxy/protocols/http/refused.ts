import type { RefusalCode } from '../../core/errors.ts';
import type { Refused } from './contract.ts';

/** A request that is refused before policy is asked. The message never quotes a value. */
export function refused<Status extends number>(status: Status, code: RefusalCode, message: string): Refused<Status> {
  return { fault: { code, message }, status };
}

/** A request that could be read in two ways, or in none. */
export function malformed(message: string): Refused<400> {
  return refused(400, 'operation_malformed', message);
}
