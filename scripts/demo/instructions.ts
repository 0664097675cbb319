import { hostEntries } from './ssh-chapter.ts';
import { type DemoStack, replayLine, shop, shown } from './stack.ts';
import { bold, dim } from './terminal.ts';

/** What to paste to try the running demo by hand. */
export function instructions(stack: DemoStack, agent: string): string {
  const ca = shown(stack.files.caFile);
  const { host, port } = stack;
  return `
${bold('It stays up. Try it:')}

  ${dim('# psql: the token is the password')}
  PGPASSWORD=$(scripts/sallyport token ${agent}) \\
    psql "host=localhost port=${port} dbname=${shop.database} user=${shop.login} sslmode=verify-full sslrootcert=${ca}"

  ${dim('# node-postgres')}
  TOKEN=$(scripts/sallyport token ${agent}) scripts/with-node node --input-type=module -e '
    import { readFileSync } from "node:fs"; import pg from "pg";
    const client = new pg.Client({ host: "${host}", port: ${port}, database: "${shop.database}", user: "${shop.login}",
      password: process.env.TOKEN, ssl: { ca: readFileSync("${ca}", "utf8") } });
    await client.connect();
    console.table((await client.query("SELECT name, email, city FROM customers LIMIT 3")).rows);
    await client.end();'

  ${dim('# any driver')}
  host ${host}, port ${port}, database ${shop.database}, user ${shop.login}, TLS with the CA ${ca}, password: a token

${stack.ssh === undefined ? '' : sshInstructions(stack)}  ${dim('# for people, in a browser: what waits, sessions live and replayed, decisions; say that you are ana')}
  ${stack.consoleUrl}
  SALLYPORT_API=${stack.consoleUrl} scripts/sallyport approvals list   ${dim('# while an agent’s DELETE waits')}
  SALLYPORT_API=${stack.consoleUrl} scripts/sallyport sessions list

  ${dim('# what was decided, and what was seen')}
  scripts/sallyport audit tail --file ${shown(stack.files.auditFile)}
  scripts/sallyport audit verify --file ${shown(stack.files.auditFile)} --public-key ${shown(stack.publicKeyFile)}
  scripts/sallyport replay --list --config ${shown(stack.files.configFile)}
  ${replayLine(stack, 'SESSION')}
  curl ${stack.adminUrl}/metrics
  curl ${stack.adminUrl}/readyz

  ${dim('# labels and limits are swapped while it runs: edit the data file and save it')}
  ${shown(stack.files.dataFile)}
  ${dim('# the gateway’s own log')}
  ${shown(stack.logFile)}

Ctrl-c stops everything and removes ${shown(stack.files.configFile.replace(/\/[^/]*$/, ''))}.
`;
}

function sshInstructions(stack: DemoStack): string {
  const config = shown(hostEntries(stack));
  return `  ${dim('# ssh and scp, by the Host entries that make demo set up; they get their certificate by themselves')}
  ssh -F ${config} web1.sallyport uptime
  ssh -F ${config} web1.sallyport 'cat app/app.log'
  scp -F ${config} README.md web1.sallyport:app/uploads/

`;
}
