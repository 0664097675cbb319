import { describe, expect, test } from '@jest/globals';
import {
  clampedLimits,
  encodeRequest,
  handleOf,
  parseRequest,
  pathOf,
  type Request,
  statusReply,
  visibleVersion,
} from '../../../../../proxy/protocols/ssh/sftp/codec.ts';
import { bits, noAttributes, permissions, pkt, readAnswer, request, size, str, u32, u64, withId } from './requests.ts';

const handle = Buffer.from([0, 0, 0, 7]);
const other = Buffer.from([0, 0, 0, 8]);
const times = Buffer.concat([u32(8), u32(1), u32(2)]);
const everything = Buffer.concat([u32(15), u64(5), u32(1), u32(2), u32(0o4755), u32(3), u32(4)]);

const samples: Readonly<Record<string, readonly [number, ...Buffer[]]>> = {
  open: request.open('/a/ü', bits.read),
  'open to write': request.open('/a', bits.write | bits.create | bits.truncate, permissions(0o644)),
  close: request.close(handle),
  read: request.read(handle, 2 ** 40, 32_768),
  lstat: request.lstat('/a'),
  fstat: request.fstat(handle),
  setstat: request.setstat('/a', everything),
  fsetstat: request.fsetstat(handle, times),
  opendir: request.opendir('/'),
  readdir: request.readdir(handle),
  remove: request.remove('/a'),
  mkdir: request.mkdir('/a'),
  rmdir: request.rmdir('/a'),
  realpath: request.realpath('.'),
  stat: request.stat('a'),
  rename: request.rename('/a', '/b'),
  readlink: request.readlink('/a'),
  symlink: request.symlink('b', '/a'),
  'posix-rename': request.extended('posix-rename@openssh.com', str('/a'), str('/b')),
  hardlink: request.extended('hardlink@openssh.com', str('/a'), str('/b')),
  statvfs: request.extended('statvfs@openssh.com', str('/a')),
  fstatvfs: request.extended('fstatvfs@openssh.com', str(handle)),
  fsync: request.extended('fsync@openssh.com', str(handle)),
  lsetstat: request.extended('lsetstat@openssh.com', str('/a'), times),
  limits: request.extended('limits@openssh.com'),
  'expand-path': request.extended('expand-path@openssh.com', str('~/a')),
  'copy-data': request.extended('copy-data', str(handle), u64(0), u64(10), str(other), u64(5)),
  'home-directory': request.extended('home-directory', str('ana')),
  'users-groups-by-id': request.extended('users-groups-by-id@openssh.com', str(u32(0)), str(u32(0))),
};

function parsed(whole: Buffer): Request {
  const result = parseRequest(whole, 4_096);
  if ('fault' in result) throw new Error(result.fault.message);
  return result;
}

function faultOf(whole: Buffer): string {
  const result = parseRequest(whole, 4_096);
  return 'fault' in result ? result.fault.code : 'none';
}

describe('every request is read, and written as it was', () => {
  test.each(Object.entries(samples))('%s', (_, wanted) => {
    const whole = withId(77, wanted);
    const { paths, target } = parsed(whole);
    expect(encodeRequest(parsed(whole), 77, { paths, target })).toEqual(whole);
    expect(encodeRequest(parsed(whole), 2 ** 32 - 1, { paths, target })).toEqual(withId(2 ** 32 - 1, wanted));
  });
});

describe('a request that is cut short or has more than it should is refused', () => {
  test.each(Object.entries(samples))('%s', (_, wanted) => {
    const whole = withId(1, wanted);
    for (let end = 9; end < whole.length; end++) {
      const cut = Buffer.from(whole.subarray(0, end));
      cut.writeUInt32BE(end - 4);
      expect(['operation_malformed', 'operation_unsupported']).toContain(faultOf(cut));
    }
    const longer = Buffer.concat([whole, Buffer.from([0])]);
    longer.writeUInt32BE(longer.length - 4);
    expect(faultOf(longer)).toBe('operation_malformed');
  });

  test('a length inside of a request that points far behind it', () => {
    for (const length of [5, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
      expect(faultOf(pkt(17, u32(1), u32(length), Buffer.from('/abc')))).toBe('operation_malformed');
    }
  });
});

test('paths are text of a bounded length', () => {
  expect(faultOf(withId(1, request.stat(Buffer.from('/a\0b'))))).toBe('operation_malformed');
  expect(faultOf(withId(1, request.stat(Buffer.from([0x2f, 0xff]))))).toBe('operation_malformed');
  // An overlong slash, and half of a surrogate pair.
  expect(faultOf(withId(1, request.stat(Buffer.from([0xc0, 0xaf]))))).toBe('operation_malformed');
  expect(faultOf(withId(1, request.stat(Buffer.from([0xed, 0xa0, 0x80]))))).toBe('operation_malformed');
  expect(faultOf(withId(1, request.stat('x'.repeat(4_096))))).toBe('none');
  expect(faultOf(withId(1, request.stat('x'.repeat(4_097))))).toBe('operation_too_large');
  expect(faultOf(withId(1, request.stat('x'.repeat(60_000))))).toBe('operation_too_large');
});

test('a byte order mark is part of a name and not swallowed', () => {
  expect(parsed(withId(1, request.stat('\ufeffa'))).paths).toEqual(['\ufeffa']);
});

test('what is not known is not let through', () => {
  expect(faultOf(pkt(21, u32(1)))).toBe('operation_unsupported');
  expect(faultOf(pkt(103, u32(1), str('data')))).toBe('operation_unsupported');
  expect(faultOf(withId(1, request.extended('check-file', str('/a'))))).toBe('operation_unsupported');
  expect(faultOf(withId(1, request.extended('')))).toBe('operation_unsupported');
  expect(faultOf(withId(1, request.open('/a', 0x41)))).toBe('operation_unsupported');
  expect(faultOf(withId(1, request.open('/a', 0x8000_0001)))).toBe('operation_unsupported');
  // Attributes with extensions of their own, and bits of later versions.
  expect(faultOf(withId(1, request.setstat('/a', Buffer.concat([u32(0x8000_0000), u32(0)]))))).toBe(
    'operation_unsupported',
  );
  expect(faultOf(withId(1, request.setstat('/a', u32(16))))).toBe('operation_unsupported');
});

test('an OPEN says what for', () => {
  expect(parsed(withId(1, request.open('/a', 63))).flags).toEqual([
    'read',
    'write',
    'append',
    'create',
    'truncate',
    'exclusive',
  ]);
  // OpenSSH would open it for reading, and empty it.
  expect(faultOf(withId(1, request.open('/a', bits.truncate)))).toBe('operation_malformed');
  expect(faultOf(withId(1, request.open('/a', 0)))).toBe('operation_malformed');
});

test('attributes are named', () => {
  expect(parsed(withId(1, request.setstat('/a', everything))).attributes).toEqual([
    'size',
    'owner',
    'permissions',
    'set_id',
    'times',
  ]);
  expect(parsed(withId(1, request.setstat('/a', permissions(0o755)))).attributes).toEqual(['permissions']);
  expect(parsed(withId(1, request.setstat('/a', size(0)))).attributes).toEqual(['size']);
  expect(parsed(withId(1, request.setstat('/a', noAttributes))).attributes).toEqual([]);
});

test('a client is shown the extensions that are let through', () => {
  const shown = visibleVersion(
    pkt(2, u32(3), str('posix-rename@openssh.com'), str('1'), str('check-file'), str('2'), str('copy-data'), str('1')),
  );
  expect(shown).toEqual(pkt(2, u32(3), str('posix-rename@openssh.com'), str('1'), str('copy-data'), str('1')));
  expect(visibleVersion(pkt(2, u32(4)))).toBeUndefined();
  expect(visibleVersion(pkt(2, u32(3), str('a')))).toBeUndefined();
});

test('answers of the host that are malformed are not half believed', () => {
  expect(handleOf(pkt(102, u32(1), str('h')))).toBe('h');
  expect(handleOf(pkt(102, u32(1), str('h'), u32(0)))).toBeUndefined();
  expect(handleOf(pkt(102, u32(1), str('h'.repeat(257))))).toBeUndefined();
  const entry = (path: string) => [str(path), str(path), noAttributes];
  expect(pathOf(pkt(104, u32(1), u32(1), ...entry('/a')))).toBe('/a');
  expect(pathOf(pkt(104, u32(1), u32(2), ...entry('/a'), ...entry('/b')))).toBeUndefined();
  expect(pathOf(pkt(104, u32(1), u32(1), ...entry('/a\0b')))).toBeUndefined();
  expect(pathOf(pkt(101, u32(1), u32(2), str(''), str('')))).toBeUndefined();
});

test('a refusal is a STATUS with its text', () => {
  const { type, id, code, text } = readAnswer(statusReply(9, 3, 'denied ü'));
  expect({ type, id, code, text }).toEqual({ type: 101, id: 9, code: 3, text: 'denied ü' });
});

test('no host is said to take more than the gateway', () => {
  const limits = (...numbers: number[]) => pkt(201, u32(1), ...numbers.map((number) => u64(number)));
  expect(clampedLimits(limits(2 ** 30, 2 ** 30, 2 ** 30, 0), 262_144, 100)).toEqual(
    limits(262_144, 261_120, 261_120, 100),
  );
  expect(clampedLimits(limits(40_000, 32_768, 32_768, 10), 262_144, 100)).toEqual(limits(40_000, 32_768, 32_768, 10));
});
