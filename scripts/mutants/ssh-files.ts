import type { Mutant } from './mutant.ts';

const sftp = 'proxy/protocols/ssh/sftp';
const gate = ['unit/protocols/ssh/sftp/gate'];
const server = ['unit/protocols/ssh/sftp/sftp-server'];
const conversation = ['unit/protocols/ssh/scp/conversation'];

/** File operations: where they lead, whose handles they use, and what a transfer may send. */
export const sshFiles: readonly Mutant[] = [
  {
    name: 'what was resolved is what is forwarded',
    file: `${sftp}/judge.ts`,
    find: 'replacement: { paths: [operation.resolved, operation.targetResolved], target: content }',
    replace: 'replacement: { paths: [operation.path, operation.target], target: content }',
    tests: gate,
  },
  {
    name: 'a link is followed before it is judged',
    file: `${sftp}/judge.ts`,
    find: 'await (follows ? followed : entryOf)(',
    replace: 'await (follows ? entryOf : entryOf)(',
    tests: server,
  },
  {
    name: 'a path that the host cannot resolve is refused',
    file: `${sftp}/judge.ts`,
    find: 'direction: directionOf(flags),\n      ...(resolved === undefined ? { fault: unresolvable } : {}),',
    replace: 'direction: directionOf(flags),',
    tests: server,
  },
  {
    name: 'nothing is resolved while paths change',
    file: `${sftp}/judge.ts`,
    find: 'await this.#talk.until(() => this.#talk.settled);',
    replace: '',
    tests: gate,
  },
  {
    name: 'a fault stays refused, even by a permit',
    file: `${sftp}/judge.ts`,
    find: 'if (!talk.closed && fault === undefined && verdict.permit.open) return verdict;',
    replace: 'if (!talk.closed && verdict.permit.open) return verdict;',
    tests: gate,
  },
  {
    name: 'only a canonical answer of the host is believed',
    file: `${sftp}/resolve.ts`,
    find: 'if (!isCanonical(answer)) return undefined;',
    replace: '',
    tests: gate,
  },
  {
    name: 'a dangling link is not taken for nothing',
    file: `${sftp}/resolve.ts`,
    find: '(await host.entry(childOf(answer, first))) === statusCodes.noSuchFile',
    replace: '(await host.entry(childOf(answer, first))) !== -1',
    tests: server,
  },
  {
    name: 'ids of the client do not reach the host',
    file: `${sftp}/conversation.ts`,
    find: 'this.#expected.set(this.#lastId, expected);',
    replace: "if ('id' in expected) this.#lastId = expected.id;\n    this.#expected.set(this.#lastId, expected);",
    tests: gate,
  },
  {
    name: 'a host answers only what was asked',
    file: `${sftp}/host-replies.ts`,
    find: 'if (type !== packetTypes.status && type !== expected.reply)',
    replace: 'if (type === packetTypes.version)',
    tests: gate,
  },
  {
    name: 'a handle ends with its permit',
    file: `${sftp}/client-requests.ts`,
    find: 'return file.permit.open ? undefined : ended;',
    replace: 'return file.permit.open || !file.permit.open ? undefined : ended;',
    tests: server,
  },
  {
    name: 'a handle serves what it was opened for',
    file: `${sftp}/client-requests.ts`,
    find: 'if (type === packetTypes.read) return file.download === undefined ? notForThis : undefined;',
    replace: '',
    tests: server,
  },
  {
    name: 'a WRITE needs a handle that was opened for writing',
    file: `${sftp}/open-files.ts`,
    find: "this.upload = opened.flags.includes('write') ? new ContentFlow() : undefined;",
    replace: 'this.upload = new ContentFlow();',
    tests: server,
  },
  {
    name: 'a cap on content holds',
    file: `${sftp}/open-files.ts`,
    find: 'return this.cap !== undefined && this.bytes + more > this.cap.bytes;',
    replace: 'return this.cap !== undefined && this.bytes + more < 0;',
    tests: server,
  },
  {
    name: 'a WRITE is as long as it says',
    file: `${sftp}/client-requests.ts`,
    find: ' || chunk.readUInt32BE(dataAt - 4) !== total - (dataAt - from)',
    replace: '',
    tests: gate,
  },
  {
    name: 'scp gives the files that were asked for',
    file: 'proxy/protocols/ssh/scp/conversation.ts',
    find: 'if (depth === 0 && names !== undefined && !names.has(control.name))',
    replace: 'if (depth === 0 && names !== undefined && names.size > 1e9)',
    tests: conversation,
  },
  {
    name: 'the host is held to the names of the command',
    file: 'proxy/protocols/ssh/transfer-channel.ts',
    find: "names: transfer.direction === 'download' ? namesOf(transfer.paths) : undefined,",
    replace: 'names: undefined,',
    tests: ['ssh-operations'],
    only: 'files',
  },
  {
    name: 'a source of scp waits for its answers',
    file: 'proxy/protocols/ssh/scp/conversation.ts',
    find: "if (turn.of === 'sink') return at;",
    replace: "if (turn.of === 'sink') this.#answered('ok');",
    tests: conversation,
  },
  {
    name: 'a bound on a transfer ends it',
    file: 'proxy/protocols/ssh/transfer-channel.ts',
    find: 'if (bytes > maxBytes) fail(',
    replace: 'if (bytes > maxBytes * 1e9) fail(',
    tests: ['ssh-operations'],
    only: 'bounds',
  },
];
