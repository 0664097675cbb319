import { readdir } from 'node:fs/promises';
import type { JsonObject } from '../../../proxy/core/types.ts';
import { merged, readJson, root } from '../policy/support.ts';

/** A case of `rego/policies/<name>/cases.json`, with its input and data put together. */
export interface PolicyCase {
  readonly policy: string;
  readonly note: string;
  readonly input: JsonObject;
  readonly config: JsonObject;
  readonly decision: boolean;
  /** `policy/code` of each reason, sorted. */
  readonly reasons: readonly string[];
}

/** Every case of every policy that ships, as `rego/testing/testing_test.rego` puts them together. */
export async function policyCases(): Promise<readonly PolicyCase[]> {
  const base = await readJson(`${root}rego/testing/base.json`);
  const example = await readJson(`${root}rego/data/config.json`);
  const cases: PolicyCase[] = [];
  for (const policy of (await readdir(`${root}rego/policies`)).sort()) {
    const file = (await readJson(`${root}rego/policies/${policy}/cases.json`)) as unknown as {
      cases: (PolicyCase & { base?: string; input?: JsonObject; config?: JsonObject })[];
    };
    for (const { note, base: name = 'sql', input = {}, config = {}, decision, reasons } of file.cases) {
      cases.push({
        policy,
        note,
        input: merged(base[name], input) as JsonObject,
        config: merged(example, config) as JsonObject,
        decision,
        reasons,
      });
    }
  }
  return cases;
}
