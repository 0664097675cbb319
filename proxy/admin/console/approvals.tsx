/** The inbox: what waits for a person, and what became of what waited before. */
import { useCallback, useState } from 'preact/hooks';
import { ApprovalCard } from './approval-card.tsx';
import { useApi, useChanges } from './hooks.ts';
import { shown } from './operation.ts';
import { Ago, Empty, Link, Page, Tag, Trouble, Who } from './parts.tsx';
import type { Approval, Me } from './types.ts';
import { count, state, visible } from './words.ts';

const kinds = ['approval'];

/** `/` */
export function Approvals({ me, go }: { me: Me; go: (path: string) => void }) {
  const pending = useApi<{ approvals: Approval[] }>('/api/approvals?state=pending&limit=100');
  const past = useApi<{ approvals: Approval[] }>(
    '/api/approvals?state=approved,denied,expired,withdrawn,used&limit=20',
  );
  const [decided, setDecided] = useState<readonly Approval[]>([]);
  const refresh = useCallback(() => {
    pending.refresh();
    past.refresh();
  }, [pending.refresh, past.refresh]);
  useChanges(kinds, refresh);
  const waiting = pending.value?.approvals;
  // What one has just decided stays where it was until one goes elsewhere: nothing jumps away under a finger.
  const inbox = [...(waiting ?? []), ...decided].filter(
    (one, at, all) => all.findIndex(({ id }) => id === one.id) === at,
  );
  const rest = past.value?.approvals.filter(({ id }) => !decided.some((one) => one.id === id)) ?? [];
  return (
    <Page
      title="Approvals"
      lead={
        <p class="muted" role="status">
          {waiting && (waiting.length === 0 ? 'Nothing is waiting' : `${count(waiting.length, 'request')} waiting`)}
        </p>
      }
    >
      <Trouble error={pending.error} />
      {waiting && inbox.length === 0 && (
        <Empty title="Nothing waits for you">
          When a policy holds an operation for a person to look at, it appears here by itself.
        </Empty>
      )}
      <ul class="cards">
        {inbox.toSorted(newest).map((approval) => (
          <li key={approval.id}>
            <ApprovalCard
              approval={decided.find(({ id }) => id === approval.id) ?? approval}
              me={me}
              go={go}
              decided={(one) => {
                setDecided((all) => [...all, one]);
                refresh();
              }}
            />
          </li>
        ))}
      </ul>
      {rest.length > 0 && (
        <section>
          <h2>Earlier</h2>
          <ul class="rows">
            {rest.map((approval) => (
              <li key={approval.id}>
                <Link href={`/approvals/${approval.id}`} go={go} class="row">
                  <span class="row-main">
                    <code class="line">
                      {visible(shown(approval.protocol, approval.action, approval.resource, approval.operation).text)}
                    </code>
                    <span class="muted">
                      <Who subject={approval.subject} chain={approval.chain} /> at {approval.upstream}
                    </span>
                  </span>
                  <span class="row-side">
                    <StateTag approval={approval} />
                    <span class="muted">
                      <Ago time={approval.votes.at(-1)?.at ?? approval.requested_at} />
                    </span>
                  </span>
                </Link>
              </li>
            ))}
          </ul>
        </section>
      )}
    </Page>
  );
}

/** `/approvals/{id}` */
export function ApprovalPage({ id, me, go }: { id: string; me: Me; go: (path: string) => void }) {
  const { value, error, refresh } = useApi<Approval>(`/api/approvals/${id}`);
  useChanges(kinds, refresh);
  return (
    <Page
      title="Request for approval"
      lead={
        <Link href="/" go={go}>
          All approvals
        </Link>
      }
    >
      <Trouble error={error} />
      {value && <ApprovalCard approval={value} me={me} go={go} decided={refresh} whole />}
    </Page>
  );
}

function StateTag({ approval }: { approval: Approval }) {
  const tone = { approved: 'good', used: 'good', denied: 'bad', pending: 'wait' } as const;
  return (
    <Tag tone={Object.hasOwn(tone, approval.state) ? tone[approval.state as keyof typeof tone] : undefined}>
      {state(approval.state)}
    </Tag>
  );
}

function newest(one: Approval, other: Approval): number {
  return one.id < other.id ? 1 : -1;
}
