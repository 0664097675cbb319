import { generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import { formatPrivateKey, parsePrivateKey, publicKeyOf } from '../../../../proxy/protocols/ssh/private-key.ts';
import {
  fingerprint,
  parsePublicKey,
  parsePublicKeyLine,
  publicKeyLine,
  verifySignature,
} from '../../../../proxy/protocols/ssh/public-key.ts';
import { WireReader, wireString } from '../../../../proxy/protocols/ssh/wire.ts';
import { describeTools } from '../../../clients/tools.ts';
import { Keygen } from './keygen.ts';

describeTools(['ssh-keygen'], [], () => {
  const keygen = new Keygen();
  afterAll(() => keygen.remove());

  /** A positive number as SSH writes it. */
  function mpint(value: Buffer): Buffer {
    return wireString((value[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), value]) : value);
  }

  /** A key made by Node, with what signs as SSH says and the key's bytes. */
  function signer(algorithm: string) {
    const data = Buffer.from('what is signed');
    const wrap = (value: Buffer) => Buffer.concat([wireString(algorithm), wireString(value)]);
    if (algorithm.startsWith('ecdsa')) {
      const namedCurve = { '256': 'P-256', '384': 'P-384', '521': 'P-521' }[algorithm.slice(-3)] ?? '';
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
      const digest = { '256': 'sha256', '384': 'sha384', '521': 'sha512' }[algorithm.slice(-3)];
      const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
      const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
      const blob = [wireString(algorithm), wireString(`nistp${algorithm.slice(-3)}`), wireString(point)];
      const fixed = sign(digest, data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      const half = (from: number, to: number) => {
        const bytes = fixed.subarray(from, to);
        return mpint(bytes.subarray(bytes.findIndex((byte) => byte !== 0)));
      };
      const value = Buffer.concat([half(0, fixed.length / 2), half(fixed.length / 2, fixed.length)]);
      return { blob: Buffer.concat(blob), data, signature: wrap(value), value };
    }
    if (algorithm === 'ssh-ed25519') {
      const { privateKey } = generateKeyPairSync('ed25519');
      const value = sign(null, data, privateKey);
      return { blob: publicKeyOf(privateKey).blob, data, signature: wrap(value), value };
    }
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
    const blob = [wireString('ssh-rsa'), mpint(Buffer.from(e, 'base64url')), mpint(Buffer.from(n, 'base64url'))];
    const digest = { 'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512' }[algorithm] ?? 'sha1';
    const value = sign(digest, data, privateKey);
    return { blob: Buffer.concat(blob), data, signature: wrap(value), value };
  }

  const algorithms = [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-256',
    'rsa-sha2-512',
  ];

  function publicKey(blob: Buffer) {
    const key = parsePublicKey(blob);
    if (key === undefined) throw new Error('not a key');
    return key;
  }

  describe.each(algorithms)('a signature of algorithm %s', (algorithm) => {
    const { blob, data, signature, value } = signer(algorithm);
    const key = publicKey(blob);

    test('is verified, under the name of its certificates too', () => {
      expect(verifySignature(key, algorithm, data, signature)).toBe(true);
      expect(verifySignature(key, `${algorithm}-cert-v01@openssh.com`, data, signature)).toBe(true);
    });

    test('is of no other algorithm, no other bytes and no other key', () => {
      for (const other of [...algorithms, 'ssh-rsa', 'constructor', ''].filter((name) => name !== algorithm)) {
        expect(verifySignature(key, other, data, signature)).toBe(false);
      }
      expect(verifySignature(key, algorithm, Buffer.from('what is not'), signature)).toBe(false);
      for (const other of algorithms) {
        expect(verifySignature(publicKey(signer(other).blob), algorithm, data, signature)).toBe(false);
      }
    });

    test('is one only whole, with nothing after it and no bit turned', () => {
      for (let length = 0; length < signature.length; length++) {
        expect(verifySignature(key, algorithm, data, signature.subarray(0, length))).toBe(false);
      }
      expect(verifySignature(key, algorithm, data, Buffer.concat([signature, Buffer.alloc(1)]))).toBe(false);
      for (let at = 0; at < signature.length; at++) {
        const turned = Buffer.from(signature);
        turned[at] = (turned[at] ?? 0) ^ (1 << (at % 8));
        expect(verifySignature(key, algorithm, data, turned)).toBe(false);
      }
    });

    test('is none when its numbers are empty, zero or too long', () => {
      const wrap = (bytes: Buffer) => Buffer.concat([wireString(algorithm), wireString(bytes)]);
      const long = mpint(Buffer.alloc(100, 1));
      const numbers = [
        Buffer.alloc(0),
        Buffer.alloc(value.length),
        Buffer.alloc(9_000, 1),
        Buffer.concat([long, long]),
      ];
      for (const bytes of numbers) expect(verifySignature(key, algorithm, data, wrap(bytes))).toBe(false);
    });
  });

  test('a signature with SHA-1 is never one', () => {
    const { blob, data, signature } = signer('ssh-rsa');
    for (const name of ['ssh-rsa', 'ssh-rsa-cert-v01@openssh.com', 'rsa-sha2-256']) {
      expect(verifySignature(publicKey(blob), name, data, signature)).toBe(false);
    }
  });

  describe('public keys', () => {
    test('one is read only whole, and with nothing after it', () => {
      for (const algorithm of algorithms) {
        const { blob } = signer(algorithm);
        expect(parsePublicKey(Buffer.concat([blob, Buffer.alloc(1)]))).toBeUndefined();
        for (let length = 0; length < blob.length; length++) {
          expect(parsePublicKey(blob.subarray(0, length))).toBeUndefined();
        }
      }
    });

    test('a point off the curve, compressed or of another curve is no key', () => {
      const { blob } = signer('ecdsa-sha2-nistp256');
      const off = Buffer.from(blob);
      off[off.length - 1] = (off.at(-1) ?? 0) ^ 1;
      const compressed = Buffer.from(blob);
      compressed[39] = 2;
      expect(compressed.equals(blob)).toBe(false);
      const renamed = Buffer.from(blob.toString('latin1').replace('\x08nistp256', '\x08nistp384'), 'latin1');
      expect(renamed.equals(blob)).toBe(false);
      for (const wrong of [off, compressed, renamed]) expect(parsePublicKey(wrong)).toBeUndefined();
    });

    test.each([
      ['a modulus that is too small', 65537, 2047],
      ['a modulus that costs too much', 65537, 8193],
      ['an even exponent', 65536, 2048],
      ['the exponent one', 1, 2048],
      ['an even modulus', 65537, 2048, 0xfe],
    ])('an RSA key with %s is no key', (_, exponent, bits, last = 0xff) => {
      const modulus = Buffer.alloc(Math.ceil(bits / 8), 0xff);
      modulus[modulus.length - 1] = last;
      modulus[0] = 0xff >> (modulus.length * 8 - bits);
      const e = Buffer.from(exponent.toString(16).padStart(8, '0'), 'hex');
      const number = e.subarray(e.findIndex((byte) => byte !== 0));
      expect(parsePublicKey(Buffer.concat([wireString('ssh-rsa'), mpint(number), mpint(modulus)]))).toBeUndefined();
    });

    test('a line of ssh-keygen is read, and only when it says what it is', () => {
      const blob = keygen.key('line', '-t', 'ed25519');
      const line = keygen.text('line.pub');
      expect(parsePublicKeyLine(line)?.blob).toEqual(blob);
      expect(parsePublicKeyLine(publicKeyLine('ssh-ed25519', blob))?.blob).toEqual(blob);
      const base64 = blob.toString('base64');
      for (const wrong of [
        '',
        base64,
        `ssh-rsa ${base64}`,
        `no-pty ssh-ed25519 ${base64}`,
        `ssh-ed25519 ${base64}!`,
        `ssh-ed25519 ${base64} ${'c'.repeat(8 * 1024)}`,
      ]) {
        expect(parsePublicKeyLine(wrong)).toBeUndefined();
      }
    });

    test('the fingerprint is that of ssh-keygen', () => {
      const blob = keygen.key('print', '-t', 'ed25519');
      expect(keygen.run('-l', '-f', 'print.pub')).toContain(` ${fingerprint(blob)} `);
    });
  });

  describe('private keys', () => {
    test('ssh-keygen reads one that we write, whatever the length of its comment', () => {
      for (const comment of ['', 'a', 'triage-bot', 'x'.repeat(31)]) {
        const { privateKey } = generateKeyPairSync('ed25519');
        const text = formatPrivateKey(privateKey, comment, 0xdead_beef);
        writeFileSync(keygen.path('written'), text, { mode: 0o600 });
        const { blob } = publicKeyOf(privateKey);
        expect(keygen.run('-y', '-f', 'written').trim()).toBe(publicKeyLine('ssh-ed25519', blob, comment));
        expect(parsePrivateKey(text)?.equals(privateKey)).toBe(true);
      }
    });

    test('one of ssh-keygen is read, and one in PEM', () => {
      const blob = keygen.key('private', '-t', 'ed25519');
      const key = parsePrivateKey(keygen.text('private'));
      expect(key && publicKeyOf(key).blob).toEqual(blob);
      const pem = key?.export({ format: 'pem', type: 'pkcs8' }).toString() ?? '';
      expect(parsePrivateKey(pem)?.equals(key ?? generateKeyPairSync('ed25519').privateKey)).toBe(true);
    });

    test('one of another kind, behind a passphrase or damaged is not read', () => {
      keygen.key('rsa', '-t', 'rsa', '-b', '2048');
      keygen.run('-q', '-t', 'ed25519', '-N', 'a passphrase', '-f', 'locked');
      const { privateKey } = generateKeyPairSync('ed25519');
      const good = formatPrivateKey(privateKey, 'c', 1);
      const other = formatPrivateKey(generateKeyPairSync('ed25519').privateKey, 'c', 1);
      const mixed = [...good.split('\n').slice(0, 3), ...other.split('\n').slice(3)].join('\n');
      for (const text of [keygen.text('rsa'), keygen.text('locked'), mixed, good.slice(0, -40), '', 'hunter2']) {
        expect(parsePrivateKey(text)).toBeUndefined();
      }
    });
  });

  test('a private key that says it is another than it is is not read', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const lines = formatPrivateKey(privateKey, 'c', 1).trim().split('\n');
    const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64');
    const written = publicKeyOf(privateKey).blob.subarray(-32);
    const other = publicKeyOf(generateKeyPairSync('ed25519').privateKey).blob.subarray(-32);
    const places: number[] = [];
    for (let at = bytes.indexOf(written); at >= 0; at = bytes.indexOf(written, at + 1)) places.push(at);
    expect(places).toHaveLength(3);
    for (const changed of [...places.map((place) => [place]), places]) {
      const forged = Buffer.from(bytes);
      for (const place of changed) other.copy(forged, place);
      const text = [lines[0], forged.toString('base64'), lines.at(-1)].join('\n');
      expect(parsePrivateKey(text)).toBeUndefined();
    }
    expect(parsePrivateKey([lines[0], bytes.toString('base64'), lines.at(-1)].join('\n'))).toBeDefined();
  });

  describe('the reader', () => {
    test('a number is read in the one way it may be written', () => {
      const read = (hex: string) => {
        const reader = new WireReader(wireString(Buffer.from(hex, 'hex')));
        const number = reader.mpint();
        return reader.done ? number.toString('hex') : undefined;
      };
      expect([read('01'), read('0080'), read('7fff')]).toEqual(['01', '80', '7fff']);
      expect(['', '00', '0001', '80', 'ff01', '000080'].map(read)).toEqual(Array(6).fill(undefined));
    });

    test('a length past the end is a failed read, and so is all after it', () => {
      const reader = new WireReader(Buffer.from('ffffffff0000000161', 'hex'));
      expect(reader.string()).toHaveLength(0);
      expect({ ok: reader.ok, text: reader.text(), more: reader.more }).toEqual({ ok: false, text: '', more: false });
    });
  });
});
