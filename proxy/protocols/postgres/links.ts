import type { Socket } from 'node:net';

/** The client's side of a conversation, after its login. */
export interface ClientLink {
  readonly socket: Socket;
}

/** The upstream's side of a conversation, after its login. */
export interface ServerLink {
  readonly socket: Socket;
  /** Sends a CancelRequest and settles when the upstream has dealt with it. Never rejects. */
  cancel(): Promise<void>;
}
