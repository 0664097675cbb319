import type { ServerResponse } from 'node:http';

/**
 * Ends an answer with its last pieces. Node keeps a head back for the first of the body, but writes bytes beside it and text
 * behind it: small ones are given to it as text of the same bytes, so that all of it is one write.
 *
 * @param bytesMax - what counts as small
 */
export function endAnswer(response: ServerResponse, pieces: readonly Buffer[], bytesMax: number): void {
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  if (bytes === 0) {
    response.end();
  } else if (bytes <= bytesMax) {
    response.end(Buffer.concat(pieces).toString('latin1'), 'latin1');
  } else {
    for (const piece of pieces) response.write(piece);
    response.end();
  }
}
