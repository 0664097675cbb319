import { describe, expect, test } from '@jest/globals';
import type { Json } from '../../../../../proxy/core/types.ts';
import { maskMcpResult } from '../../../../../proxy/protocols/http/mask/index.ts';
import { masks, stars } from './masks.ts';

const both = masks({ '$.customer.card': stars, '$..ssn': stars }, ['email']);

function shown(result: Json, content = both): Json {
  const made = maskMcpResult(result, content);
  if ('fault' in made) throw new Error(made.fault.message);
  return made.result;
}

describe('the result of an MCP server', () => {
  test('is masked in its structured content, and in text that is the same as JSON', () => {
    const value = { customer: { card: '4111', name: 'Ana' }, rows: [{ ssn: 1, mail: 'ana@example.com' }] };
    const hidden = { customer: { card: '***', name: 'Ana' }, rows: [{ ssn: '***', mail: '#' }] };
    const made = maskMcpResult(
      { content: [{ type: 'text', text: JSON.stringify(value, null, 2) }], structuredContent: value, isError: false },
      both,
    );
    expect(made).toEqual({
      result: {
        content: [{ type: 'text', text: JSON.stringify(hidden, null, 2) }],
        structuredContent: hidden,
        isError: false,
      },
      matches: 6,
    });
  });

  test('keeps the digits of numbers in text', () => {
    const text = '{"n":12345678901234567890,"ssn":1}';
    expect(shown({ content: [{ type: 'text', text }] })).toEqual({
      content: [{ type: 'text', text: '{"n":12345678901234567890,"ssn":"***"}' }],
    });
  });

  test('is looked through by detectors in text that is no JSON, and in everything else', () => {
    const result = {
      content: [
        { type: 'text', text: 'write to ana@example.com', annotations: { audience: ['ana@example.com'] } },
        { type: 'resource_link', uri: 'mailto:ana@example.com', name: 'x' },
        { type: 'resource', resource: { uri: 'file:///a', text: '{"ssn":7,"b":"ana@example.com"}' } },
        { type: 'image', data: 'YW5hQGV4YW1wbGUuY29t', mimeType: 'image/png' },
      ],
      _meta: { by: 'ana@example.com' },
    };
    expect(shown(result)).toEqual({
      content: [
        { type: 'text', text: 'write to #', annotations: { audience: ['#'] } },
        { type: 'resource_link', uri: 'mailto:#', name: 'x' },
        { type: 'resource', resource: { uri: 'file:///a', text: '{"ssn":"***","b":"#"}' } },
        { type: 'image', data: 'YW5hQGV4YW1wbGUuY29t', mimeType: 'image/png' },
      ],
      _meta: { by: '#' },
    });
  });

  test('is masked when it is of resources or of prompts', () => {
    expect(shown({ contents: [{ uri: 'db://1', mimeType: 'application/json', text: '{"ssn":1}' }] })).toEqual({
      contents: [{ uri: 'db://1', mimeType: 'application/json', text: '{"ssn":"***"}' }],
    });
    expect(
      shown({
        description: 'ana@example.com',
        messages: [{ role: 'user', content: { type: 'text', text: '{"ssn":1}' } }],
      }),
    ).toEqual({
      description: '#',
      messages: [{ role: 'user', content: { type: 'text', text: '{"ssn":"***"}' } }],
    });
  });

  test('passes as it is where there is nothing to hide in it', () => {
    const result = {
      content: [
        { type: 'text', text: '{"a":[1.0]}' },
        { type: 'audio', data: 'AA==', mimeType: 'audio/wav' },
      ],
      structuredContent: [],
    };
    expect(maskMcpResult(result, both)).toEqual({ result, matches: 0 });
    expect(shown({})).toEqual({});
    expect(shown({ tools: [{ name: 'x', description: 'y' }] })).toEqual({ tools: [{ name: 'x', description: 'y' }] });
  });

  test.each<[string, Json]>([
    ['a blob', { contents: [{ uri: 'x', blob: 'AAAA' }] }],
    ['a blob that says it is text', { contents: [{ uri: 'x', mimeType: 'text/plain', blob: 'AAAA' }] }],
    ['a picture that is a document', { content: [{ type: 'image', data: 'AAAA', mimeType: 'image/svg+xml' }] }],
    ['content of a kind nobody knows', { content: [{ type: 'hologram', text: 'x' }] }],
    ['content of two kinds', { content: [{ type: 'image', data: 'AAAA', mimeType: 'image/png', text: '{"ssn":1}' }] }],
    ['content that is no object', { content: ['{"ssn":1}'] }],
    ['a text that is none', { content: [{ type: 'text', text: { ssn: 1 } }] }],
  ])('is a fault with %s', (_, result) => {
    expect(maskMcpResult(result, both)).toMatchObject({ fault: { code: 'mask_unprovable' } });
  });

  test('is a fault with a mask nobody knows', () => {
    expect(maskMcpResult({}, masks({}, ['palm_reading']))).toMatchObject({ fault: { code: 'mask_unknown' } });
  });
});
