/** What an agent has: a home of its own, the gateway's addresses, and a token. No credential of anything behind the gateway. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { knownCustomer } from '../demo/dataset.ts';
import { planted } from '../demo/host.ts';
import { type DemoStack, repository, shop } from '../demo/stack.ts';

/** The name that the agent has for the MCP server. */
export const toolServer = 'shop';

/** Its home, and how its tools find the gateway. */
export interface AgentWorld {
  readonly home: string;
  readonly token: string;
  /** All of it: nothing of whoever runs this but PATH. */
  readonly environment: Readonly<Record<string, string>>;
  readonly tools: { readonly url: string; readonly headers: Readonly<Record<string, string>> };
  remove(): Promise<void>;
}

/** Makes it, with a token for one of the agents that the provider knows. */
export async function makeWorld(stack: DemoStack, agent: string): Promise<AgentWorld> {
  const home = await mkdtemp(join(tmpdir(), 'sallyport-agent-'));
  const at = (name: string) => join(home, name);
  const token = await stack.token(agent);
  await writeFile(at('ca.pem'), stack.files.ca);
  const { code, output } = await stack.cli([
    ...['ssh-config', '--config', stack.files.configFile],
    ...['--known-hosts', at('known_hosts'), '--directory', at('ssh')],
  ]);
  if (code !== 0) throw new Error(`there are no Host entries: ${output}`);
  // A connection for each command: none that stays when the agent is gone.
  await writeFile(at('ssh_config'), `ControlMaster no\nControlPath none\n\n${output}`);
  return {
    home,
    token,
    environment: {
      // ssh gets its certificate with the sallyport command.
      PATH: `${join(repository, 'scripts')}:${process.env.PATH ?? ''}`,
      HOME: home,
      SHELL: '/bin/bash',
      LC_ALL: 'C.UTF-8',
      CLAUDE_CONFIG_DIR: at('claude'),
      CLAUDE_CODE_TMPDIR: at('tmp'),
      SALLYPORT_TOKEN: token,
      CRM_URL: `${stack.http}/crm`,
      PGHOST: 'localhost',
      PGHOSTADDR: stack.host,
      PGPORT: String(stack.port),
      PGDATABASE: shop.database,
      PGUSER: shop.login,
      PGPASSWORD: token,
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: at('ca.pem'),
    },
    tools: { url: `${stack.http}/tools/mcp`, headers: { authorization: `Bearer ${token}` } },
    remove: () => rm(home, { recursive: true, force: true, maxRetries: 3 }),
  };
}

/** Lines of a key's file that all keys have: the armour, and how OpenSSH's format begins. */
const frame = new RegExp(`^-----|^${Buffer.from('openssh-key-v1').toString('base64').slice(0, -1)}`);

/** What no model may see: the personal data and secrets of the story, and every credential of the gateway and the provider. */
export async function hiddenValues(stack: DemoStack): Promise<readonly string[]> {
  const values = [knownCustomer.ssn, knownCustomer.email, planted.accessKey, planted.token];
  for (const folder of ['keys', 'agents']) {
    const directory = join(dirname(stack.files.configFile), folder);
    for (const name of await readdir(directory)) {
      const lines = (await readFile(join(directory, name), 'utf8')).split('\n');
      values.push(...lines.filter((line) => line !== '' && !frame.test(line)));
    }
  }
  return values;
}
