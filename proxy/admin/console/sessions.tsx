/** Sessions: those that are open, and those that were recorded. */
import { useCallback, useState } from 'preact/hooks';
import { query } from './api.ts';
import { useApi, useChanges } from './hooks.ts';
import { Ago, Empty, Link, Page, People, Tag, Trouble, Who } from './parts.tsx';
import { type Filter, noFilter, parametersOf, Search } from './search.tsx';
import type { Recording, Session } from './types.ts';
import { bytes, count, plain, protocol, visible } from './words.ts';

const kinds = ['session'];

/** `/sessions` */
export function Sessions({ go }: { go: (path: string) => void }) {
  const live = useApi<{ sessions: Session[] }>('/api/sessions');
  const [filter, setFilter] = useState<Filter>(noFilter);
  const past = useApi<{ recordings: Recording[] }>(`/api/recordings${query({ ...parametersOf(filter), limit: '50' })}`);
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
        <Search set={setFilter} />
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
                    <People subjects={recording.subjects} /> at {recording.upstream}
                  </span>
                  <span class="muted">
                    {protocol(recording.protocol)}, {visible(recording.application) || 'unnamed client'} at{' '}
                    {recording.client_address}
                    {recording.labels.length > 0 && `, touched ${visible(recording.labels.join(', '))}`}
                  </span>
                  {recording.refusals.length > 0 && (
                    <span class="rule">Refused: {visible(recording.refusals.map(plain).join(', '))}</span>
                  )}
                </span>
                <span class="row-side muted">
                  <Ago time={recording.started_at} />
                  <span>
                    {count(recording.operations, 'operation')}, {bytes(recording.bytes)}
                  </span>
                </span>
              </Link>
            </li>
          ))}
        </ul>
      </section>
    </Page>
  );
}
