import type { HoldTerms } from '../../core/types.ts';
import { noticeText } from './refuse.ts';
import type { ServerChannel } from './ssh2.ts';

/** How a channel's operation is held: its client is told once, on standard error, and the wait ends with the channel. */
export function holdTerms(channel: ServerChannel, terminal: boolean): HoldTerms {
  const gone = new AbortController();
  // A channel that nobody reads is never heard to close, but it is ended.
  for (const event of ['close', 'finish']) channel.once(event, () => gone.abort());
  if (channel.destroyed) gone.abort();
  let told = false;
  return {
    mayWait: true,
    signal: gone.signal,
    notice: (text) => {
      if (!told && channel.stderr.writable) channel.stderr.write(noticeText(text, terminal));
      told = true;
    },
  };
}
