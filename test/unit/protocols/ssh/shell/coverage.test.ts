/** Texts that the parser takes without a word, and no shell does: none of them is looked at further. */
import { expect, test } from '@jest/globals';
import { createShellClassifier } from '../../../../../proxy/protocols/ssh/shell/index.ts';
import { classify, place } from './support.ts';

test.each([
  'ls ( a',
  'ls a ( b; ls',
  'case a in a) ls ( b;; esac',
  'for x in a; do ls ( "$x"; done',
  'if ls\nthen ls (\nfi',
  'for x do ls ( a; done',
  'ls & ;',
  '{ ls & ; }',
  '( ls\n; )',
  'ls <2>a',
  'ls &> 2> a',
  'for x in a; { ls; }',
  '! & ls',
  'ls a\\',
  'ls <<< \\',
  '(ls) | cat <<< \\',
])('%j is not valid', (text) => {
  expect(createShellClassifier().classify(text, place)).toMatchObject({ fault: { code: 'operation_unparseable' } });
});

test.each([
  '#!/bin/sh\nset -e # (\nls',
  'ls \\\n  /x',
  "echo 'a \\' \\\\",
  'ls<a>b 2>&1',
  '2>/dev/null ls|wc&ls',
  '! ls || { ls; }>x && (ls;(wc))|sort',
  'cat <<A <<-B|wc; ls\n(\nA\n\t) ;\n\tB\necho x',
  'if ls\nthen : # )\nelif wc; then ls; else\nls\nfi > /tmp/x',
  'case a in\n(a|b) (ls) ;;\n*)\n;;\nesac',
  'case a in a) ls\nesac',
  'until ls; do\n\nsleep 1\ndone&',
  'echo then } ! in esac',
])('%j is', (text) => {
  expect(classify(text).incomplete).toEqual([]);
});
