import type { Mutant } from './mutant.ts';

const folder = 'proxy/protocols/http/websocket';
const tests = ['websocket-messages'];

/** Frames that are read strictly, and what of them nobody looks into. */
export const websockets: readonly Mutant[] = [
  {
    name: 'no reserved bit, so no compression',
    file: `${folder}/frames.ts`,
    find: 'if ((first & 0x70) !== 0)',
    replace: 'if ((first & 0x70) > 0xff)',
    tests,
  },
  {
    name: 'a client masks and a server does not',
    file: `${folder}/frames.ts`,
    find: 'if (second >> 7 !== Number(this.#isMasked))',
    replace: 'if (second >> 7 > 1)',
    tests,
  },
  {
    name: 'lengths are as short as can be',
    file: `${folder}/frames.ts`,
    find: 'if ((short === 127 && length < 0x10000n) || (short === 126 && length < 126n))',
    replace: 'if (length < 0n)',
    tests,
  },
  {
    name: 'no message inside another',
    file: `${folder}/messages.ts`,
    find: 'if ((opcode === opcodes.continuation) !== (this.#begun !== undefined))',
    replace: 'if (opcode === opcodes.continuation && this.#begun === undefined)',
    tests,
  },
  {
    name: 'no binary message where masks are asked for',
    file: `${folder}/inspect.ts`,
    find: "if (this.#mask !== undefined && kind === 'binary')",
    replace: "if (this.#mask === undefined && kind === 'binary')",
    tests,
  },
  {
    name: 'a ping carries nothing through',
    file: `${folder}/inspect.ts`,
    find: "to.send('ping', from.pings.ask(said.payload));",
    replace: "to.send('ping', said.payload);",
    tests,
  },
  {
    name: 'nor does a pong that nobody asked for',
    file: `${folder}/inspect.ts`,
    find: 'const asked = to.pings.answer(said.payload);',
    replace: 'const asked = to.pings.answer(said.payload) ?? said.payload;',
    tests,
  },
  {
    name: 'nor the reason of a close',
    file: `${folder}/inspect.ts`,
    find: 'const shown = !isUnread ? reason :',
    replace: 'const shown = isUnread ? reason :',
    tests,
  },
  {
    name: 'what is denied is not sent',
    file: `${folder}/inspect.ts`,
    find: "if (answer !== undefined && 'refusal' in answer) {",
    replace: "if (answer !== undefined && 'refusal' in answer) {\n      this.#upstream.send(kind, payload);",
    tests,
  },
  {
    name: 'no extension that was not offered',
    file: `${folder}/upgrade.ts`,
    find: "|| answer['sec-websocket-extensions'] !== undefined)",
    replace: "|| answer['sec-websocket-extensions'] === '')",
    tests,
  },
];
