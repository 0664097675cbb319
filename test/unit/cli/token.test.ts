import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { run } from '../../../proxy/cli/command.ts';
import { type Oidc, startOidc } from '../../support/oidc.ts';

let oidc: Oidc;
let directory: string;
let profile: string;

beforeAll(async () => {
  oidc = await startOidc({ clients: [{ subject: 'triage-bot', groups: ['support'] }] });
  directory = await mkdtemp(join(tmpdir(), 'sallyport-token-'));
  await writeFile(join(directory, 'secret'), `${oidc.secretOf('triage-bot')}\n`, { mode: 0o600 });
  profile = join(directory, 'agents.json');
  const agents = { 'triage-bot': 'file:./secret' };
  await writeFile(profile, JSON.stringify({ issuer: oidc.issuer, audience: oidc.audience, agents }));
});

afterAll(async () => {
  await oidc.stop();
  await rm(directory, { recursive: true });
});

async function token(args: readonly string[], env: Record<string, string> = {}) {
  let stdout = '';
  let stderr = '';
  const code = await run(['token', ...args], {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env,
  });
  return { code, stdout, stderr };
}

test('an agent of the profile gets an access token for the profile’s audience', async () => {
  const { code, stdout } = await token(['triage-bot', '--profile', profile]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\S+\n$/);
  expect(decodeJwt(stdout.trim())).toMatchObject({ sub: 'triage-bot', aud: oidc.audience, iss: oidc.issuer });
});

test('the profile can come from the environment', async () => {
  const { stdout } = await token(['triage-bot'], { SALLYPORT_PROFILE: profile });
  expect(decodeJwt(stdout.trim()).sub).toBe('triage-bot');
});

test('without an agent the profile’s agents are listed', async () => {
  expect(await token(['--profile', profile])).toMatchObject({ code: 0, stdout: 'triage-bot\n' });
});

test('any issuer will do when everything is said', async () => {
  const secret = `file:${join(directory, 'secret')}`;
  const given = ['--issuer', oidc.issuer, '--client-id', 'triage-bot', '--client-secret', secret];
  const { code, stdout } = await token([...given, '--audience', 'https://other.example']);
  expect(code).toBe(0);
  expect(decodeJwt(stdout.trim()).aud).toBe('https://other.example');
});

describe('what cannot be', () => {
  test('an agent that the profile does not have is wrong usage', async () => {
    expect((await token(['nobody', '--profile', profile])).code).toBe(2);
  });

  test('a secret in clear is refused and not repeated', async () => {
    const given = ['--issuer', oidc.issuer, '--client-id', 'triage-bot', '--audience', oidc.audience];
    const { code, stderr } = await token([...given, '--client-secret', 'hunter2']);
    expect(code).not.toBe(0);
    expect(stderr).not.toContain('hunter2');
  });

  test('a wrong secret fails without a token', async () => {
    const wrong = join(directory, 'wrong');
    await writeFile(wrong, 'not-the-secret', { mode: 0o600 });
    await chmod(wrong, 0o600);
    const given = ['--issuer', oidc.issuer, '--client-id', 'triage-bot', '--audience', oidc.audience];
    const { code, stdout, stderr } = await token([...given, '--client-secret', `file:${wrong}`]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).not.toContain('not-the-secret');
  });

  test('an issuer in clear on another machine is not asked', async () => {
    const secret = `file:${join(directory, 'secret')}`;
    const given = ['--issuer', 'http://idp.example', '--client-id', 'a', '--client-secret', secret];
    const { code, stderr } = await token([...given, '--audience', oidc.audience]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/HTTP/i);
  });

  test('a profile that is not there is said so', async () => {
    const { code, stderr } = await token(['triage-bot', '--profile', join(directory, 'nothing.json')]);
    expect(code).toBe(1);
    expect(stderr).toContain('is the demo running?');
  });
});
