import type { ApprovalDesk } from '../../../core/approvals.ts';
import type { LiveSessions } from '../../../core/live.ts';
import type { PolicyPort } from '../../../core/ports.ts';
import { principalDocument } from '../documents.ts';
import type { Route } from '../route.ts';
import { schemas } from '../schemas.ts';

/** Who asks, what is in force, and what changes. */
export function overviewRoutes(
  desk: ApprovalDesk,
  live: LiveSessions,
  policy: Pick<PolicyPort, 'ready' | 'revisions' | 'onActivate'>,
): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/me',
      role: 'viewer',
      summary: 'Who asks, and what they may do.',
      answer: schemas.me,
      handle: ({ visitor: { principal, role, channel } }) => ({
        json: { principal: principalDocument(principal), role, channel },
      }),
    },
    {
      method: 'GET',
      path: '/api/bundle',
      role: 'viewer',
      summary: 'The policy in force: the revisions of its bundle and of its data.',
      answer: schemas.bundle,
      handle: () => ({ json: { ready: policy.ready, bundle: policy.revisions.bundle, data: policy.revisions.data } }),
    },
    {
      method: 'GET',
      path: '/api/events',
      role: 'viewer',
      summary:
        'What changes from now on: an event `approval` or `session` with the `id` of the one that did, `bundle` when a policy was activated, `lost` with the number of events that a slow reader missed.',
      answer: { type: 'text/event-stream', description: 'Server-sent events.' },
      handle: () => ({
        events(stream) {
          stream.send('ready', {});
          const stops = [
            desk.onChange((id) => stream.send('approval', { id })),
            live.onChange((id) => stream.send('session', { id })),
            policy.onActivate(() => stream.send('bundle', {})),
          ];
          return () => {
            for (const stop of stops) stop();
          };
        },
      }),
    },
  ];
}
