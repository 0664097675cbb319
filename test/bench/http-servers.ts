/**
 * What the benchmark of the HTTP path sets beside the gateway: nginx as a reverse proxy, by itself and with an external
 * authoriser, and what both lead to. Proxies share one processor and everything else the other, where the machine can
 * pin processes: on one processor for all of them, the client's own work hides the differences.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';

const pins = cpus().length > 1 && spawnSync('taskset', ['--version']).status === 0;

/** The processors: proxies have one of their own. */
export const processors = { load: 0, proxy: 1 } as const;

/** The command to start a program on one processor. */
export function pinned(processor: number, program: string, args: readonly string[]): [string, readonly string[]] {
  return pins ? ['taskset', ['--cpu-list', String(processor), program, ...args]] : [program, args];
}

/** Moves a process, all its threads, to one processor. */
export function pin(processor: number, pid: number): void {
  if (pins) spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(processor), String(pid)]);
}

/** Whether a program is on this machine. */
export function present(program: string): boolean {
  return spawnSync(program, ['-v']).error === undefined;
}

/** The servers, by their ports. */
export interface HttpServers {
  readonly upstream: number;
  /** Undefined where there is no nginx. */
  readonly nginx: number | undefined;
}

/** Starts them; they end with `children`. */
export async function startServers(children: ChildProcess[], directory: string, answer: string): Promise<HttpServers> {
  const authoriser = await startNode(children, processors.proxy, '');
  if (!present('nginx')) {
    process.stdout.write('nginx is not on this machine: what is compared with it is left out\n');
    return { upstream: await startNode(children, processors.load, answer), nginx: undefined };
  }
  // Below what the system gives to connections that go out.
  const base = 20_000 + 2 * (process.pid % 6_000);
  const [upstream, proxy] = [base, base + 1];
  await startNginx(
    children,
    directory,
    processors.load,
    upstream,
    `location / { default_type application/json; return 200 '${answer}'; }`,
  );
  await startNginx(
    children,
    directory,
    processors.proxy,
    proxy,
    `proxy_http_version 1.1; proxy_set_header Connection "";
     location = /authorise { internal; proxy_pass http://authoriser; proxy_pass_request_body off;
       proxy_set_header Connection ""; proxy_set_header Content-Length ""; proxy_set_header X-Original-URI $request_uri; }
     location /authorised/ { auth_request /authorise; proxy_pass http://api/; }
     location / { proxy_pass http://api; }`,
    `upstream api { server 127.0.0.1:${upstream}; keepalive 16; }
     upstream authoriser { server 127.0.0.1:${authoriser}; keepalive 16; }`,
  );
  return { upstream, nginx: proxy };
}

/** A server of Node that answers everything alike: an upstream, or an authoriser that permits whatever it is asked. */
async function startNode(children: ChildProcess[], processor: number, answer: string): Promise<number> {
  const source = `require('http').createServer((q, s) => { s.setHeader('content-type', 'application/json');
    s.end(${JSON.stringify(answer)}); }).listen(0, '127.0.0.1', function () { console.log(this.address().port); })`;
  const [command, args] = pinned(processor, process.execPath, ['-e', source]);
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  children.push(child);
  const [port] = await once(child.stdout, 'data');
  return Number(String(port));
}

/** One worker. */
async function startNginx(
  children: ChildProcess[],
  directory: string,
  processor: number,
  port: number,
  server: string,
  http = '',
): Promise<void> {
  const at = join(directory, `nginx-${port}`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${at}-${name};`,
  );
  await writeFile(
    `${at}.conf`,
    `daemon off; master_process off; pid ${at}.pid; error_log stderr crit;
events { worker_connections 256; }
http { access_log ${at}.log; ${temporary.join(' ')}
  ${http}
  server { listen 127.0.0.1:${port}; keepalive_requests 1000000; ${server} } }\n`,
  );
  const [command, args] = pinned(processor, 'nginx', ['-c', `${at}.conf`, '-p', directory]);
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  children.push(child);
  while (!ended) {
    const answered = await fetch(`http://127.0.0.1:${port}/`).then(
      async (answer) => (await answer.text()) !== '',
      () => new Promise<false>((resolve) => setTimeout(() => resolve(false), 20)),
    );
    if (answered) return;
  }
  throw new Error('nginx ended before it served');
}
