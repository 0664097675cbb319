/**
 * The HTTP path beside the direct connection to the same upstream and, where the machine has one, beside nginx, by itself and
 * with an external authoriser that it asks about each request: requests a second, added latency, with and without masks.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Pool } from 'undici';
import { defaultBundle, merge, repositoryData } from '../support/gateway.ts';
import { writeGatewayFiles } from '../support/gateway-files.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { startOidc } from '../support/oidc.ts';
import { pin, pinned, present, processors, startServers } from './http-servers.ts';
import { cpuSeconds, interleave, median, ratio, rounded } from './measure.ts';

const connections = 32;
const body = JSON.stringify({
  id: 7,
  name: 'Ada',
  ssn: '078-05-1120',
  notes: Array.from({ length: 20 }, (_, n) => `note ${n}`),
});

/** Where requests are sent to, and with what. */
interface Way {
  readonly url: string;
  readonly path: string;
  readonly headers: Record<string, string>;
}

/** Runs them all and prints what it measures as it goes. */
export async function httpFigures(options: {
  readonly rounds: number;
  readonly seconds: number;
}): Promise<Record<string, number>> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-bench-http-'));
  const children: ChildProcess[] = [];
  const oidc = await startOidc();
  try {
    const { upstream: port, nginx } = await startServers(children, directory, body);
    const upstream = { host: '127.0.0.1', port, routes: [{ path: '/customers/{id}' }] };
    const files = await writeGatewayFiles({
      ...{ directory, issuer: oidc.issuer, audience: oidc.audience, bundle: defaultBundle, upstreams: [] },
      data: merge(await repositoryData(), {
        upstreams: { plain: { labels: { env: 'prod' } }, masked: { labels: { env: 'prod' } } },
        http: {
          upstreams: {
            plain: { masks: { text: {} } },
            masked: { masks: { text: {}, json: { '$.ssn': { keep_last: { count: 4 } } } } },
          },
        },
      }),
      http: {
        upstreams: [
          { name: 'plain', prefix: '/plain', ...upstream },
          { name: 'masked', prefix: '/masked', ...upstream },
        ],
      },
    });
    const gateway = await startGatewayProcess(files, {}, 'http');
    pin(processors.proxy, gateway.pid);
    // This process is a client as well: the one that measures latency.
    pin(processors.load, process.pid);
    try {
      const token = await oidc.token({ subject: 'bench-agent', groups: ['support'], lifetimeSeconds: 3600 });
      const through = { url: `http://127.0.0.1:${gateway.port}`, headers: { authorization: `Bearer ${token}` } };
      const direct: Way = { url: `http://127.0.0.1:${port}`, path: '/customers/7', headers: {} };
      const ways: Record<string, Way> = {
        direct,
        ...(nginx !== undefined && {
          nginx: { ...direct, url: `http://127.0.0.1:${nginx}` },
          nginx_authz: { ...through, url: `http://127.0.0.1:${nginx}`, path: '/authorised/customers/7' },
        }),
        gateway: { ...through, path: '/plain/customers/7' },
        masked: { ...through, path: '/masked/customers/7' },
      };
      return await compare(ways, gateway.pid, options);
    } finally {
      gateway.kill('SIGTERM');
      await gateway.exit;
    }
  } finally {
    for (const child of children) child.kill('SIGTERM');
    await oidc.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function compare(
  ways: Readonly<Record<string, Way>>,
  pid: number,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<Record<string, number>> {
  // Long enough for what is measured to be compiled: a server runs for days.
  for (const way of Object.values(ways)) await load(way, 4);
  const loads = Object.fromEntries(Object.entries(ways).map(([name, way]) => [name, () => load(way, seconds)]));
  const before = cpuSeconds(pid);
  const rates = await interleave(loads, rounds);
  const cpu = cpuSeconds(pid) - before;
  const served = [...(rates.gateway ?? []), ...(rates.masked ?? [])].reduce((sum, rate) => sum + rate * seconds, 0);
  const single = Object.fromEntries(Object.entries(ways).map(([name, way]) => [name, () => latency(way)]));
  const latencies = await interleave(single, rounds);
  const of = (name: string) => rates[name] ?? [];
  const figures = {
    http_vs_direct: ratio(of('gateway'), of('direct')),
    http_masked_vs_direct: ratio(of('masked'), of('direct')),
    ...(ways.nginx && {
      http_vs_nginx: ratio(of('gateway'), of('nginx')),
      http_vs_nginx_authz: ratio(of('gateway'), of('nginx_authz')),
    }),
    http_added_p50_us: median(
      (latencies.gateway ?? []).map((value, round) => value - (latencies.direct?.[round] ?? 0)),
    ),
    http_cpu_us: (cpu / served) * 1e6,
  };
  for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(24)} ${rounded(value)}\n`);
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, rounded(value)]));
}

/** Requests a second, on keep-alive connections that each wait for an answer before they ask again. */
async function load(way: Way, seconds: number): Promise<number> {
  return wrk === undefined ? await loadFromHere(way, seconds) : await wrk(way, seconds);
}

/** A client that costs little itself; undefined where there is none, and every ratio then comes out nearer to one. */
const wrk = present('wrk')
  ? async ({ url, path, headers }: Way, seconds: number): Promise<number> => {
      const named = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
      const length = Math.max(1, Math.round(seconds));
      const [command, args] = pinned(processors.load, 'wrk', [
        ...['-t', '1', '-c', String(connections), '-d', `${length}s`, ...named, `${url}${path}`],
      ]);
      const { stdout } = await promisify(execFile)(command, args);
      const [, rate] = /^Requests\/sec:\s+([\d.]+)/m.exec(stdout) ?? [];
      if (rate === undefined || stdout.includes('Non-2xx')) throw new Error(`wrk said:\n${stdout}`);
      return Number(rate);
    }
  : undefined;

async function loadFromHere({ url, path, headers }: Way, seconds: number): Promise<number> {
  const pool = new Pool(url, { connections });
  const until = performance.now() + seconds * 1000;
  let answered = 0;
  const client = async () => {
    while (performance.now() < until) {
      const { statusCode, body: answer } = await pool.request({ path, method: 'GET', headers });
      await answer.dump();
      if (statusCode !== 200) throw new Error(`status ${statusCode}`);
      answered += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  await pool.close();
  return answered / seconds;
}

/** The median time of one request at a time, in microseconds. */
async function latency({ url, path, headers }: Way): Promise<number> {
  const pool = new Pool(url, { connections: 1 });
  const times: number[] = [];
  for (let request = 0; request < 500; request += 1) {
    const begun = performance.now();
    await (await pool.request({ path, method: 'GET', headers })).body.dump();
    times.push((performance.now() - begun) * 1000);
  }
  await pool.close();
  return median(times);
}
