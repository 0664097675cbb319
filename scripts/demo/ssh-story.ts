/** The SSH chapter: what an agent tries at a host, and what each attempt must show. Data only; `ssh-chapter.ts` tells it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** One command line. */
export interface SshStep {
  readonly title: string;
  /** One sentence on why it goes the way it goes. */
  readonly why: string;
  /** It is run as it stands here. */
  readonly line: string;
  readonly expect: Ran | Refused;
  /** What is wrong at the host afterwards, or nothing. */
  after?(home: string): string | undefined;
}

/** It ends with 0. */
interface Ran {
  /** Parts of what it prints. */
  readonly prints: readonly string[];
  /** How many values of that are masked. */
  readonly masked: number;
}

/** It is refused. */
interface Refused {
  /** Among the reasons of the trail. */
  readonly code: string;
  /** ssh ends with 126; scp, which gets a status for a file, with what it likes. */
  readonly exit: 126 | 'not 0';
}

const refused = (code: string): Refused => ({ code, exit: 126 });
const absent = (name: string) => (home: string) =>
  existsSync(join(home, name)) ? `${name} is there, although it was refused` : undefined;
const present = (name: string) => (home: string) => (existsSync(join(home, name)) ? undefined : `${name} is not there`);

/**
 * In the order they are told. What is to be refused is harmless should it ever not be.
 *
 * @param config - has the Host entries
 * @param file - one to copy
 */
export function sshStory(config: string, file: string): readonly SshStep[] {
  const ssh = `ssh -F ${config} web1.sallyport`;
  const scp = `scp -q -F ${config}`;
  return [
    {
      title: 'Reading a log, masked',
      why: 'Secrets are masked in what commands print, personal data too where the host is labelled pii.',
      line: `${ssh} 'tail -n 3 app/app.log'`,
      expect: { prints: ['order 1042 is paid', '[redacted]'], masked: 3 },
    },
    {
      title: 'Becoming root',
      why: 'A refusal is an answer: text on standard error, and exit status 126.',
      line: `${ssh} 'sudo systemctl restart app'`,
      expect: refused('run_as_other'),
    },
    {
      title: 'Reading a private key',
      why: 'What may hold credentials is out of reach, whatever reads it.',
      line: `${ssh} 'cat ~/.ssh/id_ed25519'`,
      expect: refused('credential_file'),
    },
    {
      title: 'Becoming root, spelled in another way',
      why: 'Words are judged as the shell would resolve them, and the host gets what was judged.',
      line: `${ssh} "\\$'\\163u''do' id"`,
      expect: refused('run_as_other'),
    },
    {
      title: 'Reading the key by a name that nobody sees',
      why: 'What is known only when it runs cannot be accounted for, and is refused.',
      line: `${ssh} 'cat $(echo ${Buffer.from('.ssh/id_ed25519').toString('base64')} | base64 -d)'`,
      expect: refused('operation_incomplete'),
    },
    {
      title: 'Asking the cloud for the machine’s credentials',
      why: 'Where a command goes is judged like what it reads.',
      line: `${ssh} 'curl -s http://169.254.169.254/latest/meta-data/'`,
      expect: refused('cloud_metadata'),
    },
    {
      title: 'On to the next host',
      why: 'From a host an agent goes nowhere that is not declared.',
      line: `${ssh} 'ssh db1 id'`,
      expect: refused('destination_refused'),
    },
    {
      title: 'A script on standard input',
      why: 'It is read to its end and judged as a whole before its first line runs.',
      line: `${ssh} bash -s <<'EOF'
cd app || exit
cat release.txt
for level in INFO WARN; do
  echo "lines of $level:"
  grep -c "$level" app.log
done
EOF`,
      expect: { prints: ['shop 4.2.1', 'lines of INFO:\n3', 'lines of WARN:\n1'], masked: 0 },
    },
    {
      title: 'A script with one bad line',
      why: 'Nothing of it ran: the copy in its first line was not made.',
      line: `${ssh} bash -s <<'EOF'
cp app/app.log app/uploads/before.log
rm -r app
EOF`,
      expect: refused('path_refused'),
      after: absent('app/uploads/before.log'),
    },
    {
      title: 'Copying a file to the host',
      why: 'Each operation on a file is judged, here those that scp asks for over SFTP.',
      line: `${scp} ${file} web1.sallyport:app/uploads/note.txt`,
      expect: { prints: [], masked: 0 },
      after: present('app/uploads/note.txt'),
    },
    {
      title: 'Copying oneself a way in',
      why: 'authorized_keys is trusted later, so nobody but its owner writes it.',
      line: `${scp} ${file} web1.sallyport:.ssh/authorized_keys`,
      expect: { code: 'runs_later', exit: 'not 0' },
      after: absent('.ssh/authorized_keys'),
    },
  ];
}
