/** What masking JSON while it passes costs: records through the masker, against parsing, masking and writing them again. */
import {
  type CompiledMask,
  compileJsonPath,
  createJsonMasker,
  createMasker,
  JsonPaths,
} from '../../proxy/core/masker.ts';
import { interleave, median, ratio, rounded } from './measure.ts';

const chunkBytes = 64 * 1024;
const records = 20_000;
const rounds = 9;
/** What the collector still does for one way is paid for by the other: so each goes several times. */
const times = 4;

/**
 * Measures two ways to hide two members of every record of a list, in turn and by processor time, which a busy machine stretches less.
 *
 * @returns `json_mask_mb_s` and `json_parse_mb_s` (medians), and `json_mask_vs_parse` (the median of their ratio within a round)
 */
export async function jsonMaskFigures(): Promise<{
  readonly json_mask_mb_s: number;
  readonly json_parse_mb_s: number;
  readonly json_mask_vs_parse: number;
}> {
  const document = Buffer.from(JSON.stringify(Array.from({ length: records }, (_, id) => record(id))));
  if (!masked(document).equals(parsed(document))) throw new Error('the two ways do not come to the same');
  const { mask, parse } = await interleave(
    { mask: () => speed(document, masked), parse: () => speed(document, parsed) },
    rounds,
  );
  return {
    json_mask_mb_s: rounded(median(mask)),
    json_parse_mb_s: rounded(median(parse)),
    json_mask_vs_parse: rounded(ratio(mask, parse)),
  };
}

function record(id: number): { [name: string]: unknown; ssn: string; email: string } {
  return {
    id: 100_000 + id,
    name: `Ana Smith ${id}`,
    email: `user${id}@example.com`,
    ssn: `123-45-${1_000 + (id % 9_000)}`,
    active: id % 2 === 0,
    balance: id * 1.37,
    tags: ['a', 'bb', 'ccc'],
    address: { street: `${id} Main Street`, city: 'Springfield', zip: '12345', geo: { lat: 12.5 + id, lon: -3.25 } },
    note: null,
    created: '2026-11-27T21:10:00Z',
  };
}

/** Megabytes a second of processor time, that of the collector's threads included. */
async function speed(document: Buffer, way: (document: Buffer) => Buffer): Promise<number> {
  const before = process.cpuUsage();
  for (let time = 0; time < times; time++) way(document);
  const { user, system } = process.cpuUsage(before);
  return (times * document.length) / (user + system);
}

const methods = createMasker({ key: Buffer.alloc(32, 7) });
const hidden = {
  ssn: methods.compile({ method: 'keep_last', count: 4 }),
  email: methods.compile({ method: 'replace', value: '***' }),
};

const paths = new JsonPaths(
  Object.entries(hidden).map(([name, mask]) => {
    const made = compileJsonPath(`$[*].${name}`);
    if ('error' in made) throw new Error(made.error);
    return [made.path, mask] as const;
  }),
);

function masked(document: Buffer): Buffer {
  const masker = createJsonMasker({ paths });
  const out: Buffer[] = [];
  for (let at = 0; at < document.length; at += chunkBytes)
    out.push(...masker.push(document.subarray(at, at + chunkBytes)));
  return Buffer.concat([...out, ...masker.finish()]);
}

function parsed(document: Buffer): Buffer {
  const list = JSON.parse(document.toString('utf8')) as ReturnType<typeof record>[];
  for (const one of list) {
    one.ssn = hide(hidden.ssn, one.ssn);
    one.email = hide(hidden.email, one.email);
  }
  return Buffer.from(JSON.stringify(list));
}

function hide(mask: CompiledMask, value: string): string {
  return mask.kind === 'constant' ? (mask.value ?? '') : mask.apply(value);
}
