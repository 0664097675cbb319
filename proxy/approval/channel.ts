import type { Approval, Notice } from '../core/approvals.ts';
import { beginningOf } from '../core/beginning.ts';
import { limits } from '../core/limits.ts';

/** Whether nobody but its own requester let it through. */
export function brokeGlass({ votes }: Approval): boolean {
  return votes.some((vote) => vote.brokeGlass === true);
}

/** A way to tell people. */
export interface Channel {
  readonly name: string;
  /** Says where an approval stands; rejects when that did not arrive, and it is tried again. */
  tell(notice: Notice, approval: Approval): Promise<void>;
}

/**
 * Posts JSON; redirects are not followed.
 * @returns the answer, up to its bound
 * @throws Error for anything but a success, without the URL: it may hold a secret.
 */
export async function post(url: string, body: string, headers: Record<string, string>): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', 'user-agent': 'sallyport', ...headers },
    redirect: 'manual',
    signal: AbortSignal.timeout(limits.approvalNoticeTimeoutMs),
  }).catch((cause: unknown) => {
    throw new Error('a channel cannot be reached', { cause });
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`a channel answered ${response.status}`);
  }
  return response.body === null ? '' : await beginningOf(response.body, limits.approvalAnswerBytesMax);
}
