import { describe, expect, test } from '@jest/globals';
import { findHost, parseAuthority } from '../../../../proxy/protocols/http/host.ts';

describe('a host', () => {
  test.each([
    ['api.example', { host: 'api.example', port: undefined }],
    ['API.Example', { host: 'api.example', port: undefined }],
    ['api.example.', { host: 'api.example', port: undefined }],
    ['api.example.:8443', { host: 'api.example', port: 8443 }],
    ['localhost:1', { host: 'localhost', port: 1 }],
    ['xn--bcher-kva.example', { host: 'xn--bcher-kva.example', port: undefined }],
    ['10.0.0.7:65535', { host: '10.0.0.7', port: 65535 }],
    ['[::1]:80', { host: '[::1]', port: 80 }],
    ['[2001:DB8:0:0:0:0:0:1]', { host: '[2001:db8::1]', port: undefined }],
    [`${'a'.repeat(63)}.example`, { host: `${'a'.repeat(63)}.example`, port: undefined }],
  ])('%s is read', (text, authority) => {
    expect(parseAuthority(text)).toEqual(authority);
  });

  test.each([
    '',
    '.',
    '..',
    'a..b',
    '.a',
    'a..',
    '-a',
    'a-',
    'a_b.example',
    'api.example:',
    'api.example:0',
    'api.example:080',
    'api.example:65536',
    'api.example:http',
    'api.example:80:80',
    'ana@api.example',
    'ana:x@api.example',
    'api.example/admin',
    'api.example?x',
    'api.example#x',
    'api.example\\x',
    'api%2eexample',
    'api.example ',
    'api.example, other.example',
    'api.example\0',
    'bücher.example',
    '127.1',
    '2130706433',
    '0x7f.1',
    '0x7f000001',
    '0177.0.0.1',
    '256.0.0.1',
    '1.2.3.4.5',
    '127.0.0.1x.0x1',
    '[::1',
    '::1',
    '[::1]x',
    '[fe80::1%25eth0]',
    '[fe80::1%eth0]',
    '[1.2.3.4]',
    '[]',
    '[:::]',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}a`,
  ])('%j is none', (text) => {
    expect(parseAuthority(text)).toBeUndefined();
  });

  const hosts = ['api.example', 'admin.example:9000', '[::1]'];
  test.each([
    ['api.example', 'api.example'],
    ['api.example:80', 'api.example'],
    ['api.example:443', 'api.example'],
    ['api.example:8080', 'api.example:8080'],
    ['admin.example:9000', 'admin.example:9000'],
    ['admin.example:9001', undefined],
    ['admin.example', undefined],
    ['other.example', undefined],
    ['example', undefined],
    ['x.api.example', undefined],
    ['api.example.evil', undefined],
    ['[::1]:8080', '[::1]:8080'],
  ])('%s is %s among those that may be asked for', (text, found) => {
    const authority = parseAuthority(text);
    expect(authority && findHost(authority, hosts)).toBe(found);
  });
});
