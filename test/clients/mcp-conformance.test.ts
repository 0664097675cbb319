/**
 * The official conformance scenarios for MCP servers, against one server twice: past the gateway and through it. What passes
 * past it passes through it, but for what the gateway takes away on purpose.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type HttpGateway, startHttpGateway } from '../support/http-gateway.ts';
import {
  type CallContext,
  type Offer,
  type OfferedTool,
  startSessionServer,
  type TestServer,
} from '../support/mcp-servers.ts';

const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const silence = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA==';

const text = (said: string) => ({ type: 'text', text: said });
const image = { type: 'image', data: pixel, mimeType: 'image/png' };
const embedded = (uri: string) => ({ type: 'resource', resource: { uri, mimeType: 'text/plain', text: 'Embedded.' } });

type Call = (context: CallContext, args: Record<string, unknown>) => object | Promise<object>;

/** Every tool that the scenarios call, as their descriptions have it. */
const calls: Readonly<Record<string, Call>> = {
  test_simple_text: () => [text('This is a simple text response for testing.')],
  test_image_content: () => [image],
  test_audio_content: () => [{ type: 'audio', data: silence, mimeType: 'audio/wav' }],
  test_embedded_resource: () => [embedded('test://embedded-resource')],
  test_multiple_content_types: () => [text('Several kinds:'), image, embedded('test://mixed-content-resource')],
  async test_tool_with_logging({ notify }) {
    for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await notify('notifications/message', { level: 'info', data });
    }
    return [text('done')];
  },
  async test_tool_with_progress({ notify, params }) {
    const { progressToken } = params._meta as { progressToken: string };
    for (const progress of [0, 50, 100])
      await notify('notifications/progress', { progressToken, progress, total: 100 });
    return [text('done')];
  },
  test_reconnection({ interrupt }) {
    interrupt();
    return [text('Reconnected.')];
  },
  async test_sampling({ ask }, { prompt }) {
    const messages = [{ role: 'user', content: text(String(prompt)) }];
    return [text(JSON.stringify(await ask('sampling/createMessage', { messages, maxTokens: 100 })))];
  },
  async test_elicitation({ ask }, { message }) {
    const properties = { username: { type: 'string' }, email: { type: 'string' } };
    const requestedSchema = { type: 'object', properties, required: ['username', 'email'] };
    return [text(JSON.stringify(await ask('elicitation/create', { message, requestedSchema })))];
  },
  async test_elicitation_sep1034_defaults({ ask }) {
    const properties = {
      name: { type: 'string', default: 'John Doe' },
      age: { type: 'integer', default: 30 },
      score: { type: 'number', default: 95.5 },
      status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
      verified: { type: 'boolean', default: true },
    };
    const requestedSchema = { type: 'object', properties, required: [] };
    return [text(JSON.stringify(await ask('elicitation/create', { message: 'Defaults?', requestedSchema })))];
  },
};

const argumentsOf: Readonly<Record<string, object>> = {
  test_sampling: { prompt: { type: 'string' } },
  test_elicitation: { message: { type: 'string' } },
};

const offer: Offer = {
  tools: [
    ...Object.entries(calls).map(
      ([name, call]): OfferedTool => ({
        definition: {
          ...{ name, description: `The tool ${name}.` },
          inputSchema: { type: 'object', properties: argumentsOf[name] ?? {} },
        },
        call: async (args, context) => ({ content: await call(context, args) }),
      }),
    ),
    {
      definition: { name: 'test_error_handling', description: 'Fails.', inputSchema: { type: 'object' } },
      call: () => ({ isError: true, content: [text('This tool intentionally returns an error for testing')] }),
    },
    {
      definition: {
        ...{ name: 'json_schema_2020_12_tool', description: 'Has a schema of 2020-12.' },
        inputSchema: {
          ...{ $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' },
          $defs: { address: { type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } } },
          properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' } },
          additionalProperties: false,
        },
      },
      call: () => ({ content: [text('done')] }),
    },
  ],
  resources: ['static-text', 'static-binary', 'watched-resource'].map((name) => ({ uri: `test://${name}`, name })),
  read: (uri) =>
    uri === 'test://static-binary'
      ? { uri, mimeType: 'image/png', blob: pixel }
      : { uri, mimeType: 'text/plain', text: `Content for ${/\d+/.exec(uri)?.[0] ?? 'everyone'}.` },
  prompts: ['simple_prompt', 'prompt_with_arguments', 'prompt_with_embedded_resource', 'prompt_with_image'].map(
    (name) => ({ name: `test_${name}`, description: `The prompt ${name}.` }),
  ),
  prompt(name, { arg1, arg2, resourceUri = '' }) {
    if (name === 'test_prompt_with_embedded_resource') {
      return [
        { role: 'user', content: embedded(resourceUri) },
        { role: 'user', content: text('Process it.') },
      ];
    }
    if (name === 'test_prompt_with_image') {
      return [
        { role: 'user', content: image },
        { role: 'user', content: text('Analyse it.') },
      ];
    }
    return [{ role: 'user', content: text(arg1 === undefined ? 'Simple.' : `With '${arg1}' and '${arg2}'.`) }];
  },
};

let server: TestServer;
let gateway: HttpGateway;
/** Past the gateway, and through it. */
let ways: readonly Server[];

/**
 * The scenarios know nothing of tokens, and two of them name another version than they negotiated, which the gateway takes
 * for what it is: both are put right on the way.
 */
async function forwardTo(port: number, more: readonly string[]): Promise<Server> {
  const forwarder = createServer((incoming, response) => {
    const known = incoming.rawHeaders.map((value) => (value === '2025-03-26' ? '2025-11-25' : value));
    const { method, url } = incoming;
    const onward = request({ host: '127.0.0.1', port, method, path: url, headers: [...known, ...more] }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      response.flushHeaders();
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => forwarder.listen(0, '127.0.0.1', resolve));
  return forwarder;
}

beforeAll(async () => {
  server = await startSessionServer(offer);
  const { url } = server;
  gateway = await startHttpGateway({
    upstreams: [{ name: 'tools', host: url.hostname, port: Number(url.port), mcp: url.pathname }],
    data: {
      upstreams: { tools: { labels: { env: 'prod' } } },
      mcp: {
        upstreams: {
          tools: {
            ...{ allow: offer.tools.map(({ definition }) => definition.name), refuse: [] },
            ...{ resources: ['test://'], prompts: offer.prompts?.map(({ name }) => name) ?? [] },
            masks: { json: {}, text: {} },
          },
        },
      },
    },
  });
  const token = await gateway.token('test-agent', { lifetimeSeconds: 600 });
  const headers = ['Authorization', `Bearer ${token}`];
  ways = await Promise.all([forwardTo(Number(url.port), []), forwardTo(gateway.port, headers)]);
});
afterAll(async () => {
  for (const way of ways ?? []) {
    way.closeAllConnections();
    way.close();
  }
  await gateway?.stop();
  await server?.close();
});

const program = join(import.meta.dirname, '../../node_modules/@modelcontextprotocol/conformance/dist/index.js');

/** Runs all scenarios; what each of their checks came to. */
async function conformance(url: string): Promise<Readonly<Record<string, string>>> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-conformance-'));
  try {
    const child = spawn(process.execPath, [program, 'server', '--url', url, '--suite', 'all', '-o', directory], {
      stdio: 'ignore',
    });
    await new Promise((resolve) => child.once('close', resolve));
    const results: Record<string, string> = {};
    for (const file of await readdir(directory, { recursive: true })) {
      if (!file.endsWith('checks.json')) continue;
      const checks: readonly { id: string; status: string }[] = JSON.parse(
        await readFile(join(directory, file), 'utf8'),
      );
      for (const { id, status } of checks) results[id] = [results[id], status].filter(Boolean).join(' ');
    }
    return results;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Servers may ask clients for nothing: sampling and elicitation do not pass. */
const takenAway = [
  ...['boolean', 'enum', 'integer', 'number', 'string'].map((type) => `elicitation-sep1034-${type}-default`),
  ...['tools-call-elicitation', 'tools-call-sampling'],
];
const rebinding = 'localhost-host-rebinding-rejected';

test('what passes past the gateway passes through it', async () => {
  const results = [];
  for (const way of ways) {
    const { port } = way.address() as AddressInfo;
    results.push(await conformance(`http://127.0.0.1:${port}${server.url.pathname}`));
  }
  const [direct = {}, through = {}] = results;
  const lost = Object.keys(direct).filter((id) => direct[id] === 'SUCCESS' && through[id] !== 'SUCCESS');
  expect(lost.toSorted()).toEqual(takenAway);
  // The server itself takes any host.
  expect([direct[rebinding], through[rebinding]]).toEqual(['FAILURE', 'SUCCESS']);
  const passed = (results: Readonly<Record<string, string>>) =>
    Object.values(results).filter((statuses) => statuses === 'SUCCESS').length;
  expect(passed(direct)).toBeGreaterThanOrEqual(39);
  expect(passed(through)).toBeGreaterThanOrEqual(33);
}, 120_000);
