/** One session: watched while it is open, replayed afterwards. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, ask } from './api.ts';
import { type Entry, Timeline } from './frames.ts';
import { useApi, useChanges } from './hooks.ts';
import { Ago, Empty, Facts, Link, Page, People, Tag, Trouble, Who } from './parts.tsx';
import { Terminal } from './terminal.tsx';
import { TimelineView } from './timeline-view.tsx';
import type { Frame, Me, Recording, Session } from './types.ts';
import { bytes, count, protocol, visible } from './words.ts';

const kinds = ['session'];

/** `/sessions/{id}` */
export function SessionPage({ id, me, go }: { id: string; me: Me; go: (path: string) => void }) {
  const { value, error, refresh } = useApi<{ sessions: Session[] }>('/api/sessions');
  useChanges(kinds, refresh);
  const session = value?.sessions.find((one) => one.id === id);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (session !== undefined) setSeen(true);
  }, [session]);
  return (
    <Page
      title={session ? 'Live session' : 'Session'}
      lead={
        <Link href="/sessions" go={go}>
          All sessions
        </Link>
      }
    >
      <Trouble error={error} />
      {session && <Live session={session} me={me} />}
      {value && !session && seen && (
        <p class="notice" role="status">
          The session has ended. This is its recording.
        </p>
      )}
      {value && !session && <Replay id={id} />}
    </Page>
  );
}

/** What the client sees, as it comes. */
function Live({ session, me }: { session: Session; me: Me }) {
  const timeline = useRef(new Timeline());
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const [counts, setCounts] = useState(session);
  const [connected, setConnected] = useState(false);
  useEffect(() => {
    const source = new EventSource(`/api/sessions/${session.id}/live`);
    let waiting: Frame[] = [];
    let frame: number | undefined;
    const push = (one: Frame) => {
      waiting.push(one);
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        timeline.current.push(waiting);
        waiting = [];
        setEntries(timeline.current.entries);
      });
    };
    const last = () => timeline.current.entries.at(-1)?.timeMs ?? 0;
    source.addEventListener('frame', ({ data }) => push(JSON.parse(data)));
    source.addEventListener('counts', ({ data }) => setCounts(JSON.parse(data)));
    source.addEventListener('lost', ({ data }) =>
      push({ time_ms: last(), kind: 'lost', base64: false, data: JSON.parse(data) }),
    );
    source.addEventListener('closed', () => source.close());
    source.addEventListener('full', () => source.close());
    source.onopen = () => setConnected(true);
    source.onerror = () => setConnected(false);
    return () => {
      source.close();
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [session.id]);
  return (
    <>
      <div class="card">
        <header class="card-head">
          <h2>
            <Who subject={session.subject} chain={session.chain} /> at {session.upstream}
          </h2>
          <span class="card-tags">
            {session.ending ? (
              <Tag tone="bad">Ending</Tag>
            ) : connected ? (
              <Tag tone="live">Watching live</Tag>
            ) : (
              <Tag>Connecting</Tag>
            )}
          </span>
        </header>
        <Facts
          of={[
            ['So far', `${count(counts.operations, 'operation')}, ${counts.refusals} refused, ${bytes(counts.bytes)}`],
            [
              'Client',
              `${protocol(session.protocol)}, ${visible(session.application) || 'unnamed'} at ${session.client_address}`,
            ],
            ['Began', <Ago time={session.started_at} />],
          ]}
        />
        {me.role === 'admin' && !session.ending && <EndSession id={session.id} />}
      </div>
      <h2>What the client sees</h2>
      {entries.length === 0 ? (
        <Empty title="Quiet right now">What the agent does from now on appears here as it happens.</Empty>
      ) : (
        <TimelineView entries={entries} follow />
      )}
    </>
  );
}

/** Ends it, after one has said so twice. */
function EndSession({ id }: { id: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState('');
  const [error, setError] = useState<ApiError>();
  const end = useCallback(async () => {
    try {
      await ask('DELETE', `/api/sessions/${id}`, { reason: reason.trim() });
      dialog.current?.close();
    } catch (thrown) {
      if (thrown instanceof ApiError) setError(thrown);
    }
  }, [id, reason]);
  return (
    <div class="buttons">
      <button type="button" class="danger" onClick={() => dialog.current?.showModal()}>
        End session…
      </button>
      <dialog ref={dialog} aria-labelledby="end-title">
        <form
          method="dialog"
          onSubmit={(event) => {
            event.preventDefault();
            void end();
          }}
        >
          <h2 id="end-title">End this session?</h2>
          <p>The agent is disconnected at once and told why. What it was doing is aborted.</p>
          <label>
            <span>
              Reason <span class="muted">(told to the agent)</span>
            </span>
            <input
              value={reason}
              maxLength={1000}
              autocomplete="off"
              onInput={(event) => setReason(event.currentTarget.value)}
            />
          </label>
          <Trouble error={error} />
          <div class="buttons">
            <button type="submit" class="danger solid">
              End session
            </button>
            <button type="button" onClick={() => dialog.current?.close()}>
              Keep it
            </button>
          </div>
        </form>
      </dialog>
    </div>
  );
}

interface Replayed {
  readonly recording: Recording;
  readonly frames: readonly Frame[];
  readonly complete: boolean;
}

/** What was recorded: a film where there was a terminal, and the timeline of everything. */
function Replay({ id }: { id: string }) {
  const { value, error } = useApi<Replayed>(`/api/recordings/${id}`);
  const [entries, setEntries] = useState<readonly Entry[]>();
  useEffect(() => {
    if (value === undefined) return;
    const timeline = new Timeline();
    timeline.push(value.frames);
    setEntries(timeline.entries);
  }, [value]);
  if (error?.status === 404)
    return <Empty title="There is no such session">Its recording may have been deleted by your retention.</Empty>;
  if (value === undefined) return <Trouble error={error} />;
  const { recording } = value;
  return (
    <>
      <div class="card">
        <header class="card-head">
          <h2>
            <People subjects={recording.subjects} /> at {recording.upstream}
          </h2>
          <span class="card-tags">
            <Tag>Recorded</Tag>
          </span>
        </header>
        <Facts
          of={[
            [
              'Client',
              `${protocol(recording.protocol)}, ${visible(recording.application) || 'unnamed'} at ${recording.client_address}`,
            ],
            ['Began', <Ago time={recording.started_at} />],
            [
              'Did',
              `${count(recording.operations, 'operation')}, touched ${visible(recording.labels.join(', ')) || 'no label'}`,
            ],
            ['Session', <code class="wrap">{recording.id}</code>],
          ]}
        />
      </div>
      {recording.protocol === 'ssh' && <Terminal id={id} />}
      <h2>What happened</h2>
      {entries?.length === 0 && <Empty title="Nothing was done">The session was opened and closed again.</Empty>}
      {entries && entries.length > 0 && <TimelineView entries={entries} />}
      {!value.complete && <p class="notice">This is the beginning: the recording is longer than a page shows.</p>}
    </>
  );
}
