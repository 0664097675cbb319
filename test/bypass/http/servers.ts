/** Real servers that say what they understood: node:http, nginx, and Python's http.server. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parameters, readBody, type Understood } from './understood.ts';

/** A server, and what it has understood so far. */
export interface EchoServer {
  readonly name: string;
  readonly port: number;
  /** Every request that it took, in its order. */
  understood(): Promise<readonly Understood[]>;
  /** Every one that it answered by itself, because it was no request to it or did not come to an end. */
  refused(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

interface Log {
  readonly understood: readonly Understood[];
  readonly refused: readonly string[];
}

/** node:http, with WHATWG URLs, as its frameworks have them. */
export async function startNode(): Promise<EchoServer> {
  const understood: Understood[] = [];
  const refused: string[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('error', (error) => refused.push(error.message));
    request.on('end', () => {
      const { method = '', url = '', rawHeaders } = request;
      const bytes = Buffer.concat(pieces);
      const target = new URL(url, 'http://upstream');
      void readBody(request.headers['content-type'] ?? '', bytes)
        .then((body) => {
          const headers = rawHeaders.flatMap((name, at) =>
            at % 2 === 0 ? [[name.toLowerCase(), rawHeaders[at + 1] ?? ''] as const] : [],
          );
          // As many servers written by hand do.
          const query = parameters(url.split('?')[1] ?? '');
          const path = decodeURIComponent(target.pathname);
          understood.push({ method, path, query, headers, headersComplete: true, bodyBytes: bytes.length, ...body });
        })
        .catch((error: Error) => refused.push(error.message))
        .then(() => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
    });
  });
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    if (error.code !== 'ECONNRESET') refused.push(error.message);
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    ...{ name: 'node', port: (server.address() as AddressInfo).port },
    understood: async () => understood,
    refused: async () => refused,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Where nginx is; its folder is not in every PATH. */
export function findNginx(): string | undefined {
  const folders = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin', ...(process.env.PATH ?? '').split(':')];
  return folders
    .map((folder) => join(folder, 'nginx'))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** The headers that nginx is asked for; it tells them by name only. */
const named =
  'x-request-id host authorization cookie accept content-type content-encoding te trailer upgrade expect forwarded x-forwarded-for x-forwarded-host x-http-method x-http-method-override x-method-override x-original-url x-rewrite-url x-real-ip'.split(
    ' ',
  );

/** nginx as lenient about headers as it can be told to be, with its log as its word. */
export async function startNginx(program: string): Promise<EchoServer> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-nginx-'));
  const at = (name: string) => join(directory, name);
  const port = await freePort();
  const variables = ['status', 'request_method', 'uri', 'args', 'content_length', 'request_body'];
  const fields = [...variables, ...named.map((name) => `http_${name.replaceAll('-', '_')}`)];
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  await writeFile(
    at('nginx.conf'),
    `daemon off; master_process off; pid ${at('pid')}; error_log ${at('error.log')} crit;
events { worker_connections 512; }
http {
  ${temporary.map((name) => `${name}_temp_path ${at(name)};`).join(' ')}
  log_format understood escape=json '{${fields.map((name) => `"${name}":"$${name}"`).join(',')}}';
  access_log ${at('access.log')} understood;
  underscores_in_headers on; ignore_invalid_headers off; large_client_header_buffers 8 32k; keepalive_requests 1000000;
  client_max_body_size 0; client_body_buffer_size 2m; client_body_in_single_buffer on;
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://unix:${at('sink')}; } }
  server { listen unix:${at('sink')}; access_log off; client_max_body_size 0; default_type application/json; location / { return 200 "{}"; } }
}
`,
  );
  const child = spawn(program, ['-e', 'stderr', '-p', directory, '-c', at('nginx.conf')], { stdio: 'ignore' });
  const gone = endWithProcess(child);
  await untilAccepting(port, gone);
  const log = async (): Promise<Log> => {
    // What is no ASCII in it is as it came, byte for byte.
    const text = await readFile(at('access.log'), 'latin1');
    const understood: Understood[] = [];
    const refused: string[] = [];
    for (const line of text.split('\n').filter((one) => one !== '')) {
      const said: Readonly<Record<string, string>> = JSON.parse(line);
      if (said.status === '200') understood.push(await fromNginx(said));
      else refused.push(line);
    }
    return { understood, refused };
  };
  return {
    ...{ name: 'nginx', port },
    understood: async () => (await log()).understood,
    refused: async () => (await log()).refused,
    async stop() {
      child.kill('SIGTERM');
      await gone;
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

async function fromNginx(said: Readonly<Record<string, string>>): Promise<Understood> {
  const bytes = Buffer.from(said.request_body ?? '', 'latin1');
  return {
    method: said.request_method ?? '',
    path: Buffer.from(said.uri ?? '', 'latin1').toString(),
    query: parameters(said.args ?? ''),
    headers: named.flatMap((name) => {
      const value = said[`http_${name.replaceAll('-', '_')}`];
      return value === undefined || value === '' ? [] : [[name, value] as const];
    }),
    headersComplete: false,
    bodyBytes: bytes.length,
    ...(await readBody(said.http_content_type ?? '', bytes)),
  };
}

/** Python's http.server; see `echo.py`. */
export async function startPython(): Promise<EchoServer> {
  const child = spawn('python3', [join(import.meta.dirname, 'echo.py')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = endWithProcess(child);
  let said = '';
  const port = await new Promise<number>((resolve, reject) => {
    void gone.then(() => reject(new Error('python3 ended')));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const first = said.includes('\n');
      said += text;
      if (!first && said.includes('\n')) resolve(Number.parseInt(said, 10));
    });
  });
  const records = () =>
    said
      .split('\n')
      .slice(1, -1)
      .map((line) => JSON.parse(line));
  return {
    ...{ name: 'python', port },
    understood: async () =>
      records()
        .filter((record) => !('refused' in record))
        .map((record) => ({ headersComplete: true, ...record })),
    refused: async () =>
      records()
        .filter((record) => 'refused' in record)
        .map((record) => JSON.stringify(record)),
    async stop() {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

/** Ends a server with this process, whatever ends it; resolves when it has ended. */
function endWithProcess(child: ChildProcess): Promise<void> {
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  return new Promise((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => {
      process.removeListener('exit', kill);
      resolve();
    });
  });
}

/** nginx says nothing when it is ready: it is asked until it answers, or ended. */
async function untilAccepting(port: number, gone: Promise<void>): Promise<void> {
  let ended = false;
  void gone.then(() => {
    ended = true;
  });
  while (!ended) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (accepted) return;
  }
  throw new Error('nginx did not start');
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createTcpServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
