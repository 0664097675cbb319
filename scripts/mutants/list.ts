import { catalog } from './catalog.ts';
import { connections } from './connections.ts';
import { judging } from './judging.ts';
import type { Mutant } from './mutant.ts';
import { results } from './results.ts';
import { services } from './services.ts';
import { sshFiles } from './ssh-files.ts';
import { sshIdentity } from './ssh-identity.ts';
import { sshOperations } from './ssh-operations.ts';
import { sshShell } from './ssh-shell.ts';
import { websockets } from './websockets.ts';

/** Every defence that is switched off, protocol by protocol, in the order of an operation's life. */
export const mutants: readonly Mutant[] = [
  ...[...connections, ...judging, ...catalog, ...results, ...services],
  ...[...sshIdentity, ...sshShell, ...sshOperations, ...sshFiles, ...websockets],
];
