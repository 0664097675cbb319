/** A classifier for tests, in a place that is known. */
import {
  createShellClassifier,
  type ShellClassification,
  type ShellContext,
} from '../../../../../proxy/protocols/ssh/shell/index.ts';

/** Where the commands of these tests would run. */
export const place: ShellContext = {
  variables: new Map([
    ['HOME', '/home/app'],
    ['USER', 'app'],
  ]),
  cwd: '/home/app',
  parameters: [],
};

const classifier = createShellClassifier();

/** What became of a text; a fault fails the test. */
export function classify(text: string, context: Partial<ShellContext> = {}): ShellClassification {
  const result = classifier.classify(text, { ...place, ...context });
  if ('fault' in result) throw new Error(`${result.fault.code}: ${text}`);
  return result;
}

/** The words of all its commands. */
export const argvs = (text: string): readonly (readonly string[])[] => classify(text).commands.map(({ argv }) => argv);

/** Its files as `access path`, with `/**` behind those that stand for everything below. */
export const files = (text: string): readonly string[] =>
  classify(text).commands.flatMap((command) =>
    command.files.map(({ access, path, tree }) => `${access} ${path}${tree ? '/**' : ''}`),
  );

/** Where it goes, as `via host:port`; `?` for what is known only when it runs. */
export const destinations = (text: string): readonly string[] =>
  classify(text).destinations.map(({ dynamic, host, port, via }) => `${via} ${dynamic ? '?' : `${host}:${port}`}`);
