/**
 * Words of a command that are secrets because of the option they belong to, which no detector of texts can know. It looks
 * at the text, not at what a shell makes of it, so that it also works on what cannot be parsed. What it cannot see: a
 * secret that is piped in (`echo … | login`), that stands alone, or that belongs to an option of a program not named here.
 */

/** Options whose value is a secret, by program; as one word with it (`-psecret`) or before it. */
const options: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    sshpass: ['-p'],
    'redis-cli': ['-a'],
    curl: ['-u', '--user', '-U', '--proxy-user'],
    wget: ['-u'],
    docker: ['-p'],
    podman: ['-p'],
    mongo: ['-p'],
    mongosh: ['-p'],
    mongodump: ['-p'],
    mongorestore: ['-p'],
    ldapsearch: ['-w'],
    ldapmodify: ['-w'],
    ldapadd: ['-w'],
    ldappasswd: ['-w', '-s', '-a'],
    smbclient: ['-U'],
    sqlcmd: ['-P'],
    openssl: ['-k', '-K', '-passin', '-passout'],
    unzip: ['-P'],
    zip: ['-P'],
  }),
);

/** Programs whose `-p` is followed by a secret only as one word with it: alone it asks. */
const attachedOnly = /^(mysql\w*|mariadb[\w-]*|7z)$/;

/** Options that say what their value is, of whatever program. */
const telling = /^--?([a-z0-9]+[-_])*(password|passwd|passphrase|pass|secret|secret[-_]key|token|api[-_]?key|auth)$/i;

/** Words, with their quotes, and what ends a command; each character is looked at once. */
const pieces = /(?:'[^']*'?|"(?:[^"\\]|\\[\s\S])*"?|\\[\s\S]|[^\s;|&()<>'"\\])+|[;|&()\n]+/g;

/** The text with such words hidden. Linear in its length. */
export function hideSecretWords(text: string, hidden: string): string {
  let programs = new Set<string>();
  let isValue = false;
  return text.replace(pieces, (piece) => {
    if (/^[;|&()\n]/.test(piece)) {
      programs = new Set();
      isValue = false;
      return piece;
    }
    if (isValue) {
      isValue = false;
      return hidden;
    }
    const word = piece.replace(/['"\\]/g, '');
    const named = word.slice(word.lastIndexOf('/') + 1);
    if (options.has(named) || attachedOnly.test(named)) programs.add(named);
    if (!word.startsWith('-')) return piece;
    if ([...programs].some((program) => attachedOnly.test(program)) && /^-p./.test(word)) return `-p${hidden}`;
    const own = [...programs].flatMap((program) => (attachedOnly.test(program) ? [] : (options.get(program) ?? [])));
    isValue = own.includes(word) || telling.test(word);
    const attached = own.find((option) => word.startsWith(option) && !word.startsWith('--') && word !== option);
    return attached !== undefined && !isValue ? `${attached}${hidden}` : piece;
  });
}
