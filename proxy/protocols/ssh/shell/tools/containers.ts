/** docker and kubectl: what only shows something, and the command inside a container. */
import type { ToolSpec } from './spec.ts';

const dockerShow: ToolSpec = {
  flags:
    '-a -q -s -l -n --all --quiet --no-trunc --size --latest --digests --no-stream --details --verbose -t -f --timestamps --follow',
  values: { '--filter --format --since --until --tail -n': 'text' },
  operands: 'text...',
};
const dockerChange: ToolSpec = {
  flags: '-f -v --force --volumes',
  values: { '-t -s --time --signal': 'text' },
  operands: 'text...',
};
const dockerList: Readonly<Record<string, ToolSpec>> = { ls: dockerShow, list: dockerShow, inspect: dockerShow };
const docker: ToolSpec = {
  flags: '',
  subcommands: {
    ps: dockerShow,
    images: dockerShow,
    logs: { ...dockerShow, values: { '--since --until --tail -n': 'text' } },
    inspect: { ...dockerShow, values: { '-f --format --type': 'text' }, flags: '-s --size' },
    stats: dockerShow,
    top: { operands: 'text...', optionsFirst: true },
    port: dockerShow,
    version: { values: { '-f --format': 'text' } },
    info: { values: { '-f --format': 'text' } },
    diff: dockerShow,
    events: { values: { '--since --until --filter -f --format': 'text' } },
    history: dockerShow,
    container: {
      subcommands: { ...dockerList, logs: { ...dockerShow, values: { '--since --until --tail -n': 'text' } } },
    },
    image: { subcommands: dockerList },
    volume: { subcommands: dockerList },
    network: { subcommands: dockerList },
    system: { subcommands: { df: { flags: '-v' }, info: {} } },
    start: dockerChange,
    stop: dockerChange,
    restart: dockerChange,
    kill: dockerChange,
    pause: dockerChange,
    unpause: dockerChange,
    rm: dockerChange,
    rmi: dockerChange,
    exec: {
      flags: '-i -t -d --interactive --tty --detach',
      values: { '-u --user': 'user', '-w --workdir': 'text' },
      operands: 'text command',
      optionsFirst: true,
      elsewhere: true,
    },
  },
};

const kubectlSelect: ToolSpec = {
  flags:
    '-A -w --all-namespaces --watch --show-labels --no-headers --all-containers --previous -p --follow -f --timestamps --show-events --ignore-not-found --prefix',
  values: {
    '-n --namespace -l --selector -o --output -c --container --field-selector --sort-by --tail --since --since-time --limit-bytes --chunk-size':
      'text',
    '-L --label-columns': 'text',
  },
  operands: 'text...',
};
const kubectlFiles: ToolSpec = { ...kubectlSelect, flags: (kubectlSelect.flags ?? '').replace(/ -f /, ' ') };

/** The table of this file. */
export const containerTools: Readonly<Record<string, ToolSpec>> = {
  docker: { ...docker, parser: 'docker' },
  podman: { ...docker, parser: 'docker' },
  'docker-compose': { incomplete: 'runs_code', operands: 'text...', parser: 'words' },
  kubectl: {
    values: {
      '-n --namespace --request-timeout': 'text',
      '-s --server': 'url',
      '--context --cluster --kubeconfig --user': 'text',
    },
    flags: '',
    parser: 'kubectl',
    subcommands: {
      get: kubectlFiles,
      describe: kubectlFiles,
      logs: kubectlSelect,
      top: {
        ...kubectlFiles,
        subcommands: { pod: kubectlFiles, pods: kubectlFiles, node: kubectlFiles, nodes: kubectlFiles },
      },
      version: { flags: '--client', values: { '-o --output': 'text' } },
      'cluster-info': {},
      'api-resources': { flags: '--namespaced', values: { '-o --output': 'text' } },
      'api-versions': {},
      explain: { flags: '--recursive', operands: 'text' },
      events: kubectlFiles,
      rollout: {
        subcommands: {
          status: kubectlFiles,
          history: kubectlFiles,
          restart: kubectlFiles,
          undo: kubectlFiles,
          pause: kubectlFiles,
          resume: kubectlFiles,
        },
      },
      auth: { subcommands: { 'can-i': { ...kubectlFiles, flags: `${kubectlFiles.flags} --list` }, whoami: {} } },
      config: { subcommands: { 'current-context': {}, 'get-contexts': { operands: 'text...' } } },
      delete: {
        ...kubectlFiles,
        flags: `${kubectlFiles.flags} --all --force --now --wait`,
        values: { ...kubectlFiles.values, '-f --filename': 'code', '--grace-period --timeout --wait': 'text' },
      },
      scale: { ...kubectlFiles, values: { ...kubectlFiles.values, '--replicas --current-replicas': 'text' } },
      cordon: kubectlFiles,
      uncordon: kubectlFiles,
      drain: { ...kubectlFiles, flags: `${kubectlFiles.flags} --ignore-daemonsets --delete-emptydir-data --force` },
      exec: {
        flags: '-i -t --stdin --tty',
        values: { '-n --namespace -c --container': 'text' },
        operands: 'text command',
        optionsFirst: true,
        elsewhere: true,
        parser: 'kubectl_exec',
      },
    },
  },
};
