import { describe, expect, test } from '@jest/globals';
import { limits } from '../../../../../proxy/core/limits.ts';
import { parseBody } from '../../../../../proxy/protocols/http/bodies/parse.ts';

function read(body: string, contentType = 'multipart/form-data; boundary=xyz') {
  const parsed = parseBody(contentType, Buffer.from(body, 'utf8'));
  return 'fault' in parsed ? parsed.status : parsed.kind === 'multipart' ? parsed.parts : parsed;
}

const name = 'Content-Disposition: form-data; name="a"';

/** A whole body of parts, each given as its head and content. */
function bodyOf(...parts: (readonly [head: string, content: string])[]): string {
  return `${parts.map(([head, content]) => `--xyz\r\n${head}\r\n\r\n${content}\r\n`).join('')}--xyz--\r\n`;
}

describe('multipart/form-data', () => {
  test('is its parts by name, size and type, in order, also those of one name', () => {
    const file = 'Content-Disposition: form-data; name="file"; filename="ü.png"\r\nContent-Type: image/PNG';
    expect(read(bodyOf([name, 'x'], [file, '\u0000é\r\n\n--xy'], [name, '']))).toEqual([
      { name: 'a', bytes: 1, contentType: 'text/plain' },
      { name: 'file', bytes: 10, contentType: 'image/png' },
      { name: 'a', bytes: 0, contentType: 'text/plain' },
    ]);
    expect(read('--xyz--')).toEqual([]);
  });

  test('is read as fetch writes it', async () => {
    const form = new FormData();
    form.append('note', 'hello');
    form.append('note', 'again');
    form.append('file', new Blob([new Uint8Array(2_000)], { type: 'image/png' }), 'a b.png');
    form.append('é', 'é');
    const response = new Response(form);
    const contentType = response.headers.get('content-type') ?? '';
    expect(parseBody(contentType, new Uint8Array(await response.arrayBuffer()))).toEqual({
      kind: 'multipart',
      parts: [
        { name: 'note', bytes: 5, contentType: 'text/plain' },
        { name: 'note', bytes: 5, contentType: 'text/plain' },
        { name: 'file', bytes: 2_000, contentType: 'image/png' },
        { name: 'é', bytes: 2, contentType: 'text/plain' },
      ],
    });
  });

  test.each([
    ['a part that says how long it is', `${name}\r\nContent-Length: 1`],
    ['a part that says that it is not encoded', `${name}\r\nContent-Transfer-Encoding: binary`],
    ['names of headers in other case', 'CONTENT-disposition: FORM-data; name="a"'],
  ])('may have %s', (_, head) => {
    expect(read(bodyOf([head, 'x']))).toEqual([{ name: 'a', bytes: 1, contentType: 'text/plain' }]);
  });

  test.each([
    ['no parts and no end', ''],
    ['text before the first boundary', `hello\r\n${bodyOf([name, 'x'])}`],
    ['a line end before the first boundary', `\r\n${bodyOf([name, 'x'])}`],
    ['text after the last boundary', `${bodyOf([name, 'x'])}hello`],
    ['two line ends after the last boundary', `${bodyOf([name, 'x'])}\r\n`],
    ['another boundary', bodyOf([name, 'x']).replaceAll('xyz', 'abc')],
    ['the boundary in other case', bodyOf([name, 'x']).replaceAll('xyz', 'XYZ')],
    ['no last boundary', bodyOf([name, 'x']).replace('--xyz--', '')],
    ['a last boundary cut off', bodyOf([name, 'x']).replace('--xyz--\r\n', '--xyz-')],
    ['bare line feeds', bodyOf([name, 'x']).replaceAll('\r\n', '\n')],
    ['a bare line feed before a boundary', bodyOf([name, `x\n--xyz\n${name}\n\ny`])],
    ['a boundary after a bare carriage return', bodyOf([name, 'x\r--xyz\r'])],
    ['a boundary within a line', bodyOf([name, 'hello--xyz'])],
    ['a boundary after a bare line feed', bodyOf([name, 'hello\n--xyz'])],
    ['a whole part after a bare line feed', bodyOf([name, `x\n--xyz\r\n${name}\r\n\r\ny`])],
    ['a boundary with text behind it', bodyOf([name, 'x\r\n--xyz2'])],
    ['a boundary with a space behind it', bodyOf([name, 'x']).replace('--xyz\r\n', '--xyz \r\n')],
    ['parts after the last boundary', bodyOf([name, 'x']) + bodyOf([name, 'x'])],
    ['a part without a head', '--xyz\r\n\r\nx\r\n--xyz--'],
    ['a part that is nothing', '--xyz\r\n--xyz--'],
    ['a head that does not end', `--xyz\r\n${name}\r\n--xyz--`],
    ['a part without a name', bodyOf(['Content-Disposition: form-data', 'x'])],
    ['a part that is no form data', bodyOf(['Content-Disposition: attachment; name="a"', 'x'])],
    ['a name twice', bodyOf([`${name}; name="b"`, 'x'])],
    ['a name after the file name', bodyOf(['Content-Disposition: form-data; filename="x"; name="a"', 'x'])],
    ['a name with a backslash', bodyOf(['Content-Disposition: form-data; name="a\\"; name=\\"b"', 'x'])],
    ['a name with an escape', bodyOf(['Content-Disposition: form-data; name="a%22b"', 'x'])],
    ['a name without quotes', bodyOf(['Content-Disposition: form-data; name=a', 'x'])],
    ['a file name that is encoded', bodyOf([`${name}; filename*=utf-8''a`, 'x'])],
    ['two file names', bodyOf([`${name}; filename="a"; filename="b"`, 'x'])],
    ['two dispositions', bodyOf([`${name}\r\nContent-Disposition: form-data; name="b"`, 'x'])],
    ['a folded header', bodyOf([`${name};\r\n filename="b"`, 'x'])],
    ['a header that nobody knows', bodyOf([`${name}\r\nX-Name: b`, 'x'])],
    ['a header with a space before its colon', bodyOf([name.replace(':', ' :'), 'x'])],
    ['a NUL in a name', bodyOf(['Content-Disposition: form-data; name="a\0"', 'x'])],
    ['an encoding', bodyOf([`${name}\r\nContent-Transfer-Encoding: base64`, 'eA=='])],
    ['a length that is not its own', bodyOf([`${name}\r\nContent-Length: 5`, 'x'])],
    ['a type that is none', bodyOf([`${name}\r\nContent-Type: png`, 'x'])],
    ['parts within a part', bodyOf([`${name}\r\nContent-Type: multipart/mixed; boundary=b`, 'x'])],
    ['another method in it', bodyOf(['Content-Disposition: form-data; name="_method"', 'DELETE'])],
    ['another character set in it', bodyOf(['Content-Disposition: form-data; name="_charset_"', 'utf-7'])],
  ])('with %s is refused', (_, body) => {
    expect(read(body === '' ? ' ' : body)).toBe(400);
  });

  test('in another character set is refused', () => {
    const latin = Buffer.from(bodyOf(['Content-Disposition: form-data; name="\u00e9"', 'x']), 'latin1');
    expect(parseBody('multipart/form-data; boundary=xyz', latin)).toMatchObject({ status: 400 });
    expect(read(bodyOf(['Content-Disposition: form-data; name="_charset_"', 'UTF-8']))).toHaveLength(1);
  });

  test.each([
    '',
    '; boundary=',
    '; boundary=""',
    '; boundary="a b "',
    `; boundary=${'x'.repeat(71)}`,
    '; boundary="é"',
    '; boundary=xyz; boundary=abc',
  ])('without a good boundary (%s) is refused', (parameters) => {
    expect(read(bodyOf([name, 'x']), `multipart/form-data${parameters}`)).toBe(400);
  });

  test('has a bound on its parts and on the head of each', () => {
    const parts = (count: number) => bodyOf(...Array<readonly [string, string]>(count).fill([name, '']));
    expect(read(parts(limits.httpMultipartPartsMax))).toHaveLength(limits.httpMultipartPartsMax);
    expect(read(parts(limits.httpMultipartPartsMax + 1))).toBe(413);
    const long = `Content-Disposition: form-data; name="${'x'.repeat(limits.httpMultipartHeaderBytesMax)}"`;
    expect(read(bodyOf([long, 'x']))).toBe(413);
  });

  test('cut off at any byte is refused, but for the last line end', () => {
    const body = Buffer.from(bodyOf([name, 'x'], ['Content-Disposition: form-data; name="b"', 'y']));
    for (let at = 1; at < body.length; at++) {
      const parsed = parseBody('multipart/form-data; boundary=xyz', body.subarray(0, at));
      expect({ at, taken: !('fault' in parsed) }).toEqual({ at, taken: at === body.length - 2 });
    }
  });

  test('changed at any byte has no part that was not there', () => {
    const body = Buffer.from(bodyOf([name, 'x'], ['Content-Disposition: form-data; name="b"', 'y']));
    for (let at = 0; at < body.length; at++) {
      for (const byte of [0x00, 0x0a, 0x0d, 0x22, 0x2d, 0x78]) {
        const changed = Buffer.from(body);
        changed[at] = byte;
        const parsed = parseBody('multipart/form-data; boundary=xyz', changed);
        if ('fault' in parsed || parsed.kind !== 'multipart') continue;
        // Its boundary gone, a part is content of the one before; its content is what fills the rest.
        const parts = parsed.parts.map((part) => `--xyz\r\n${name}\r\n\r\n\r\n`.length + part.bytes);
        expect(parts.reduce((sum, bytes) => sum + bytes, '--xyz--\r\n'.length)).toBe(body.length);
      }
    }
  });
});
