import { createHmac } from 'node:crypto';
import type { Approval, Notice } from '../core/approvals.ts';
import type { Clock } from '../core/ports.ts';
import { brokeGlass, type Channel, post } from './channel.ts';

/** Where a webhook goes. */
export interface WebhookOptions {
  readonly name: string;
  readonly url: string;
  /** `whsec_` and the key in base64, as in Standard Webhooks; else the key as it is. */
  readonly secret: string;
  readonly clock: Clock;
}

/**
 * A webhook as Standard Webhooks has it: signed, with an id that is the same at each try, so that a receiver can tell
 * what it had already.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function webhook({ name, url, secret, clock }: WebhookOptions): Channel {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret);
  return {
    name,
    async tell(notice, approval) {
      const id = `${notice.approval}.${notice.state}`;
      const nowMs = clock.nowMs();
      const timestamp = String(Math.floor(nowMs / 1000));
      const body = JSON.stringify(eventOf(notice, approval, nowMs));
      const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
      await post(url, body, {
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
      });
    },
  };
}

function eventOf({ state }: Notice, approval: Approval, nowMs: number) {
  // A name of its own, so that a receiver can ring louder bells.
  const what = state === 'approved' && brokeGlass(approval) ? 'broken_glass' : state;
  return { type: `approval.${what}`, timestamp: new Date(nowMs).toISOString(), data: approval };
}
