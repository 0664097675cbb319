import type { Permit } from '../../core/permit.ts';
import type { Fault, JsonObject, OperationFacts, Refusal } from '../../core/types.ts';
import type { Classification, ClassifiedStatement } from './classification.ts';
import type { Conversation } from './conversation.ts';
import { emptyStatement } from './database.ts';
import { faultFacts, sqlFacts, type Via } from './facts.ts';
import { type Classified, type Portal, type PreparedStatement, statementOf } from './names.ts';
import type { OperationPlan } from './plan.ts';
import { resolve } from './resolve.ts';

/** The answer about SQL: a permit with what was judged, or a refusal. */
export type Judged =
  /** `detail`: words for the client alone, which may quote what it sent. */
  | { readonly refusal: Refusal; readonly detail?: string | undefined }
  | {
      readonly permit: Permit<OperationPlan>;
      readonly statements: readonly ClassifiedStatement[];
      readonly classified: Classified;
    };

/** Where the classification of a message is kept while the message waits. */
export interface Waiting {
  classification?: Classification | undefined;
}

/** SQL → classification → names followed → facts → the session's answer. `wait`: again after `progressed`. */
export class Judge {
  readonly #talk: Conversation;
  #busy = false;

  constructor(conversation: Conversation) {
    this.#talk = conversation;
  }

  /** A worker is classifying. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Judges a query string. */
  text(message: Waiting, sql: Buffer, via: Via, audit?: JsonObject): Judged | 'wait' {
    message.classification ??= this.#classify(sql, (classification) => {
      message.classification = classification;
    });
    if (message.classification === undefined) return 'wait';
    return this.#judge(message.classification, sql, via, undefined, audit);
  }

  /** Judges a prepared statement that is about to run, classified anew when the catalog changed. */
  prepared(prepared: PreparedStatement, portal: Portal | undefined, audit?: JsonObject): Judged | 'wait' {
    if (prepared.by !== 'declare' && prepared.catalogEpoch !== this.#talk.database.epoch) {
      const keep = (classification: Classification) => this.#keep(prepared, classification);
      const again = this.#classify(prepared.text, keep);
      if (again === undefined) return 'wait';
      keep(again);
    }
    return this.#judge(prepared.classification, prepared.text, 'extended', portal, audit);
  }

  /** A statement judged under an older policy or catalog is judged again before parameters reach the upstream. */
  stale(prepared: PreparedStatement): Refusal | 'wait' | undefined {
    const { session, database } = this.#talk;
    if (prepared.sessionEpoch === session.epoch && prepared.catalogEpoch === database.epoch) return undefined;
    const judged = this.prepared(prepared, undefined, { phase: 'bind' });
    if (judged === 'wait') return 'wait';
    if ('refusal' in judged) return judged.refusal;
    judged.permit.complete({ status: 'ok' });
    prepared.sessionEpoch = session.epoch;
    return undefined;
  }

  /** Refuses something whatever policy says, and has it audited. `text` is kept as a hash only. */
  refuse(fault: Fault, text: Uint8Array, via: Via, action = 'utility'): Refusal {
    const { session, database } = this.#talk;
    const answer = session.authorize({ facts: faultFacts({ text, via, fault, action }, database.target) });
    if (answer instanceof Promise || 'permit' in answer) throw new Error('a fault was permitted');
    return answer.refusal;
  }

  /** The classification, or `undefined` while a worker makes it; then `keep` gets it. */
  #classify(sql: Uint8Array, keep: (classification: Classification) => void): Classification | undefined {
    const answer = this.#talk.database.classify(sql);
    if (!(answer instanceof Promise)) return answer;
    this.#busy = true;
    void answer.then((classification) => {
      keep(classification);
      this.#busy = false;
      this.#talk.progressed();
    });
    return undefined;
  }

  #judge(
    classification: Classification,
    text: Uint8Array,
    via: Via,
    portal: Portal | undefined,
    audit: JsonObject | undefined,
  ): Judged | 'wait' {
    const { database, session, status } = this.#talk;
    if ('fault' in classification) {
      const { code, message, detail } = classification.fault;
      return { refusal: this.refuse({ code, message }, text, via), detail };
    }
    const resolved = resolve(classification, this.#talk);
    if (resolved === 'unsettled') return 'wait';
    const { statements } = resolved;
    const { target } = database;
    const inTransaction = status !== 'I';
    // The text is a view of what the client sent: facts outlive that.
    const make = (): OperationFacts<OperationPlan> =>
      sqlFacts(
        { text: Buffer.from(text), fingerprint: classification.fingerprint, statements, via, inTransaction },
        target,
      );
    const facts = resolved.alone
      ? database.facts.get(classification, `${via} ${inTransaction}`, target.labels, make)
      : make();
    const variable =
      portal && (() => ({ parameters: portal.parameters().map(({ type, value }) => ({ type, value })) }));
    const answer = session.authorize({ facts, variable, audit });
    if (answer instanceof Promise) throw new Error('the gate of this path answers at once');
    return 'refusal' in answer ? answer : { permit: answer.permit, statements, classified: classification };
  }

  #keep(prepared: PreparedStatement, classification: Classification): void {
    prepared.catalogEpoch = this.#talk.database.epoch;
    prepared.fields = undefined;
    if ('fault' in classification) prepared.classification = unclassified(prepared);
    else prepared.classification = prepared.by === 'prepare' ? inner(classification) : classification;
  }
}

/** What a statement becomes whose text cannot be classified any more. */
function unclassified(prepared: PreparedStatement): Classified {
  const statement = statementOf(prepared) ?? emptyStatement;
  const { fingerprint } = prepared.classification;
  return { fingerprint, statements: [{ ...statement, incomplete: ['no_longer_classified'] }] };
}

/** The classification of the statement inside a PREPARE. */
function inner({ fingerprint, statements: [outer] }: Classified): Classified {
  const control = outer?.control;
  if (control?.type === 'prepare') return { fingerprint, statements: [control.statement] };
  return { fingerprint, statements: [{ ...emptyStatement, incomplete: ['unknown_prepared_statement'] }] };
}
