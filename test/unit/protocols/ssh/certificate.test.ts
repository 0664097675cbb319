import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type CertificateExpectation,
  parseCertificate,
  verifyCertificate,
} from '../../../../proxy/protocols/ssh/certificate.ts';
import { parsePrivateKey } from '../../../../proxy/protocols/ssh/private-key.ts';
import { parsePublicKey, publicKeyLine } from '../../../../proxy/protocols/ssh/public-key.ts';
import { type CertificateContents, signCertificate } from '../../../../proxy/protocols/ssh/sign-certificate.ts';
import { WireReader, wireString, wireUint32, wireUint64 } from '../../../../proxy/protocols/ssh/wire.ts';
import { describeTools } from '../../../clients/tools.ts';
import { Keygen } from './keygen.ts';

describeTools(['ssh-keygen'], [], () => {
  const keygen = new Keygen();
  const nowMs = Date.UTC(2026, 10, 27, 12);
  const during = 'always:forever';
  let authority: Buffer;

  /** Type and size of every key that OpenSSH certifies and the gateway knows. */
  const kinds = [
    ['ed25519', ['-t', 'ed25519']],
    ['nistp256', ['-t', 'ecdsa', '-b', '256']],
    ['nistp384', ['-t', 'ecdsa', '-b', '384']],
    ['nistp521', ['-t', 'ecdsa', '-b', '521']],
    ['rsa', ['-t', 'rsa', '-b', '2048']],
  ] as const;
  const names = kinds.map(([name]) => name);

  beforeAll(() => {
    authority = keygen.key('authority', '-t', 'ed25519');
    for (const [name, kind] of kinds) keygen.key(name, ...kind);
  });
  afterAll(() => keygen.remove());

  function parsed(blob: Buffer) {
    const result = parseCertificate(blob);
    if ('fault' in result) throw new Error(result.fault.message);
    return result.certificate;
  }

  function privateKey(name: string) {
    const key = parsePrivateKey(keygen.text(name));
    if (key === undefined) throw new Error('ssh-keygen made a key that cannot be read');
    return key;
  }

  function publicKey(name: string) {
    const key = parsePublicKey(keygen.blob(`${name}.pub`));
    if (key === undefined) throw new Error('ssh-keygen made a key that cannot be read');
    return key;
  }

  function expecting(overrides: Partial<CertificateExpectation> = {}): CertificateExpectation {
    return { type: 'user', authorities: [authority], nowMs, principal: 'web', knownCriticalOptions: [], ...overrides };
  }

  function contents(overrides: Partial<CertificateContents> = {}): CertificateContents {
    return {
      type: 'user',
      publicKey: publicKey('ed25519'),
      serial: 18_446_744_073_709_551_615n,
      keyId: 'triage-bot',
      principals: ['web', 'db'],
      validAfter: 1_000n,
      validBefore: 4_000_000_000n,
      criticalOptions: new Map(),
      extensions: new Map(),
      nonce: Buffer.alloc(32, 7),
      ...overrides,
    };
  }

  /** Signs whatever it is given, as an authority of any kind. */
  function signed(body: Buffer, key = privateKey('authority')): Buffer {
    const signature = Buffer.concat([wireString('ssh-ed25519'), wireString(sign(null, body, key))]);
    return Buffer.concat([body, wireString(signature)]);
  }

  /** The body of a certificate for the ed25519 key, field by field, each of which can be anything. */
  function body(overrides: Partial<Record<string, Buffer>> = {}): Buffer {
    const fields = {
      name: wireString('ssh-ed25519-cert-v01@openssh.com'),
      nonce: wireString(Buffer.alloc(32)),
      key: wireString(keygen.blob('ed25519.pub').subarray(-32)),
      serial: wireUint64(1n),
      type: wireUint32(1),
      keyId: wireString('id'),
      principals: wireString(wireString('web')),
      validAfter: wireUint64(0n),
      validBefore: wireUint64(0xffff_ffff_ffff_ffffn),
      criticalOptions: wireString(''),
      extensions: wireString(''),
      reserved: wireString(''),
      authority: wireString(authority),
      ...overrides,
    };
    return Buffer.concat(Object.values(fields));
  }

  describe('certificates of ssh-keygen', () => {
    test.each(names)('one for a key of kind %s is read and verified', (name) => {
      const blob = keygen.certify('authority', name, '-I', 'a person', '-n', 'db,web', '-z', '77', '-V', during);
      const certificate = parsed(blob);
      expect(certificate).toMatchObject({ type: 'user', serial: 77n, keyId: 'a person', principals: ['db', 'web'] });
      expect(certificate).toMatchObject({ validAfter: 0n, validBefore: 0xffff_ffff_ffff_ffffn });
      expect(certificate.publicKey.blob).toEqual(keygen.blob(`${name}.pub`));
      expect([...certificate.extensions.keys()]).toContain('permit-pty');
      expect(verifyCertificate(certificate, expecting())).toHaveProperty('verified');
    });

    test.each(names)('an authority of kind %s is verified', (name) => {
      const blob = keygen.certify(name, 'authority', '-I', 'id', '-n', 'web', '-V', during);
      const authorities = [keygen.blob(`${name}.pub`)];
      expect(verifyCertificate(parsed(blob), expecting({ authorities }))).toHaveProperty('verified');
    });

    test('an RSA authority that signs with SHA-1 is refused', () => {
      const blob = keygen.certify('rsa', 'authority', '-t', 'ssh-rsa', '-I', 'id', '-n', 'web', '-V', during);
      const result = verifyCertificate(parsed(blob), expecting({ authorities: [keygen.blob('rsa.pub')] }));
      expect(result).toEqual({ fault: expect.objectContaining({ code: 'credential_invalid' }) });
    });

    test('a host certificate is none for a user, and the reverse', () => {
      const host = parsed(keygen.certify('authority', 'ed25519', '-h', '-I', 'id', '-n', 'web', '-V', during));
      expect(verifyCertificate(host, expecting({ type: 'host' }))).toHaveProperty('verified');
      expect(verifyCertificate(host, expecting())).toHaveProperty('fault');
      const user = parsed(keygen.certify('authority', 'ed25519', '-I', 'id', '-n', 'web', '-V', during));
      expect(verifyCertificate(user, expecting({ type: 'host' }))).toHaveProperty('fault');
    });

    test('critical options and extensions are read with their data', () => {
      const options = ['-O', 'force-command=ls', '-O', 'critical:a@b=c', '-O', 'clear', '-O', 'extension:x@y=z'];
      const blob = keygen.certify('authority', 'ed25519', '-I', 'id', '-n', 'web', '-V', during, ...options);
      const certificate = parsed(blob);
      expect(certificate.criticalOptions.get('a@b')).toEqual(wireString('c'));
      expect(verifyCertificate(certificate, expecting())).toHaveProperty('fault');
      const knownCriticalOptions = [...certificate.criticalOptions.keys()];
      expect(verifyCertificate(certificate, expecting({ knownCriticalOptions }))).toHaveProperty('verified');
      expect(verifyCertificate(certificate, expecting({ knownCriticalOptions: ['a@b'] }))).toHaveProperty('fault');
    });

    test('one that ssh-keygen signed comes out of our signer byte for byte', () => {
      const args = [
        '-O',
        'force-command=ls',
        '-I',
        'x',
        '-n',
        'web',
        '-z',
        '5',
        '-V',
        '20260101000000Z:20270101000000Z',
      ];
      const blob = keygen.certify('authority', 'nistp256', ...args);
      const reader = new WireReader(blob);
      reader.string();
      expect(signCertificate(privateKey('authority'), { ...parsed(blob), nonce: reader.string() })).toEqual(blob);
    });
  });

  describe('certificates that we sign', () => {
    test.each(names)('ssh-keygen reads one for a key of kind %s', (name) => {
      const blob = signCertificate(privateKey('authority'), contents({ publicKey: publicKey(name) }));
      const type = new WireReader(blob ?? Buffer.alloc(0)).text();
      const said = keygen.describe(publicKeyLine(type, blob ?? Buffer.alloc(0)));
      expect(said).toContain(`Type: ${type} user certificate`);
      expect(said).toContain('Key ID: "triage-bot"');
      expect(said).toContain('Serial: 18446744073709551615');
      expect(said).toContain('Valid: from 1970-01-01T00:16:40 to 2096-10-02T07:06:40');
      expect(said.join(' ')).toMatch(/Principals: web db Critical Options: \(none\) Extensions: \(none\)/);
      expect(said.find((line) => line.startsWith('Signing CA'))).toMatch(
        /^Signing CA: ED25519 .* \(using ssh-ed25519\)$/,
      );
    });

    test('the bytes are always the same for the same contents', () => {
      const seed = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 1)]);
      const key = createPrivateKey({ key: seed, format: 'der', type: 'pkcs8' });
      const subject = parsePublicKey(Buffer.concat([wireString('ssh-ed25519'), wireString(Buffer.alloc(32, 2))]));
      if (subject === undefined) throw new Error('not a key');
      const options = new Map([
        ['b@b', Buffer.from('2')],
        ['a@a', Buffer.from('1')],
      ]);
      const blob = signCertificate(key, contents({ publicKey: subject, criticalOptions: options }));
      expect(blob?.toString('base64')).toBe(golden);
    });

    test.each([
      ['a comma in a principal', { principals: ['web,db'] }],
      ['a NUL in a principal', { principals: ['web\0'] }],
      ['an empty principal', { principals: [''] }],
      ['too many principals', { principals: Array.from({ length: 257 }, (_, index) => `host${index}`) }],
      ['a line feed in the key id', { keyId: 'a\nb' }],
      ['more bytes than a certificate may have', { extensions: new Map([['a', Buffer.alloc(32 * 1024)]]) }],
    ])('one with %s is not made', (_, wrong) => {
      expect(signCertificate(privateKey('authority'), contents(wrong))).toBeUndefined();
    });
  });

  describe('what a certificate must say', () => {
    const verify = (overrides: Partial<CertificateExpectation>, of: Partial<CertificateContents> = {}) =>
      verifyCertificate(
        parsed(signCertificate(privateKey('authority'), contents(of)) ?? Buffer.alloc(0)),
        expecting(overrides),
      );

    test('that an authority signed it, by the very key that is trusted', () => {
      expect(verify({ authorities: [] })).toHaveProperty('fault');
      expect(verify({ authorities: [keygen.blob('rsa.pub')] })).toHaveProperty('fault');
      expect(verify({ authorities: [keygen.blob('rsa.pub'), authority] })).toHaveProperty('verified');
    });

    test('that its authority signed these bytes, not only that it names the authority', () => {
      const stranger = generateKeyPairSync('ed25519').privateKey;
      expect(verifyCertificate(parsed(signed(body())), expecting())).toHaveProperty('verified');
      expect(verifyCertificate(parsed(signed(body(), stranger)), expecting())).toEqual({
        fault: { code: 'credential_invalid', message: 'The certificate’s signature does not verify.' },
      });
    });

    test('that it is valid now: from its first second on, and not in its last', () => {
      const times = { validAfter: 1_000n, validBefore: 2_000n };
      expect(verify({ nowMs: 999_999 }, times)).toHaveProperty('fault.code', 'credential_invalid');
      expect(verify({ nowMs: 1_000_000 }, times)).toHaveProperty('verified');
      expect(verify({ nowMs: 1_999_999 }, times)).toHaveProperty('verified');
      expect(verify({ nowMs: 2_000_000 }, times)).toHaveProperty('fault.code', 'credential_expired');
    });

    test('that one whose end lies before its beginning is never valid', () => {
      const times = { validAfter: 2_000n, validBefore: 1_000n };
      for (const nowMs of [500_000, 1_500_000, 2_500_000]) expect(verify({ nowMs }, times)).toHaveProperty('fault');
    });

    test('that one of its principals is the one asked for, letter by letter', () => {
      for (const principal of ['', 'we', 'webb', 'Web', 'web,db', '*', 'web ', 'web\0']) {
        expect(verify({ principal })).toHaveProperty('fault.code', 'credential_invalid');
      }
      expect(verify({ principal: 'web' }, { principals: ['*', 'w?b', '!web'] })).toHaveProperty('fault');
      expect(verify({}, { principals: [] })).toHaveProperty('fault');
    });

    test('that there is no critical option that nobody here enforces', () => {
      const criticalOptions = new Map([['source-address', wireString('10.0.0.0/8')]]);
      expect(verify({}, { criticalOptions })).toHaveProperty('fault.code', 'credential_invalid');
      expect(verify({ knownCriticalOptions: ['source-address'] }, { criticalOptions })).toHaveProperty('verified');
    });
  });

  describe('hostile certificates', () => {
    const refused = (overrides: Partial<Record<string, Buffer>>) =>
      expect(parseCertificate(signed(body(overrides)))).toEqual({
        fault: { code: 'credential_invalid', message: expect.any(String) },
      });
    const list = (...names: readonly string[]) =>
      wireString(Buffer.concat(names.map((name) => Buffer.concat([wireString(name), wireString('')]))));

    test('an authority that is itself a certificate is refused (CVE-2025-49825)', () => {
      refused({ authority: wireString(keygen.certify('authority', 'ed25519', '-I', 'id', '-n', 'web')) });
    });

    test('principals with a comma, a NUL or nothing in them are refused (CVE-2026-35414)', () => {
      for (const principal of ['web,root', ',', 'web\0', '', 'web\n']) {
        refused({ principals: wireString(wireString(principal)) });
      }
      refused({ principals: wireString(wireString(Buffer.from([0xff]))) });
      refused({ principals: wireString('web') });
    });

    test('options in another order than that of their names, or twice, are refused', () => {
      for (const options of [list('b', 'a'), list('a', 'a'), list('')]) {
        refused({ criticalOptions: options });
        refused({ extensions: options });
      }
      refused({ extensions: wireString(wireString('a')) });
      expect(parseCertificate(signed(body({ extensions: list('a', 'b') })))).toHaveProperty('certificate');
    });

    test('a type that is neither user nor host, or a reserved field with something in it, is refused', () => {
      for (const type of [0, 3, 257]) refused({ type: wireUint32(type) });
      refused({ reserved: wireString('x') });
    });

    test('kinds of keys that are not accepted are refused', () => {
      for (const name of ['ssh-ed25519', 'ssh-dss-cert-v01@openssh.com', 'sk-ssh-ed25519-cert-v01@openssh.com', '']) {
        refused({ name: wireString(name) });
      }
      refused({ authority: wireString(Buffer.concat([wireString('ssh-dss'), wireString('x')])) });
      refused({ authority: wireString(keygen.key('small', '-t', 'rsa', '-b', '1024')) });
      refused({ key: wireString(Buffer.alloc(31)) });
    });

    test('bytes after the end are refused, and so is more than a certificate may have', () => {
      expect(parseCertificate(Buffer.concat([signed(body()), Buffer.alloc(1)]))).toHaveProperty('fault');
      const large = wireString(Buffer.alloc(32 * 1024));
      expect(parseCertificate(signed(body({ nonce: large })))).toHaveProperty(
        'fault.message',
        expect.stringMatching(/large/),
      );
    });

    test.each(names)('cut at any byte, one for a key of kind %s is refused', (name) => {
      const blob = keygen.certify('authority', name, '-I', 'id', '-n', 'web', '-V', during, '-O', 'force-command=ls');
      for (let length = 0; length < blob.length; length++) {
        expect(parseCertificate(blob.subarray(0, length))).toHaveProperty('fault');
      }
    });

    test.each(names)('with any bit turned, one signed by a key of kind %s no longer holds', (name) => {
      const blob = keygen.certify(name, 'authority', '-I', 'id', '-n', 'web', '-V', during, '-O', 'clear');
      const expected = expecting({ authorities: [keygen.blob(`${name}.pub`)] });
      for (let at = 0; at < blob.length; at++) {
        const turned = Buffer.from(blob);
        turned[at] = (turned[at] ?? 0) ^ (1 << (at % 8));
        const result = parseCertificate(turned);
        const accepted = 'certificate' in result && 'verified' in verifyCertificate(result.certificate, expected);
        expect({ at, accepted }).toEqual({ at, accepted: false });
      }
    });

    test('with bytes replaced, repeated and left out anywhere, it is read or refused, and never anything else', () => {
      const seeds = names.map((name) => keygen.certify('authority', name, '-I', 'id', '-n', 'web,db', '-V', during));
      let state = 20_261_127;
      const random = (below: number) => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return (state >>> 8) % below;
      };
      for (let round = 0; round < 5_000; round++) {
        const seed = seeds[round % seeds.length] ?? authority;
        const at = random(seed.length);
        const piece = Buffer.from(seed.subarray(random(seed.length), random(seed.length)));
        const hostile = Buffer.concat([seed.subarray(0, at), piece, seed.subarray(at + random(16))]);
        hostile.writeUInt32BE(random(2) === 0 ? 0xffff_ffff - random(4) : random(300), random(hostile.length - 4));
        const result = parseCertificate(hostile);
        if ('certificate' in result) expect(verifyCertificate(result.certificate, expecting())).toHaveProperty('fault');
        else expect(result.fault.code).toBe('credential_invalid');
      }
    });

    test('what was read does not change when the buffer it came in does', () => {
      const blob = signed(body());
      const certificate = parsed(blob);
      blob.fill(0);
      expect(verifyCertificate(certificate, expecting())).toHaveProperty('verified');
    });
  });
});

const golden =
  'AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHAAAA' +
  'IAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC//////////8AAAABAAAACnRyaWFnZS1ib3QAAAANAAAAA3dlYgAAAAJk' +
  'YgAAAAAAAAPoAAAAAO5rKAAAAAAYAAAAA2FAYQAAAAExAAAAA2JAYgAAAAEyAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAA' +
  'IIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29cAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEC8SVd/hE6Wgz7uRfRHF0bNvt5x' +
  'mJJDM/6Pya3iSu29K6P8EDmJygUZzazdjuFaPfBNFK0u5ptucisCSpc4SKAC';
