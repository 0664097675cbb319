import { parseArgs } from 'node:util';
import { loadConfig } from '../config.ts';
import { systemClock } from '../core/clock.ts';
import { createLog } from '../core/log.ts';
import { startGateway } from '../main.ts';
import { type Command, UsageError } from './io.ts';

const help = `sallyport serve --config FILE

Runs the gateway until SIGTERM or SIGINT, which drain it: no new connections, sessions end in their protocol's
words, then the trail and the recordings are closed. A second signal ends it at once. SIGHUP activates the bundle,
the data and the certificates again. Logs are JSON lines on standard error.
`;

/**
 * `sallyport serve`. The code is 0 after a drain, 1 when the gateway could not start or something threw where
 * nobody expected it: such a process cannot be trusted to judge, so it logs and ends, and what supervises it starts
 * another. A fault of one connection never gets that far; it is caught where the connection is served.
 */
export const run: Command = async (args, io) => {
  const { values } = parseArgs({
    args: [...args],
    options: { config: { type: 'string', short: 'c' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    io.stdout.write(help);
    return 0;
  }
  if (values.config === undefined) throw new UsageError(`serve needs --config FILE\n\n${help}`);

  const log = createLog(systemClock, (line) => io.stderr.write(line));
  const fatal = (origin: string) => (thrown: unknown) => {
    log.error('the gateway ends: an error that nothing caught', {
      origin,
      error: thrown instanceof Error ? thrown : new Error(String(thrown)),
    });
    process.exit(1);
  };
  // Whoever read the log is gone: no reason to stop judging.
  process.stderr.on('error', () => {});
  process.on('uncaughtException', fatal('exception'));
  process.on('unhandledRejection', fatal('rejection'));

  const config = await loadConfig(values.config);
  const gateway = await startGateway(config, { log });
  process.on('SIGHUP', () => {
    gateway.reload().then(
      () => log.info('reloaded'),
      (error: unknown) => log.error('reload failed; what was active stays', { error: asError(error) }),
    );
  });
  const stopped = new Promise<string>((resolve) => {
    let stopping = false;
    const stop = (signal: string) => () => {
      if (stopping) process.exit(1);
      stopping = true;
      resolve(signal);
    };
    process.on('SIGTERM', stop('SIGTERM'));
    process.on('SIGINT', stop('SIGINT'));
  });
  // Whoever waits for these lines may send a signal right after them.
  for (const { protocol, host, port } of gateway.listeners) log.info('listening', { protocol, host, port });
  log.info('serving', { admin: `${gateway.admin.host}:${gateway.admin.port}`, pid: process.pid });
  log.info('draining', { signal: await stopped });
  await gateway.close();
  log.info('stopped');
  return 0;
};

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
