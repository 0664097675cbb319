import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type HttpGateway, startHttpGateway, startUpstream, type Upstream } from '../support/http-gateway.ts';
import { makeCertificates } from '../support/tls.ts';
import { testWith } from './tools.ts';

/** Clients that are told of the proxy by their environment and of nothing else. */
let api: Upstream;
let gateway: HttpGateway;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  const certificates = await makeCertificates();
  const pair = await certificates.issueServer(['crm.example']);
  api = await startUpstream(createServer({ cert: pair.certificate, key: pair.key }));
  api.answer = (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ url: request.url, ssn: '078-05-1120' }));
  };
  gateway = await startHttpGateway({
    upstreams: [
      {
        ...{
          name: 'crm',
          host: '127.0.0.1',
          port: api.port,
          ca: certificates.ca,
          serverName: 'crm.example',
          ownHost: 'crm.example',
        },
        routes: [{ path: '/{page}' }],
      },
    ],
    forward: { inspects: true, upstreams: ['crm'] },
    data: { upstreams: { egress: {} }, http: { destinations: ['crm'] } },
  });
  const proxy = `http://agent:${await gateway.token()}@127.0.0.1:${gateway.forwardPort}`;
  const { caFile } = gateway.files;
  environment = {
    PATH: process.env.PATH,
    ...{ HTTPS_PROXY: proxy, https_proxy: proxy, HTTP_PROXY: proxy, http_proxy: proxy },
    ...{ CURL_CA_BUNDLE: caFile, SSL_CERT_FILE: caFile, NODE_EXTRA_CA_CERTS: caFile, NODE_USE_ENV_PROXY: '1' },
  };
});
afterAll(async () => {
  await gateway?.stop();
  await api?.stop();
});

async function run(program: string, ...args: string[]): Promise<{ code: number | null; text: string }> {
  const child: ChildProcess = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  const pieces: Buffer[] = [];
  child.stdout?.on('data', (piece: Buffer) => pieces.push(piece));
  child.stderr?.on('data', (piece: Buffer) => pieces.push(piece));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, text: Buffer.concat(pieces).toString() };
}

describe('a client with HTTPS_PROXY in its environment', () => {
  const masked = (page: string) => ({ url: `/${page}`, ssn: expect.stringMatching(/^\*+1120$/) });

  testWith(['curl'])('curl asks for what is allowed and gets it masked', async () => {
    const { code, text } = await run('curl', '-sS', '--max-time', '20', 'https://crm.example/a');
    expect(JSON.parse(text)).toEqual(masked('a'));
    expect(code).toBe(0);
  });

  testWith(['curl'])('curl is told why when it is not', async () => {
    const { code, text } = await run('curl', '-sS', '--max-time', '20', '-X', 'DELETE', 'https://crm.example/a');
    expect(JSON.parse(text)).toMatchObject({ status: 403, code: expect.any(String), hint: expect.any(String) });
    expect(code).toBe(0);
  });

  testWith(['curl'])('curl cannot go elsewhere', async () => {
    const { code } = await run('curl', '-sS', '--max-time', '20', 'https://elsewhere.example/');
    // CURLE_RECV_ERROR or CURLE_COULDNT_CONNECT, by version: the proxy refused.
    expect([7, 56]).toContain(code);
  });

  test('the fetch of Node asks for what is allowed and gets it masked', async () => {
    const program = "console.log(await (await fetch('https://crm.example/b')).text())";
    const { text } = await run(process.execPath, '--no-warnings', '--input-type=module', '--eval', program);
    expect(JSON.parse(text)).toEqual(masked('b'));
  });
});
