import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { run } from '../../../proxy/cli/command.ts';
import { formatPrivateKey, publicKeyOf } from '../../../proxy/protocols/ssh/private-key.ts';
import { publicKeyLine } from '../../../proxy/protocols/ssh/public-key.ts';
import { describeTools } from '../../clients/tools.ts';
import { type CertificateGateway, startCertificateGateway } from './certificate-gateway.ts';

describeTools(['ssh'], [], () => {
  const key = generateKeyPairSync('ed25519').privateKey;
  const hostKey = publicKeyLine('ssh-ed25519', publicKeyOf(key).blob);
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-ssh-config-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function sshConfig(...args: readonly string[]) {
    let stdout = '';
    let stderr = '';
    const code = await run(['ssh-config', ...args], {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
      env: {},
    });
    return { code, stdout, stderr };
  }

  /** Runs the real ssh with a configuration, and with a `sallyport` in its path that is this script. */
  async function ssh(config: string, script: string, ...args: readonly string[]) {
    await writeFile(join(directory, 'config'), config);
    await writeFile(join(directory, 'sallyport'), `#!/bin/sh\n${script}\n`);
    await chmod(join(directory, 'sallyport'), 0o755);
    const env = { ...process.env, PATH: `${directory}:${process.env.PATH}`, SHELL: '/bin/sh' };
    const { stdout } = await promisify(execFile)('ssh', ['-F', join(directory, 'config'), ...args], { env });
    return stdout;
  }

  /** What ssh would do for a host, as `ssh -G` says it. */
  async function resolved(config: string, host: string) {
    const said = await ssh(config, `echo "$@" >> ${join(directory, 'called')}`, '-G', host);
    return new Map(said.split('\n').map((line) => [line.split(' ', 1)[0], line.slice(line.indexOf(' ') + 1)]));
  }

  describe('what ssh makes of it', () => {
    const args = ['--gateway', 'gw.example:2222', '--upstream', 'deploy+web', '--upstream', 'svc+db.eu'];

    test('leads to the gateway, as the login and the host', async () => {
      const { code, stdout } = await sshConfig(...args, '--directory', join(directory, 'files'));
      expect(code).toBe(0);
      const web = await resolved(stdout, 'web.sallyport');
      expect(Object.fromEntries(web)).toMatchObject({
        hostname: 'gw.example',
        port: '2222',
        user: 'deploy+web',
        hostkeyalias: 'sallyport',
        userknownhostsfile: join(directory, 'files', 'known_hosts'),
        stricthostkeychecking: 'true',
        identityfile: join(directory, 'files', 'key'),
        certificatefile: join(directory, 'files', 'key-cert.pub'),
        identitiesonly: 'yes',
        batchmode: 'yes',
        loglevel: 'ERROR',
        forwardagent: 'no',
        forwardx11: 'no',
        controlmaster: 'auto',
        controlpersist: '600',
      });
      expect(web.get('controlpath')).toMatch(new RegExp(`^${join(directory, 'files')}/[0-9a-f]{40}$`));
      expect((await resolved(stdout, 'db.eu.sallyport')).get('user')).toBe('svc+db.eu');
    });

    test('fetches a certificate first, and for no other host', async () => {
      const { stdout } = await sshConfig(...args, '--directory', join(directory, 'files'), '--agent', 'bot%1');
      await resolved(stdout, 'web.sallyport');
      const files = join(directory, 'files');
      const called = `ssh login --quiet --gateway gw.example:2222 --known-hosts ${files}/known_hosts --directory ${files} --agent bot%1\n`;
      expect(await readFile(join(directory, 'called'), 'utf8')).toBe(called);
      expect((await resolved(stdout, 'web.example')).get('hostname')).toBe('web.example');
      expect(await readFile(join(directory, 'called'), 'utf8')).toBe(called);
    });

    test('stays in the home directory of whoever uses it, unless told otherwise', async () => {
      const { stdout } = await sshConfig(...args);
      expect(stdout).toContain('  IdentityFile ~/.sallyport/key\n');
      const files = join(userInfo().homedir, '.sallyport');
      const { HOME } = process.env;
      process.env.HOME = '/elsewhere'; // to the shell; ssh does not look at it
      expect((await resolved(stdout, 'web.sallyport')).get('userknownhostsfile')).toBe(join(files, 'known_hosts'));
      process.env.HOME = HOME;
      const called = await readFile(join(directory, 'called'), 'utf8');
      expect(called).toContain(` --known-hosts ${files}/known_hosts --directory ${files}\n`);
    });

    test('has a name for each login where a host has several', async () => {
      const { stdout } = await sshConfig(...args, '--upstream', 'admin+web');
      expect((await resolved(stdout, 'admin.web.sallyport')).get('user')).toBe('admin+web');
      expect((await resolved(stdout, 'deploy.web.sallyport')).get('user')).toBe('deploy+web');
      expect((await resolved(stdout, 'db.eu.sallyport')).get('user')).toBe('svc+db.eu');
    });

    test('shares a connection only where the path of its socket is not too long', async () => {
      const below = (length: number) => `/tmp/${'d'.repeat(length - '/tmp/'.length)}`;
      const longest = await sshConfig(...args, '--directory', below(45));
      expect((await resolved(longest.stdout, 'web.sallyport')).get('controlmaster')).toBe('auto');
      const web = await resolved((await sshConfig(...args, '--directory', below(46))).stdout, 'web.sallyport');
      expect(web.get('controlmaster')).toBe('false');
      expect(web.get('controlpath')).toBeUndefined();
      expect(web.get('certificatefile')).toBe(`${below(46)}/key-cert.pub`);
    });

    test('reaches a gateway by an IPv6 address', async () => {
      const { stdout } = await sshConfig('--gateway', '[::1]:2222', '--upstream', 'deploy+web');
      expect(Object.fromEntries(await resolved(stdout, 'web.sallyport'))).toMatchObject({
        hostname: '::1',
        port: '2222',
      });
      expect(await readFile(join(directory, 'called'), 'utf8')).toContain('--gateway [::1]:2222 ');
    });
  });

  describe('the gateway’s host key', () => {
    const args = ['--gateway', 'gw.example:2222', '--upstream', 'deploy+web', '--host-key', hostKey];

    test('is printed as a comment', async () => {
      const { stdout } = await sshConfig(...args);
      expect(stdout).toMatch(/^# ~\/\.sallyport\/known_hosts must have:\n# sallyport ssh-ed25519 \S+\nMatch /);
      expect(stdout).toContain(`# sallyport ${hostKey}\n`);
    });

    test('is written into a file, in the place of an earlier one, next to what else is there', async () => {
      const file = join(directory, 'new', 'known_hosts');
      const { stdout } = await sshConfig(...args, '--known-hosts', file);
      expect(stdout).not.toContain('#');
      expect(stdout).toContain(`  UserKnownHostsFile ${file}\n`);
      expect(await readFile(file, 'utf8')).toBe(`sallyport ${hostKey}\n`);
      await writeFile(file, `# mine\nsallyport ssh-ed25519 AAAA\nother ${hostKey}`);
      await sshConfig(...args, '--known-hosts', file);
      expect(await readFile(file, 'utf8')).toBe(`# mine\nother ${hostKey}\nsallyport ${hostKey}\n`);
    });

    test('must be in the file already when none is given', async () => {
      const file = join(directory, 'known_hosts');
      const without = ['--gateway', 'gw.example:2222', '--upstream', 'deploy+web', '--known-hosts', file];
      expect((await sshConfig(...without)).code).toBe(2);
      await writeFile(file, `[gw.example]:2222 ${hostKey}\n`);
      expect((await sshConfig(...without)).code).toBe(0);
    });
  });

  describe('the configuration of a gateway', () => {
    async function gatewayConfig(listen: string) {
      await writeFile(join(directory, 'host'), formatPrivateKey(key, 'gateway', 1), { mode: 0o600 });
      const file = join(directory, 'sallyport.yaml');
      const upstream = (name: string, logins: string) =>
        `  - {name: ${name}, protocol: ssh, address: '${name}.internal:22', host_keys: ['${hostKey}'], logins: {${logins}}}`;
      const text = [
        'identity: {issuers: [{issuer: https://idp.example, audience: https://gw.example}]}',
        'policy: {bundle: bundle, data: data.json}',
        'audit: {file: audit, key: env:AUDIT}',
        'record: {directory: records}',
        'privacy: {key: env:PRIVACY}',
        'listeners:',
        `  - {protocol: ssh, listen: '${listen}', host_keys: [file:host], certificate_authority: {key: env:CA}, upstreams: [web, db]}`,
        'upstreams:',
        upstream('web', 'deploy: {user: www, key: env:KEY}, admin: {user: root, key: env:KEY}'),
        upstream('db', 'svc: {user: svc, password: env:PASSWORD}'),
      ].join('\n');
      await writeFile(file, `${text}\n`);
      return file;
    }

    test('says it all: address, logins, host keys', async () => {
      const { code, stdout, stderr } = await sshConfig('--config', await gatewayConfig('gw.example:2222'));
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`# sallyport ${hostKey}\n`);
      const found = await Promise.all(['deploy.web', 'admin.web', 'db'].map((name) => user(stdout, name)));
      expect(found).toEqual(['deploy+web', 'admin+web', 'svc+db']);
      expect((await resolved(stdout, 'db.sallyport')).get('hostname')).toBe('gw.example');
    });

    async function user(config: string, name: string) {
      return (await resolved(config, `${name}.sallyport`)).get('user');
    }

    test('does not say how it is reached when it listens everywhere', async () => {
      const file = await gatewayConfig('0.0.0.0:2222');
      expect((await sshConfig('--config', file)).code).toBe(2);
      const { stdout } = await sshConfig('--config', file, '--gateway', 'gw.example:22');
      expect((await resolved(stdout, 'db.sallyport')).get('port')).toBe('22');
    });
  });

  describe('what cannot be written is refused', () => {
    test.each([
      [['--upstream', 'deploy+web']],
      [['--gateway', 'gw.example:22']],
      [['--gateway', 'gw.example:22', '--upstream', 'web']],
      [['--gateway', 'gw.example:22', '--upstream', 'deploy+web\n  ProxyCommand x']],
      [['--gateway', 'gw.example:22', '--upstream', '+web']],
      [['--gateway', 'gw.example:22', '--upstream', '-o+web']],
      [['--gateway', 'gw.example:22', '--upstream', 'a+x', '--upstream', 'a+x']],
      [['--gateway', 'gw.example:22', '--upstream', 'a+b', '--upstream', 'c+b', '--upstream', 'd+a.b']],
      [['--gateway', 'gw.example:22"', '--upstream', 'deploy+web']],
      [['--gateway', 'gw.example:22', '--upstream', 'deploy+web', '--directory', '/with space']],
      [['--gateway', 'gw.example:22', '--upstream', 'deploy+web', '--agent', '$(id)']],
      [['--gateway', 'gw.example:22', '--upstream', 'deploy+web', '--agent', '-x']],
      [['--gateway', 'gw.example:22', '--upstream', 'deploy+web', '--profile', 'a"b']],
      [['--gateway', 'gw.example:22', '--upstream', 'deploy+web', '--token-file', '-']],
      [['--gateway', 'gw.example:22', '--upstream', 'deploy+web', '--host-key', 'x']],
    ])('%j', async (args) => {
      expect(await sshConfig(...args)).toMatchObject({ code: 2, stdout: '' });
    });
  });

  describe('the real ssh', () => {
    let gateway: CertificateGateway;
    beforeEach(async () => {
      gateway = await startCertificateGateway(['web']);
    });
    afterEach(() => gateway.stop());

    test('logs in at a gateway with nothing but what was printed', async () => {
      const files = join(directory, 'f');
      const token = join(directory, 'token');
      await writeFile(token, 'header.payload.signature\n', { mode: 0o600 });
      const { stdout } = await sshConfig(
        ...['--gateway', gateway.address, '--upstream', 'deploy+web', '--upstream', 'x+other'],
        ...['--host-key', gateway.hostKey, '--known-hosts', join(files, 'known_hosts')],
        ...['--directory', files, '--token-file', token],
      );
      const script = `exec ${process.execPath} ${join(import.meta.dirname, '../../../proxy/cli/main.ts')} "$@"`;
      const alone = ['-o', 'ControlMaster=no'];
      for (let time = 0; time < 2; time++) {
        expect(await ssh(stdout, script, ...alone, 'web.sallyport', 'uptime')).toBe(
          'header.payload.signature as deploy+web: uptime\n',
        );
      }
      expect(gateway.tokens).toHaveLength(1);
      // The certificate names the hosts it is good for, and this is none of them.
      await expect(ssh(stdout, script, ...alone, 'other.sallyport', 'uptime')).rejects.toThrow(/Permission denied/);
    });
  });
});
