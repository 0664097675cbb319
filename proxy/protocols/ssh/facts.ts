/** The facts of SSH operations for policy, and how their decisions are carried out. Pure. */
import { upstreamLabels } from '../../core/documents.ts';
import { compiledMasks } from '../../core/masker/compiled.ts';
import type { Masker } from '../../core/masker.ts';
import type { Decision, Fault, Json, JsonObject, OperationFacts } from '../../core/types.ts';
import { type OperationPlan, planOf } from './plan.ts';
import { redactCommand } from './redact.ts';
import type { SftpOperation } from './sftp/operation.ts';
import type { Destination, ShellClassification, ShellCommand, Transfer } from './shell/index.ts';
import type { SshTarget } from './target.ts';

/** Where an operation would run, as policy sees it. */
export interface Place {
  readonly target: SshTarget;
  /** The login shell, once it was looked at: a shell that reads commands as they were judged, or not known to be one. */
  readonly shell: 'bash' | 'sh' | 'unverified';
  /** `data.config` as active. */
  readonly config: JsonObject;
  readonly masker: Masker;
  /** The upstream that is known by this name or address. */
  readonly upstreamAt: (host: string, port: number) => string | undefined;
}

/** A command, classified. */
export interface CommandOperation {
  readonly name: 'exec' | 'shell';
  readonly text: string;
  readonly classification: ShellClassification;
  readonly pty: boolean;
  /** Names of the variables that the client sets and that are handed on. */
  readonly environment: readonly string[];
}

/** The facts of a command, or of a shell (with nothing in it yet). */
export function commandFacts(operation: CommandOperation, place: Place): OperationFacts<OperationPlan> {
  const { classification, text } = operation;
  const { transfer } = classification;
  return {
    action: {
      name: operation.name,
      properties: {
        protocol: 'ssh',
        text: redactCommand(text),
        commands: classification.commands.map(commandDocument),
        destinations: classification.destinations.map((destination) => destinationDocument(destination, place)),
        pty: operation.pty,
        environment: operation.environment,
        incomplete: classification.incomplete,
        ...(transfer && { transfer: transferDocument(transfer) }),
      },
    },
    resource: hostResource(place),
    complete: classification.incomplete.length === 0,
    enforce: (decision) => planOf(decision, transfer === undefined ? 'text' : 'file', place.masker),
    describe: (decision) => ({
      text: redactCommand(text, masksOf(decision, place.masker)),
      text_hash: place.masker.keyedHash(text),
      commands: [...new Set(classification.commands.map(({ name }) => name))],
      ...(classification.destinations.length > 0 && {
        destinations: classification.destinations.map(({ host, port, via }) => ({ host, port, via })),
      }),
      ...(operation.pty && { pty: true }),
      ...(transfer && { transfer: transferDocument(transfer) }),
      ...(classification.incomplete.length > 0 && { incomplete: classification.incomplete }),
    }),
  };
}

/** The facts of something the gateway refuses whatever policy says. Its text is kept as a keyed hash only. */
export function faultFacts(
  about: { readonly action: string; readonly text: string; readonly fault: Fault },
  place: Place,
): OperationFacts<OperationPlan> {
  return {
    action: { name: about.action, properties: { protocol: 'ssh' } },
    resource: hostResource(place),
    complete: false,
    fault: about.fault,
    enforce: () => ({ fault: about.fault }),
    describe: () => ({ text_hash: place.masker.keyedHash(about.text), bytes: Buffer.byteLength(about.text) }),
  };
}

/** The facts of a file operation. */
export function fileFacts(operation: SftpOperation, place: Place): OperationFacts<OperationPlan> {
  const { path, resolved, target, targetResolved, flags, details, direction, fault } = operation;
  const sftp: JsonObject = {
    operation: operation.operation,
    ...{ path, resolved, flags, details, direction },
    ...(target !== '' && { target, target_resolved: targetResolved }),
  };
  return {
    action: { name: 'sftp', properties: { protocol: 'ssh', sftp, incomplete: [] } },
    resource: hostResource(place),
    complete: true,
    fault,
    enforce: (decision) => planOf(decision, 'file', place.masker),
    describe: () => ({ sftp }),
  };
}

/** A port, socket, agent or display that would be forwarded. */
export interface ForwardOperation {
  readonly kind: 'direct' | 'remote' | 'streamlocal' | 'remote_streamlocal' | 'agent' | 'x11';
  /** Where it listens, for the kinds that do. */
  readonly listen?: { readonly host: string; readonly port: number } | undefined;
  /** Where it leads: a host and port, or a socket's path as host with port 0. */
  readonly destination?: { readonly host: string; readonly port: number } | undefined;
}

/**
 * The facts of a forward. Agents and displays lead back to the client, and nothing says who connects to a socket at the
 * host: no policy can allow them.
 */
export function forwardFacts(operation: ForwardOperation, place: Place): OperationFacts<OperationPlan> {
  const { kind, listen, destination } = operation;
  const destinations = destination === undefined ? [] : [{ ...destination, via: kind, dynamic: false }];
  const forward = { kind, listen_host: listen?.host ?? '', listen_port: listen?.port ?? 0 };
  const fault: Fault | undefined =
    kind === 'agent' || kind === 'x11' || kind === 'remote_streamlocal'
      ? { code: 'operation_unsupported', message: 'Agents, displays and sockets of the host are never forwarded.' }
      : undefined;
  return {
    action: {
      name: 'forward',
      properties: {
        protocol: 'ssh',
        forward,
        destinations: destinations.map((one) => destinationDocument(one, place)),
        incomplete: [],
      },
    },
    resource: hostResource(place),
    complete: true,
    fault,
    enforce: (decision) => planOf(decision, 'file', place.masker),
    describe: () => ({ forward, ...(destination && { destination }) }),
  };
}

/** The facts of the gateway's own question to a login shell. Its text is a constant. */
export function probeFacts(text: string, place: Place): OperationFacts<undefined> {
  return {
    action: { name: 'exec', properties: { protocol: 'ssh', text, probe: true, commands: [], incomplete: [] } },
    resource: hostResource(place),
    complete: true,
    enforce: () => ({ plan: undefined }),
    describe: () => ({ purpose: 'login_shell' }),
  };
}

function hostResource({ target, shell, config }: Place): OperationFacts['resource'] {
  const { upstream, login } = target;
  return {
    type: 'host',
    id: `${upstream.name}/${login}`,
    properties: {
      upstream: upstream.name,
      host: upstream.host,
      login,
      labels: upstreamLabels(config, upstream.name),
      shell,
    },
  };
}

function commandDocument(command: ShellCommand): Json {
  const { name, path, argv, dynamic, assigned, wrappers, runAs, subcommands, known } = command;
  return {
    name,
    path,
    argv,
    dynamic,
    assigned,
    redirects: command.redirects.map(({ fd, op, target }) => ({ fd, op, target })),
    wrappers,
    run_as: runAs ?? null,
    subcommands,
    files: command.files.map((file) => ({ path: file.path, access: file.access })),
    known,
  };
}

function destinationDocument({ host, port, via, dynamic }: Destination, place: Place): Json {
  return { host, port, via, dynamic, upstream: dynamic ? '' : (place.upstreamAt(host, port) ?? '') };
}

function transferDocument({ protocol, direction, paths }: Transfer): JsonObject {
  return { protocol, direction, paths };
}

function masksOf(decision: Decision | undefined, masker: Masker) {
  return decision === undefined ? undefined : compiledMasks(decision.masks.text, masker);
}
