import type { Json, JsonObject } from '../../core/types.ts';
import type { Frame } from '../../record/index.ts';

/** Turns frames into lines, one after the other; it may keep what it needs to know for the next. */
export type Printer = (frame: Frame) => string[];

/** What lines without a time begin with. */
export const margin = ' '.repeat(14);

/** A time since the recording began, as the beginning of a line. */
export function stamp(timeMs: number): string {
  return `${(timeMs / 1000).toFixed(3).padStart(11)}s`;
}

/** The elements of a list; none where it is something else. */
export function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

/** Whether there is a value that says something. */
export function isSaid(value: Json | undefined): value is Json {
  return value !== undefined && value !== null && value !== '';
}

/** Whether a value is an object, not a list. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text as it is, anything else as JSON. */
export function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}
