/** What was on a terminal, as a film. The player is fetched when somebody wants to see one. */

import type { Player } from 'asciinema-player';
import { useEffect, useRef, useState } from 'preact/hooks';

/** @param id - of a recording */
export function Terminal({ id }: { id: string }) {
  const place = useRef<HTMLDivElement>(null);
  const [nothing, setNothing] = useState(false);
  useEffect(() => {
    let player: Player | undefined;
    let gone = false;
    const show = async () => {
      const answered = await fetch(`/api/recordings/${id}?format=asciicast-v3`);
      if (!answered.ok) return setNothing(true);
      const [data, { create }] = await Promise.all([answered.text(), import('asciinema-player')]);
      if (gone || place.current === null) return;
      const options = {
        fit: 'width',
        idleTimeLimit: 2,
        theme: 'asciinema',
        terminalFontSize: 'small',
        preload: true,
        poster: 'npt:999:0',
      } as const;
      player = create({ data }, place.current, options);
    };
    show().catch(() => setNothing(true));
    return () => {
      gone = true;
      player?.dispose();
    };
  }, [id]);
  return nothing ? null : (
    <section aria-label="Terminal">
      <h2>On the terminal</h2>
      <div class="terminal" ref={place} />
    </section>
  );
}
