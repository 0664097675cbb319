import { parseArgs } from 'node:util';
import type { JsonObject } from '../core/types.ts';
import { type ApiCaller, apiHelp, apiOptions, objectsIn, openApi, said, who, writeLines } from './api.ts';
import { type Command, type Io, UsageError } from './io.ts';
import { timeline } from './replay/timeline.ts';

const help = `sallyport sessions list [--json]
sallyport sessions watch ID [--json]
sallyport sessions end   ID [--reason TEXT]
      all with [--api URL] [--token-file FILE | --token-command COMMAND] [--ca FILE]

Open sessions: who is connected to what, what a client sees from now on (masked, as it is recorded), and ending one at once. The
reason is told to the agent.
${apiHelp}`;

/** `sallyport sessions`. */
export const run: Command = async (args, io) => {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...apiOptions, reason: { type: 'string' } },
  });
  if (values.help) {
    io.stdout.write(help);
    return 0;
  }
  const [name, id, ...further] = positionals;
  const wantsId = name === 'watch' || name === 'end';
  if ((name !== 'list' && !wantsId) || wantsId !== (id !== undefined) || further.length > 0) throw new UsageError(help);
  if (id !== undefined && !/^[\w-]{1,64}$/.test(id)) throw new UsageError('ID is that of a session, as list prints it');
  const api = await openApi(values, io);
  if (id === undefined) return await list(api, values.json, io);
  if (name === 'watch') return await watch(api, id, values.json, io);
  await api.ask('DELETE', `/api/sessions/${id}`, { reason: values.reason ?? '' });
  writeLines(io, [`${id} was ended`]);
  return 0;
};

async function list(api: ApiCaller, json: boolean, io: Io): Promise<number> {
  const { sessions } = await api.ask('GET', '/api/sessions');
  if (json) {
    io.stdout.write(`${JSON.stringify(sessions)}\n`);
    return 0;
  }
  const found = objectsIn(sessions);
  writeLines(io, found.length === 0 ? ['nobody is connected'] : found.flatMap(brief));
  return 0;
}

function brief(session: JsonObject): string[] {
  const { id, upstream, protocol, application, client_address: address, started_at: since } = session;
  const { operations, refusals, bytes } = session;
  return [
    `${said(id)}  ${who(session)} at ${said(upstream)} (${said(protocol)})`,
    `  ${said(application) || 'unnamed client'} from ${said(address)} since ${said(since)}: ${said(operations)} operations, ${said(refusals)} refused, ${said(bytes)} bytes`,
  ];
}

/** Prints until the session closes. A stream that ends for another reason is begun anew. */
async function watch(api: ApiCaller, id: string, json: boolean, io: Io): Promise<number> {
  const printer = timeline();
  for (;;) {
    for await (const { event, data } of api.events(`/api/sessions/${id}/live`)) {
      if (json) io.stdout.write(`${JSON.stringify({ event, ...data })}\n`);
      else writeLines(io, lines(event, data, printer));
      if (event === 'closed') return 0;
      if (event === 'full') return 1;
    }
  }
}

function lines(event: string, data: JsonObject, printer: ReturnType<typeof timeline>): string[] {
  switch (event) {
    case 'frame':
      return printer({
        kind: said(data.kind),
        timeMs: Number(data.time_ms),
        decisionId: typeof data.decision_id === 'string' ? data.decision_id : undefined,
        data: data.base64 === true ? Buffer.from(said(data.data), 'base64') : (objectsIn([data.data ?? {}])[0] ?? {}),
        truncatedFrom: undefined,
      });
    case 'lost':
      return [`… ${said(data.events)} events were left out: this terminal could not keep up`];
    case 'closed':
      return ['the session is over'];
    case 'full':
      return ['too many people watch this session'];
    default:
      return [];
  }
}
