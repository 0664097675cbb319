import { describe, expect, test } from '@jest/globals';
import { Names } from '../../../../proxy/protocols/postgres/names.ts';

describe('names of one connection', () => {
  test('a definition counts for its own group at once, and for others only when confirmed', () => {
    const names = new Names<string>(10);
    const pending = names.define('a', 'new', 1);
    expect(names.find('a', 1)).toEqual({ value: 'new' });
    expect(names.find('a', 2)).toBe('unsettled');
    names.confirm(pending);
    expect(names.find('a', 2)).toEqual({ value: 'new' });
  });

  test('a definition that failed leaves the name what it was', () => {
    const names = new Names<string>(10);
    names.confirm(names.define('a', 'old', 0));
    const pending = names.define('a', 'new', 1);
    expect(names.find('a', 2)).toBe('unsettled');
    names.discard(pending);
    expect(names.find('a', 2)).toEqual({ value: 'old' });
  });

  test('the last of several definitions under way counts', () => {
    const names = new Names<string>(10);
    names.define('a', 'first', 1);
    names.define('a', 'second', 1);
    expect(names.find('a', 1)).toEqual({ value: 'second' });
  });

  test('a closed name means nothing, to its own group at once', () => {
    const names = new Names<string>(10);
    names.confirm(names.define('a', 'old', 0));
    const closing = names.define('a', undefined, 1);
    expect(names.find('a', 1)).toEqual({ value: undefined });
    expect(names.find('a', 2)).toBe('unsettled');
    names.confirm(closing);
    expect(names.find('a', 2)).toEqual({ value: undefined });
  });

  test('is full at its bound, pending definitions included', () => {
    const names = new Names<string>(2);
    names.confirm(names.define('a', 'x', 0));
    expect(names.full).toBe(false);
    names.define('b', 'x', 0);
    expect(names.full).toBe(true);
  });
});
