/** The frame around the pages: who is signed in, where one can go. */
import { useEffect } from 'preact/hooks';
import { ask } from './api.ts';
import { ApprovalPage, Approvals } from './approvals.tsx';
import { Decisions } from './decisions.tsx';
import { useApi, useChanges, useEventSource, usePlace } from './hooks.ts';
import { Empty, Link, Page, Trouble } from './parts.tsx';
import { Policy } from './policy.tsx';
import { SessionPage } from './session.tsx';
import { Sessions } from './sessions.tsx';
import type { Approval, Me } from './types.ts';
import { visible } from './words.ts';

const kinds = ['approval'];
const pages = [
  ['/', 'Approvals'],
  ['/sessions', 'Sessions'],
  ['/decisions', 'Decisions'],
  ['/policy', 'Policy'],
] as const;

/** The whole console. */
export function App() {
  const me = useApi<Me>('/api/me');
  if (me.value) return <SignedIn me={me.value} />;
  if (me.error === undefined) return null;
  if (me.error.status === 401) return <SignIn />;
  return (
    <main class="alone">
      <Mark />
      <h1>Sallyport</h1>
      <Trouble error={me.error} />
      <button type="button" onClick={me.refresh}>
        Try again
      </button>
    </main>
  );
}

function SignedIn({ me }: { me: Me }) {
  const [path, go] = usePlace();
  const connected = useEventSource(true);
  const pending = useApi<{ approvals: Approval[] }>('/api/approvals?state=pending&limit=100');
  useChanges(kinds, pending.refresh);
  const waiting = pending.value?.approvals.length ?? 0;
  return (
    <>
      <a class="skip" href="#content">
        To the content
      </a>
      <header class="top">
        <Link href="/" go={go} class="brand">
          <Mark /> Sallyport
        </Link>
        <nav aria-label="Pages">
          {pages.map(([to, name]) => (
            <Link
              key={to}
              href={to}
              go={go}
              current={to === '/' ? path === '/' || path.startsWith('/approvals') : path.startsWith(to)}
            >
              {name}
              {to === '/' && waiting > 0 && (
                <span class="badge">
                  {waiting}
                  <span class="unseen"> waiting</span>
                </span>
              )}
            </Link>
          ))}
        </nav>
        <span class="me">
          <span class="muted">{visible(me.principal.id)}</span>
          <button
            type="button"
            class="quiet"
            onClick={async () => {
              await ask('POST', '/auth/sign-out').catch(() => undefined);
              location.assign('/');
            }}
          >
            Sign out
          </button>
        </span>
      </header>
      {!connected && (
        <p class="banner" role="status">
          The connection was interrupted. Trying again; what you see may be out of date.
        </p>
      )}
      <main id="content">{place(path, me, go)}</main>
    </>
  );
}

function place(path: string, me: Me, go: (path: string) => void) {
  const [, page = '', id] = path.split('/');
  if (page === 'approvals' && id) return <ApprovalPage key={id} id={id} me={me} go={go} />;
  if (page === 'sessions' && id) return <SessionPage key={id} id={id} me={me} go={go} />;
  if (page === '' || page === 'approvals') return <Approvals me={me} go={go} />;
  if (page === 'sessions') return <Sessions go={go} />;
  if (page === 'decisions') return <Decisions go={go} />;
  if (page === 'policy') return <Policy />;
  return (
    <Page title="Not here">
      <Empty title="There is no such page">The address may be from an older link.</Empty>
    </Page>
  );
}

const problems: Readonly<Record<string, string>> = {
  sign_in_expired: 'That took too long, or began in another browser. Please sign in again.',
  sign_in_failed: 'Your identity provider did not let you in. Please try again.',
  role_missing: 'You are known, and none of your groups has a role here. Ask the platform team for access.',
};

function SignIn() {
  const problem = problems[new URLSearchParams(location.search).get('problem') ?? ''];
  useEffect(() => {
    document.title = 'Sign in · Sallyport';
  }, []);
  return (
    <main class="alone">
      <Mark />
      <h1>Sallyport</h1>
      <p class="muted">See what agents do, and decide what they may.</p>
      {problem && (
        <p class="trouble" role="alert">
          {problem}
        </p>
      )}
      <a class="button primary" href="/auth/sign-in">
        Sign in
      </a>
    </main>
  );
}

function Mark() {
  return <img src="/icon.svg" alt="" width="24" height="24" class="mark" />;
}
