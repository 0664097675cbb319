/** The composition of what people use: the API under the console, on the services that `main.ts` started. */
import { fileURLToPath } from 'node:url';
import { type Api, startApi } from '../admin/api/index.ts';
import type { Slack } from '../approval/index.ts';
import { recentAudit } from '../audit/recent.ts';
import type { Materials } from '../config/materials.ts';
import type { Config } from '../config.ts';
import type { ApprovalDesk } from '../core/approvals.ts';
import type { Gate } from '../core/gate.ts';
import type { Log } from '../core/log.ts';
import type { AuditPort, Clock, PolicyPort } from '../core/ports.ts';
import { createIdentity } from '../identity/index.ts';
import { openLibrary, type RecordingIndex, recordingKey } from '../record/index.ts';

/** What of the gateway people see. */
export interface ConsoleServices {
  readonly gate: Gate;
  readonly policy: PolicyPort;
  readonly audit: AuditPort;
  readonly desk: ApprovalDesk;
  readonly recordings: { readonly index: RecordingIndex };
  /** Takes what Slack posts when somebody clicks. */
  readonly slack: Slack | undefined;
  readonly log: Log;
  readonly clock: Clock;
}

/** Where the page is, from the sources and from what is installed alike. */
const page = fileURLToPath(new URL('../../bundles/console', import.meta.url));

/**
 * Starts the console where one is configured, with tokens of an audience of its own.
 * @param closers - told how to end what was started.
 * @throws Error when it cannot listen, or its page is not there.
 */
export async function startConsole(
  config: Config,
  materials: Materials,
  { gate, policy, audit, desk, recordings, slack, log, clock }: ConsoleServices,
  closers: { add(name: string, close: () => void | Promise<void>): void },
): Promise<Api | undefined> {
  if (config.console === undefined) return undefined;
  const { listen: address, url, oidc, roles } = config.console;
  const { issuer, audience, clientId, deviceClientId, scopes, groupsClaim, tokenType, allowInsecureHttp } = oidc;
  const { tls, clientSecret, ca } = materials.console ?? { tls: undefined, clientSecret: undefined, ca: undefined };
  const identity = await createIdentity({
    issuers: [{ issuer, audience, groupsClaim, typ: tokenType, allowInsecureHttp, ...(ca !== undefined && { ca }) }],
    clock,
    onEvent: ({ event, error }) => error !== undefined && log.warn('console identity', { issuer, event, why: error }),
  });
  closers.add('console identity', () => identity.close());
  const keys = [materials.recordKey, ...materials.oldRecordKeys].flatMap((key) => (key ? [recordingKey(key)] : []));
  const browsers = { issuer, clientSecret, scopes, groupsClaim, ca, allowInsecureHttp };
  const api = await startApi({
    ...{ ...address, tls, url, roles, identity, desk, live: gate.live, policy, audit, clock },
    signIn: clientId === undefined ? undefined : { ...browsers, clientId },
    tokens: { issuer, audience, deviceClientId },
    hooks: slack && [
      {
        path: '/hooks/slack',
        handle: ({ headers, body, clientAddress }) => slack.action(desk, headers, body, clientAddress),
      },
    ],
    evidence: {
      ...openLibrary(config.record.directory, recordings.index, keys),
      decisions: ({ limit, after, own, ...filter }) =>
        recentAudit(
          config.audit.file,
          { ...filter, event: 'decided' },
          { limit, before: after === undefined ? undefined : Number(after), own: own === 'include' },
        ),
    },
    assets: page,
    onError: (error) => log.error('console', { error }),
  });
  closers.add('console', () => api.close());
  log.info('console', { url: api.url });
  return api;
}
