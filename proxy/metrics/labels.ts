import { limits } from '../core/limits.ts';

/** Takes a value for a label and returns it, or `other` once it would grow the label without bound. */
export type LabelBound = (value: string) => string;

const shape = /^[\w.:/@-]{1,128}$/u;

/**
 * Admits the known values always, and of the rest only the first `valuesMax` distinct ones that look like
 * a name. Everything after that is `other`, an empty value is `none`: a label whose values come from
 * outside is how a metrics endpoint runs out of memory.
 */
export function boundLabel(known: Iterable<string> = [], valuesMax: number = limits.metricLabelValuesMax): LabelBound {
  const admitted = new Set(known);
  const admittedMax = admitted.size + valuesMax;
  return (value) => {
    if (admitted.has(value)) return value;
    if (value === '') return 'none';
    if (admitted.size >= admittedMax || !shape.test(value)) return 'other';
    admitted.add(value);
    return value;
  };
}
