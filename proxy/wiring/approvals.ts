/** Approvals: their store, whom they are told to, and the desk. */
import { Approvals, type Channel, Notifier, Slack, webhook } from '../approval/index.ts';
import type { Audit } from '../audit/index.ts';
import type { Materials } from '../config/materials.ts';
import type { Config } from '../config.ts';
import type { ApprovalStore } from '../core/approvals.ts';
import type { Closers } from '../core/closers.ts';
import type { Log } from '../core/log.ts';
import type { Clock, Ids } from '../core/ports.ts';
import type { Metrics } from '../metrics/registry.ts';
import { openEmbeddedStore, openPostgresStore } from '../store/index.ts';
import { asError, noMaterials, type Surroundings } from './surroundings.ts';

/** Starts them. @throws what opening the store throws */
export async function startApprovals(
  config: Config,
  materials: Materials,
  parts: Surroundings & { readonly audit: Audit; readonly metrics: Metrics; readonly ids: Ids },
  closers: Closers,
): Promise<{ readonly approvals: Approvals; readonly slack: Slack | undefined }> {
  const { audit, metrics, ids, log, clock } = parts;
  const gateway = ids.session();
  const channels = channelsOf(config, materials, { audit, clock });
  const store = await openStore(config, materials, { gateway, channels: channels.map(({ name }) => name), log });
  closers.add('store', () => store.close());
  const approvals = new Approvals({
    ...{ store, audit, metrics, clock, ids, gateway, limits: config.limits },
    onError: (error) => log.error('approvals', { error: asError(error) }),
  });
  closers.add('approvals', () => approvals.close());
  if (channels.length > 0) {
    const onError = (error: unknown) => log.warn('notify', { error: asError(error) });
    const notifier = new Notifier({ store, channels, clock, onError });
    closers.add('notifier', () => notifier.close());
  }
  metrics.watchPendingApprovals(() => approvals.pendingCount);
  return { approvals, slack: channels.find((channel) => channel instanceof Slack) };
}

async function openStore(
  { store }: Config,
  materials: Materials,
  { log, ...own }: { readonly gateway: string; readonly channels: readonly string[]; readonly log: Log },
): Promise<ApprovalStore> {
  if (store.kind === 'embedded') return openEmbeddedStore({ path: store.path, ...own });
  const onError = (error: unknown) => log.error('store', { error: asError(error) });
  return await openPostgresStore({ url: store.url, ...materials.store, ...own, onError });
}

function channelsOf(
  { notify }: Config,
  materials: Materials,
  { audit, clock }: { readonly audit: Audit; readonly clock: Clock },
): readonly Channel[] {
  const webhooks = notify.webhooks.map(({ name, url }, index) =>
    webhook({ name, url, secret: materials.notify.webhooks[index] ?? noMaterials(), clock }),
  );
  if (notify.slack === undefined) return webhooks;
  return [...webhooks, new Slack({ ...notify.slack, ...(materials.notify.slack ?? noMaterials()), audit, clock })];
}
