/** What was masked on its way to a client over SSH and HTTP is nowhere afterwards; `evidence.test.ts` says it of PostgreSQL. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, expect, test } from '@jest/globals';
import { recordingKey } from '../../proxy/record/index.ts';
import { describeTools } from '../clients/tools.ts';
import type { GatewayFiles } from '../support/gateway-files.ts';
import { startHttpGateway, startUpstream } from '../support/http-gateway.ts';
import { findsOf } from '../support/markers.ts';
import { connectSsh, runSsh } from '../support/ssh-client.ts';
import { spoken, startSshGateway } from '../support/ssh-gateway.ts';
import { findSshd } from '../support/sshd.ts';
import { type Trace, tracesOf } from '../support/traces.ts';

const secret = 'n'.repeat(40);
const directory = mkdtempSync(join(tmpdir(), 'sallyport-masked-'));
writeFileSync(join(directory, 'record'), secret, { mode: 0o600 });
const config = { record: { key: `file:${join(directory, 'record')}` } };

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Where the values are, of all that was kept; and that enough was kept to say so. */
async function places(values: readonly string[], files: GatewayFiles, more: readonly Trace[]): Promise<string[]> {
  const traces = [...(await tracesOf(files, [recordingKey(Buffer.from(secret))])), ...more];
  expect(traces.length).toBeGreaterThan(8);
  return traces.flatMap(([where, bytes]) => findsOf(values, bytes).map((value) => `${where}: ${value}`));
}

test('over HTTP: JSON, compressed or not, a stream of events, and a body that a client wrote', async () => {
  const ssn = '078-05-1120';
  const upstream = await startUpstream();
  const gateway = await startHttpGateway({
    config,
    upstreams: [{ name: 'crm', host: upstream.host, port: upstream.port, routes: [{ path: '/customers/{id}' }] }],
  });
  try {
    const body = JSON.stringify({ id: 7, name: 'Ada', ssn });
    const encodings = { identity: Buffer.from(body), gzip: gzipSync(body), deflate: deflateSync(body) };
    const token = await gateway.token();
    for (const [encoding, bytes] of Object.entries(encodings)) {
      upstream.answer = (_request, response) =>
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding }).end(bytes);
      const answer = await fetch(`${gateway.url}/customers/7`, { headers: { authorization: `Bearer ${token}` } });
      const text = await answer.text();
      expect({ encoding, text }).toEqual({ encoding, text: expect.stringMatching(/\*1120/) });
      expect(findsOf([ssn], Buffer.from(text))).toEqual([]);
    }
    upstream.answer = (_request, response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`data: ${body}\n\n`);
    await (await fetch(`${gateway.url}/customers/7`, { headers: { authorization: `Bearer ${token}` } })).text();
    const metrics = Buffer.from(await gateway.metrics());
    await gateway.gateway.close();
    const log = Buffer.from(gateway.log.join(''));
    expect(
      await places([ssn, token], gateway.files, [
        ['metrics', metrics],
        ['log', log],
      ]),
    ).toEqual([]);
  } finally {
    await gateway.stop();
    await upstream.stop();
  }
});

describeTools(['ssh'], findSshd() === undefined ? ['sshd'] : [], () => {
  test('over SSH: the output of commands, and a value that stands in a command', async () => {
    const marker = 'ana.marker@example.org';
    const gateway = await startSshGateway({ ...spoken, config });
    try {
      await writeFile(join(gateway.sshd.home, 'email'), `before ${marker} after\n`);
      const says = { allow: true, masks: { text: { email: { replace: { value: '[email]' } } } } };
      const token = await gateway.token('masked', { claims: { says } });
      const client = await connectSsh({ ...gateway, token, user: 'agent+web1' });
      const { stdout } = await runSsh(client, 'cat email; cat email email email; grep -c marker email', '');
      expect(String(stdout)).toContain('before [email] after');
      await runSsh(client, `echo ${marker}`, '');
      client.end();
      const metrics = Buffer.from(await gateway.metrics());
      await gateway.gateway.close();
      const log = Buffer.from(gateway.log.join(''));
      expect(
        await places([marker], gateway.files, [
          ['metrics', metrics],
          ['log', log],
        ]),
      ).toEqual([]);
    } finally {
      await gateway.stop();
    }
  });
});
