import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { type BackendMessage, frontend, message } from './wire-messages.ts';

/** What a login needs of a client. */
interface Conversation {
  send(...bytes: readonly Uint8Array[]): void;
  until(type: string): Promise<BackendMessage[]>;
}

/**
 * Answers what the server asks for until it says AuthenticationOk. An ErrorResponse ends the wait when the server closes.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export async function authenticate(client: Conversation, user: string, password: string): Promise<void> {
  for (;;) {
    const asked = (await client.until('R')).at(-1)?.body;
    switch (asked?.readInt32BE(0)) {
      case 0:
        return;
      case 3:
        client.send(frontend.password(password));
        break;
      case 5:
        client.send(frontend.password(md5(user, password, asked.subarray(4, 8))));
        break;
      case 10:
        await scram(client, password);
        break;
      default:
        throw new Error(`the server asks for an authentication this client does not know: ${asked?.readInt32BE(0)}`);
    }
  }
}

function md5(user: string, password: string, salt: Uint8Array): string {
  const inner = createHash('md5').update(`${password}${user}`).digest('hex');
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`;
}

/** SCRAM-SHA-256 without channel binding. @see https://www.rfc-editor.org/rfc/rfc5802#section-3 */
async function scram(client: Conversation, password: string): Promise<void> {
  const clientFirst = `n=,r=${randomBytes(18).toString('base64')}`;
  const initial = Buffer.from(`n,,${clientFirst}`);
  const length = Buffer.alloc(4);
  length.writeInt32BE(initial.length);
  client.send(message('p', Buffer.from('SCRAM-SHA-256\0'), length, initial));

  const serverFirst = (await client.until('R')).at(-1)?.body.toString('utf8', 4) ?? '';
  const {
    r = '',
    s = '',
    i = '',
  } = Object.fromEntries(serverFirst.split(',').map((part) => [part.slice(0, 1), part.slice(2)])) as Record<
    string,
    string
  >;
  const salted = pbkdf2Sync(password, Buffer.from(s, 'base64'), Number(i), 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const withoutProof = `c=biws,r=${r}`;
  const signature = hmac(
    createHash('sha256').update(clientKey).digest(),
    `${clientFirst},${serverFirst},${withoutProof}`,
  );
  const proof = clientKey.map((byte, at) => byte ^ (signature[at] ?? 0));
  client.send(message('p', Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`)));
  const final = (await client.until('R')).at(-1)?.body;
  if (final?.readInt32BE(0) !== 12) throw new Error('the server did not finish SCRAM');
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
