import type { Writable } from 'node:stream';
import type { Sink } from './sink.ts';

/** Lines as they are in the trail, for whoever collects the standard output of a container. */
export function streamSink(stream: Writable): Sink {
  // A reader that went away is a failed delivery, not the end of the gateway.
  stream.on('error', () => {});
  return {
    send: (lines, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        const text = lines.map((line) => `${line.text}\n`).join('');
        stream.write(text, (error) => (error ? reject(error) : resolve(undefined)));
      }),
    close: async () => {},
  };
}
