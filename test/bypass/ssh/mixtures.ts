/** Random shell texts: words in every kind of quotes, in every kind of structure, in wrappers in wrappers. */
import type { Random } from '../leaks/random.ts';

/** What words may come to. Each means something to some shell when its quotes are got wrong. */
const values =
  `a|a b||-n|--all|x=1|$HOME|\${x}|$(forbidden)|\`forbidden\`|*|?|[a-z]|{a,b}|{1..3}|~|~/x|!|!!|#|#a|a#b|;|;;|a;forbidden|&|&&|\
'|"|\\|\\\\|\\n|\n|a\nb|\t|(|)|<|>|>x|2|2>|%s|^|=|=ls|@(a)|+(a)|$|$'a'|$"a"|if|then|done|in|time|{|}|[[|]]|-|--|/|//a|.|..|é`.split(
    '|',
  );

/** Builds texts; the same seed builds the same ones. */
export class Mixtures {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** One text, of one to three statements. */
  text(): string {
    return this.#random
      .many(1, 3, () => this.#statement(2))
      .join(this.#random.pick([';', '\n', ' && ', ' || ', ' | ', ' ; ']));
  }

  #statement(depth: number): string {
    const random = this.#random;
    if (depth === 0 || random.chance(0.45)) return this.#command(depth);
    const inner = () => this.#statement(depth - 1);
    return random.make(
      () => `(${inner()})`,
      () => `{ ${inner()}\n}`,
      () => `! ${inner()}`,
      () => `if ${inner()}\nthen ${inner()}\nfi`,
      () => `if false; then ${inner()}\nelse ${inner()}\nfi`,
      () => `for x in ${this.#words(1, 3)}; do forbidden "$x"; done`,
      () => `for x in ${this.#words(1, 2)}; do ${inner()}\ndone`,
      () => `case ${this.#word()} in ${this.#quotedWord()}) ${inner()}\n;; *) ${inner()}\n;; esac`,
      () => `while ${inner()}\ndo break; done`,
      () => `x=${this.#word()}; forbidden "$x" ${random.pick(['$x', '"a$x"', "'$x'", 'x$x', `"\${x}y"`, `\${x:-b}`])}`,
      () => `f() { ${inner()}\n}; f`,
      () => `forbidden "$(${inner()})"`,
      () =>
        `forbidden <<${random.pick(['X', "'X'", '"X"', '\\X', '-X'])}\n${this.#value().replaceAll('\n', ' ')}\nX\n:`,
      () => `forbidden <<< ${this.#word()}`,
      () => `forbidden # ${this.#value().replaceAll('\n', ' ')}\n${inner()}`,
      () => `${inner()} &\nwait`,
      () => `cd ${random.pick(['/srv/canary', 'logs', '/', '..', '~'])}; ${inner()}`,
    );
  }

  #command(depth: number): string {
    const random = this.#random;
    const name = random.chance(0.3) ? this.#quote('forbidden') : 'forbidden';
    const words = [name, ...random.many(0, 3, () => this.#word())];
    if (random.chance(0.2)) words.unshift(`A=${this.#word()}`);
    if (random.chance(0.3)) words.splice(random.int(0, words.length), 0, this.#redirect());
    const plain = words.join(' ');
    if (depth === 0 || random.chance(0.6)) return plain;
    const simple = [this.#quote('forbidden'), ...random.many(0, 2, () => this.#word())].join(' ');
    return random.make(
      () => `env A=1 ${simple}`,
      () => `sudo -n -u root ${simple}`,
      () => `timeout -k 1 5 nice -n5 ${simple}`,
      () => `nohup setsid -w ${simple}`,
      () => `${random.pick(['sh', 'bash', 'dash', 'bash -e'])} -c ${this.#quote(this.#statement(depth - 1))}`,
      () => `eval ${this.#quote(this.#statement(depth - 1))}`,
      () => `command ${simple}`,
      () => `find . -maxdepth 0 -exec ${simple} \\;`,
      () => `echo a | xargs ${simple}`,
      () => `ssh db1 ${this.#quote(simple)}`,
    );
  }

  #redirect(): string {
    return this.#random.make(
      () => `>${this.#quote('/srv/canary/a')}`,
      () => `>> ${this.#quote('/srv/canary/b')}`,
      () => '2>&1',
      () => '</dev/null',
      () => '2>/dev/null',
      () => '2>&-',
      () => '3<>/srv/canary/c',
      () => '&>/srv/canary/d',
      () => '>|canary',
    );
  }

  #words(low: number, high: number): string {
    return this.#random.many(low, high, () => this.#word()).join(' ');
  }

  /** Mostly quoted, so that it stands for itself; now and then bare, so that it does not. */
  #word(): string {
    return this.#random.chance(0.12) ? this.#value().replaceAll('\n', '') || "''" : this.#quotedWord();
  }

  #quotedWord(): string {
    return this.#quote(this.#value() + (this.#random.chance(0.3) ? this.#value() : ''));
  }

  #value(): string {
    return this.#random.pick(values);
  }

  /** The text cut into pieces, each in another kind of quotes. */
  #quote(text: string): string {
    const random = this.#random;
    const pieces: string[] = [];
    let rest = text;
    do {
      const length = text.length > 40 ? rest.length : random.int(1, Math.max(1, rest.length));
      pieces.push(this.#piece(rest.slice(0, length)));
      rest = rest.slice(length);
    } while (rest !== '');
    return pieces.join('');
  }

  #piece(text: string): string {
    const escaped = (byte: number) =>
      this.#random.chance(0.5) ? `\\x${byte.toString(16).padStart(2, '0')}` : `\\${byte.toString(8).padStart(3, '0')}`;
    return this.#random.make(
      () => `'${text.replaceAll("'", "'\\''")}'`,
      () => `"${text.replace(/[\\"$`]/g, '\\$&')}"`,
      () => text.replace(/[^\w/.\n-]/g, '\\$&').replaceAll('\n', "'\n'") || '""',
      () => `$'${text.replace(/[\\']/g, '\\$&')}'`,
      () => `$'${[...Buffer.from(text, 'utf8')].map(escaped).join('')}'`,
      () => `""'${text.replaceAll("'", `'"'"'`)}'`,
    );
  }
}
