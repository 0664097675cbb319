import { describe, expect, test } from '@jest/globals';
import { changesMeaning } from '../../../../proxy/protocols/postgres/lineage/settings.ts';

const path = ['pg_catalog', 'public'];

describe('a search_path keeps what names mean', () => {
  test.each(['public', ' public ', 'pg_catalog, public', '', '""', 'pg_catalog'])('%j', (value) => {
    expect(changesMeaning('search_path', value, path)).toBe(false);
  });
});

describe('a search_path may change what names mean', () => {
  test.each([
    'scratch',
    'public, scratch',
    'scratch, public',
    'public, public',
    'public, pg_catalog',
    'Public',
    '"public"',
    '$user, public',
    'public,',
    'pg_temp, public',
    'unknown',
  ])('%j', (value) => {
    expect(changesMeaning('search_path', value, path)).toBe(true);
  });

  test('in any case of its name', () => {
    expect(changesMeaning('Search_Path', 'scratch', path)).toBe(true);
  });
});

test('an order that puts pg_catalog last is kept only as it is', () => {
  const last = ['public', 'pg_catalog'];
  expect(changesMeaning('search_path', 'public, pg_catalog', last)).toBe(false);
  expect(changesMeaning('search_path', 'public', last)).toBe(true);
});
