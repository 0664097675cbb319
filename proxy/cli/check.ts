import { parseArgs } from 'node:util';
import { loadConfig } from '../config.ts';
import { checkGateway } from '../main.ts';
import { type Command, UsageError } from './io.ts';

const help = `sallyport check --config FILE

Says whether FILE holds: its keys, the secrets and certificates it refers to, and the bundle with its data.
Contacts nobody: neither the upstreams nor the issuers. What holds but should not stay so is a warning on standard error.
`;

/** `sallyport check`: 0 when `serve` could start with this file. */
export const run: Command = async (args, io) => {
  const { values } = parseArgs({
    args: [...args],
    options: { config: { type: 'string', short: 'c' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    io.stdout.write(help);
    return 0;
  }
  if (values.config === undefined) throw new UsageError(`check needs --config FILE\n\n${help}`);
  const config = await loadConfig(values.config);
  const { bundle, data } = await checkGateway(config);
  const upstreams = new Set(config.listeners.flatMap((listener) => listener.upstreams.map(({ name }) => name)));
  io.stdout.write(
    `${values.config} holds: ${config.listeners.length} listener(s), ${upstreams.size} upstream(s), ` +
      `bundle ${bundle}, data ${data}\n`,
  );
  if (config.record.key === undefined)
    io.stderr.write('sallyport: warning: record.key is not set: recordings are in clear\n');
  return 0;
};
