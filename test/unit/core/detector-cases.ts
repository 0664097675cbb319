/** A header of a JSON Web Token. */
export const header = Buffer.from('{"alg":"ES256","typ":"JWT"}').toString('base64url');
/** A whole one. */
export const jwt = `${header}.${Buffer.from('{"sub":"ana"}').toString('base64url')}.c2lnbmF0dXJl`;
const pem = `-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n+/==\n-----END RSA PRIVATE KEY-----`;

// Put together here, so that no scanner of repositories takes them for real ones.
const ghp = `ghp_${'a1B2'.repeat(9)}`;
const slack = ['xoxb', '123456789012', 'abcDEF'].join('-');
const stripe = `_${'4eC39HqLyjWD'.repeat(2)}`;
const awsSecret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

/** A text, and what is left of it when a detector's finds become `#`. */
export const cases: [name: string, text: string, masked: string][] = [
  ['email', 'to ana@example.com.', 'to #.'],
  ['email', '<ana.b+c%d@mail.example.co.uk>', '<#>'],
  ['email', 'josé@exämple.com élan@b.org', '# #'],
  ['email', "o'neil@example.com", '#'],
  ['email', 'ana@xn--e1afmkfd.xn--p1ai', '#'],
  ['email', 'a@b a@b.1 a@.com a@b..com @b.com a@b.c- x', 'a@b a@b.1 a@.com a@b..com @b.com a@b.c- x'],
  ['email', `${'x'.repeat(65)}@example.com`, `${'x'.repeat(65)}@example.com`],
  ['us_ssn', '123-45-6789 123 45 6789', '# #'],
  ['us_ssn', '(123-45-6789)', '(#)'],
  [
    'us_ssn',
    '000-45-6789 666-45-6789 123-00-6789 123-45-0000 987-65-4321',
    '000-45-6789 666-45-6789 123-00-6789 123-45-0000 987-65-4321',
  ],
  ['us_ssn', '1123-45-6789 123-45-67890 123-45 6789', '1123-45-6789 123-45-67890 123-45 6789'],
  ['credit_card', '4111111111111111', '#'],
  ['credit_card', 'card 4111 1111 1111 1111, ok', 'card #, ok'],
  ['credit_card', '3782-822463-10005 exp 12', '# exp 12'],
  ['credit_card', '5555 5555 5555 4444 12 34', '# 12 34'],
  [
    'credit_card',
    '4111111111111112 14111111111111111 41111111111111111111',
    '4111111111111112 14111111111111111 41111111111111111111',
  ],
  ['iban', 'GB82 WEST 1234 5698 7654 32.', '#.'],
  ['iban', 'to DE89370400440532013000 now', 'to # now'],
  ['iban', 'GB82 WEST 1234 5698 7654 33', 'GB82 WEST 1234 5698 7654 33'],
  ['iban', 'HELLO WORLD AGAIN AND AGAIN', 'HELLO WORLD AGAIN AND AGAIN'],
  ['phone', '+49 30 901820 and (212) 555-0123, 212.555.0123', '# and #, #'],
  ['phone', '+1 2 x212-555-0123 1212-555-0123', '+1 2 x212-555-0123 1212-555-0123'],
  ['ipv4', 'from 10.0.0.7:5432, 255.255.255.255.', 'from #:5432, #.'],
  ['ipv4', '1.2.3.4.5 256.1.1.1 1.2.3 v1.2.3.4', '1.2.3.4.5 256.1.1.1 1.2.3 v1.2.3.4'],
  ['aws_access_key', 'AKIAIOSFODNN7EXAMPLE ASIAIOSFODNN7EXAMPLE', '# #'],
  [
    'aws_access_key',
    'AKIAIOSFODNN7EXAMPLEX XAKIAIOSFODNN7EXAMPLE AKIAiosfodnn7example',
    'AKIAIOSFODNN7EXAMPLEX XAKIAIOSFODNN7EXAMPLE AKIAiosfodnn7example',
  ],
  ['jwt', `Bearer ${jwt}.`, 'Bearer #.'],
  ['jwt', `"${jwt}"`, '"#"'],
  ['jwt', `${header}.e30. ${jwt}. x`, '# #. x'],
  ['jwt', `${header} eyJ.eyJ.x x${jwt}`, `${header} eyJ.eyJ.x x${jwt}`],
  ['private_key', `a\n${pem}\nb`, 'a\n#\nb'],
  ['private_key', pem.replaceAll('\n', '\\n'), '#'],
  ['private_key', pem.slice(0, 50), '#'],
  ['private_key', pem.replaceAll('RSA PRIVATE', 'PUBLIC'), pem.replaceAll('RSA PRIVATE', 'PUBLIC')],
  ['private_key', '----------BEGIN OPENSSH PRIVATE KEY-----x-----END OPENSSH PRIVATE KEY-----', '-----#'],
  ['password_hash', `root:$6$Zx1.aB$${'h/.0'.repeat(21)}:19700:0:99999:7:::`, 'root:#:19700:0:99999:7:::'],
  ['password_hash', 'ana:$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', 'ana:#'],
  ['password_hash', '($y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7)', '(#)'],
  ['password_hash', '"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG"', '"#"'],
  [
    'password_hash',
    '$1$2 $6$short costs $5$ a$6$aaaa$bbbbbbbbbbbbbbbbbbbbbbbbb',
    '$1$2 $6$short costs $5$ a$6$aaaa$bbbbbbbbbbbbbbbbbbbbbbbbb',
  ],
  ['github_token', `${ghp} gho_${'B7'.repeat(18)}, github_pat_11${'A_b'.repeat(26)}.`, '# #, #.'],
  [
    'github_token',
    `ghp_short xghp_${'a'.repeat(36)} ghx_${'a'.repeat(36)}`,
    `ghp_short xghp_${'a'.repeat(36)} ghx_${'a'.repeat(36)}`,
  ],
  ['slack_token', `${slack}; xapp-1-A02-1234-abcdef`, '#; #'],
  ['slack_token', 'xoxb-1 xoxz-123456789012 boxoxb-123456789012', 'xoxb-1 xoxz-123456789012 boxoxb-123456789012'],
  ['google_api_key', `key=AIza${'Sy_-9'.repeat(7)}&x`, 'key=#&x'],
  ['google_api_key', `AIza${'S'.repeat(34)} AIza${'S'.repeat(36)}`, `AIza${'S'.repeat(34)} AIza${'S'.repeat(36)}`],
  ['stripe_key', `sk_live${stripe} rk_test${stripe} whsec${stripe}`, '# # #'],
  ['stripe_key', `pk_live${stripe} sk_live_x task_live${stripe}`, `pk_live${stripe} sk_live_x task_live${stripe}`],
  ['aws_secret_key', `aws_secret_access_key = ${awsSecret}\n`, 'aws_secret_access_key = #\n'],
  ['aws_secret_key', `"SecretAccessKey": "${awsSecret}",`, '"SecretAccessKey": "#",'],
  ['aws_secret_key', `export AWS_SECRET_ACCESS_KEY='${awsSecret}'`, "export AWS_SECRET_ACCESS_KEY='#'"],
  [
    'aws_secret_key',
    `${awsSecret} sha=${awsSecret} secret_key=${awsSecret}x`,
    `${awsSecret} sha=${awsSecret} secret_key=${awsSecret}x`,
  ],
  ['url_credentials', 'postgres://app:pa:ss@word@db.example:5432/x?y', 'postgres://app:#@db.example:5432/x?y'],
  ['url_credentials', 'redis://:hunter2@cache "amqp://u:p%40ss@mq"', 'redis://:#@cache "amqp://u:#@mq"'],
  [
    'url_credentials',
    'https://host:8080/?mail=a@b.c https://host:80?a@b git@host:x@y //u:p@h https://u:@h',
    'https://host:8080/?mail=a@b.c https://host:80?a@b git@host:x@y //u:p@h https://u:@h',
  ],
  ['bearer_token', '> Authorization: Bearer abc.def-1\r\n', '> Authorization: Bearer #\r\n'],
  [
    'bearer_token',
    '{"authorization":"basic YTpi"} authorization=Token  k9',
    '{"authorization":"basic #"} authorization=Token  #',
  ],
  ['bearer_token', 'curl -H "bearer 0123456789abcdef"', 'curl -H "bearer #"'],
  [
    'bearer_token',
    'the bearer certificate, a basic understanding, forbearer 0123456789abcdef, token ring',
    'the bearer certificate, a basic understanding, forbearer 0123456789abcdef, token ring',
  ],
  ['generic_secret', 'DB_PASSWORD=hunter2 next', 'DB_PASSWORD=# next'],
  ['generic_secret', '{"apiKey": "a b c d", "client_secret":"x,y;z"}', '{"apiKey": "#", "client_secret":"#"}'],
  [
    'generic_secret',
    "  secret: 'it is'\n  Access-Key => k9k9,\ntoken=t0k3n&x=1",
    "  secret: '#'\n  Access-Key => #,\ntoken=#&x=1",
  ],
  ['generic_secret', '{\\"password\\":\\"hunter2\\"}', '{\\"password\\":\\"#\\"}'],
  ['generic_secret', 'Server=x;Password=p=ss;User Id=sa', 'Server=x;Password=#;User Id=sa'],
  [
    'generic_secret',
    'Password: \n next, password=$PW secret: {{ vault }} token=abc token: null max_tokens: 4096 passwords: many',
    'Password: \n next, password=$PW secret: {{ vault }} token=abc token: null max_tokens: 4096 passwords: many',
  ],
];
