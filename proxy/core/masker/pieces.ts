/** Puts together what goes out: long parts of what came in as they are, short ones and new ones copied into one buffer. */
export class Pieces {
  #out: Buffer[] = [];
  #room: Buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;

  /** Adds bytes from `start` to `end`. Long ones are not copied: nobody may write to them afterwards. */
  add(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length >= sharedBytesMin) {
      this.#close();
      this.#out.push(bytes.subarray(start, end));
      return;
    }
    this.#reserve(length);
    if (length > shortLength) bytes.copy(this.#room, this.#to, start, end);
    else for (let at = 0; at < length; at++) this.#room[this.#to + at] = bytes[start + at] ?? 0;
    this.#to += length;
  }

  /** Adds a text as UTF-8. */
  write(text: string): void {
    this.#reserve(3 * text.length);
    const room = this.#room;
    let to = this.#to;
    if (text.length <= shortLength) {
      let at = 0;
      for (; at < text.length; at++) {
        const code = text.charCodeAt(at);
        if (code > 0x7f) break;
        room[to++] = code;
      }
      if (at === text.length) {
        this.#to = to;
        return;
      }
    }
    this.#to += room.write(text, this.#to);
  }

  /** What was added since the last time. */
  take(): Buffer[] {
    this.#close();
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #close(): void {
    if (this.#to > this.#from) this.#out.push(this.#room.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  #reserve(bytes: number): void {
    if (this.#to + bytes <= this.#room.length) return;
    this.#close();
    this.#room = Buffer.allocUnsafeSlow(Math.max(roomBytes, bytes));
    this.#from = this.#to = 0;
  }
}

const sharedBytesMin = 4096;
/** Up to here a loop costs less than a call. */
const shortLength = 32;
const roomBytes = 32 * 1024;
