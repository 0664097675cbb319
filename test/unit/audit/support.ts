import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { type Audit, type AuditOptions, openAudit } from '../../../proxy/audit/index.ts';
import type { AuditEvent } from '../../../proxy/core/ports.ts';

export const key = Buffer.alloc(32, 7);

/** A clock that only moves when told to. */
export class SteppedClock {
  ms = Date.parse('2026-11-22T09:00:00.000Z');
  nowMs = (): number => this.ms;
  monotonicMs = (): number => this.ms;
}

const cleanups: (() => unknown)[] = [];

/** Runs after the test, last registered first. */
export function later(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

afterEach(async () => {
  for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop()) await cleanup();
});

export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-audit-'));
  later(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Opens a trail that is closed after the test, whatever became of it. */
export async function openTrail(file: string, options: Partial<AuditOptions> = {}): Promise<Audit> {
  const audit = await openAudit({
    file,
    key,
    rotateBytes: 1 << 20,
    keep: 100,
    clock: new SteppedClock(),
    instance: 'gateway-1',
    host: 'test',
    ...options,
  });
  later(() => audit.close().catch(() => {}));
  return audit;
}

export function decided(id: number | string, own: AuditEvent['own'] = {}): AuditEvent {
  return { event: 'decided', members: '"effect":"allow"', own: { decision_id: `d.${id}`, ...own } };
}

export function completed(id: number | string): AuditEvent {
  return { event: 'completed', members: '', own: { decision_id: `d.${id}`, status: 'ok' } };
}
