import { catalog } from './catalog.ts';
import { connections } from './connections.ts';
import { judging } from './judging.ts';
import type { Mutant } from './mutant.ts';
import { results } from './results.ts';
import { services } from './services.ts';

/** Every defence that is switched off, in the order of a statement's life. */
export const mutants: readonly Mutant[] = [...connections, ...judging, ...catalog, ...results, ...services];
