import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { limits } from '../../../proxy/core/limits.ts';
import { resolveSecret } from '../../../proxy/core/secret-ref.ts';

const variable = 'SALLYPORT_TEST_SECRET';
let file = '';

beforeEach(() => {
  file = join(mkdtempSync(join(tmpdir(), 'sallyport-secret-')), 'secret');
});

afterEach(() => {
  delete process.env[variable];
  rmSync(join(file, '..'), { recursive: true });
});

test('an environment variable and a file give the same bytes, without the newline an editor adds', async () => {
  process.env[variable] = 'pässword\n';
  writeFileSync(file, 'pässword\r\n', { mode: 0o600 });
  const expected = Buffer.from('pässword');
  expect(Buffer.from(await resolveSecret(`env:${variable}`))).toEqual(expected);
  expect(Buffer.from(await resolveSecret(`file:${file}`))).toEqual(expected);
});

test('only one newline is trimmed, and bytes that are no text stay as they are', async () => {
  const bytes = Buffer.from([0, 255, 13, 10, 10]);
  writeFileSync(file, bytes, { mode: 0o600 });
  expect(Buffer.from(await resolveSecret(`file:${file}`))).toEqual(bytes.subarray(0, -1));
});

test('a value that stands where a reference belongs is not repeated in the error', async () => {
  for (const value of ['hunter2', 'vault:hunter2', ':hunter2', 'ENV:hunter2']) {
    const error: unknown = await resolveSecret(value).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: expect.not.stringContaining('hunter2') });
  }
});

test('what is not there, empty or too large is an error that names the reference', async () => {
  await expect(resolveSecret(`env:${variable}`)).rejects.toThrow(`env:${variable} is not set`);
  await expect(resolveSecret(`file:${file}`)).rejects.toThrow(/ENOENT/);
  process.env[variable] = '\n';
  await expect(resolveSecret(`env:${variable}`)).rejects.toThrow(`env:${variable} is empty`);
  writeFileSync(file, Buffer.alloc(limits.secretBytesMax + 2, 65), { mode: 0o600 });
  await expect(resolveSecret(`file:${file}`)).rejects.toThrow(/larger than/);
});

test('a file that every user can read is warned about', async () => {
  const warnings: string[] = [];
  const spy = jest.spyOn(process, 'emitWarning').mockImplementation((warning) => {
    warnings.push(String(warning));
  });
  writeFileSync(file, 'hunter2', { mode: 0o600 });
  await resolveSecret(`file:${file}`);
  expect(warnings).toEqual([]);
  chmodSync(file, 0o644);
  await resolveSecret(`file:${file}`);
  expect(warnings).toEqual([expect.stringContaining(file)]);
  expect(warnings[0]).not.toContain('hunter2');
  spy.mockRestore();
});
