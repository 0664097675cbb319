/** All built-in tables as one. */
import { containerTools } from './containers.ts';
import { fileTools } from './files.ts';
import { gitTools } from './git.ts';
import { networkTools } from './network.ts';
import { opaqueTools } from './opaque.ts';
import type { ToolSpec } from './spec.ts';
import { systemTools } from './system.ts';
import { textTools } from './text.ts';
import { wrapperTools } from './wrappers.ts';

/** Every tool that is known without an author's help, by its name. */
export const builtinTools: ReadonlyMap<string, ToolSpec> = new Map(
  [opaqueTools, fileTools, textTools, systemTools, wrapperTools, networkTools, containerTools, gitTools].flatMap(
    (table) => Object.entries(table),
  ),
);
