import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Approval, ApprovalDesk, Notice } from '../core/approvals.ts';
import { asGatewayError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { AuditPort, Clock } from '../core/ports.ts';
import type { JsonObject, Principal } from '../core/types.ts';
import { brokeGlass, type Channel, post } from './channel.ts';

/** A workspace, and who its people are to the gateway. */
export interface SlackOptions {
  /** Of the Web API, without the method; for tests another one than Slack's. */
  readonly url: string;
  /** A bot token with `chat:write`. */
  readonly token: string;
  /** The id of the channel that is asked. */
  readonly channel: string;
  readonly signingSecret: string;
  /** By Slack's `user.id`. Nobody else decides anything. */
  readonly users: ReadonlyMap<string, Principal>;
  readonly audit: Pick<AuditPort, 'append'>;
  readonly clock: Clock;
}

/** An answer for Slack, which shows none of it to anybody; what people are told is sent as a message. */
export interface SlackAnswer {
  readonly status: number;
  readonly body: string;
}

/** A channel of Slack: requests with buttons, and what becomes of a click on one. */
export class Slack implements Channel {
  readonly name = 'slack';
  readonly #options: SlackOptions;

  constructor(options: SlackOptions) {
    this.#options = options;
  }

  async tell({ state }: Notice, approval: Approval): Promise<void> {
    const { channel } = this.#options;
    const asks = state === 'pending';
    // Nobody decides on what was decided while the message waited.
    if (asks && approval.state !== 'pending') return;
    const text = asks
      ? `Approval ${approval.id} is wanted.`
      : `${brokeGlass(approval) ? ':rotating_light: The glass was broken. ' : ''}Approval ${approval.id} is ${state}.${byWhom(approval)}`;
    await this.#call('chat.postMessage', { channel, text, ...(asks && { blocks: blocksOf(approval) }) });
  }

  /**
   * A click on a button, as Slack posts it. Never rejects.
   *
   * @param headers - by lower-case name
   * @param rawBody - as it came: the signature is over its bytes
   * @see https://api.slack.com/authentication/verifying-requests-from-slack
   */
  async action(
    desk: ApprovalDesk,
    headers: Readonly<Record<string, string | undefined>>,
    rawBody: Buffer,
    clientAddress: string,
  ): Promise<SlackAnswer> {
    if (!this.#isSigned(headers, rawBody)) {
      this.#tellRefused('credential_invalid', clientAddress);
      return { status: 401, body: 'not signed' };
    }
    const click = clickOf(rawBody);
    if (click === undefined) {
      this.#tellRefused('operation_malformed', clientAddress);
      return { status: 400, body: 'not understood' };
    }
    const approver = this.#options.users.get(click.user);
    if (approver === undefined) {
      const { verdict: tried, approval, user } = click;
      this.#tellRefused('approval_not_yours', clientAddress, { tried, approval, slack_user: user });
    }
    const outcome =
      approver === undefined
        ? 'You are not known to the gateway. Ask the platform team.'
        : await desk
            .decide(click.approval, {
              ...{ approver, verdict: click.verdict, reason: click.reason, channel: 'slack', clientAddress },
            })
            .then(
              ({ state }) => `Approval ${click.approval} is ${state}.`,
              (thrown: unknown) => asGatewayError(thrown, 'internal_error', 'The gateway failed.').message,
            );
    const whisper = { channel: this.#options.channel, user: click.user, text: outcome };
    // Slack gives up on a click after three seconds and says that it failed: nothing of Slack's own is waited for.
    void this.#call('chat.postEphemeral', whisper).catch(() => {});
    return { status: approver === undefined ? 403 : 200, body: outcome };
  }

  /** A click that is nobody's is in the trail; what somebody's comes to, the desk says there. */
  #tellRefused(code: string, clientAddress: string, click: JsonObject = {}): void {
    const own = { what: 'refused', code, ...click, channel: this.name, client_address: clientAddress };
    this.#options.audit.append({ event: 'approval', members: '', own });
  }

  #isSigned(headers: Readonly<Record<string, string | undefined>>, rawBody: Buffer): boolean {
    const timestamp = headers['x-slack-request-timestamp'] ?? '';
    const given = Buffer.from(headers['x-slack-signature'] ?? '');
    if (!/^\d{1,12}$/.test(timestamp) || rawBody.length > limits.approvalActionBytesMax) return false;
    if (Math.abs(this.#options.clock.nowMs() - Number(timestamp) * 1000) > limits.approvalSignatureMsMax) return false;
    const hash = createHmac('sha256', this.#options.signingSecret).update(`v0:${timestamp}:`).update(rawBody);
    const expected = Buffer.from(`v0=${hash.digest('hex')}`);
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  async #call(method: string, document: object): Promise<void> {
    const { url, token } = this.#options;
    const answer = await post(`${url}/${method}`, JSON.stringify(document), { authorization: `Bearer ${token}` });
    const { ok, error }: { ok?: unknown; error?: unknown } = Object(JSON.parse(answer));
    if (ok !== true) throw new Error(`Slack refused ${method}: ${String(error)}`);
  }
}

/** What a click says. Slack's own shape, of which nothing is believed that is not looked at. */
function clickOf(rawBody: Buffer) {
  try {
    const payload = Object(JSON.parse(new URLSearchParams(rawBody.toString('utf8')).get('payload') ?? ''));
    const action = Object(Object(payload.actions)[0]);
    const user: unknown = Object(payload.user).id;
    const verdict: unknown = action.action_id;
    const approval: unknown = action.value;
    if (payload.type !== 'block_actions' || typeof user !== 'string' || typeof approval !== 'string') return undefined;
    if (verdict !== 'approve' && verdict !== 'deny') return undefined;
    const said: unknown = Object(Object(Object(Object(payload.state).values).reason).reason).value;
    return { user, approval, verdict, reason: typeof said === 'string' ? said : '' } as const;
  } catch {
    return undefined;
  }
}

function byWhom({ votes }: Approval): string {
  return votes
    .map(({ approver, verdict, reason, brokeGlass: alone }) =>
      alone ? ` let through alone by ${approver.id}: ${reason}` : ` ${verdict} by ${approver.id}: ${reason}`,
    )
    .join(';');
}

/** What will run, where, for whom and why it was held; then a field for a reason, and two buttons. */
function blocksOf(approval: Approval): readonly object[] {
  const { id, subject, chain, upstream, action, resource, operation, reasons, estimate } = approval;
  const who = [subject, ...chain].map((principal) => principal.id).join(' for ');
  const text = JSON.stringify(operation.text ?? operation, undefined, 1).slice(0, 2_000);
  const section = (words: string) => ({ type: 'section', text: { type: 'plain_text', text: words.slice(0, 3_000) } });
  const button = (verdict: 'approve' | 'deny', label: string, style: string) => ({
    ...{ type: 'button', action_id: verdict, value: id, style },
    text: { type: 'plain_text', text: label },
  });
  return [
    // Plain text: what an agent wrote is not markup.
    section(`${who} wants to ${action} at ${upstream} (${resource.id})`),
    section(text),
    section(reasons.map(({ message }) => message).join(' ')),
    ...(typeof estimate.rows === 'number' ? [section(`It would affect about ${estimate.rows} rows.`)] : []),
    {
      ...{ type: 'input', block_id: 'reason', optional: !approval.reasonRequired },
      label: { type: 'plain_text', text: 'Reason' },
      element: { type: 'plain_text_input', action_id: 'reason', max_length: limits.approvalReasonLengthMax },
    },
    { type: 'actions', elements: [button('approve', 'Approve', 'primary'), button('deny', 'Deny', 'danger')] },
  ];
}
