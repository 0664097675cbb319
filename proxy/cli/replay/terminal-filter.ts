/** Where in the grammar of terminal sequences a stream is. */
type State = 'text' | 'escape' | 'control' | 'string' | 'stringEscape';

const bell = 0x07;
const cancel = 0x18;
const substitute = 0x1a;
const escapeCode = 0x1b;
const stringTerminator = 0x9c;

/** Backspace, tab, line feed, carriage return and the shifts of character sets; not the bell. */
const keptControls = [0x08, 0x09, 0x0a, 0x0d, 0x0e, 0x0f];

const sequenceLengthMax = 64;

/**
 * What may follow ESC: moving, erasing, inserting, scrolling, colours, the modes of the cursor, of wrapping and of the
 * alternate screen, tabs, character sets.
 * @see https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
 */
const allowed =
  /^(?:\[[0-9;:]*[@A-MPSTXZ`abdefgmrsu]|\[\?(?:7|12|25|47|1047|1048|1049)[hl]|\[4[hl]|[78DEHMc=>]|[()*+][0-9A-Za-z])$/;

/**
 * Lets through what draws, and nothing that asks, tells or changes the terminal of whoever watches: an allow-list. Strings
 * (OSC, DCS, APC, PM, SOS: titles, the clipboard, links, queries), reports, printing, key and mouse modes are left out, as are
 * the C1 controls. One object for one stream, because a sequence may come in pieces.
 */
export class TerminalFilter {
  #state: State = 'text';
  /** What came of a sequence behind its ESC. */
  #sequence = '';

  /** Takes a piece and returns what may be shown. */
  push(text: string): string {
    let out = '';
    for (let at = 0; at < text.length; at++) out += this.#take(text.charAt(at), text.charCodeAt(at));
    return out;
  }

  #take(char: string, code: number): string {
    if (code === escapeCode) {
      this.#state = this.#state === 'string' ? 'stringEscape' : 'escape';
      this.#sequence = '';
      return '';
    }
    switch (this.#state) {
      case 'text':
        return isShown(code) ? char : '';
      case 'string':
        if (code === bell || code === stringTerminator || code === cancel || code === substitute) this.#state = 'text';
        return '';
      case 'control':
        return this.#sequencePart(char, code, 0x3f);
      default:
        if (this.#sequence === '' && char === '[') {
          this.#state = 'control';
          this.#sequence = char;
          return '';
        }
        if (this.#sequence === '' && ']P^_X'.includes(char)) {
          this.#state = 'string';
          return '';
        }
        return this.#sequencePart(char, code, 0x2f);
    }
  }

  /** One character of a sequence that goes on with 0x20 to `middle` and ends with what comes up to 0x7e. */
  #sequencePart(char: string, code: number, middle: number): string {
    if (code < 0x20 && code !== cancel && code !== substitute) return '';
    if (code >= 0x20 && code <= middle) {
      if (this.#sequence.length < sequenceLengthMax) this.#sequence += char;
      return '';
    }
    this.#state = 'text';
    const sequence = this.#sequence + char;
    if (code > 0x7e) return isShown(code) ? char : '';
    return sequence.length <= sequenceLengthMax && allowed.test(sequence) ? `\x1b${sequence}` : '';
  }
}

function isShown(code: number): boolean {
  return (code >= 0x20 && code < 0x7f) || code > 0x9f || keptControls.includes(code);
}

/** Leaves a terminal as a person would want it, whatever was shown. */
export const terminalReset = '\x1b[?1049l\x1b[r\x1b[4l\x1b[?7h\x1b[?25h\x1b(B\x1b[0m\r\n';
