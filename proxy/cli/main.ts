#!/usr/bin/env node
/**
 * The `sallyport` command. The runtime is looked at before anything else is loaded, because what follows
 * may not even parse on one that is too old.
 */
import { runtimeFault } from '../core/runtime.ts';

const fault = runtimeFault(process.versions.node);
if (fault === undefined) {
  const args = process.argv.slice(2);
  // Before the heap is worth anything.
  if (args[0] === 'serve') (await import('./young-generation.ts')).ensureSmallYoungGeneration();
  const { run } = await import('./command.ts');
  process.exitCode = await run(args, process);
} else {
  process.stderr.write(`sallyport: ${fault}\n`);
  process.exitCode = 1;
}
