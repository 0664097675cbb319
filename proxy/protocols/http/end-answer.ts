import type { ServerResponse } from 'node:http';
import { limits } from '../../core/limits.ts';

/**
 * Ends an answer with its last pieces. Node keeps a head back for the first of the body, but writes bytes beside it and text
 * behind it: small ones are given to it as text of the same bytes, so that all of it is one write.
 */
export function endAnswer(response: ServerResponse, pieces: readonly Buffer[]): void {
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  if (bytes === 0) {
    response.end();
  } else if (bytes <= limits.httpEndBytesMax) {
    response.end(Buffer.concat(pieces).toString('latin1'), 'latin1');
  } else {
    for (const piece of pieces) response.write(piece);
    response.end();
  }
}
