/** The gate in front of OpenSSH's own sftp-server. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readFile, readlink, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { SftpOperation } from '../../../../../proxy/protocols/ssh/sftp/operation.ts';
import {
  type GatedOptions,
  type Judging,
  permitAll,
  type RealHost,
  sftpServer,
  startRealHost,
  TestPermit,
} from './gated.ts';
import { bits, permissions, request, size, str, u32, u64, withId } from './requests.ts';

const describeServer = existsSync(sftpServer) || process.env.CI === 'true' ? describe : describe.skip;

let home: string;
let secret: string;
let root: string;
let host: RealHost;

/** Everything within the home folder, by where it really is; nothing outside. */
const homeOnly: Judging = (operation) => {
  const inside = [operation.resolved, operation.targetResolved].every(
    (path) => path === '' || path === home || path.startsWith(`${home}/`),
  );
  return inside && operation.resolved !== '' ? permitAll(operation) : { refusal: 'outside_home: Stay at home.' };
};

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'sallyport-sftp-')));
  home = join(root, 'home');
  secret = join(root, 'secret');
  await mkdir(home);
  await mkdir(secret);
  await writeFile(join(secret, 'shadow'), 'root:x');
  await writeFile(join(home, 'notes'), 'some notes');
});

afterEach(async () => {
  await host.stop();
  await rm(root, { recursive: true, force: true });
});

async function start(judge: Judging = homeOnly, options: GatedOptions = {}, cut?: number): Promise<void> {
  host = await startRealHost(home, { ...options, judge }, cut);
}

const ask = (...given: Parameters<RealHost['client']['ask']>) => host.client.ask(...given);
const judgedPaths = () => host.gated.judged.map(({ operation, path, resolved }) => [operation, path, resolved]);
const codeOf = async (...given: Parameters<typeof ask>) => (await ask(...given)).code;
const last = (): SftpOperation => {
  const operation = host.gated.judged.at(-1);
  if (operation === undefined) throw new Error('nothing was judged');
  return operation;
};

async function open(path: string, flags: number, attributes?: Buffer): Promise<Buffer> {
  const { type, content, text } = await ask(request.open(path, flags, attributes));
  if (type !== 102) throw new Error(`the open was answered ${text}`);
  return content;
}

describeServer('files', () => {
  test.each([1, 7, 64 * 1024])('go up and down unchanged, %i bytes of the host at a time', async (cut) => {
    await start(homeOnly, {}, cut);
    const content = Buffer.alloc(40_000, 'abcdefghijk');
    const up = await open('up', bits.write | bits.create | bits.truncate);
    for (let at = 0; at < content.length; at += 32_768)
      expect(await codeOf(request.write(up, at, content.subarray(at, at + 32_768)))).toBe(0);
    expect(await codeOf(request.close(up))).toBe(0);
    expect(await readFile(join(home, 'up'))).toEqual(content);

    const down = await open('up', bits.read);
    const pieces: Buffer[] = [];
    for (let at = 0; ; at += 32_768) {
      const { type, content: piece, code } = await ask(request.read(down, at, 32_768));
      if (type === 103) pieces.push(piece);
      else {
        expect(code).toBe(1);
        break;
      }
    }
    expect(await codeOf(request.close(down))).toBe(0);
    expect(Buffer.concat(pieces).equals(content)).toBe(true);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const of = { path: join(home, 'up'), bytes: content.length, sequential: true, sha256, complete: true };
    expect(host.gated.transfers).toEqual([
      { ...of, direction: 'upload' },
      { ...of, direction: 'download' },
    ]);
    expect(host.gated.permits.map(({ outcome }) => outcome)).toEqual([
      { status: 'ok', bytes: content.length },
      { status: 'ok', bytes: content.length },
    ]);
  });

  test('requests that are sent without waiting are answered each', async () => {
    await start();
    const handle = await open('notes', bits.read);
    const reads = Array.from({ length: 64 }, (_, index) => ask(request.read(handle, index, 1)));
    const rest = [ask(request.stat('notes')), ask(request.close(handle)), ask(request.stat('none'))];
    const answers = await Promise.all([...reads, ...rest]);
    expect(Buffer.concat(answers.map(({ content }) => content)).toString()).toBe('some notes');
    expect(answers.slice(-3).map(({ type, code }) => [type, code])).toEqual([
      [105, undefined],
      [101, 0],
      [101, 2],
    ]);
    expect(host.gated.transfers).toMatchObject([{ bytes: 10, sequential: true, complete: true }]);
  });

  test('content out of order is counted and not hashed', async () => {
    await start();
    const up = await open('up', bits.write | bits.create);
    await ask(request.write(up, 5, '67890'));
    await ask(request.write(up, 0, '12345'));
    await ask(request.close(up));
    expect(host.gated.transfers).toMatchObject([{ bytes: 10, sequential: false, sha256: undefined, complete: true }]);
    expect(await readFile(join(home, 'up'), 'utf8')).toBe('1234567890');
  });

  test('an open is judged with its flags and its direction', async () => {
    await start();
    await open('a', bits.write | bits.create | bits.append, permissions(0o4755));
    expect(last()).toMatchObject({ flags: ['write', 'append', 'create'], direction: 'upload', details: ['set_id'] });
    await open('a', bits.read);
    expect(last()).toMatchObject({ flags: ['read'], direction: 'download' });
    await open('a', bits.read | bits.write);
    expect(last()).toMatchObject({ flags: ['read', 'write'], direction: 'upload' });
  });

  test('a file that is still open when the channel ends is incomplete', async () => {
    await start();
    const up = await open('up', bits.write | bits.create);
    await ask(request.write(up, 0, 'half of'));
    host.gated.gate.close();
    host.gated.gate.close();
    expect(host.gated.transfers).toMatchObject([{ bytes: 7, complete: false }]);
    expect(host.gated.permits.map(({ outcome }) => outcome)).toEqual([{ status: 'aborted', bytes: 7 }]);
  });

  test('a read past the cap is refused, and what came before is not', async () => {
    const judge: Judging = (operation) => ({
      permit: new TestPermit(operation),
      cap: { bytes: 6, text: 'over_cap: No more.' },
    });
    await start(judge);
    const handle = await open('notes', bits.read);
    expect((await ask(request.read(handle, 0, 4))).content.toString()).toBe('some');
    const { code, text } = await ask(request.read(handle, 4, 100));
    expect([code, text]).toEqual([3, 'over_cap: No more.']);
    expect((await ask(request.read(handle, 4, 2))).content.toString()).toBe(' n');
    expect(await codeOf(request.close(handle))).toBe(0);
    expect(host.gated.transfers).toMatchObject([{ bytes: 6, complete: false }]);
    const up = await open('up', bits.write | bits.create);
    expect(await codeOf(request.write(up, 0, '123456'))).toBe(0);
    expect(await codeOf(request.write(up, 6, '7'))).toBe(3);
    await ask(request.close(up));
    expect(await readFile(join(home, 'up'), 'utf8')).toBe('123456');
  });
});

describeServer('a refusal', () => {
  test('is a STATUS with its reason, and the session goes on', async () => {
    await start();
    const { code, text } = await ask(request.open(join(secret, 'shadow'), bits.read));
    expect([code, text]).toEqual([3, 'outside_home: Stay at home.']);
    expect(await codeOf(request.remove(join(secret, 'shadow')))).toBe(3);
    expect(existsSync(join(secret, 'shadow'))).toBe(true);
    expect((await ask(request.stat('notes'))).type).toBe(105);
  });

  test.each([
    ['../secret/shadow'],
    ['/../../SECRET/shadow'],
    ['.//..//secret/./shadow'],
    ['x/../../secret/shadow'],
    ['notes/../../secret/shadow'],
  ])('is not got around with %j', async (written) => {
    await start();
    const path = written.replace('/../../SECRET', `/../..${secret}`);
    const { code } = await ask(request.open(path, bits.read));
    expect(code).toBe(3);
    expect(last().resolved).toBe(join(secret, 'shadow'));
  });

  test('comes for a path that cannot be one, and nothing reaches the host', async () => {
    await start(permitAll);
    expect(await codeOf(request.stat('a\0b'))).toBe(5);
    expect(await codeOf(request.stat(Buffer.from([0x2f, 0xff])))).toBe(5);
    expect(await codeOf(request.stat('x'.repeat(60_000)))).toBe(5);
    expect(await codeOf(request.stat('x'.repeat(200_000)))).toBe(5);
    expect(await codeOf(request.extended('check-file', str('notes')))).toBe(8);
    expect(host.gated.judged.map(({ fault }) => fault?.code)).toEqual([
      'operation_malformed',
      'operation_malformed',
      'operation_too_large',
      'operation_too_large',
      'operation_unsupported',
    ]);
    expect(await codeOf(request.stat(''))).toBe(2);
    expect((await ask(request.stat('notes'))).type).toBe(105);
  });

  test('can take its time, and what comes behind it waits', async () => {
    const gateOpen = Promise.withResolvers<void>();
    await start(async (operation) => {
      if (operation.operation === 'remove') await gateOpen.promise;
      return permitAll(operation);
    });
    const removed = ask(request.remove('notes'));
    const gone = ask(request.stat('notes'));
    gateOpen.resolve();
    expect([(await removed).code, (await gone).code]).toEqual([0, 2]);
  });
});

describeServer('links', () => {
  test('a link inside that leads out is judged as what it leads to', async () => {
    await symlink(join(secret, 'shadow'), join(home, 'innocent'));
    await symlink(secret, join(home, 'folder'));
    await start();
    for (const path of ['innocent', 'folder/shadow', 'folder/new', './folder/../folder/shadow']) {
      expect(await codeOf(request.open(path, bits.read | bits.write | bits.create))).toBe(3);
      expect(last().resolved.startsWith(`${secret}/`)).toBe(true);
    }
    expect(await codeOf(request.stat('innocent'))).toBe(3);
    expect(await codeOf(request.setstat('innocent', permissions(0o777)))).toBe(3);
    expect(await codeOf(request.opendir('folder'))).toBe(3);
    expect(await codeOf(request.remove('folder/shadow'))).toBe(3);
    expect(await codeOf(request.rename('notes', 'folder/notes'))).toBe(3);
    expect(await codeOf(request.mkdir('folder/new'))).toBe(3);
    expect(await codeOf(request.extended('hardlink@openssh.com', str('folder/shadow'), str('mine')))).toBe(3);
    expect(existsSync(join(home, 'mine'))).toBe(false);
  });

  test('a dangling link is judged as what it would create', async () => {
    await symlink(join(secret, 'planted'), join(home, 'dangling'));
    await start();
    expect(await codeOf(request.open('dangling', bits.write | bits.create))).toBe(3);
    expect(last().resolved).toBe(join(secret, 'planted'));
    expect(existsSync(join(secret, 'planted'))).toBe(false);
    // It does not follow: the name is taken.
    expect(await codeOf(request.open('dangling', bits.write | bits.create | bits.exclusive))).toBe(4);
    expect(last().resolved).toBe(join(home, 'dangling'));
  });

  test('what acts on a link itself is judged by where the link is', async () => {
    await symlink(join(secret, 'shadow'), join(home, 'innocent'));
    await start();
    expect((await ask(request.lstat('innocent'))).type).toBe(105);
    expect((await ask(request.readlink('innocent'))).names).toEqual([join(secret, 'shadow')]);
    expect(await codeOf(request.extended('lsetstat@openssh.com', str('innocent'), u32(0)))).toBe(0);
    expect(await codeOf(request.rename('innocent', 'moved'))).toBe(0);
    expect(await codeOf(request.remove('moved'))).toBe(0);
    expect(judgedPaths().at(-1)).toEqual(['remove', join(home, 'moved'), join(home, 'moved')]);
    expect(await readFile(join(secret, 'shadow'), 'utf8')).toBe('root:x');
  });

  test('making one is judged with where it would lead', async () => {
    await mkdir(join(home, 'sub'));
    await start();
    for (const target of [join(secret, 'shadow'), '../secret', 'sub/../../secret/none', '/']) {
      expect(await codeOf(request.symlink(target, 'link'))).toBe(3);
      expect(last().targetResolved.startsWith(home)).toBe(false);
    }
    expect(await codeOf(request.symlink('x/../../notes', 'sub/link'))).toBe(0);
    expect(last()).toMatchObject({ path: join(home, 'sub/link'), target: join(home, 'notes') });
    expect(await readlink(join(home, 'sub/link'))).toBe('../notes');
    expect((await ask(request.stat('sub/link'))).type).toBe(105);
  });

  test('one that was just made is seen by what comes behind it in the same breath', async () => {
    await start((operation) => (operation.operation === 'symlink' ? permitAll(operation) : homeOnly(operation)));
    const answers = await Promise.all([
      ask(request.symlink(secret, 'way')),
      ask(request.open('way/shadow', bits.read)),
      ask(request.rename('way', 'other')),
      ask(request.open('other/shadow', bits.read)),
    ]);
    expect(answers.map(({ code }) => code)).toEqual([0, 3, 0, 3]);
  });

  test('a loop leads nowhere and is refused', async () => {
    await symlink('loop', join(home, 'loop'));
    await start(permitAll);
    expect(await codeOf(request.open('loop', bits.read))).toBe(3);
    expect(last().fault?.code).toBe('operation_incomplete');
    expect((await ask(request.lstat('loop'))).type).toBe(105);
    expect(await codeOf(request.remove('loop'))).toBe(0);
  });

  test('a trailing slash asks about the folder behind a link', async () => {
    await mkdir(join(home, 'real'));
    await symlink('real', join(home, 'link'));
    await start();
    expect((await ask(request.lstat('link/'))).body.readUInt32BE(0) & 4).toBe(4);
    expect(last().resolved).toBe(join(home, 'real'));
    await ask(request.lstat('link'));
    expect(last().resolved).toBe(join(home, 'link'));
  });
});

describeServer('what does not exist', () => {
  test('is judged where it would be, and the host says that it is not there', async () => {
    await start();
    expect(await codeOf(request.open('none', bits.read))).toBe(2);
    expect(await codeOf(request.open('none/at/all', bits.read))).toBe(2);
    expect(last().resolved).toBe(join(home, 'none/at/all'));
    expect(await codeOf(request.open('notes/below', bits.read))).toBe(2);
    expect(await codeOf(request.mkdir('none/new'))).toBe(2);
    expect(await codeOf(request.open('../secret/none/at/all', bits.read))).toBe(3);
    expect(await codeOf(request.realpath('none/at/all'))).toBe(2);
  });

  test('in very many folders is not looked for one by one', async () => {
    await start();
    expect(await codeOf(request.open('none/'.repeat(40), bits.read))).toBe(3);
    expect(last().fault?.code).toBe('operation_incomplete');
  });
});

describeServer('every kind of request', () => {
  test('does what it is for', async () => {
    await start();
    expect(await codeOf(request.mkdir('folder'))).toBe(0);
    expect(await codeOf(request.setstat('notes', size(4)))).toBe(0);
    expect(last().details).toEqual(['size']);
    expect((await stat(join(home, 'notes'))).size).toBe(4);
    expect(await codeOf(request.rename('notes', 'folder/notes'))).toBe(0);
    expect(last()).toMatchObject({ operation: 'rename', targetResolved: join(home, 'folder/notes') });
    expect(await codeOf(request.extended('posix-rename@openssh.com', str('folder/notes'), str('notes')))).toBe(0);
    expect(await codeOf(request.extended('hardlink@openssh.com', str('notes'), str('folder/twin')))).toBe(0);
    expect((await ask(request.extended('statvfs@openssh.com', str('.')))).type).toBe(201);
    expect((await ask(request.realpath('.'))).names).toEqual([home]);
    expect((await ask(request.extended('expand-path@openssh.com', str('folder/../notes')))).names).toEqual([
      join(home, 'notes'),
    ]);
    expect((await ask(request.extended('limits@openssh.com'))).body.readBigUInt64BE(24)).toBeLessThanOrEqual(1_024n);

    const folder = (await ask(request.opendir('folder'))).content;
    expect((await ask(request.readdir(folder))).names).toEqual(expect.arrayContaining(['.', '..', 'twin']));
    expect(await codeOf(request.readdir(folder))).toBe(1);
    expect(await codeOf(request.close(folder))).toBe(0);

    const handle = await open('notes', bits.read | bits.write);
    expect((await ask(request.fstat(handle))).type).toBe(105);
    expect((await ask(request.extended('fstatvfs@openssh.com', str(handle)))).type).toBe(201);
    expect(await codeOf(request.extended('fsync@openssh.com', str(handle)))).toBe(0);
    expect(await codeOf(request.fsetstat(handle, permissions(0o600)))).toBe(0);
    expect(last()).toMatchObject({ operation: 'set_attributes', path: join(home, 'notes'), details: ['permissions'] });
    const copy = await open('copy', bits.write | bits.create);
    const copied = request.extended('copy-data', str(handle), u64(0), u64(0), str(copy), u64(0));
    expect(await codeOf(copied)).toBe(0);
    expect(last()).toMatchObject({ operation: 'extended', path: join(home, 'notes'), target: join(home, 'copy') });
    await ask(request.close(copy));
    await ask(request.close(handle));
    expect(await readFile(join(home, 'copy'), 'utf8')).toBe('some');
    expect(host.gated.transfers.at(0)).toMatchObject({ sequential: false });

    expect(await codeOf(request.remove('folder/twin'))).toBe(0);
    expect(await codeOf(request.rmdir('folder'))).toBe(0);
    expect(existsSync(join(home, 'folder'))).toBe(false);
    expect((await lstat(join(home, 'notes'))).mode & 0o777).toBe(0o600);
    expect(host.gated.fault).toBeUndefined();
    // Each permit but those of the session has come to its end.
    expect(host.gated.permits.filter(({ open: still }) => still)).toEqual([]);
  });

  test('a tilde is expanded by the extension for it alone', async () => {
    await start(permitAll);
    const { names } = await ask(request.extended('expand-path@openssh.com', str('~')));
    expect(last()).toMatchObject({ operation: 'real_path', path: names[0], resolved: names[0] });
    const of = await ask(request.extended('home-directory', str('root')));
    expect(last()).toMatchObject({ operation: 'real_path', resolved: of.names[0], details: ['home-directory'] });
    expect(await codeOf(request.stat('~'))).toBe(2);
    expect(last().path).toBe(join(home, '~'));
  });

  test('changing what is open needs a permit of its own', async () => {
    await start((operation) =>
      operation.operation === 'open' ? permitAll(operation) : { refusal: 'read_only: Only reading.' },
    );
    const handle = await open('notes', bits.read);
    expect(await codeOf(request.fsetstat(handle, permissions(0o777)))).toBe(3);
    expect((await stat(join(home, 'notes'))).mode & 0o077).not.toBe(0o077);
  });
});

describeServer('handles', () => {
  test('belong to who opened them, for what they were opened', async () => {
    await start();
    const forged = Buffer.from([0, 0, 0, 0]);
    expect(await codeOf(request.read(forged, 0, 10))).toBe(5);
    expect(await codeOf(request.write(forged, 0, 'x'.repeat(1_000)))).toBe(5);
    expect(await codeOf(request.close(forged))).toBe(5);
    const reading = await open('notes', bits.read);
    expect(await codeOf(request.write(reading, 0, 'x'))).toBe(5);
    expect(await codeOf(request.readdir(reading))).toBe(5);
    const folder = (await ask(request.opendir('.'))).content;
    expect(await codeOf(request.read(folder, 0, 10))).toBe(5);
    expect(await codeOf(request.close(reading))).toBe(0);
    expect(await codeOf(request.close(reading))).toBe(5);
    expect(await codeOf(request.read(reading, 0, 10))).toBe(5);
    expect(host.gated.judged.filter(({ fault }) => fault !== undefined).map(({ fault }) => fault?.code)).toEqual(
      Array(8).fill('operation_malformed'),
    );
    expect(await readFile(join(home, 'notes'), 'utf8')).toBe('some notes');
  });

  test('a WRITE that is sent before its OPEN was answered is refused', async () => {
    await start();
    const opened = host.client.answer(1);
    const wrote = host.client.answer(2);
    await host.client.send(
      Buffer.concat([
        withId(1, request.open('up', bits.write | bits.create)),
        withId(2, request.write(Buffer.from([0, 0, 0, 0]), 0, 'guessed')),
      ]),
    );
    expect([(await opened).type, (await wrote).code]).toEqual([102, 5]);
    expect(await readFile(join(home, 'up'), 'utf8')).toBe('');
  });

  test('a refused open leaves none', async () => {
    await start();
    expect(await codeOf(request.open('../secret/shadow', bits.read))).toBe(3);
    for (let guess = 0; guess < 4; guess++)
      expect(await codeOf(request.read(Buffer.from([0, 0, 0, guess]), 0, 10))).toBe(5);
  });

  test('are bounded', async () => {
    await start(homeOnly, { limits: { sftpHandlesMax: 2 } });
    const first = await open('notes', bits.read);
    await open('notes', bits.read);
    expect(await codeOf(request.open('notes', bits.read))).toBe(4);
    expect(last().fault?.code).toBe('limit_reached');
    await ask(request.close(first));
    await open('notes', bits.read);
  });

  test('whose permit was ended serve for nothing but being closed', async () => {
    await start();
    const handle = await open('notes', bits.read | bits.write);
    host.gated.permits[0]?.complete({ status: 'aborted' });
    expect(await codeOf(request.read(handle, 0, 10))).toBe(3);
    expect(await codeOf(request.write(handle, 0, 'x'))).toBe(3);
    expect(await codeOf(request.close(handle))).toBe(0);
    expect(await readFile(join(home, 'notes'), 'utf8')).toBe('some notes');
  });
});
