import { expect, test } from '@jest/globals';
import { uriProblem, uriTemplateProblem } from '../../../../../proxy/protocols/http/mcp/resource-uri.ts';

test.each([
  'file:///docs/handbook.md',
  'file:///docs/Caf%C3%A9.md',
  'db://main/customers?limit=10&q=a%20b',
  'urn:isbn:0451450523',
  'github://Owner/Repo/README.md',
  'ui://widget/a...b',
  'https://example.com:8443/a;v=1',
  'note:///',
])('%s means what it says', (uri) => {
  expect(uriProblem(uri)).toBeUndefined();
});

test.each([
  ['', 'nothing'],
  ['/etc/passwd', 'no scheme'],
  ['FILE:///etc/passwd', 'a scheme in another case'],
  ['file:///docs/../etc/passwd', 'a step upwards'],
  ['file:///docs/..', 'a step upwards at the end'],
  ['file:///docs/./a', 'a step to itself'],
  ['file:///docs/%2e%2e/etc', 'an encoded step'],
  ['file:///docs/%2E%2E/etc', 'an encoded step'],
  ['file:///docs/..;/etc', 'a step with parameters'],
  ['file:///docs%2Fetc', 'an encoded slash'],
  ['file:///docs%5c..%5cetc', 'an encoded backslash'],
  ['file:///docs%5C..%5Cetc', 'an encoded backslash'],
  ['file:///docs\\..\\etc', 'a backslash'],
  ['file:///docs/%252e%252e/etc', 'encoded twice'],
  ['file:///docs//etc', 'an empty segment'],
  ['file:////etc/passwd', 'an empty segment'],
  ['file:///a%00.md', 'a null character'],
  ['file:///a%0A.md', 'a line feed'],
  ['file:///a b', 'a space'],
  ['file:///é', 'a character outside of ASCII'],
  ['file:///a%c3%a9', 'digits in lower case'],
  ['file:///%41', 'an encoding that is not needed'],
  ['file:///%zz', 'no digits'],
  ['file:///%', 'no digits'],
  ['file:///%FF', 'no UTF-8'],
  ['file:///a#b', 'a fragment'],
  ['https://user@example.com/', 'a user'],
  ['https://EXAMPLE.com/', 'a host in another case'],
  ['x://y?path=../../etc', 'a step in the query'],
  ['urn:x:../y', 'a step behind a colon'],
])('%j is refused: %s', (uri) => {
  expect(uriProblem(uri)).toMatch(/^(The|A) /);
});

test('an expression of a template stands for one segment', () => {
  expect(uriTemplateProblem('repo://{owner}/{name}/contents{/path*}')).toBeUndefined();
  expect(uriTemplateProblem('repo://{owner}/../{name}')).toMatch(/dots/);
  expect(uriTemplateProblem('repo://{owner')).toMatch(/character/);
});
