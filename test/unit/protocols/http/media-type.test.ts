import { describe, expect, test } from '@jest/globals';
import { parseMediaType } from '../../../../proxy/protocols/http/media-type.ts';

describe('a media type', () => {
  test.each([
    ['application/json', 'application/json'],
    ['Application/JSON', 'application/json'],
    ['application/json;charset=UTF-8', 'application/json; charset=UTF-8'],
    ['application/json ;\t Charset="utf-8" ; ', 'application/json; charset=utf-8'],
    ['application/vnd.api+json;;', 'application/vnd.api+json'],
    ['multipart/form-data; boundary="a b"', 'multipart/form-data; boundary="a b"'],
    ['multipart/form-data; boundary=----x', 'multipart/form-data; boundary=----x'],
  ])('%j is written as %j, which is its own form', (text, written) => {
    const read = parseMediaType(text);
    expect(read?.text).toBe(written);
    expect(parseMediaType(written)).toEqual(read);
  });

  test.each([
    '',
    'json',
    'application/',
    '/json',
    '*/*',
    'application/*',
    'application/json, text/plain',
    'application/json text/plain',
    'application/json; charset',
    'application/json; charset=',
    'application/json; charset=utf-8, x',
    'application/json; charset=utf-8; charset=utf-16',
    'application/json; charset=utf-8; CHARSET=utf-8',
    'application/json; charset="utf-8',
    'application/json; charset="utf\\-8"',
    'application/json; charset ="x"',
    'application/json; charset=x y',
    'application/json\0',
    ' application/json',
    'application/json/x',
  ])('%j is none', (text) => {
    expect(parseMediaType(text)).toBeUndefined();
  });

  test('with very many parameters is read in linear time', () => {
    expect(parseMediaType(`a/b${'; '.repeat(8_000)}!`)).toBeUndefined();
    expect(parseMediaType(`a/b${' '.repeat(16_000)}`)).toBeUndefined();
  });
});
