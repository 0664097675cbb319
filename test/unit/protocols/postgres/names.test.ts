import { describe, expect, test } from '@jest/globals';
import { Names } from '../../../../proxy/protocols/postgres/names.ts';

interface Value {
  readonly what: string;
  readonly bytes: number;
}

const value = (what: string, bytes = 1): Value => ({ what, bytes });

describe('names of one connection', () => {
  test('a definition counts for its own group at once, and for others only when confirmed', () => {
    const names = new Names<Value>(10, 100);
    const pending = names.define('a', value('new'), 1);
    expect(names.find('a', 1)).toEqual({ value: value('new') });
    expect(names.find('a', 2)).toBe('unsettled');
    names.confirm(pending);
    expect(names.find('a', 2)).toEqual({ value: value('new') });
  });

  test('a definition that failed leaves the name what it was', () => {
    const names = new Names<Value>(10, 100);
    names.confirm(names.define('a', value('old'), 0));
    const pending = names.define('a', value('new'), 1);
    expect(names.find('a', 2)).toBe('unsettled');
    names.discard(pending);
    expect(names.find('a', 2)).toEqual({ value: value('old') });
  });

  test('the last of several definitions under way counts', () => {
    const names = new Names<Value>(10, 100);
    names.define('a', value('first'), 1);
    names.define('a', value('second'), 1);
    expect(names.find('a', 1)).toEqual({ value: value('second') });
  });

  test('a closed name means nothing, to its own group at once', () => {
    const names = new Names<Value>(10, 100);
    names.confirm(names.define('a', value('old'), 0));
    const closing = names.define('a', undefined, 1);
    expect(names.find('a', 1)).toEqual({ value: undefined });
    expect(names.find('a', 2)).toBe('unsettled');
    names.confirm(closing);
    expect(names.find('a', 2)).toEqual({ value: undefined });
  });

  test('is full at its bound, pending definitions included', () => {
    const names = new Names<Value>(2, 100);
    names.confirm(names.define('a', value('x'), 0));
    expect(names.full).toBe(false);
    names.define('b', value('x'), 0);
    expect(names.full).toBe(true);
  });

  test('is full at its bound of bytes until what holds them is gone', () => {
    const names = new Names<Value>(10, 100);
    names.confirm(names.define('a', value('x', 60), 0));
    const pending = names.define('b', value('x', 60), 0);
    expect(names.full).toBe(true);
    names.discard(pending);
    names.discard(pending);
    expect(names.full).toBe(false);
    names.confirm(names.define('a', value('y', 100), 0));
    expect(names.full).toBe(true);
    names.confirm(names.define('a', value('y', 1), 0));
    expect(names.full).toBe(false);
    names.confirm(names.define('c', value('y', 100), 0));
    expect(names.full).toBe(true);
    names.clear();
    expect(names.full).toBe(false);
  });

  test('a name that SQL on its way may change is unsettled for everybody, until that is over', () => {
    const names = new Names<Value>(10, 100);
    names.confirm(names.define('a', value('old'), 0));
    const prepare = names.unsettle('a');
    expect(names.find('a', 1)).toBe('unsettled');
    expect(names.find('b', 1)).toEqual({ value: undefined });
    names.discard(prepare);
    expect(names.find('a', 1)).toEqual({ value: value('old') });
    const discardAll = names.unsettle(undefined);
    expect(names.find('a', 1)).toBe('unsettled');
    expect(names.find('b', 1)).toBe('unsettled');
    names.discard(discardAll);
    expect(names.find('a', 1)).toEqual({ value: value('old') });
  });

  test('a definition behind SQL that may change the name counts for its own group', () => {
    const names = new Names<Value>(10, 100);
    names.unsettle(undefined);
    names.define('a', value('new'), 1);
    expect(names.find('a', 1)).toEqual({ value: value('new') });
    expect(names.find('a', 2)).toBe('unsettled');
  });
});
