import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { loadMaterials } from '../../../proxy/config/materials.ts';
import { loadConfig } from '../../../proxy/config.ts';
import { type GatewayFiles, writeGatewayFiles } from '../../support/gateway-files.ts';
import { makeCertificates } from '../../support/tls.ts';

let directory: string;
let files: GatewayFiles;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-materials-'));
  const { ca, client } = await makeCertificates();
  files = await writeGatewayFiles({
    directory,
    issuer: 'https://idp.example',
    audience: 'sallyport',
    bundle: '/dev/null',
    data: {},
    upstreams: [
      {
        name: 'orders',
        host: 'db',
        port: 5432,
        ca,
        logins: { reader: { user: 'app', password: 'hunter2' }, writer: { user: 'app_w', ...client } },
      },
    ],
  });
});
afterEach(() => rm(directory, { recursive: true }));

const load = async () => loadMaterials(await loadConfig(files.configFile));

test('everything the configuration refers to is read', async () => {
  const materials = await load();
  expect(Buffer.from(materials.auditKey)).toEqual(files.auditKey);
  expect(Buffer.from(materials.privacyKey)).toEqual(files.privacyKey);
  expect(materials.listeners[0]).toHaveProperty('certificate', expect.stringContaining('BEGIN CERTIFICATE'));
  const upstream = materials.upstreams.get('orders');
  if (upstream?.protocol !== 'postgres') throw new Error('another upstream');
  expect(upstream.ca).toContain('BEGIN CERTIFICATE');
  expect(upstream.logins.get('reader')).toEqual({ user: 'app', password: 'hunter2' });
  expect(upstream.logins.get('writer')).toMatchObject({ user: 'app_w', key: expect.stringContaining('PRIVATE KEY') });
});

test('the line feed at the end of a file is not part of a secret', async () => {
  await writeFile(join(directory, 'keys/orders-reader'), 'hunter2\n');
  const upstream = (await load()).upstreams.get('orders');
  expect(upstream?.protocol === 'postgres' && upstream.logins.get('reader')).toEqual({
    user: 'app',
    password: 'hunter2',
  });
});

test.each([
  ['a key of another certificate', 'keys/tls.key', 'listeners[0].tls'],
  ['a certificate that is none', 'tls.crt', 'listeners[0].tls'],
  ['a CA that is none', 'upstream-orders-ca.pem', 'CA of upstream orders'],
  ['a client key that is none', 'keys/orders-writer.key', 'upstream orders, login writer'],
  ['an empty secret', 'keys/audit', 'audit.key'],
])('%s is told by where it is referred to, without its content', async (_title, file, where) => {
  const other = await makeCertificates();
  const content = file === 'keys/tls.key' ? other.server.key : file === 'keys/audit' ? '' : 'marker-in-clear';
  await writeFile(join(directory, file), content);
  const error = await load().then(
    () => undefined,
    (thrown: unknown) => String(thrown),
  );
  expect(error).toContain(where);
  expect(error).not.toContain('marker-in-clear');
  expect(error).not.toContain('PRIVATE KEY');
});

test('a file that is not there is named', async () => {
  await rm(join(directory, 'keys/privacy'));
  await expect(load()).rejects.toThrow(/privacy\.key: .*keys\/privacy/);
});
