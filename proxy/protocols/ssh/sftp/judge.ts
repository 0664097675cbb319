import type { Fault } from '../../../core/types.ts';
import { packet, string } from './bytes.ts';
import { type Conversation, Ended } from './conversation.ts';
import { OpenFile } from './open-files.ts';
import { bareOperation, directionOf, type OperationPermit, type SftpOperation, type SftpVerdict } from './operation.ts';
import { packetTypes, statusCodes } from './packet-types.ts';
import { canonicalPath, canonicalTarget, isCanonical, parentOf } from './paths.ts';
import { clampedLimits, initPacket, pathOf, readdressed, statusOf, visibleVersion } from './replies.ts';
import { encodeRequest, type Replacement, type Request, type SftpOperationName } from './requests.ts';
import { entryOf, followed, type HostPaths } from './resolve.ts';

/**
 * Everything that has to wait: the handshake, and each operation with a path. One at a time, from asking the host where
 * its paths lead, through the verdict, to its bytes being forwarded; the client is not read meanwhile, so that between
 * the question and the act this client can change nothing.
 */
export class Judge<P extends OperationPermit> {
  readonly #talk: Conversation<P>;
  readonly #host: HostPaths;

  constructor(talk: Conversation<P>) {
    this.#talk = talk;
    this.#host = {
      realPath: async (path) => {
        const answer = await this.#realPath(path);
        const status = statusOf(answer) ?? statusCodes.failure;
        return status === statusCodes.ok ? (pathOf(answer) ?? statusCodes.failure) : status;
      },
      entry: async (path) => {
        const { attributes, lstat } = packetTypes;
        const answer = await talk.ask(attributes, (id) => packet(lstat, id, string(path)));
        return statusOf(answer) ?? statusCodes.failure;
      },
    };
  }

  /** INIT: agrees on version 3 with both sides, and learns where relative paths begin. */
  begin(): void {
    this.#run(async () => {
      const talk = this.#talk;
      let version: Buffer | undefined;
      talk.version = (whole) => {
        talk.version = undefined;
        version = visibleVersion(whole);
        if (version === undefined) talk.fail('operation_unsupported', 'The host does not speak version 3 of SFTP.');
        talk.wake();
      };
      talk.parts.toHost.insert(talk.parts.permit, initPacket());
      talk.flush();
      await talk.until(() => version !== undefined, talk.parts.limits.sftpAnswerTimeoutMs);
      const home = pathOf(await this.#realPath('.'));
      if (home === undefined || !isCanonical(home)) {
        talk.fail('upstream_unavailable', 'The host does not say where its paths begin.');
        return;
      }
      talk.home = home;
      if (version !== undefined) talk.reply(version);
    });
  }

  /** A request that is refused whatever policy says: it is audited, and the client is told. */
  refuse(id: number, operation: SftpOperation, code: number): void {
    this.#run(async () => {
      const verdict = await this.#talk.parts.authorize(operation);
      if ('refusal' in verdict) this.#talk.refuse(id, verdict.refusal, code);
      else {
        verdict.permit.complete({ status: 'aborted' });
        this.#talk.refuse(id, operation.fault?.message ?? '', code);
      }
    });
  }

  /**
   * What names no file: the bounds of the host, and the names of users by their numbers, which a listing shows as well.
   * Needs no verdict of its own.
   */
  lookUp(request: Request): void {
    const { parts } = this.#talk;
    this.#run(async () => {
      const answer = await this.#talk.ask(request.shape.reply, (id) => encodeRequest(request, id, asWritten));
      const shown =
        request.shape.extension === 'limits@openssh.com'
          ? clampedLimits(answer, parts.limits.sftpPacketBytesMax, parts.limits.sftpHandlesMax)
          : answer;
      this.#talk.reply(readdressed(shown, request.id));
    });
  }

  /** Resolves, judges and forwards (or refuses) a request. */
  judge(request: JudgedRequest): void {
    this.#run(async () => {
      const { paths, id } = request;
      await this.#talk.until(() => this.#talk.settled);
      if (request.operation === 'real_path') await this.#judgeRealPath(request);
      else if (paths.includes('') || (request.operation === 'symlink' && request.target === '')) {
        // As every host answers: nothing has an empty name.
        this.#talk.refuse(id, 'A path is empty.', statusCodes.noSuchFile);
      } else if (request.handles.length > 0) await this.#judgeHandle(request);
      else await this.#judgePaths(request);
    });
  }

  // --- operations on paths ---------------------------------------------------------------------------------

  async #judgePaths(request: JudgedRequest): Promise<void> {
    const talk = this.#talk;
    const { shape, id, flags } = request;
    const opens = shape.reply === packetTypes.handle;
    if (opens && talk.files.size + talk.opening >= talk.parts.limits.sftpHandlesMax) {
      const fault: Fault = { code: 'limit_reached', message: 'This client has too many handles open.' };
      const operation = bareOperation(request.operation, { flags, fault });
      await this.#permitted(id, operation);
      return;
    }
    const { operation, replacement } = await this.#resolved(request);
    const verdict = await this.#permitted(id, operation);
    if (verdict === undefined) return;
    const { permit, cap } = verdict;
    const { reply, changes } = shape;
    const common = { id, permit, reply, changes } as const;
    if (opens) talk.opening++;
    const { path, resolved } = operation;
    const folder = request.operation === 'list';
    const opened = () => new OpenFile({ permit, path, resolved, folder, flags, cap });
    const hostId = talk.expect(opens ? { kind: 'open', opened, ...common } : { kind: 'once', ...common });
    talk.parts.toHost.insert(permit, encodeRequest(request, hostId, replacement));
  }

  /** The operation with its paths as they are on the host, and what is put in their place in the request. */
  async #resolved(request: JudgedRequest): Promise<{ operation: SftpOperation; replacement: Replacement }> {
    const { home, parts } = this.#talk;
    const depth = parts.limits.sftpMissingFoldersMax;
    const { shape, paths, flags, attributes, target } = request;
    const [first = '', second] = paths;
    const path = canonicalPath(first, home);
    // An exclusive OPEN does not follow a link, it finds its name taken. `link/` is the folder that the link leads to.
    const follows =
      (shape.follows && !(flags.includes('exclusive') && flags.includes('create'))) ||
      (shape.type === packetTypes.lstat && first.endsWith('/'));
    const resolved = await (follows ? followed : entryOf)(this.#host, path, depth);
    const setting =
      request.operation === 'set_attributes' ? attributes : attributes.filter((each) => each === 'set_id');
    let operation = bareOperation(request.operation, {
      path,
      resolved: resolved ?? '',
      flags,
      details: [...setting, ...(shape.extension === '' ? [] : [shape.extension])],
      direction: directionOf(flags),
      ...(resolved === undefined ? { fault: unresolvable } : {}),
    });
    let content = '';
    if (request.operation === 'symlink' && resolved !== undefined) {
      content = canonicalTarget(target);
      const seen = canonicalPath(content, parentOf(resolved));
      operation = withTarget(operation, seen, await followed(this.#host, seen, depth));
    } else if (second !== undefined) {
      const other = canonicalPath(second, home);
      operation = withTarget(operation, other, await entryOf(this.#host, other, depth));
    }
    return { operation, replacement: { paths: [operation.resolved, operation.targetResolved], target: content } };
  }

  /** REALPATH and its relatives. The answer that was judged is the one that the client gets. */
  async #judgeRealPath(request: JudgedRequest): Promise<void> {
    const talk = this.#talk;
    const { shape, paths, fields, id } = request;
    const [path = ''] = paths;
    const asItIs = shape.extension === 'home-directory' || (shape.extension !== '' && path.startsWith('~'));
    const canonical = canonicalPath(path, talk.home);
    const answer = asItIs
      ? await talk.ask(shape.reply, (own) => packet(shape.type, own, string(shape.extension), ...fields))
      : await this.#realPath(canonical);
    let resolved = pathOf(answer);
    if (resolved === undefined && !asItIs && statusOf(answer) === statusCodes.noSuchFile)
      resolved = await followed(this.#host, canonical, talk.parts.limits.sftpMissingFoldersMax);
    if (resolved !== undefined && !isCanonical(resolved)) resolved = undefined;
    const verdict = await this.#permitted(
      id,
      bareOperation('real_path', {
        path: asItIs ? (resolved ?? '') : canonical,
        resolved: resolved ?? '',
        details: shape.extension === '' ? [] : [shape.extension],
        ...(resolved === undefined ? { fault: unresolvable } : {}),
      }),
    );
    if (verdict === undefined) return;
    const status = statusOf(answer) ?? statusCodes.failure;
    verdict.permit.complete({ status: status === statusCodes.ok ? 'ok' : 'error', code: String(status) });
    talk.reply(readdressed(answer, id));
  }

  #realPath(path: string): Promise<Buffer> {
    return this.#talk.ask(packetTypes.name, (id) => packet(packetTypes.realpath, id, string(path)));
  }

  // --- operations on handles that the permit of their open does not cover ----------------------------------

  /** FSETSTAT: whoever may read a file may not therefore give it away. `copy-data`: content that does not come by. */
  async #judgeHandle(request: JudgedRequest): Promise<void> {
    const talk = this.#talk;
    const { shape, id, handles, attributes } = request;
    const [file, target] = handles.map((handle) => talk.files.get(handle));
    const copies = shape.extension !== '';
    const fits = copies ? file?.download !== undefined && target?.upload !== undefined : file !== undefined;
    const fault: Fault = { code: 'operation_malformed', message: 'This handle is not open, or not for that.' };
    const verdict = await this.#permitted(
      id,
      bareOperation(request.operation, {
        path: file?.path ?? '',
        resolved: file?.resolved ?? '',
        target: target?.path ?? '',
        targetResolved: target?.resolved ?? '',
        details: copies ? [shape.extension] : attributes,
        ...(fits ? {} : { fault }),
      }),
    );
    if (verdict === undefined) return;
    const { permit } = verdict;
    target?.upload?.disorder();
    const hostId = talk.expect({ kind: 'once', id, permit, reply: shape.reply, changes: shape.changes });
    talk.parts.toHost.insert(permit, encodeRequest(request, hostId, asWritten));
  }

  // --- verdicts --------------------------------------------------------------------------------------------

  /** The verdict when it is a permit; otherwise the client is told, and nothing remains to be done. */
  async #permitted(id: number, operation: SftpOperation): Promise<Extract<SftpVerdict<P>, { permit: P }> | undefined> {
    const talk = this.#talk;
    const { fault } = operation;
    const verdict = await talk.parts.authorize(operation);
    const code = fault === undefined ? statusCodes.permissionDenied : refusalStatus(fault);
    if ('refusal' in verdict) {
      talk.refuse(id, verdict.refusal, code);
      return undefined;
    }
    if (!talk.closed && fault === undefined && verdict.permit.open) return verdict;
    verdict.permit.complete({ status: 'aborted' });
    if (!talk.closed) talk.refuse(id, fault?.message ?? 'The operation was ended.', code);
    return undefined;
  }

  #run(work: () => Promise<void>): void {
    const talk = this.#talk;
    talk.judging = work()
      .catch((error: unknown) => {
        // The message of an unforeseen error may quote anything: it is not passed on.
        if (!(error instanceof Ended)) talk.fail('internal_error', 'The gateway failed while judging a request.');
      })
      .then(() => {
        talk.judging = undefined;
        if (!talk.closed) talk.flush();
        talk.wake();
      });
  }
}

/** A request that needs a verdict of its own. */
export type JudgedRequest = Request & { readonly operation: SftpOperationName };

/** The code of the STATUS that a fault is answered with. */
export function refusalStatus({ code }: Fault): number {
  switch (code) {
    case 'operation_unsupported':
      return statusCodes.unsupported;
    case 'operation_malformed':
    case 'operation_too_large':
      return statusCodes.badMessage;
    case 'limit_reached':
      return statusCodes.failure;
    default:
      return statusCodes.permissionDenied;
  }
}

const unresolvable: Fault = { code: 'operation_incomplete', message: 'The host could not say where this path leads.' };
/** For requests without paths. */
const asWritten: Replacement = { paths: [], target: '' };

function withTarget(operation: SftpOperation, target: string, targetResolved: string | undefined): SftpOperation {
  const known = { ...operation, target, targetResolved: targetResolved ?? '' };
  return targetResolved === undefined ? { ...known, fault: unresolvable } : known;
}
