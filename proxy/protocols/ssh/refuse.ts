/** Refusals in SSH's own words: text on standard error and an exit status, or the description of a failed open. */
import type { Refusal } from '../../core/types.ts';

/** What a refused command exits with: "found, but cannot be run" in every POSIX shell. */
export const refusedStatus = 126;

/** A refusal for standard error: what, why, what to do, and the decision to ask about. Lines end in CR LF on a terminal. */
export function refusalText(refusal: Refusal, terminal = false): string {
  const { message, hint, decisionId } = refusal;
  const lines = [`refused: ${message} (${reasonOf(refusal)})`, hint, `decision ${decisionId}`];
  const end = terminal ? '\r\n' : '\n';
  return lines.map((line) => `sallyport: ${oneLine(line)}${end}`).join('');
}

/** A refusal as the description of a channel that was not opened, or the message of an SFTP status: one line. */
export function refusalLine(refusal: Refusal): string {
  return oneLine(`sallyport: ${refusal.message} (${reasonOf(refusal)}) ${refusal.hint} [${refusal.decisionId}]`);
}

/** What a client hears while its command is held. */
export function noticeText(text: string, terminal: boolean): string {
  return `sallyport: ${oneLine(text)}${terminal ? '\r\n' : '\n'}`;
}

function reasonOf({ policy, code }: Refusal): string {
  return policy === undefined ? code : `${policy}/${code}`;
}

/** Messages of policies may quote what an agent wrote: nothing of it may move a terminal's cursor. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
}
