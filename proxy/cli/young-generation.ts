/**
 * The buffers of a stream are garbage as soon as they are forwarded, and are given back only when the young generation is
 * collected. With V8's own size for it, a fast stream held up to a few hundred MiB of them.
 */
const option = '--max-semi-space-size';
const semiSpaceMiB = 8;

/**
 * Starts this process over with a small young generation, in its place: its id and its streams stay. V8 reads the size once,
 * before any script runs, so that it cannot be set from here. Returns where somebody chose a size already, and on Windows,
 * where a process cannot be replaced.
 */
export function ensureSmallYoungGeneration(): void {
  const { execPath, execArgv, argv, env, platform } = process;
  const chosen = [...execArgv, env.NODE_OPTIONS ?? ''].some((text) => text.replaceAll('_', '-').includes(option));
  if (chosen || platform === 'win32') return;
  process.execve?.(execPath, [execPath, `${option}=${semiSpaceMiB}`, ...execArgv, ...argv.slice(1)], env);
}
