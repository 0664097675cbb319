/** Sessions: those that are open, and those that were recorded. */
import { useCallback, useState } from 'preact/hooks';
import { query } from './api.ts';
import { useApi, useChanges } from './hooks.ts';
import { words } from './operation.ts';
import { Ago, Empty, Link, Page, Tag, Trouble, Who } from './parts.tsx';
import type { Recording, Session } from './types.ts';
import { bytes, count, protocol, visible } from './words.ts';

const kinds = ['session'];

/** `/sessions` */
export function Sessions({ go }: { go: (path: string) => void }) {
  const live = useApi<{ sessions: Session[] }>('/api/sessions');
  const [filter, setFilter] = useState({ subject: '', upstream: '', protocol: '' });
  const past = useApi<{ recordings: Recording[] }>(`/api/recordings${query({ ...filter, limit: '50' })}`);
  const refresh = useCallback(() => {
    live.refresh();
    past.refresh();
  }, [live.refresh, past.refresh]);
  useChanges(kinds, refresh);
  const open = live.value?.sessions;
  const closed = past.value?.recordings.filter((one) => !one.live);
  return (
    <Page
      title="Sessions"
      lead={
        <p class="muted" role="status">
          {open && (open.length === 0 ? 'None is open' : `${open.length} open`)}
        </p>
      }
    >
      <Trouble error={live.error} />
      <section aria-label="Open sessions">
        {open?.length === 0 && (
          <Empty title="Nobody is connected">An agent that connects through the gateway appears here by itself.</Empty>
        )}
        <ul class="rows">
          {open?.map((session) => (
            <li key={session.id}>
              <Link href={`/sessions/${session.id}`} go={go} class="row">
                <span class="row-main">
                  <span>
                    <Who subject={session.subject} chain={session.chain} /> at {session.upstream}
                  </span>
                  <span class="muted">
                    {protocol(session.protocol)}, {visible(session.application) || 'unnamed client'} at{' '}
                    {session.client_address}, since <Ago time={session.started_at} />
                  </span>
                </span>
                <span class="row-side">
                  {session.ending ? <Tag tone="bad">Ending</Tag> : <Tag tone="live">Live</Tag>}
                  <span class="muted">
                    {count(session.operations, 'operation')}
                    {session.refusals > 0 && `, ${session.refusals} refused`}, {bytes(session.bytes)}
                  </span>
                </span>
              </Link>
            </li>
          ))}
        </ul>
      </section>
      <section>
        <h2>Recorded</h2>
        <Search filter={filter} set={setFilter} />
        <Trouble error={past.error} />
        {closed?.length === 0 && (
          <Empty title="No recording matches">Recordings are kept as long as your retention says.</Empty>
        )}
        <ul class="rows">
          {closed?.map((recording) => (
            <li key={recording.id}>
              <Link href={`/sessions/${recording.id}`} go={go} class="row">
                <span class="row-main">
                  <span>
                    <strong>{visible(words(recording.subject.id))}</strong> at {recording.upstream}
                  </span>
                  <span class="muted">
                    {protocol(recording.protocol)}, {visible(recording.application) || 'unnamed client'} at{' '}
                    {recording.client_address}
                  </span>
                </span>
                <span class="row-side muted">
                  <Ago time={recording.started_at} />
                  <span>{bytes(recording.bytes)}</span>
                </span>
              </Link>
            </li>
          ))}
        </ul>
      </section>
    </Page>
  );
}

interface Filter {
  readonly subject: string;
  readonly upstream: string;
  readonly protocol: string;
}

function Search({ filter, set }: { filter: Filter; set: (filter: Filter) => void }) {
  const [draft, setDraft] = useState(filter);
  return (
    <search>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault();
          set(draft);
        }}
      >
        <label>
          <span>Who</span>
          <input
            value={draft.subject}
            autocomplete="off"
            onInput={(event) => setDraft({ ...draft, subject: event.currentTarget.value.trim() })}
          />
        </label>
        <label>
          <span>Where</span>
          <input
            value={draft.upstream}
            autocomplete="off"
            onInput={(event) => setDraft({ ...draft, upstream: event.currentTarget.value.trim() })}
          />
        </label>
        <label>
          <span>Protocol</span>
          <select
            value={draft.protocol}
            onChange={(event) => setDraft({ ...draft, protocol: event.currentTarget.value })}
          >
            <option value="">Any</option>
            <option value="postgres">PostgreSQL</option>
            <option value="ssh">SSH</option>
            <option value="http">HTTP and MCP</option>
          </select>
        </label>
        <button type="submit">Search</button>
      </form>
    </search>
  );
}
