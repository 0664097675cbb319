/** git: where it looks, which its operands do not say. */
import type { Call } from '../call.ts';
import { interpretTable } from '../interpret.ts';
import type { ToolSpec } from '../tools/spec.ts';

/** It reads the work tree and what is behind it; formats may have signatures checked by a program of the repository's. */
export function git(call: Call, spec: ToolSpec, from: number): void {
  interpretTable(call, spec, from);
  const [subcommand] = call.subcommands;
  if (call.args.some(({ value }) => /%G|%\(signature/.test(value))) call.note('runs_code');
  if (subcommand !== undefined && subcommand !== 'version' && subcommand !== 'clone') call.file('.', 'read', true);
}
