import { describe, expect, test } from '@jest/globals';
import { createMasker } from '../../../../../proxy/core/masker.ts';
import type { OperationFacts } from '../../../../../proxy/core/types.ts';
import type { OperationPlan } from '../../../../../proxy/protocols/http/plan.ts';
import { messageFacts } from '../../../../../proxy/protocols/http/websocket/facts.ts';

const masker = createMasker({ key: Buffer.alloc(32, 7) });
const upgrade: OperationFacts<OperationPlan> = {
  action: { name: 'GET', properties: { protocol: 'http', segments: ['events'], upgrade: 'websocket' } },
  resource: { type: 'route', id: 'crm /events', properties: { template: '/events' } },
  complete: true,
  enforce: () => ({ fault: { code: 'internal_error', message: 'Not asked.' } }),
  describe: () => ({}),
};

function factsOf(payload: Buffer | string, kind: 'text' | 'binary' = 'text'): OperationFacts<OperationPlan> {
  return messageFacts({ kind, payload: Buffer.from(payload) }, upgrade, masker);
}

describe('a message of a client', () => {
  test.each([
    ['JSON', '{"type":"subscribe"}', { body: { type: 'subscribe' } }],
    ['a JSON text', '"subscribe"', { body: 'subscribe' }],
    ['null', 'null', { body: null }],
    ['other text', 'SUBSCRIBE a', { text: 'SUBSCRIBE a' }],
    ['nothing', '', { text: '' }],
  ])('that is %s is judged as that, on the route of its WebSocket', (_what, text, read) => {
    const { action, resource, complete, fault } = factsOf(text);
    expect(action).toEqual({
      name: 'websocket_message',
      properties: { protocol: 'http', upgrade: 'websocket', segments: ['events'], incomplete: [], ...read },
    });
    expect({ resource, complete, fault }).toEqual({ resource: upgrade.resource, complete: true, fault: undefined });
  });

  test.each([
    ['a member twice', '{"type":"subscribe","type":"delete"}'],
    ['a comment', '{"type":"subscribe" /* a */}'],
    ['a byte order mark', '\ufeff{"type":"subscribe"}'],
    ['a number that parsers round', '12345678901234567890'],
  ])('that two readers could take differently is refused: %s', (_what, text) => {
    expect(factsOf(text).fault?.code).toBe('operation_malformed');
  });

  test('that is binary is not accounted for', () => {
    const { action, complete } = factsOf(Buffer.from([1, 2]), 'binary');
    expect(complete).toBe(false);
    expect(action.properties).toMatchObject({ body_bytes: 2, incomplete: ['body_opaque'] });
  });

  test('is audited without what it says', () => {
    expect(factsOf('{"a":"secret"}').describe(undefined)).toEqual({ message: 'text', bytes: 14, route: 'crm /events' });
  });
});
