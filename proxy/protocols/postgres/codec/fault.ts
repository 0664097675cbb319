import type { Fault } from '../../../core/types.ts';

/** Bytes that are not protocol 3.0, or more of them than a bound allows. The stream cannot be trusted after one. */
export class ProtocolFault implements Fault {
  readonly code: 'operation_malformed' | 'operation_too_large';
  /** A sentence for people; names message types and sizes, never content. */
  readonly message: string;

  constructor(code: ProtocolFault['code'], message: string) {
    this.code = code;
    this.message = message;
  }
}
