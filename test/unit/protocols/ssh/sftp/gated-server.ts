/**
 * A server program for the real `sftp -D`: OpenSSH's sftp-server with the gate in front of it. What is below the folder
 * in the second argument is refused; what was judged and transferred is written into the file in the third, one JSON a line.
 * `node gated-server.ts <start folder> <refused folder> <file>`
 */
import { appendFileSync } from 'node:fs';
import { permitAll, startRealHost } from './gated.ts';

const [, , start = '', refused = '', log = ''] = process.argv;
const write = (line: object) => appendFileSync(log, `${JSON.stringify(line)}\n`);

const { gated, stop } = await startRealHost(
  start,
  {
    judge: (operation) => {
      const { operation: name, resolved, targetResolved, flags } = operation;
      write({ judged: name, resolved, flags });
      const denied = [resolved, targetResolved].some((path) => path.startsWith(refused));
      return denied ? { refusal: 'outside: Not here.' } : permitAll(operation);
    },
  },
  undefined,
  false,
);
gated.onClient = (bytes) => void process.stdout.write(bytes);
for await (const chunk of process.stdin) await gated.gate.fromClient(chunk);
await stop();
for (const transfer of gated.transfers) write({ transfer });
