/** Compares what the classifier made of a text with what the text did. */
import { normalize } from 'node:path';
import type { FileUse, ShellClassification, ShellCommand } from '../../../proxy/protocols/ssh/shell/classification.ts';
import type { Payload } from './corpus.ts';
import { hosts } from './scratch.ts';
import { basename, type Connection, type Deeds, type Execution, type Touch } from './trace.ts';

/** Whether a run came to what the entry is about. */
export function fired({ kind, what }: Payload, deeds: Deeds): boolean {
  if (kind === 'runs') return deeds.executions.some(({ path }) => basename(path) === what);
  if (kind === 'connects') return deeds.connections.some(({ address }) => hosts.get(address) === what);
  if (kind === 'reaches') return false;
  return deeds.touches.some(
    (touch) => changes(touch) === (kind === 'writes') && places(touch).some((place) => isAt(place, what)),
  );
}

/**
 * What a run did that the classification does not say, in words; empty when all of it was said. It is held against a
 * complete classification only: one that is incomplete says so.
 */
export function unsaid(said: ShellClassification, { executions, touches, connections }: Deeds): readonly string[] {
  return [
    ...executions.filter((done) => !saysExecution(said, done)).map(({ argv }) => `ran ${JSON.stringify(argv)}`),
    ...asOthers(said, executions),
    ...touches
      .filter((touch) => matters(touch) && !saysTouch(said, touch))
      .map((touch) => `${touch.access} of ${places(touch).join(' = ')} by ${touch.by}`),
    ...connections
      .filter((connection) => !saysConnection(said, connection))
      .map(({ address, port }) => `connected to ${address} ${port}`),
  ];
}

/** Whether a destination was named, or it was said that there is one that nobody knows. */
export function reaches({ destinations }: ShellClassification, host: string): boolean {
  return destinations.some((destination) => destination.dynamic || destination.host === host);
}

/** Commands of the classification that no run came to. Builtins and the applets of busybox are no programs. */
export function undone({ commands }: ShellClassification, runs: readonly Deeds[]): readonly ShellCommand[] {
  const executions = runs.flatMap((run) => run.executions);
  return commands
    .filter(({ name, wrappers }) => !builtins.has(name) && !wrappers.includes('busybox'))
    .filter((command) => !executions.some((done) => matches(command, done)));
}

/**
 * What a text ran, for comparing two runs of it, in no order. Wrappers by their names alone: the words of one may hold a
 * script, which is given in another form.
 */
export function ran({ commands }: ShellClassification, { executions }: Deeds): readonly string[] {
  const wrappers = new Set(commands.flatMap((command) => command.wrappers.map(basename)));
  return executions
    .filter(({ path }) => !isShell(path))
    .map(({ path, argv }) => JSON.stringify([basename(path), ...(wrappers.has(basename(path)) ? [] : argv.slice(1))]))
    .toSorted();
}

const isShell = (path: string) => /^(sh|bash|rbash|dash|ash|ksh|zsh)$/.test(basename(path));

const builtins = new Set(
  `. : [ alias bg bind break builtin caller cd command compgen complete continue declare dirs disown echo enable eval exec
  exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf pushd pwd read
  readarray readonly return set shift shopt source suspend test times trap true type typeset ulimit umask unalias unset
  wait`.split(/\s+/),
);
/** These add words of their own to the command that they are given. */
const appending = ['xargs', 'find', 'parallel'];
/** What they are given is another user's doing. */
const elevating = new Set(['sudo', 'doas', 'su', 'runuser', 'pkexec']);

const handing = new Set(['ssh', 'watch', 'flock', 'script', 'su', 'runuser', 'sudo']);
/** Programs that are scripts around another one, or start one of their own for their work. */
const helpers: Readonly<Record<string, RegExp>> = {
  git: /\/git-core\/|^git(-|$)/,
  zcat: /\/gzip$/,
  gunzip: /\/gzip$/,
  egrep: /\/grep$/,
  fgrep: /\/grep$/,
  rsync: /\/ssh$/,
  tar: /\/(sh|gzip|bzip2|xz|zstd)$/,
};

function saysExecution({ commands }: ShellClassification, done: Execution): boolean {
  const name = basename(done.path);
  return commands.some(
    ({ name: said, wrappers, ...command }) =>
      matches({ name: said, wrappers, ...command }, done) ||
      wrappers.some((wrapper) => basename(wrapper) === name) ||
      helpers[said]?.test(done.path) === true ||
      // The shell of another host, and the one that these hand their words to.
      (isShell(done.path) && done.argv[1] === '-c' && wrappers.some((wrapper) => handing.has(wrapper))),
  );
}

function matches(command: ShellCommand, { path, argv }: Execution): boolean {
  if (basename(path) !== command.name) return false;
  // A stand-in obeyed: which words it would have passed on is not known.
  if (argv[1]?.startsWith('@') === true) return true;
  const said = command.argv.slice(1);
  const done = argv.slice(1);
  if (!command.wrappers.some((wrapper) => appending.includes(wrapper))) return equal(said, done);
  const fixed = said.findIndex((word) => word.includes('{}'));
  return fixed === -1 ? equal(said, done.slice(0, said.length)) : equal(said.slice(0, fixed), done.slice(0, fixed));
}

function equal(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((word, index) => word === other[index]);
}

/** Somebody else's name was taken, and no command says so. */
function asOthers({ commands }: ShellClassification, executions: readonly Execution[]): readonly string[] {
  const elevated = executions.filter(({ path }) => elevating.has(basename(path)));
  return elevated.length > 0 && commands.every(({ runAs }) => runAs === undefined) ? ['ran as another user'] : [];
}

/** What programs write next to a file and put in its place. */
const temporaries: Readonly<Record<string, RegExp>> = {
  sed: /^sed[A-Za-z0-9]{6}$/,
  rsync: /^\..+\.[A-Za-z0-9]{6}$/,
  shred: /^0+$/,
};

/** What git keeps for itself; what makes it run other programs is more than that. */
const ownOfGit = /(^|\/)\.(git(\/|$|attributes|modules|ignore)|mailmap)/;

function changes({ access }: Touch): boolean {
  return access === 'write' || access === 'make';
}

/** Only what an agent can change or learn: not what programs need to start, nor what shells read and keep for themselves. */
function matters(touch: Touch): boolean {
  const [place = ''] = places(touch);
  if (temporaries[touch.by]?.test(basename(place)) === true) return false;
  if (/^\/dev\/(null|tty|zero|full|random|urandom|pts\/|std(in|out|err)$|fd\/)|^\/tmp\/(sh-thd|zsh)/.test(place))
    return false;
  if (
    /\/\.(bashrc|bash_profile|bash_login|profile|zshenv|bash_logout|inputrc|gitconfig|config|popt)(\/|$)/.test(place)
  ) {
    return changes(touch);
  }
  if (touch.by === 'git' && ownOfGit.test(place)) return changes(touch) && /\/(config|hooks|info)(\/|\.|$)/.test(place);
  if (changes(touch)) return true;
  // Where a command stands it may look around: names of its own folder are no secret from it.
  return /^\/(srv|var\/log)\//.test(place) && place !== touch.directory;
}

function saysTouch({ commands }: ShellClassification, touch: Touch): boolean {
  const uses = commands.flatMap(({ files, redirects }) => [
    ...files,
    ...redirects.map(({ op, target }) => ({ path: target, access: op })),
  ]);
  return places(touch).every((place) => uses.some((use) => covers(use, place, touch) && allows(use.access, touch)));
}

/**
 * The place itself; what is below it, where that was said, or where one name is put into a folder; for what is made with
 * its parents, and for what is looked up in them, those too.
 */
function covers({ path, tree }: Omit<FileUse, 'access'>, place: string, touch: Touch): boolean {
  if (!place.startsWith('/')) return `/${path}/`.includes(`/${place}/`) || `/${place}/`.includes(`/${path}/`);
  if (path === place || fromTemplate(path, place)) return true;
  if (touch.access === 'make' || touch.access === 'list') {
    if (path.startsWith(place === '/' ? '/' : `${place}/`)) return true;
  }
  const folder = path.endsWith('/') ? path : `${path}/`;
  return place.startsWith(folder) && (tree === true || (changes(touch) && !place.slice(folder.length).includes('/')));
}

/** mktemp fills in the X of a name. */
function fromTemplate(path: string, place: string): boolean {
  const fixed = path.replace(/X{3,}$/, '');
  return fixed !== path && path.length === place.length && place.startsWith(fixed);
}

function allows(said: string, touch: Touch): boolean {
  if (changes(touch)) return ['write', 'append', 'read_write', 'delete', 'metadata'].includes(said);
  return touch.access === 'list' || (said !== 'list' && said !== 'metadata');
}

function saysConnection({ destinations }: ShellClassification, { address }: Connection): boolean {
  return destinations.some(({ host, dynamic }) => !dynamic && (host === address || host === hosts.get(address)));
}

/** Where a touch went: as it was said, and as it was found. Relative where the call did not name its folder. */
function places({ path, directory = '', opened }: Touch): readonly string[] {
  const whole = normalize(path.startsWith('/') ? path : `${directory}/./${path}`).replace(/(?<=.)\/$/, '');
  const said = directory === '' && !path.startsWith('/') ? normalize(path) : whole;
  return opened === undefined || opened === said || opened.startsWith('/dev/') ? [said] : [said, opened];
}

/** A relative place is somewhere below; nothing more is known of it. */
function isAt(place: string, path: string): boolean {
  return place === path || (!place.startsWith('/') && path.endsWith(`/${place}`));
}
