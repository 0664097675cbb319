import { describe, expect, test } from '@jest/globals';
import { readStartup, splitOptions } from '../../../../proxy/protocols/postgres/startup-options.ts';

function read(parameters: Record<string, string>) {
  return readStartup(new Map(Object.entries({ user: 'ana', ...parameters })));
}

describe('the startup parameters', () => {
  test('name a database, or mean the one named like the user', () => {
    expect(read({ database: 'app' })).toMatchObject({ user: 'ana', database: 'app' });
    expect(read({})).toMatchObject({ user: 'ana', database: 'ana' });
    expect(read({ database: '' })).toMatchObject({ database: 'ana' });
  });

  test('get their canonical names, since the server ignores case', () => {
    expect(read({ datestyle: 'ISO, MDY', TIMEZONE: 'UTC', Extra_Float_Digits: '-3' })).toMatchObject({
      parameters: { DateStyle: 'ISO, MDY', TimeZone: 'UTC', extra_float_digits: '-3' },
    });
  });

  test.each(['UTF8', 'utf-8', "'utf-8'", 'UNICODE', 'SQL_ASCII'])(
    'ask for the client encoding %s and get UTF8',
    (name) => {
      expect(read({ client_encoding: name })).toMatchObject({ parameters: { client_encoding: 'UTF8' } });
    },
  );

  test.each([
    ['client_encoding', 'LATIN1'],
    ['client_encoding', 'SJIS'],
    ['search_path', 'public'],
    ['Search_Path', 'public'],
    ['role', 'postgres'],
    ['session_authorization', 'postgres'],
    ['session_preload_libraries', 'x'],
    ['local_preload_libraries', 'x'],
    ['standard_conforming_strings', 'off'],
    ['backslash_quote', 'on'],
    ['row_security', 'off'],
    ['default_transaction_read_only', 'off'],
    ['myapp.tenant', '1'],
    ['statement_timeout', '-1'],
    ['TimeZone', "UTC'; x"],
    ['', 'x'],
    ['__proto__', 'x'],
    ['constructor', 'x'],
    ['replication', 'true'],
    ['replication', 'database'],
    ['replication', ''],
  ])('are refused when they set %s to %j', (name, value) => {
    expect(
      readStartup(
        new Map([
          ['user', 'a'],
          [name, value],
        ]),
      ),
    ).toMatchObject({ sqlstate: '0A000' });
    if (name === '' || value === '') return;
    const options = `-c ${name}=${value.replaceAll(/[\s\\]/g, '\\$&')}`;
    expect(read({ options })).toMatchObject({ sqlstate: '0A000' });
  });

  test('never repeat the value of what they refuse', () => {
    expect(JSON.stringify(read({ 'x.secret': 'hunter2' }))).not.toContain('hunter2');
  });

  test('keep an application name printable and short', () => {
    expect(read({ application_name: `é${'x'.repeat(100)}` })).toMatchObject({ application: `?${'x'.repeat(62)}` });
    expect(read({ application_name: 'a\nb' })).toMatchObject({ sqlstate: '0A000' });
  });

  test.each(['user', 'database'])('are refused when the %s is longer than the server would keep', (name) => {
    expect(read({ [name]: 'x'.repeat(63) })).toMatchObject({ [name]: 'x'.repeat(63) });
    expect(read({ [name]: 'x'.repeat(64) })).toMatchObject({ sqlstate: '28000' });
  });
});

describe('options', () => {
  test.each([
    ['', []],
    ['  \t', []],
    ['-c a=b  -c c=d', ['-c', 'a=b', '-c', 'c=d']],
    ['-c a=b\\ c', ['-c', 'a=b c']],
    ['-c a=b\\\\c', ['-c', 'a=b\\c']],
    ['a\\', undefined],
  ])('%j splits as in the server', (options, words) => {
    expect(splitOptions(options)).toEqual(words);
  });

  test.each([
    '-c statement_timeout=5s',
    '-cstatement_timeout=5s',
    '--statement_timeout=5s',
    '--statement-timeout=5s',
    '-c  Statement_Timeout=5s',
  ])('%j sets a setting', (options) => {
    expect(read({ options })).toMatchObject({ parameters: { statement_timeout: '5s' } });
  });

  test('lose against what stands alone, as in the server', () => {
    expect(read({ options: '-c TimeZone=CET', TimeZone: 'UTC' })).toMatchObject({ parameters: { TimeZone: 'UTC' } });
  });

  test.each([
    '-c',
    '-c statement_timeout',
    '-c =5',
    '-O',
    '-s',
    '-e',
    'x',
    '--',
    '-d 5',
    '-c search_path=a',
    '-c r\\ole=a',
    '--search-path=a',
    '-c role=postgres',
  ])('%j is refused', (options) => {
    expect(read({ options })).toMatchObject({ sqlstate: '0A000' });
  });
});
