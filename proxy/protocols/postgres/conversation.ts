import { randomBytes } from 'node:crypto';
import { ChunkWriter, Forwarder } from '../../core/forwarder.ts';
import type { Limits } from '../../core/limits.ts';
import type { Masker } from '../../core/masker.ts';
import type { SessionHandle } from '../../core/ports.ts';
import type { Fault, Outcome, Refusal } from '../../core/types.ts';
import type { TransactionStatus } from './codec.ts';
import type { Database } from './database.ts';
import { type Expected, ExpectedReplies } from './expected.ts';
import type { HoldSlot } from './hold.ts';
import type { ClientLink, ServerLink } from './links.ts';
import { Names, type Portal, type PreparedStatement } from './names.ts';
import { outcomeOf, type Run } from './run.ts';
import { unannounce } from './settle.ts';

/** What a conversation is held with. */
export interface ConversationParts {
  readonly session: SessionHandle;
  readonly database: Database;
  readonly client: ClientLink;
  readonly upstream: ServerLink;
  readonly masker: Masker;
  readonly limits: Limits;
  readonly holding: HoldSlot;
}

/**
 * The state of one connection between the login and its end, shared by the two directions: what was
 * forwarded and is not answered yet, which names exist, where the transaction stands.
 */
export class Conversation {
  readonly session: SessionHandle;
  readonly database: Database;
  readonly client: ClientLink;
  readonly upstream: ServerLink;
  readonly masker: Masker;
  readonly limits: Limits;
  readonly holding: HoldSlot;
  readonly toClient: ChunkWriter;
  readonly toUpstream: Forwarder;
  readonly expected = new ExpectedReplies();
  readonly statements: Names<PreparedStatement>;
  readonly portals: Names<Portal>;
  /** Part of the names no statement can have: makes the denials of this connection unguessable. */
  readonly nonce = randomBytes(12).toString('hex');
  status: TransactionStatus = 'I';
  /** Messages up to a Sync, or one simple query: what an error makes the upstream skip together. */
  group = 0;
  /** The upstream ignores everything up to the next Sync. */
  skipping = false;
  /** Something was executed since the last Sync: the implicit transaction may hold its locks. */
  executed = false;
  /** The upstream reads COPY data from the client. */
  copyIn = false;
  /** The client was told to send COPY data, or an error, only once the upstream answered. */
  awaitingCopy = false;
  /** A value that is masked may appear in errors and notices from here on. */
  sensitive = false;
  /** DDL of this connection that the catalog snapshot does not show yet. */
  catalogDirty = false;
  /** The client was told of an error that the upstream knows nothing of: replies are dropped up to ReadyForQuery. */
  muted = false;
  /** The catalog is being read again after DDL of this connection. */
  refreshing = false;
  /** A cancel of the gateway's own is under way: nothing else may run until it is done. */
  cancelling: Promise<void> | undefined;
  /** The client said goodbye. */
  leaving = false;
  /** The SQLSTATE the upstream ends the connection with, once it did: the client has been told in the server's own words. */
  farewell: string | undefined;
  /** Why the conversation ends, once it does. */
  ending: Refusal | undefined;
  #onProgress: (() => void) | undefined;
  #onNotice: ((text: string) => void) | undefined;

  constructor(parts: ConversationParts) {
    this.session = parts.session;
    this.database = parts.database;
    this.client = parts.client;
    this.upstream = parts.upstream;
    this.masker = parts.masker;
    this.limits = parts.limits;
    this.holding = parts.holding;
    this.toClient = new ChunkWriter(parts.client.socket);
    this.toUpstream = new Forwarder(parts.upstream.socket);
    this.statements = new Names(parts.limits.statementNamesMax, parts.limits.statementNamesBytesMax);
    this.portals = new Names(parts.limits.portalNamesMax, parts.limits.portalNamesBytesMax);
  }

  /** Called when something the client's next message may wait for has happened. */
  onProgress(listener: () => void): void {
    this.#onProgress = listener;
  }

  progressed(): void {
    this.#onProgress?.();
  }

  /** Called with what the client should hear of while it waits. */
  onNotice(listener: (text: string) => void): void {
    this.#onNotice = listener;
  }

  notify(text: string): void {
    this.#onNotice?.(text);
  }

  /** Ends the conversation because it cannot be trusted any more. The relay says so to the client. */
  fail(fault: Fault): void {
    if (this.ending !== undefined) return;
    this.ending = {
      decisionId: `${this.session.id}.end`,
      code: fault.code,
      policy: undefined,
      message: fault.message,
      hint: 'Reconnect.',
      reasons: [],
      endSession: true,
    };
  }

  /** The run whose rows, COPY data or completion come next. */
  get running(): Run | undefined {
    const { head } = this.expected;
    if (head?.kind === 'execute') return head.run;
    return head?.kind === 'query' && !head.failed ? head.runs[head.at] : undefined;
  }

  /** The upstream sent what it does not owe: which reply belongs to what cannot be told any more. Always false. */
  desynchronised(type: number): false {
    const what = JSON.stringify(String.fromCharCode(type));
    this.fail({ code: 'internal_error', message: `The upstream sent ${what} where it was not expected.` });
    return false;
  }

  /** A mask that was promised cannot be applied. Always false. */
  failClosed(message: string): false {
    this.fail({ code: 'mask_unprovable', message });
    return false;
  }

  /** Completes what the dropped entries stood for: it never ran. */
  abandon(entries: readonly Expected[], outcome: Outcome): void {
    for (const entry of entries) this.#abandon(entry, outcome);
  }

  #abandon(entry: Expected, outcome: Outcome): void {
    switch (entry.kind) {
      case 'parse':
        this.statements.discard(entry.pending);
        entry.permit.complete(outcome);
        break;
      case 'bind':
        this.portals.discard(entry.pending);
        break;
      case 'describe':
        entry.of.describing = false;
        break;
      case 'execute':
        unannounce(entry.run);
        entry.run.permit.complete(outcomeOf([entry.run], outcome.status, outcome.code));
        break;
      case 'query':
        entry.runs.forEach(unannounce);
        entry.runs[0]?.permit.complete(outcomeOf(entry.runs, outcome.status, outcome.code));
        break;
      case 'close':
        entry.discard();
        break;
      default:
        break;
    }
  }

  /** Cancels what runs at the upstream now, and holds everything back until that is done. */
  cancel(): void {
    this.cancelling ??= this.upstream.cancel().finally(() => {
      this.cancelling = undefined;
      this.progressed();
    });
  }
}
