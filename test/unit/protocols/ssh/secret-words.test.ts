import { describe, expect, test } from '@jest/globals';
import { redactCommand } from '../../../../proxy/protocols/ssh/redact.ts';
import { hideSecretWords } from '../../../../proxy/protocols/ssh/secret-words.ts';

describe('a word that an option makes a secret is hidden', () => {
  test.each([
    ["mysql -phunter2 -e 'select 1'", "mysql -p*** -e 'select 1'"],
    ["/usr/bin/mysqldump -u root -p'hunter 2' shop", '/usr/bin/mysqldump -u root -p*** shop'],
    ['sudo sshpass -p hunter2 ssh db', 'sudo sshpass -p *** ssh db'],
    ['sshpass -phunter2 ssh db', 'sshpass -p*** ssh db'],
    ['curl -u me:hunter2 https://a', 'curl -u *** https://a'],
    ['curl --user "me:hunter 2" https://a', 'curl --user *** https://a'],
    ['redis-cli -a hunter2 ping', 'redis-cli -a *** ping'],
    ['docker login --password hunter2 registry', 'docker login --password *** registry'],
    ['deploy --api-key hunter2; vault --client-secret hunter2', 'deploy --api-key ***; vault --client-secret ***'],
    ["openssl enc -k 'hunter2' -in a", 'openssl enc -k *** -in a'],
    ["mysql -p'hunter2", 'mysql -p***'],
  ])('%s', (command, redacted) => {
    expect(hideSecretWords(command, '***')).toBe(redacted);
    expect(redactCommand(command)).not.toContain('hunter');
  });
});

test.each([
  'mkdir -p a/b',
  'ssh -p22 host',
  'mysql -p; mkdir -pv a',
  'curl https://a; id -u root',
  'docker login --password-stdin registry',
  "printf '%s\\n' 'a  b' \"c\\\"d\" | grep -a x",
])('what is no secret stays as it is: %s', (command) => {
  expect(hideSecretWords(command, '***')).toBe(command);
});

test('takes time that grows with the length, whatever is written', () => {
  for (const text of [
    'mysql -a ',
    'curl zip -x ',
    "'",
    '"',
    '\\',
    "-p'",
    'mysql ',
    'sshpass -p',
    '";',
    '--a-',
    '-a_',
  ]) {
    expect(hideSecretWords(text.repeat(100_000 / text.length), '***').length).toBeGreaterThan(0);
  }
});
