import { GatewayError } from '../errors.ts';
import { limits } from '../limits.ts';
import { type CompiledMask, maskText } from '../masker.ts';
import type { JsonPath, JsonStep } from './json-path.ts';

/**
 * A set of paths and their masks, as an automaton over the way from a document's root to a value. It grows with what documents
 * hold, up to `limits.jsonPathStatesMax` places, and serves any number of documents.
 */
export class JsonPaths {
  /** Where every document begins. */
  readonly root: JsonPlace;
  readonly #places = new Map<string, JsonPlace>();
  /** All steps of all paths, one path behind the other; what stands behind a path's last step is its mask. */
  readonly #steps: (JsonStep | CompiledMask)[] = [];

  /** @param masked - where several paths lead to one value, it gets the most private of what they say */
  constructor(masked: Iterable<readonly [path: JsonPath, mask: CompiledMask]>) {
    const starts: number[] = [];
    for (const [path, mask] of masked) {
      starts.push(this.#steps.length);
      this.#steps.push(...path.steps, mask);
    }
    this.root = this.#place(starts);
  }

  /** Whether a document led to more places than the bound allows. It could do so for every document from then on. */
  get isFull(): boolean {
    return this.#places.size >= limits.jsonPathStatesMax;
  }

  /** The place from which the steps at some positions are still to be taken. */
  #place(positions: readonly number[]): JsonPlace {
    const distinct = [...new Set(positions)].toSorted((one, other) => one - other);
    const key = distinct.join();
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    if (this.isFull) {
      throw new GatewayError('limit_reached', 'The masks of a JSON document have more cases than the bound allows.');
    }
    const steps = distinct.flatMap((position) => this.#steps[position] ?? []);
    const masks = steps.filter((step) => 'kind' in step);
    const place = new JsonPlace({
      mask: masks.reduce<CompiledMask | undefined>(stricter, undefined),
      isDead: masks.length === steps.length,
      names: () => new Set(steps.flatMap((step) => ('name' in step && step.name !== undefined ? step.name : []))),
      below: (child) => this.#place(distinct.flatMap((position) => this.#after(position, child))),
    });
    this.#places.set(key, place);
    return place;
  }

  /** Where a position leads with one child of the value. */
  #after(position: number, { name, isElement }: Child): number[] {
    const step = this.#steps[position];
    if (step === undefined || 'kind' in step) return [];
    const stays = step.descends || (step.throughLists === true && isElement);
    const goesOn = step.name === undefined || step.name === name;
    return [...(stays ? [position] : []), ...(goesOn ? [position + 1] : [])];
  }
}

/** A member of some name, of any name that no path speaks of, or an element. */
interface Child {
  readonly name: string | undefined;
  readonly isElement: boolean;
}

/** What a place is made of. */
interface PlaceOptions {
  readonly mask: CompiledMask | undefined;
  readonly isDead: boolean;
  readonly names: () => ReadonlySet<string>;
  readonly below: (child: Child) => JsonPlace;
}

/** A member's name as it is written, if it is written without escapes, and where it leads. */
interface Candidate {
  readonly bytes: Buffer;
  readonly place: JsonPlace;
}

/** Values of a document that the paths do not tell apart. */
export class JsonPlace {
  /** What hides a value here. */
  readonly mask: CompiledMask | undefined;
  /** Whether nothing below is masked, so that names do not matter. */
  readonly isDead: boolean;
  /** What stands for a value that is hidden whole, as JSON. */
  readonly hidden: Buffer;
  readonly #options: PlaceOptions;
  readonly #named = new Map<string, JsonPlace>();
  /** By the length of the name. */
  readonly #byLength: (Candidate[] | undefined)[] = [];
  #isOpen = false;
  #element: JsonPlace = this;
  #other: JsonPlace = this;

  constructor(options: PlaceOptions) {
    this.mask = options.mask;
    this.isDead = options.isDead;
    const { mask } = options;
    this.hidden = Buffer.from(JSON.stringify(mask?.kind === 'value' ? mask.tooLong : (mask?.value ?? null)));
    this.#options = options;
  }

  /** Where elements are. */
  get element(): JsonPlace {
    if (!this.#isOpen) this.#open();
    return this.#element;
  }

  /** Where a member is whose name stands in some bytes, without escapes. */
  member(bytes: Buffer, start: number, end: number): JsonPlace {
    if (!this.#isOpen) this.#open();
    const length = end - start;
    const candidates = length < this.#byLength.length ? this.#byLength[length] : undefined;
    if (candidates === undefined) return this.#other;
    for (let index = 0; index < candidates.length; index++) {
      const candidate = candidates[index];
      if (candidate !== undefined && isAt(candidate.bytes, bytes, start)) return candidate.place;
    }
    return this.#other;
  }

  /** Where a member of a name is. */
  named(name: string): JsonPlace {
    if (!this.#isOpen) this.#open();
    return this.#named.get(name) ?? this.#other;
  }

  /** Finds out where the ways from here lead. Not before somebody goes one: all of them would be more than any document needs. */
  #open(): void {
    this.#isOpen = true;
    const { names, below } = this.#options;
    this.#element = below({ name: undefined, isElement: true });
    this.#other = below({ name: undefined, isElement: false });
    for (const name of names()) {
      const place = below({ name, isElement: false });
      this.#named.set(name, place);
      const bytes = Buffer.from(name);
      while (this.#byLength.length <= bytes.length) this.#byLength.push(undefined);
      this.#byLength[bytes.length] = [...(this.#byLength[bytes.length] ?? []), { bytes, place }];
    }
  }
}

function isAt(name: Buffer, bytes: Buffer, start: number): boolean {
  for (let at = 0; at < name.length; at++) if (name[at] !== bytes[start + at]) return false;
  return true;
}

/** The more private of two masks whose methods are not known any more: where neither hides what the other does, all of the value. */
function stricter(one: CompiledMask | undefined, other: CompiledMask): CompiledMask {
  if (one === undefined || one === other) return other;
  if (one.kind === 'constant' && other.kind === 'constant') {
    if (one.value === null || other.value === null) return one.value === null ? one : other;
    return one.value <= other.value ? one : other;
  }
  if (one.kind === 'constant') return one;
  return other.kind === 'constant' ? other : { kind: 'constant', value: maskText };
}
