/**
 * The beginning of an answer as text, for those that say little where it matters: what is longer is not read.
 *
 * @param bytesMax - enough once passed; at most one piece more is read
 * @throws what reading throws
 */
export async function beginningOf(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > bytesMax) break;
  }
  return Buffer.concat(pieces).toString('utf8');
}
