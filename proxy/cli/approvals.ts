import { parseArgs } from 'node:util';
import type { JsonObject } from '../core/types.ts';
import { type ApiCaller, apiHelp, apiOptions, asObject, objectsIn, openApi, said, who, writeLines } from './api.ts';
import { type Command, type Io, UsageError } from './io.ts';

const help = `sallyport approvals list [--all] [--json]
sallyport approvals show ID [--json]
sallyport approvals approve ID [--reason TEXT] [--json]
sallyport approvals deny    ID [--reason TEXT] [--json]
sallyport approvals break-glass ID --reason TEXT [--json]
      all with [--api URL] [--token-file FILE | --token-command COMMAND] [--ca FILE]

What policies hold for a person to look at: those that wait (--all: decided ones, too), one in full, and one's word on it.
break-glass lets one's own request through without approvers, where policy offers that for emergencies: everybody is told.
${apiHelp}`;

/** `sallyport approvals`. */
export const run: Command = async (args, io) => {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...apiOptions, all: { type: 'boolean', default: false }, reason: { type: 'string' } },
  });
  if (values.help) {
    io.stdout.write(help);
    return 0;
  }
  const [name, id, ...further] = positionals;
  const breaks = name === 'break-glass';
  const wantsId = name === 'show' || name === 'approve' || name === 'deny' || breaks;
  if ((name !== 'list' && !wantsId) || wantsId !== (id !== undefined) || further.length > 0) throw new UsageError(help);
  if (id !== undefined && !/^[\w-]{1,64}$/.test(id)) throw new UsageError('ID is that of a request, as list prints it');
  if (breaks && (values.reason ?? '').trim() === '') throw new UsageError('break-glass needs --reason TEXT');
  const api = await openApi(values, io);
  if (id === undefined) return await list(api, values, io);
  const answered =
    name === 'show'
      ? await api.ask('GET', `/api/approvals/${id}`)
      : await api.ask('POST', `/api/approvals/${id}/${breaks ? 'break-glass' : 'decision'}`, {
          ...(!breaks && { verdict: name ?? '' }),
          reason: values.reason ?? '',
        });
  if (values.json) io.stdout.write(`${JSON.stringify(answered)}\n`);
  else writeLines(io, name === 'show' ? whole(answered) : [`${id} is ${state(answered)}`]);
  return 0;
};

async function list(api: ApiCaller, { all, json }: { all: boolean; json: boolean }, io: Io): Promise<number> {
  const { approvals } = await api.ask('GET', `/api/approvals?limit=100${all ? '' : '&state=pending'}`);
  if (json) {
    io.stdout.write(`${JSON.stringify(approvals)}\n`);
    return 0;
  }
  const found = objectsIn(approvals);
  writeLines(io, found.length === 0 ? ['nothing is waiting'] : found.flatMap((one) => [...brief(one), '']));
  return 0;
}

/** What, where, for whom, why: the least to decide by. */
function brief(approval: JsonObject): string[] {
  const { id, upstream, protocol, reasons } = approval;
  return [
    `${said(id)}  ${state(approval)}`,
    `  ${who(approval)} at ${said(upstream)} (${said(protocol)})`,
    ...textOf(approval).map((line) => `  > ${line}`),
    ...objectsIn(reasons).map(({ message }) => `  ${said(message)}`),
  ];
}

function whole(approval: JsonObject): string[] {
  const {
    estimate,
    history,
    labels,
    groups,
    quorum,
    uses,
    client_address: address,
    application,
    session,
    digest,
  } = approval;
  const facts = { labels, estimate, history, groups, quorum, uses, application, address, session, digest };
  return [
    ...brief(approval),
    ...Object.entries(facts).map(([name, value]) => `  ${name.padEnd(12)}${said(value)}`),
    ...objectsIn(approval.votes).map(
      ({ approver, verdict, reason, at, broke_glass: alone }) =>
        `  ${said(asObject(approver).id)}: ${alone ? 'broke the glass' : said(verdict)} ${said(at)} ${said(reason)}`,
    ),
  ];
}

function textOf({ operation, action, resource }: JsonObject): string[] {
  const { text, method, path, tool, arguments: given } = asObject(operation);
  if (typeof text === 'string') return text.split('\n');
  if (typeof tool === 'string') return [`${tool} ${said(given)}`];
  if (typeof path === 'string') return [`${said(method)} ${path}`];
  return [`${said(action)} ${said(asObject(resource).id)}`, said(operation)];
}

function state(approval: JsonObject): string {
  const { state: name, quorum, votes, expires_at: until } = approval;
  if (name !== 'pending') return said(name);
  const missing = Number(quorum) - objectsIn(votes).filter(({ verdict }) => verdict === 'approve').length;
  return `pending, ${missing === 1 ? 'one approval' : `${missing} approvals`} missing, until ${said(until)}`;
}
