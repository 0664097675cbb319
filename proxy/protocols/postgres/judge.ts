import type { Permit } from '../../core/permit.ts';
import type { Authorization } from '../../core/ports.ts';
import type { Fault, HoldTerms, JsonObject, OperationFacts, Refusal } from '../../core/types.ts';
import type { ClassifiedStatement } from './classification.ts';
import type { Conversation } from './conversation.ts';
import { emptyStatement } from './database.ts';
import type { Estimated } from './estimate.ts';
import { faultFacts, sqlFacts, type Via } from './facts.ts';
import { mayWait } from './hold.ts';
import { type Classified, type Portal, type PreparedStatement, statementOf } from './names.ts';
import type { OperationPlan } from './plan.ts';
import { resolve, withParameterTypes } from './resolve.ts';
import type { Shaped } from './shapes.ts';
import { StatementText } from './statement-text.ts';

/** The answer about SQL: a permit with what was judged, or a refusal. */
export type Judged =
  /** `detail`: words for the client alone, which may quote what it sent. */
  { readonly refusal: Refusal; readonly detail?: string | undefined } | Permitted;

/** What may run, and what it is. */
export interface Permitted {
  readonly permit: Permit<OperationPlan>;
  /** With names followed. */
  readonly statements: readonly ClassifiedStatement[];
  readonly shaped: Shaped & { readonly classification: Classified };
  readonly text: StatementText;
}

/** What is known of a message already while it waits. */
export interface Waiting {
  /** The classification, once a worker has made it. */
  shaped?: Shaped | undefined;
  /** The gate's answer, once it was given after a hold; taken by whoever acts on it. */
  answer?: Judged | undefined;
}

/** What is asked: SQL, how it came, and what differs each time. */
interface Question {
  readonly shaped: Shaped;
  readonly text: Uint8Array;
  readonly via: Via;
  readonly prepared?: PreparedStatement;
  readonly portal?: Portal | undefined;
  readonly audit?: JsonObject | undefined;
  /** As Parse or the server said; 0 where unknown. */
  readonly parameterTypes?: readonly number[] | undefined;
  /** The message that runs it; without one it is only prepared. */
  readonly message?: Waiting | undefined;
}

/** On whose account a prepared statement is judged. */
interface Asked {
  /** The message that runs it. */
  readonly message?: Waiting;
  readonly audit?: JsonObject;
}

/** SQL → classification → names followed → facts → the session's answer. `wait`: again after `progressed`. */
export class Judge {
  readonly #talk: Conversation;
  #busy = false;

  constructor(conversation: Conversation) {
    this.#talk = conversation;
  }

  /** A worker is classifying, or the gate holds what was asked. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Judges a query string. */
  text(
    message: Waiting,
    sql: Buffer,
    via: Via,
    audit?: JsonObject,
    parameterTypes?: readonly number[],
  ): Judged | 'wait' {
    if (message.answer !== undefined) return takeAnswer(message, message.answer);
    message.shaped ??= this.#classify(sql, (shaped) => {
      message.shaped = shaped;
    });
    if (message.shaped === undefined) return 'wait';
    const runs = via === 'simple' && { message };
    return this.#judge({ shaped: message.shaped, text: sql, via, audit, parameterTypes, ...runs });
  }

  /** Judges a prepared statement that is about to run, classified anew when the catalog changed. */
  prepared(prepared: PreparedStatement, portal: Portal | undefined, asked: Asked): Judged | 'wait' {
    const { message, audit } = asked;
    if (message?.answer !== undefined) return takeAnswer(message, message.answer);
    if (prepared.by !== 'declare' && prepared.catalogEpoch !== this.#talk.database.epoch) {
      const keep = (shaped: Shaped) => this.#keep(prepared, shaped);
      const again = this.#classify(Buffer.from(prepared.text), keep);
      if (again === undefined) return 'wait';
      keep(again);
    }
    const shaped = { classification: prepared.classification, constants: prepared.places };
    const { text, parameterTypes } = prepared;
    return this.#judge({ shaped, text, via: 'extended', prepared, portal, audit, parameterTypes, message });
  }

  /** A statement judged under an older policy or catalog is judged again before parameters reach the upstream. */
  stale(prepared: PreparedStatement): Refusal | 'wait' | undefined {
    const { session, database } = this.#talk;
    if (prepared.sessionEpoch === session.epoch && prepared.catalogEpoch === database.epoch) return undefined;
    const judged = this.prepared(prepared, undefined, { audit: { phase: 'bind' } });
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
  #classify(sql: Buffer, keep: (shaped: Shaped) => void): Shaped | undefined {
    const answer = this.#talk.database.classify(sql);
    if (!(answer instanceof Promise)) return answer;
    this.#busy = true;
    void answer.then((shaped) => {
      keep(shaped);
      this.#busy = false;
      this.#talk.progressed();
    });
    return undefined;
  }

  #judge(question: Question): Judged | 'wait' {
    const { shaped, text, via, prepared, portal, audit, parameterTypes = [], message } = question;
    const { database, session, status } = this.#talk;
    const { classification } = shaped;
    if ('fault' in classification) {
      const { code, message, detail } = classification.fault;
      return { refusal: this.refuse({ code, message }, text, via), detail };
    }
    const followed = resolve(classification, this.#talk);
    if (followed === 'unsettled') return 'wait';
    const resolved = withParameterTypes(followed, parameterTypes, (oid) => database.typeFunctions(oid));
    const { statements } = resolved;
    if (statements.some((statement) => this.#hasTooMany(statement))) {
      const message = 'This connection has too many prepared statements or cursors.';
      return { refusal: this.refuse({ code: 'limit_reached', message }, text, via) };
    }
    const { target } = database;
    const inTransaction = status !== 'I';
    const { fingerprint } = classification;
    const make = () => sqlFacts({ fingerprint, statements, via, inTransaction }, target);
    const facts: OperationFacts<OperationPlan> = resolved.alone
      ? database.facts.get(classification, `${via} ${inTransaction}`, target.labels, make)
      : make();
    const known = prepared?.statementText;
    const statementText =
      known?.target === target ? known : new StatementText(text, statements, shaped.constants, target);
    if (prepared !== undefined && resolved.alone) prepared.statementText = statementText;
    const done = (answer: Authorization<OperationPlan>): Judged =>
      'refusal' in answer
        ? answer
        : {
            permit: answer.permit,
            statements,
            shaped: { classification, constants: shaped.constants },
            text: statementText,
          };
    const answer = session.authorize({
      facts,
      hold: () =>
        this.#holdTerms(message, portal, {
          text: statementText.original,
          fingerprint,
          // What an EXECUTE runs is a name of this connection.
          statements: resolved.alone ? statements : [],
          bound: portal && { ...portal.bound, types: parameterTypes, shown: parametersOf(portal) },
        }),
      variable: () => ({ text: statementText.original, ...(portal && { parameters: parametersOf(portal) }) }),
      audit: (decision) => ({ text: statementText.kept(decision), ...audit }),
    });
    if (!(answer instanceof Promise)) return done(answer);
    if (message === undefined) throw new Error('what is only prepared was held');
    this.#busy = true;
    void answer.then((late) => {
      message.answer = done(late);
      this.#busy = false;
      this.#talk.holding.done();
      this.#talk.progressed();
    });
    return 'wait';
  }

  /** How a message that runs something may be held; what only prepares is judged again when it runs. */
  #holdTerms(message: Waiting | undefined, portal: Portal | undefined, held: Estimated): HoldTerms {
    if (message === undefined) return preparing;
    const talk = this.#talk;
    const { epoch } = talk.database;
    const waits = mayWait(talk);
    return {
      // What a value is depends on its format: the digits of a number, or its bytes in hexadecimal.
      bound: () => (portal === undefined ? {} : { formats: portal.parameters().map(({ format }) => format) }),
      ...(portal && { describe: () => ({ parameters: parametersOf(portal) }) }),
      mayWait: waits,
      // Another connection does not see what a transaction did, and must not wait for its locks.
      estimate: waits ? talk.database.estimate(held) : undefined,
      notice: (words) => talk.notify(words),
      signal: talk.holding.begin(),
      current: () => talk.database.epoch === epoch && !talk.skipping,
    };
  }

  /** PREPARE and DECLARE make names as Parse and Bind do, within the same bounds. */
  #hasTooMany({ control }: ClassifiedStatement): boolean {
    const { statements, portals } = this.#talk;
    return (control.type === 'prepare' && statements.full) || (control.type === 'declare' && portals.full);
  }

  #keep(prepared: PreparedStatement, { classification, constants }: Shaped): void {
    prepared.catalogEpoch = this.#talk.database.epoch;
    prepared.fields = undefined;
    prepared.places = constants;
    prepared.statementText = undefined;
    if ('fault' in classification) prepared.classification = unclassified(prepared);
    else prepared.classification = prepared.by === 'prepare' ? inner(classification) : classification;
  }
}

const preparing: HoldTerms = { mayWait: false, prepares: true };

/** Completes a permit that was given after a hold to a message that is not wanted any more. */
export function abandon(message: Waiting): void {
  const { answer } = message;
  message.answer = undefined;
  if (answer !== undefined && 'permit' in answer) answer.permit.complete({ status: 'aborted' });
}

function takeAnswer(message: Waiting, answer: Judged): Judged {
  message.answer = undefined;
  return answer;
}

function parametersOf(portal: Portal) {
  return portal.parameters().map(({ type, value }) => ({ type, value }));
}

/** What a statement becomes whose text cannot be classified any more. */
function unclassified({ classification, ...prepared }: PreparedStatement): Classified {
  const statement = statementOf({ classification, ...prepared }) ?? emptyStatement;
  return { ...classification, statements: [{ ...statement, incomplete: ['no_longer_classified'] }] };
}

/** The classification of the statement inside a PREPARE. */
function inner(classification: Classified): Classified {
  const control = classification.statements[0]?.control;
  if (control?.type === 'prepare') return { ...classification, statements: [control.statement] };
  return { ...classification, statements: [{ ...emptyStatement, incomplete: ['unknown_prepared_statement'] }] };
}
