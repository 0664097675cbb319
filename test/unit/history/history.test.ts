import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import type { Identity } from '../../../proxy/core/types.ts';
import { createHistory } from '../../../proxy/history/index.ts';

const who = (id: string, issuer = 'https://idp.example'): Identity => ({
  type: 'agent',
  issuer,
  id,
  groups: [],
  claims: {},
  chain: [],
  expiresAtMs: 0,
});
const bot = who('triage-bot');

function setUp(options: { windowSeconds?: number; subjectsMax?: number } = {}) {
  const clock = { at: 1_000_000, nowMs: () => 0, monotonicMs: () => clock.at };
  return { clock, history: createHistory({ clock, windowSeconds: 3600, ...options }) };
}

describe('the history of a subject', () => {
  test('is empty, and everything a first use, before anything happened', () => {
    const { history } = setUp();
    expect(history.read(bot, 'orders')).toEqual({
      upstreams: [],
      first_use: true,
      labels_read: [],
      rows_read: 0,
      denials: 0,
      approvals: 0,
      window_seconds: 3600,
    });
  });

  test('tells what was touched, read and refused', () => {
    const { history } = setUp();
    history.note(bot, 'orders', { labels: ['pii'], rows: 800 });
    history.note(bot, 'billing', { labels: ['payments', 'pii'], rows: 12 });
    history.note(bot, 'orders', { denied: true });
    history.note(bot, 'orders', { approved: true });
    expect(history.read(bot, 'orders')).toEqual({
      upstreams: ['billing', 'orders'],
      first_use: false,
      labels_read: ['payments', 'pii'],
      rows_read: 812,
      denials: 1,
      approvals: 1,
      window_seconds: 3600,
    });
  });

  test('calls an upstream a first use until something was permitted there', () => {
    const { history } = setUp();
    history.note(bot, 'orders', { labels: ['pii'], denied: true });
    expect(history.read(bot, 'orders')).toMatchObject({ first_use: true, upstreams: [], labels_read: [], denials: 1 });
    history.note(bot, 'orders', {});
    expect(history.read(bot, 'orders').first_use).toBe(false);
    expect(history.read(bot, 'billing').first_use).toBe(true);
  });

  test('slides: what is older than the window is gone, what is younger is all there', () => {
    const { history, clock } = setUp();
    history.note(bot, 'orders', { labels: ['pii'], rows: 100 });
    clock.at += 1_800_000;
    history.note(bot, 'billing', { labels: ['payments'], rows: 10 });
    clock.at += 1_800_000;
    expect(history.read(bot, 'orders')).toMatchObject({ rows_read: 110, upstreams: ['billing', 'orders'] });
    clock.at += 61_000;
    expect(history.read(bot, 'orders')).toMatchObject({
      rows_read: 10,
      upstreams: ['billing'],
      labels_read: ['payments'],
    });
    clock.at += 3_600_000;
    expect(history.read(bot, 'orders')).toMatchObject({
      rows_read: 0,
      upstreams: [],
      labels_read: [],
      first_use: true,
    });
  });

  test.each([0, 1, 17_321, 59_999])('never forgets a row within the window (offset %p ms)', (offset) => {
    const { history, clock } = setUp();
    clock.at += offset;
    for (let minute = 0; minute < 120; minute++) {
      history.note(bot, 'orders', { rows: 1 });
      clock.at += 60_000;
      const rows = Number(history.read(bot, 'orders').rows_read);
      const exact = Math.min(minute + 1, 60);
      expect(rows).toBeGreaterThanOrEqual(exact);
      expect(rows).toBeLessThanOrEqual(exact + 1);
    }
  });

  test('follows a label that is read again', () => {
    const { history, clock } = setUp();
    history.note(bot, 'orders', { labels: ['pii'] });
    clock.at += 3_000_000;
    history.note(bot, 'orders', { labels: ['pii'] });
    clock.at += 3_000_000;
    expect(history.read(bot, 'orders').labels_read).toEqual(['pii']);
  });

  test('counts no rows for what is no count', () => {
    const { history } = setUp();
    history.note(bot, 'orders', { rows: 5 });
    history.note(bot, 'orders', { rows: Number.NaN });
    history.note(bot, 'orders', { rows: -100 });
    expect(history.read(bot, 'orders').rows_read).toBe(5);
  });
});

describe('subjects', () => {
  test('are pairs: neither another issuer nor a joined name sees the same history', () => {
    const { history } = setUp();
    history.note(who('b:c', 'a'), 'orders', { rows: 1 });
    for (const other of [who('c', 'a:b'), who('b:c', 'other'), who('a:b:c', ''), who('', 'ab:c')]) {
      expect(history.read(other, 'orders').rows_read).toBe(0);
    }
    expect(history.read(who('b:c', 'a'), 'orders').rows_read).toBe(1);
  });

  test('with the names of object members are subjects like any other', () => {
    const { history } = setUp();
    expect(history.read(who('__proto__', 'constructor'), 'toString')).toMatchObject({ rows_read: 0, first_use: true });
  });

  test('are forgotten from the idlest on when there are too many', () => {
    const { history } = setUp({ subjectsMax: 3 });
    for (const id of ['a', 'b', 'c', 'a', 'd']) history.note(who(id), 'orders', { rows: 1 });
    expect(history.size).toBe(3);
    expect(history.read(who('a'), 'orders').rows_read).toBe(2);
    expect(history.read(who('b'), 'orders').rows_read).toBe(0);
  });

  test('that are only asked about take no room', () => {
    const { history } = setUp({ subjectsMax: 3 });
    for (let number = 0; number < 10; number++) history.read(who(`s${number}`), 'orders');
    expect(history.size).toBe(0);
  });

  test('cannot grow their own history without bound', () => {
    const { history } = setUp();
    for (let number = 0; number < 2 * limits.historyUpstreamsMax; number++) {
      history.note(bot, `u${number}`, { labels: [`l${number}`] });
    }
    const document = history.read(bot, 'u0');
    expect(document.upstreams).toHaveLength(limits.historyUpstreamsMax);
    expect(document.labels_read).toHaveLength(limits.historyLabelsMax);
  });
});

test.each([0, -1, Number.NaN, limits.historyWindowSecondsMax + 1])(
  'a window of %p seconds is refused',
  (windowSeconds) => {
    expect(() => setUp({ windowSeconds })).toThrow('windowSeconds');
  },
);
