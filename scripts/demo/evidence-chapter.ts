/** Tells of what is left when it is all over: a trail that verifies with a public key, and an archive that does. */
import { dirname, join } from 'node:path';
import { runLine } from './client.ts';
import { type DemoStack, sallyport, shown } from './stack.ts';
import { heading, output, said } from './terminal.ts';

/** What the chapter is told with. */
export interface EvidenceChapter {
  readonly stack: DemoStack;
  /** Is told of what is not as it should be. */
  differs(title: string, what: string): void;
}

/** Tells it. */
export async function tellEvidence({ stack, differs }: EvidenceChapter): Promise<void> {
  const title = 'The evidence';
  heading(title, 'Whoever has the public key, and no secret, can check the trail and the recordings.');
  const { auditFile, configFile } = stack.files;
  const config = `--config ${shown(configFile)}`;
  const publicKey = `--public-key ${shown(stack.publicKeyFile)}`;
  const archive = shown(join(dirname(configFile), 'evidence.tar'));
  const now = new Date().toISOString();
  const steps = [
    { line: `audit verify --file ${shown(auditFile)} ${publicKey}`, prints: [/^verified /m, /^signed +[1-9]/m] },
    {
      line: `evidence export ${config} --from 1h --to ${now} --out ${archive}`,
      prints: [/^\d+ audit lines and [1-9]/],
    },
    { line: `evidence verify ${archive} ${publicKey}`, prints: [/^verified +every part/m] },
  ];
  for (const { line, prints } of steps) {
    said('auditor', `${sallyport} ${line}`);
    const ran = await runLine(`${sallyport} ${line}`);
    output(ran.output);
    if (ran.code !== 0) differs(title, `exit ${ran.code}`);
    for (const part of prints) if (!part.test(ran.output)) differs(title, `it does not print ${part}`);
  }
}
