import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { limits } from '../../../../proxy/core/limits.ts';
import { ToolPins } from '../../../../proxy/protocols/http/mcp/index.ts';
import { openFirstUses } from '../../../../proxy/protocols/http/mcp-pins.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-pins-'));
  file = join(directory, 'state/pins.jsonl');
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const started = () => new ToolPins({ clock: () => 0, firstUses: openFirstUses(file) });
const tool = (description: string) => ({ name: 'report', description });

test('a tool that changed while nobody looked is a changed one', () => {
  expect(started().see('crm', tool('reports'), {}).state).toBe('accepted');
  const later = started();
  const changed = later.see('crm', tool('reports, and reads keys'), {});
  expect(changed.state).toBe('changed');
  expect(later.see('other', tool('reports, and reads keys'), {}).state).toBe('accepted');
  // Who names it accepts it, at once.
  const config = { mcp: { pins: { crm: { report: changed.sha256 } } } };
  expect(later.status('crm', 'report', config).state).toBe('accepted');
  expect(started().see('crm', tool('reports'), {}).state).toBe('accepted');
});

test('the file is its owner’s, and has a line for each tool', () => {
  const pins = started();
  for (let again = 0; again < 3; again++) pins.see('crm', tool('reports'), {});
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { sha256 } = pins.status('crm', 'report', {});
  expect(readFileSync(file, 'utf8')).toBe(`{"upstream":"crm","tool":"report","sha256":"${sha256}"}\n`);
});

test('a line that a crash cut off is forgotten, and those before it are not', () => {
  started().see('crm', tool('reports'), {});
  const whole = readFileSync(file, 'utf8');
  appendFileSync(file, '{"upstream":"crm","tool":"oth');
  expect(started().see('crm', tool('other'), {}).state).toBe('changed');
  expect(readFileSync(file, 'utf8')).toBe(whole);
});

test.each(['nonsense', '{"upstream":"crm","tool":"report","sha256":"abc"}', '[]', 'null', ''])(
  'a file with something else in it is not guessed at: %j',
  (line) => {
    started().see('crm', tool('reports'), {});
    appendFileSync(file, `${line}\n`);
    expect(() => openFirstUses(file)).toThrow(/line 2 is no pin/);
  },
);

test('a file past its bound is not read', () => {
  started();
  writeFileSync(file, ' '.repeat(limits.mcpPinFileBytesMax + 1));
  expect(() => openFirstUses(file)).toThrow(/too large/);
});

test('what cannot be kept is not accepted', () => {
  const pins = started();
  pins.see('crm', tool('reports'), {});
  rmSync(file);
  rmSync(join(directory, 'state'), { recursive: true });
  expect(pins.see('crm', { name: 'next' }, {}).state).toBe('unlisted');
  expect(pins.see('crm', tool('reports'), {}).state).toBe('accepted');
});
