import { describe, expect, test } from '@jest/globals';
import { backend, dataRow, frontend, RowFields } from '../../../../../proxy/protocols/postgres/codec.ts';
import { clientMessages, upstreamMessages } from './samples.ts';

/** Each sample's parser, to be tried on damaged bodies too. */
const parsers: Record<string, (body: Buffer) => unknown> = {
  query: frontend.parseQuery,
  emptyQuery: frontend.parseQuery,
  parse: frontend.parseParse,
  parseUnnamed: frontend.parseParse,
  bind: frontend.parseBind,
  bindUnnamed: frontend.parseBind,
  describeStatement: frontend.parseTarget,
  describePortal: frontend.parseTarget,
  execute: frontend.parseExecute,
  close: frontend.parseTarget,
  functionCall: frontend.parseFunctionCall,
  copyFail: frontend.parseCopyFail,
  password: frontend.parsePassword,
  saslInitialResponse: frontend.parseSaslInitialResponse,
  saslInitialResponseWithout: frontend.parseSaslInitialResponse,
  commandComplete: backend.parseCommandComplete,
  copyBothResponse: backend.parseCopyResponse,
  copyInResponse: backend.parseCopyResponse,
  copyOutResponse: backend.parseCopyResponse,
  dataRow: dataRow.parseDataRow,
  dataRowEmpty: dataRow.parseDataRow,
  errorResponse: backend.parseErrorFields,
  functionCallResponse: backend.parseFunctionCallResponse,
  negotiateProtocolVersion: backend.parseNegotiateProtocolVersion,
  noticeResponse: backend.parseErrorFields,
  notification: backend.parseNotification,
  parameterDescription: backend.parseParameterDescription,
  parameterStatus: backend.parseParameterStatus,
  readyForQuery: backend.parseReadyForQuery,
  rowDescription: backend.parseRowDescription,
};

const parsed = Object.entries({ ...clientMessages, ...upstreamMessages }).flatMap(([name, message]) => {
  const parse = parsers[name];
  return parse === undefined ? [] : [{ name, body: message.subarray(5), parse }];
});

describe.each(parsed)('the body of $name', ({ body, parse }) => {
  test('is read whole', () => {
    expect(parse(body)).toBeDefined();
  });

  test('is malformed when it ends early anywhere', () => {
    for (let to = 0; to < body.length; to++) expect(parse(body.subarray(0, to))).toBeUndefined();
  });

  test('is malformed with anything behind it', () => {
    for (const extra of [[0], [0xff], [0, 0, 0, 0]]) {
      expect(parse(Buffer.concat([body, Buffer.from(extra)]))).toBeUndefined();
    }
  });

  test('never throws and never reads outside itself when any byte of it is changed', () => {
    const padded = Buffer.concat([Buffer.alloc(8, 0x41), body, Buffer.alloc(8, 0x41)]);
    for (let at = 0; at < body.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const damaged = Buffer.from(padded);
        damaged[8 + at] = value;
        expect(() => parse(damaged.subarray(8, 8 + body.length))).not.toThrow();
      }
    }
  });
});

describe('golden frames', () => {
  test.each([
    [frontend.query('select 1'), '510000000d73656c656374203100'],
    [frontend.parse('s', 'x', [23]), '500000000e7300780000010000' + '0017'],
    [
      frontend.bind('', 's', [Buffer.from('1'), null], { results: [1] }),
      '4200000018' + '00' + '7300' + '0000' + '0002' + '0000000131' + 'ffffffff' + '00010001',
    ],
    [frontend.describe('P', ''), '44000000065000'],
    [frontend.execute('', 5), '45000000090000000005'],
    [frontend.sync(), '5300000004'],
    [backend.readyForQuery('E'), '5a0000000545'],
    [backend.authentication(0), '520000000800000000'],
    [backend.backendKeyData(1, Buffer.from('abcd')), '4b0000000c0000000161626364'],
    [dataRow.dataRow([null, Buffer.from('a')]), '440000000f0002' + 'ffffffff' + '0000000161'],
    [backend.errorResponse(new Map([['C', '42501']])), '450000000c' + '43343235303100' + '00'],
  ])('%#', (message, hex) => {
    expect(message.toString('hex')).toBe(hex);
  });
});

describe('what the parsers return', () => {
  test('Bind gives its names, formats and values, and no value beyond its count', () => {
    const bind = frontend.parseBind(body(clientMessages.bind));
    expect(bind).toMatchObject({
      portal: 'p',
      statement: 's1',
      parameterFormats: [0, 1, 0],
      parameterCount: 3,
      resultFormats: [1],
    });
    expect([bind?.parameter(0), bind?.parameter(1), bind?.parameter(2)]).toEqual([
      Buffer.from('42'),
      null,
      Buffer.alloc(0),
    ]);
    expect(() => bind?.parameter(3)).toThrow(RangeError);
  });

  test('Parse gives the type OIDs as unsigned numbers', () => {
    expect(frontend.parseParse(body(frontend.parse('', '', [4_294_967_295])))?.parameterTypes).toEqual([4_294_967_295]);
  });

  test('RowDescription gives origin, type and format of each column', () => {
    expect(backend.parseRowDescription(body(upstreamMessages.rowDescription))).toEqual([
      { name: 'id', tableOid: 16_384, attributeNumber: 1, typeOid: 23, typeBytes: 4, typeModifier: -1, format: 0 },
      {
        name: 'whole row',
        tableOid: 16_384,
        attributeNumber: 0,
        typeOid: 2249,
        typeBytes: -1,
        typeModifier: -1,
        format: 1,
      },
    ]);
  });

  test('a row is read in place, at an offset, and its arrays grow with it', () => {
    const values = Array.from({ length: 40 }, (_, index) => (index % 3 === 0 ? null : Buffer.from(`value ${index}`)));
    const chunk = Buffer.concat([Buffer.from('before'), dataRow.dataRow(values), Buffer.from('after')]);
    const fields = new RowFields();
    const count = fields.read(chunk, 6 + 5, chunk.length - 5);
    expect(count).toBe(40);
    const read = values.map((_, index) => {
      const start = fields.starts[index] ?? 0;
      const length = fields.lengths[index] ?? 0;
      return length === -1 ? null : chunk.subarray(start, start + length);
    });
    expect(read).toEqual(values);
  });

  test('an error that is not UTF-8 is kept byte for byte', () => {
    expect(backend.parseErrorFields(Buffer.from('M\xe9\0\0', 'latin1'))?.get('M')).toBe('é');
  });
});

describe('hostile counts and lengths', () => {
  test('a Bind of 65,535 values that are not there is malformed', () => {
    expect(frontend.parseBind(Buffer.from('0000' + '0000' + 'ffff', 'hex'))).toBeUndefined();
    expect(frontend.parseBind(Buffer.from('0000' + 'ffff' + '0000' + '0000', 'hex'))).toBeUndefined();
  });

  test.each(['80000000', 'fffffffe', '7fffffff'])('a value of length 0x%s is malformed', (length) => {
    expect(frontend.parseBind(Buffer.from(`000000000001${length}0000`, 'hex'))).toBeUndefined();
    expect(dataRow.parseDataRow(Buffer.from(`0001${length}`, 'hex'))).toBeUndefined();
    expect(backend.parseFunctionCallResponse(Buffer.from(length, 'hex'))).toBeUndefined();
  });

  test('format codes other than 0 and 1 are malformed, and so is a number of them that matches nothing', () => {
    expect(frontend.parseBind(Buffer.from('0000' + '00010002' + '0000' + '0000', 'hex'))).toBeUndefined();
    expect(frontend.parseBind(Buffer.from('0000' + '000200000000' + '0001ffffffff' + '0000', 'hex'))).toBeUndefined();
  });

  test('a name that the server would cut to 63 bytes is malformed: two names here would be one there', () => {
    const name = 'n'.repeat(63);
    expect(frontend.parseParse(body(frontend.parse(name, '')))?.statement).toBe(name);
    expect(frontend.parseParse(body(frontend.parse(`${name}1`, '')))).toBeUndefined();
    expect(frontend.parseBind(body(frontend.bind(`${name}1`, '')))).toBeUndefined();
    expect(frontend.parseTarget(body(frontend.describe('S', 'é'.repeat(32))))).toBeUndefined();
  });

  test('a name that is not UTF-8 is malformed, since decoding would map many names to one', () => {
    expect(frontend.parseExecute(Buffer.from('ff0000000000', 'hex'))).toBeUndefined();
  });

  test('a NUL inside a query is malformed: the server would read less than we judged', () => {
    expect(frontend.parseQuery(Buffer.from('select 1\0; drop table t\0'))).toBeUndefined();
  });

  test('a NUL inside a string that we write is a defect of ours, not a shorter string', () => {
    expect(() => frontend.query('a\0b')).toThrow(RangeError);
  });
});

function body(message: Buffer | undefined): Buffer {
  if (message === undefined) throw new Error('no such sample');
  return message.subarray(5);
}
