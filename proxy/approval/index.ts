export type { Channel } from './channel.ts';
export { type ApprovalOptions, Approvals } from './desk.ts';
export { Notifier, type NotifierOptions } from './notifier.ts';
export { Slack, type SlackAnswer, type SlackOptions } from './slack.ts';
export { type WebhookOptions, webhook } from './webhook.ts';
