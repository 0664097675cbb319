/** A timeline as a list. */
import { useEffect, useRef } from 'preact/hooks';
import type { Entry } from './frames.ts';
import { count, stamp, visible } from './words.ts';

/** @param follow - keep the newest in sight, unless one scrolled away from it. */
export function TimelineView({ entries, follow = false }: { entries: readonly Entry[]; follow?: boolean }) {
  const end = useRef<HTMLLIElement>(null);
  useEffect(() => {
    const near = document.documentElement.scrollHeight - scrollY - innerHeight < 200;
    if (follow && near) end.current?.scrollIntoView({ block: 'nearest' });
  }, [entries, follow]);
  return (
    <ol class="timeline">
      {entries.map((entry) => (
        <li key={entry.id} class={entry.kind} ref={entry === entries.at(-1) ? end : null}>
          <span class="stamp">{stamp(entry.timeMs)}</span>
          <div class="entry">
            {entry.kind === 'note' ? <p class="muted">{visible(entry.title)}</p> : <Operation entry={entry} />}
          </div>
        </li>
      ))}
    </ol>
  );
}

function Operation({ entry }: { entry: Entry }) {
  const { title, columns, rows, hiddenRows, output, outcome, bad } = entry;
  return (
    <>
      {title !== '' && <pre class="asked">{visible(title)}</pre>}
      {rows.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard.
        <section class="scroll" tabIndex={0} aria-label="Rows">
          <table>
            {columns.length > 0 && (
              <thead>
                <tr>
                  {columns.map((name, at) => (
                    <th key={at} scope="col">
                      {visible(name)}
                    </th>
                  ))}
                </tr>
              </thead>
            )}
            <tbody>
              {rows.map((row, at) => (
                <tr key={at}>
                  {row.map((value, column) => (
                    <td key={column}>{value === null ? <span class="muted">NULL</span> : visible(value)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {hiddenRows > 0 && <p class="muted small">{count(hiddenRows, 'more row')}, not shown here.</p>}
      {output !== '' && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard.
        <pre class="output" tabIndex={0}>
          {output}
        </pre>
      )}
      {outcome !== '' && <p class={bad ? 'outcome bad' : 'outcome'}>{visible(outcome)}</p>}
    </>
  );
}
