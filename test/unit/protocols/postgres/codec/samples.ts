/** One or more of every message of protocol 3.0, for the tests that cut streams in all places. */
import { backend, dataRow, frontend } from '../../../../../proxy/protocols/postgres/codec.ts';

const long = Buffer.alloc(300, 'x');

export const clientMessages: Readonly<Record<string, Buffer>> = {
  query: frontend.query('select 1'),
  emptyQuery: frontend.query(''),
  parse: frontend.parse('s1', 'select $1::int, $2', [23, 0]),
  parseUnnamed: frontend.parse('', 'select 1'),
  bind: frontend.bind('p', 's1', [Buffer.from('42'), null, Buffer.alloc(0)], { parameters: [0, 1, 0], results: [1] }),
  bindUnnamed: frontend.bind('', ''),
  describeStatement: frontend.describe('S', 's1'),
  describePortal: frontend.describe('P', ''),
  execute: frontend.execute('p', 10),
  close: frontend.close('S', 's1'),
  functionCall: frontend.functionCall({
    functionOid: 4_000_000_000,
    argumentFormats: [0],
    arguments: [Buffer.from('1'), null],
    resultFormat: 1,
  }),
  copyData: backend.copyData(long),
  copyDone: backend.copyDone(),
  copyFail: frontend.copyFail('no more'),
  flush: frontend.flush(),
  sync: frontend.sync(),
  password: frontend.password('secret'),
  saslInitialResponse: frontend.saslInitialResponse('SCRAM-SHA-256', Buffer.from('n,,n=,r=x')),
  saslInitialResponseWithout: frontend.saslInitialResponse('OAUTHBEARER', null),
  saslResponse: frontend.saslResponse(Buffer.from('c=biws')),
  terminate: frontend.terminate(),
};

export const upstreamMessages: Readonly<Record<string, Buffer>> = {
  authenticationOk: backend.authentication(0),
  authenticationSasl: backend.authentication(10, backend.saslMechanisms(['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'])),
  backendKeyData: backend.backendKeyData(-7, Buffer.from([1, 2, 3, 4])),
  bindComplete: backend.bindComplete(),
  closeComplete: backend.closeComplete(),
  commandComplete: backend.commandComplete('SELECT 1'),
  copyBothResponse: backend.copyBothResponse({ format: 0, columnFormats: [] }),
  copyData: backend.copyData(long),
  copyDone: backend.copyDone(),
  copyInResponse: backend.copyInResponse({ format: 1, columnFormats: [1, 1] }),
  copyOutResponse: backend.copyOutResponse({ format: 0, columnFormats: [0, 0, 0] }),
  dataRow: dataRow.dataRow([Buffer.from('1'), null, Buffer.alloc(0), long]),
  dataRowEmpty: dataRow.dataRow([]),
  emptyQueryResponse: backend.emptyQueryResponse(),
  errorResponse: backend.errorResponse(
    new Map([
      ['S', 'ERROR'],
      ['C', '42P01'],
      ['M', 'relation "é" does not exist'],
    ]),
  ),
  functionCallResponse: backend.functionCallResponse(null),
  negotiateProtocolVersion: backend.negotiateProtocolVersion(3 << 16, ['_pq_.x']),
  noData: backend.noData(),
  noticeResponse: backend.noticeResponse(new Map([['M', 'notice']])),
  notification: backend.notification(12, 'channel', 'payload'),
  parameterDescription: backend.parameterDescription([23, 25]),
  parameterStatus: backend.parameterStatus('TimeZone', 'UTC'),
  parseComplete: backend.parseComplete(),
  portalSuspended: backend.portalSuspended(),
  readyForQuery: backend.readyForQuery('T'),
  rowDescription: backend.rowDescription([
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
  ]),
};
