/**
 * Finds one kind of sensitive text in bytes. Hand-written so that the work for one position is bounded whatever the
 * bytes are: never more than `lengthMax` of them are looked at, and `limits.detectorLookBehindBytes` before.
 */
export interface Detector {
  /** How a find can begin: sets for its first byte, its second, … up to four. A find is not shorter than its head. */
  readonly heads: readonly (readonly Uint8Array[])[];
  /** Bytes that can stand right before a find; the beginning of a text counts as a line feed. */
  readonly after: Uint8Array;
  /** Bytes that can stand before that one, where that one is a space, and where it is not; any where left out. */
  readonly afterSpace?: Uint8Array;
  readonly afterOther?: Uint8Array;
  /** A byte without which there is no find, and how far from its beginning it is at most: spares most calls of `match`. */
  readonly needs?: { readonly byte: number; readonly within: number };
  /** The longest find, in bytes. */
  readonly lengthMax: number;
  /** Behind a find that is as long as it may be, or that was shown before its end was known: bytes that still belong to it. */
  readonly goesOn?: Uint8Array;
  /**
   * The end of the longest find that begins at `at`, or `at` when there is none, or −1 when only what follows `end` can
   * tell (never when `final`). Called only where the sets above hold, as
   * far as there are bytes. `bytes` are valid before `end`.
   */
  match(bytes: Buffer, at: number, end: number, final: boolean): number;
}
