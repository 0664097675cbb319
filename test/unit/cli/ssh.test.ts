import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { run } from '../../../proxy/cli/command.ts';
import { parsePublicKeyLine, publicKeyLine } from '../../../proxy/protocols/ssh/public-key.ts';
import { signCertificate } from '../../../proxy/protocols/ssh/sign-certificate.ts';
import { describeTools } from '../../clients/tools.ts';
import { type Oidc, startOidc } from '../../support/oidc.ts';
import { type CertificateGateway, startCertificateGateway } from './certificate-gateway.ts';

describeTools(['ssh-keygen'], [], () => {
  const main = join(import.meta.dirname, '../../../proxy/cli/main.ts');
  let gateway: CertificateGateway;
  let home: string;
  let files: string;

  beforeEach(async () => {
    gateway = await startCertificateGateway();
    home = await mkdtemp(join(tmpdir(), 'sallyport-ssh-'));
    files = join(home, '.sallyport');
  });

  afterEach(async () => {
    await gateway.stop();
    await rm(home, { recursive: true });
  });

  /** Runs `sallyport ssh login` for a token of the environment, with the gateway's host key pinned. */
  async function login(args: readonly string[] = [], env: Record<string, string> = { SALLYPORT_TOKEN: 'a.bot.c' }) {
    return cli(['login', '--gateway', gateway.address, '--host-key', gateway.hostKey, ...args], env);
  }

  async function cli(args: readonly string[], env: Record<string, string> = {}) {
    let stdout = '';
    let stderr = '';
    const code = await run(['ssh', ...args], {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
      env: { HOME: home, ...env },
    });
    return { code, stdout, stderr };
  }

  const read = (name: string) => readFile(join(files, name), 'utf8');

  /** Waits until the certificate in the directory has less than a minute left: here, by having the gateway issue such. */
  async function loginForSeconds(seconds: number, env?: Record<string, string>) {
    gateway.lifetimeSeconds = seconds;
    const result = await login([], env);
    gateway.lifetimeSeconds = 600;
    return result;
  }

  describe('a login', () => {
    test('leaves a key and a certificate for it, which ssh-keygen reads', async () => {
      expect(await login()).toMatchObject({ code: 0, stderr: '' });
      expect((await readdir(files)).toSorted()).toEqual(['key', 'key-cert.pub', 'key.pub']);
      const certificate = execFileSync('ssh-keygen', ['-L', '-f', join(files, 'key-cert.pub')], { encoding: 'utf8' });
      expect(certificate).toContain('Key ID: "https://idp.example#a.bot.c"');
      expect(certificate).toMatch(/Principals:\s+web\n/);
      expect(certificate).toMatch(/Critical Options:\s+identity@sallyport/);
      const publicKey = execFileSync('ssh-keygen', ['-y', '-f', join(files, 'key')], { encoding: 'utf8' });
      expect((await read('key.pub')).split(' ')[1]).toBe(publicKey.split(' ')[1]);
    });

    test('says who it is for, how long and where; or nothing, with --quiet', async () => {
      expect((await login()).stdout).toBe(
        'there now is a certificate for https://idp.example#a.bot.c, for 9 more minutes: web\n',
      );
      expect(await login(['--quiet'])).toEqual({ code: 0, stdout: '', stderr: '' });
    });

    test('keeps what it writes to itself', async () => {
      await login();
      const modes = await Promise.all(['', 'key', 'key.pub', 'key-cert.pub'].map((name) => stat(join(files, name))));
      expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o700, 0o600, 0o600, 0o600]);
    });

    test('writes into another directory when told to', async () => {
      const directory = join(home, 'elsewhere', 'deeper');
      await login(['--directory', directory]);
      expect(await readdir(directory)).toContain('key-cert.pub');
    });

    test('never writes the token', async () => {
      await login([], { SALLYPORT_TOKEN: 'header.very-secret-payload.signature' });
      const written = await Promise.all(['key', 'key.pub'].map(read));
      expect(written.join('')).not.toMatch(/very-secret|signature/);
    });
  });

  describe('a certificate that still holds', () => {
    test('is kept, without asking the gateway', async () => {
      await login();
      const before = await read('key-cert.pub');
      expect((await login()).stdout).toMatch(/^there still is a certificate/);
      expect(await read('key-cert.pub')).toBe(before);
      expect(gateway.tokens).toHaveLength(1);
    });

    test('is replaced in its last minute, for the same key: somebody may be using it', async () => {
      await loginForSeconds(50);
      const [key, certificate] = await Promise.all(['key', 'key-cert.pub'].map(read));
      expect((await login([], { SALLYPORT_TOKEN: 'another.token.c' })).stdout).toMatch(/^there now is/);
      expect(await read('key')).toBe(key);
      expect(await read('key-cert.pub')).not.toBe(certificate);
    });

    test('is nothing to another agent or another gateway', async () => {
      await login();
      expect((await login([], { SALLYPORT_TOKEN: 'other' })).stdout).toContain('#other');
      const elsewhere = await startCertificateGateway(['db']);
      const args = ['login', '--gateway', elsewhere.address, '--host-key', elsewhere.hostKey];
      expect((await cli(args, { SALLYPORT_TOKEN: 'other' })).stdout).toMatch(/^there now is .*: db\n$/);
      await elsewhere.stop();
    });

    test('does not become that of another agent whose login failed', async () => {
      await login();
      expect((await login([], { SALLYPORT_TOKEN: 'refused' })).code).toBe(1);
      expect((await login([], { SALLYPORT_TOKEN: 'refused' })).code).toBe(1);
      expect((await login()).stdout).toMatch(/^there still is .*#a\.bot\.c,/);
    });

    test('is replaced when it is not for the key next to it', async () => {
      await login();
      const certificate = await read('key-cert.pub');
      const other = join(home, 'other');
      await login(['--directory', other], { SALLYPORT_TOKEN: 'other' });
      const [type, base64] = (await readFile(join(other, 'key-cert.pub'), 'utf8')).split(' ');
      await writeFile(join(files, 'key-cert.pub'), `${type} ${base64} ${certificate.trim().split(' ')[2]}\n`);
      expect((await login()).stdout).toMatch(/^there now is/);
      expect(await read('key-cert.pub')).not.toBe(certificate);
    });

    test('is replaced when its file was damaged', async () => {
      await login();
      await writeFile(join(files, 'key-cert.pub'), (await read('key-cert.pub')).slice(0, -60));
      expect((await login()).stdout).toMatch(/^there now is/);
      await writeFile(join(files, 'key'), 'damaged');
      expect((await login([], { SALLYPORT_TOKEN: 'a.fresh.c' })).stdout).toMatch(/^there now is/);
    });
  });

  describe('a certificate that has expired', () => {
    test('is replaced for the same key when the token is the same: it buys certificates for no other', async () => {
      await expired('a.bot.c');
      const key = await read('key');
      expect(await login()).toMatchObject({ code: 0, stderr: '' });
      expect(await read('key')).toBe(key);
    });

    test('is replaced for a new key when the token is another', async () => {
      await expired('a.bot.c');
      const key = await read('key');
      expect((await login([], { SALLYPORT_TOKEN: 'a.new.c' })).code).toBe(0);
      expect(await read('key')).not.toBe(key);
    });

    /** Logs in, and puts a certificate for the same key into the place of the new one that ended a second ago. */
    async function expired(token: string) {
      await login([], { SALLYPORT_TOKEN: token });
      const publicKey = parsePublicKeyLine(await read('key.pub'));
      if (publicKey === undefined) throw new Error('the login wrote no key');
      const end = BigInt(Math.floor(Date.now() / 1000) - 1);
      const certificate = signCertificate(gateway.authority, {
        ...{ type: 'user', publicKey, serial: 1n, keyId: 'expired', principals: ['web'], nonce: randomBytes(32) },
        ...{ validAfter: end - 600n, validBefore: end, criticalOptions: new Map(), extensions: new Map() },
      });
      const [, , purpose] = (await read('key-cert.pub')).trim().split(' ');
      const line = publicKeyLine('ssh-ed25519-cert-v01@openssh.com', certificate ?? Buffer.alloc(0), purpose);
      await writeFile(join(files, 'key-cert.pub'), `${line}\n`);
    }
  });

  describe('many logins at once', () => {
    test('leave one key with one certificate, and ask the gateway once', async () => {
      const results = await Promise.all(Array.from({ length: 8 }, () => login()));
      expect(results.map(({ code }) => code)).toEqual(Array(8).fill(0));
      expect(gateway.tokens).toHaveLength(1);
      expect((await readdir(files)).toSorted()).toEqual(['key', 'key-cert.pub', 'key.pub']);
    });

    test('of several agents in one directory leave a pair that belongs together', async () => {
      const agents = Array.from({ length: 6 }, (_, index) => `agent.${index}.x`);
      const results = await Promise.all(agents.map((agent) => login([], { SALLYPORT_TOKEN: agent })));
      expect(results.map(({ code }) => code)).toEqual(Array(6).fill(0));
      const said = execFileSync('ssh-keygen', ['-L', '-f', join(files, 'key-cert.pub')], { encoding: 'utf8' });
      const key = execFileSync('ssh-keygen', ['-l', '-f', join(files, 'key.pub')], { encoding: 'utf8' });
      expect(said).toContain(`Public key: ED25519-CERT ${key.split(' ')[1]}`);
    });

    test('of several processes leave one key with one certificate too', async () => {
      const args = ['ssh', 'login', '--gateway', gateway.address, '--host-key', gateway.hostKey];
      const env = { ...process.env, HOME: home, SALLYPORT_TOKEN: 'a.bot.c' };
      const start = () => promisify(execFile)(process.execPath, [main, ...args], { env });
      const said = await Promise.all([start(), start(), start()]);
      expect(said.map(({ stderr }) => stderr)).toEqual(['', '', '']);
      expect(gateway.tokens).toHaveLength(1);
    });

    test('do not wait for one that died', async () => {
      await login();
      const gone = execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }).trim();
      await writeFile(join(files, 'key.lock'), `${gone} 1\n`);
      expect((await login([], { SALLYPORT_TOKEN: 'other' })).code).toBe(0);
    });
  });

  describe('the gateway’s host key', () => {
    const strange = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC';

    /** A login with a file of known hosts, and with a token of its own, so that the gateway is asked each time. */
    async function knownHosts(...lines: readonly string[]) {
      const file = join(home, 'known_hosts');
      await writeFile(file, `${lines.join('\n')}\n`);
      const env = { SALLYPORT_TOKEN: `a.${randomBytes(8).toString('hex')}.c` };
      return cli(['login', '--gateway', gateway.address, '--known-hosts', file], env);
    }

    test('must be the pinned one: with another the token is not sent', async () => {
      const { code, stderr } = await cli(['login', '--gateway', gateway.address, '--host-key', strange], {
        SALLYPORT_TOKEN: 'a.bot.c',
      });
      expect({ code, tokens: gateway.tokens }).toEqual({ code: 1, tokens: [] });
      expect(stderr).toMatch(/host key that is not pinned \(SHA256:\S+\)/);
      expect(await readdir(files)).not.toContain('key-cert.pub');
    });

    test('is found in a file of known hosts by alias, by address and hashed', async () => {
      const [host = '', port = ''] = gateway.address.split(':');
      expect(await knownHosts('# comment', '', `other,sallyport ${gateway.hostKey} comment`)).toMatchObject({
        code: 0,
      });
      expect(await knownHosts(`[${host}]:${port} ${gateway.hostKey}`)).toMatchObject({ code: 0 });
      execFileSync('ssh-keygen', ['-H', '-f', join(home, 'known_hosts')], { stdio: 'ignore' });
      const hashed = await readFile(join(home, 'known_hosts'), 'utf8');
      expect(hashed).toMatch(/^\|1\|/);
      expect(await knownHosts(hashed)).toMatchObject({ code: 0 });
      expect(gateway.tokens).toHaveLength(3);
    });

    test.each([
      ['of another host', (key: string) => [`other ${key}`]],
      ['of another port', (key: string) => [`127.0.0.1 ${key}`]],
      ['that was revoked', (key: string) => [`sallyport ${key}`, `@revoked sallyport ${key}`]],
      ['of an authority', (key: string) => [`@cert-authority sallyport ${key}`]],
      ['behind a pattern', (key: string) => [`* ${key}`]],
      ['in a comment', (key: string) => [`#sallyport ${key}`]],
    ])('is not one %s', async (_, lines) => {
      const { code, stderr } = await knownHosts(...lines(gateway.hostKey));
      expect({ code, tokens: gateway.tokens }).toEqual({ code: 1, tokens: [] });
      expect(stderr).toContain('has no host key for this gateway');
    });

    test('is looked for in the directory when nothing is said, and never trusted unseen', async () => {
      const env = { SALLYPORT_TOKEN: 'a.bot.c' };
      const args = ['login', '--gateway', gateway.address];
      expect((await cli(args, env)).code).toBe(1);
      expect(gateway.tokens).toEqual([]);
      await mkdir(files, { mode: 0o700 });
      await writeFile(join(files, 'known_hosts'), `sallyport ${gateway.hostKey}\n`);
      expect((await cli(args, env)).code).toBe(0);
    });
  });

  describe('the token', () => {
    let oidc: Oidc;
    let profile: string;

    beforeAll(async () => {
      oidc = await startOidc({ clients: [{ subject: 'triage-bot' }, { subject: 'deploy-bot' }] });
    });
    beforeEach(async () => {
      profile = join(home, 'agents.json');
      await writeFile(join(home, 'secret'), oidc.secretOf('triage-bot') ?? '', { mode: 0o600 });
      const agents = { 'triage-bot': 'file:./secret' };
      await writeFile(profile, JSON.stringify({ issuer: oidc.issuer, audience: oidc.audience, agents }));
    });
    afterAll(() => oidc.stop());

    test('is one for the agent of a profile', async () => {
      const { stdout } = await login(['--agent', 'triage-bot', '--profile', profile], {});
      expect(stdout).toContain('https://idp.example#triage-bot');
    });

    test('is one for the only agent there is, and of the profile that the environment names', async () => {
      expect((await login([], { SALLYPORT_PROFILE: profile })).stdout).toContain('#triage-bot');
    });

    test('is not asked for while a certificate for the agent holds', async () => {
      await login([], { SALLYPORT_PROFILE: profile });
      const asked = oidc.requests('/token');
      expect((await login([], { SALLYPORT_PROFILE: profile })).stdout).toMatch(/^there still is/);
      expect(oidc.requests('/token')).toBe(asked);
    });

    test('comes from a file before it comes from a profile, and from the environment before both', async () => {
      const file = join(home, 'token');
      await writeFile(file, 'from-file\n', { mode: 0o600 });
      const args = ['--token-file', file, '--profile', profile];
      expect((await login(args, {})).stdout).toContain('#from-file');
      expect((await login(args, { SALLYPORT_TOKEN: 'from-environment' })).stdout).toContain('#from-environment');
    });

    test('cannot be written on the command line', async () => {
      const { code, stderr } = await login(['--token', 'a.b.c'], {});
      expect(code).toBe(2);
      expect(stderr).not.toContain('a.b.c');
    });

    test('that is empty or too long is not sent', async () => {
      const file = join(home, 'token');
      for (const content of ['\n', 'x'.repeat(16 * 1024 + 1)]) {
        await writeFile(file, content);
        expect((await login(['--token-file', file], {})).code).toBe(1);
      }
      expect(gateway.tokens).toEqual([]);
    });

    test('of 10 KB arrives whole', async () => {
      const token = `header.${'x'.repeat(10_000)}.signature`;
      await login([], { SALLYPORT_TOKEN: token });
      expect(gateway.tokens).toEqual([token]);
    });

    test('that is refused fails with the gateway’s words, harmless to a terminal, and leaves no certificate', async () => {
      const { code, stdout, stderr } = await login([], { SALLYPORT_TOKEN: 'refused' });
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toBe('sallyport: the gateway refused the token: the token was\\u001b[2J refused\n');
      expect(await readdir(files)).not.toContain('key-cert.pub');
    });

    test('that was exchanged for another key is refused', async () => {
      await login();
      const { code, stderr } = await login(['--directory', join(home, 'stolen')]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/issued no certificate: The token was already exchanged for another key/);
    });
  });

  describe('a login fails', () => {
    test('when the gateway answers with another certificate, or with none', async () => {
      await login(['--directory', join(home, 'other')], { SALLYPORT_TOKEN: 'other' });
      const other = await readFile(join(home, 'other', 'key-cert.pub'), 'utf8');
      for (const answer of [other.trim(), 'hello', 'ssh-ed25519-cert-v01@openssh.com AAAA', '']) {
        gateway.answer = answer;
        const { code, stderr } = await login();
        expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('something else') });
      }
      gateway.answer = 'x'.repeat(100_000);
      expect((await login()).stderr).toContain('more than a certificate');
      expect(await readdir(files)).not.toContain('key-cert.pub');
      gateway.answer = undefined;
      expect((await login()).code).toBe(0);
    });

    test('when nobody listens', async () => {
      const { address } = gateway;
      await gateway.stop();
      const { code, stderr } = await login();
      expect(code).toBe(1);
      expect(stderr).toMatch(/cannot be reached/);
      gateway = await startCertificateGateway();
      expect(gateway.address).not.toBe(address);
    });

    test('when others may write to the directory', async () => {
      await mkdir(files);
      await chmod(files, 0o777);
      expect((await login()).stderr).toContain('can be written by others');
      expect(gateway.tokens).toEqual([]);
    });

    test.each([
      [[]],
      [['login']],
      [['logout', '--gateway', 'a:1']],
      [['login', '--gateway', 'a']],
      [['login', '--gateway', '-oProxyCommand:1']],
      [['login', '--gateway', 'a:0']],
      [['login', '--gateway', 'a:1', '--host-key', 'ssh-ed25519 AAAA']],
      [['login', '--gateway', 'a:1', '--host-key', 'x', '--known-hosts', 'y']],
    ])('as wrong usage with %j', async (args) => {
      expect((await cli(args, { SALLYPORT_TOKEN: 'x' })).code).toBe(2);
    });
  });
});
