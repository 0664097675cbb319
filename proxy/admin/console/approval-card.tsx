/** One request: what will run, where, for whom, why it was held; and one's own word on it. */
import { useState } from 'preact/hooks';
import { ApiError, ask } from './api.ts';
import { BreakGlass, mayBreakGlass } from './break-glass.tsx';
import { useNow } from './hooks.ts';
import { historyWords, shown, words } from './operation.ts';
import { Ago, Code, Facts, Labels, Link, Tag, Trouble, Who } from './parts.tsx';
import type { Approval, Me } from './types.ts';
import { count, plain, protocol, span, state, visible } from './words.ts';

interface Properties {
  readonly approval: Approval;
  readonly me: Me;
  readonly go: (path: string) => void;
  readonly decided: (approval: Approval) => void;
  /** On a page of its own: with everything that is known. */
  readonly whole?: boolean;
}

/** A request in the inbox, or on its own page. */
export function ApprovalCard({ approval, me, go, decided, whole = false }: Properties) {
  const operation = shown(approval.protocol, approval.action, approval.resource, approval.operation);
  const [reason] = approval.reasons;
  const history = historyWords(approval.history);
  const estimate = estimateWords(approval);
  return (
    <article class={`card ${approval.state}`} aria-labelledby={`title-${approval.id}`}>
      <header class="card-head">
        <h2 id={`title-${approval.id}`}>
          {visible(approval.subject.id)} wants to run a {operation.noun} at {approval.upstream}
        </h2>
        <span class="card-tags">
          {approval.state === 'pending' ? <Left until={approval.expires_at} /> : <Outcome approval={approval} />}
        </span>
      </header>
      <Code>{operation.text}</Code>
      {!operation.literal && <p class="muted small">The gateway keeps no text of this; it is described instead.</p>}
      <Facts
        of={[
          [
            'Where',
            <>
              {approval.upstream} <Labels labels={approval.labels} />{' '}
              <span class="muted">{protocol(approval.protocol)}</span>
            </>,
          ],
          ['For', <Who subject={approval.subject} chain={approval.chain} />],
          ...(reason ? [['Held because', visible(reason.message)] as const] : []),
          ...(estimate === '' ? [] : [['Would affect', estimate] as const]),
          ...(history.length > 0 ? [['Lately', history.join(', ')] as const] : []),
          ...operation.facts.map(([name, value]) => [name, visible(value)] as const),
        ]}
      />
      {approval.votes.length > 0 && (
        <ul class="votes">
          {approval.votes.map(({ approver, verdict, reason: why, at, broke_glass: alone }) => (
            <li key={`${approver.issuer} ${approver.id}`}>
              <strong>{visible(approver.id)}</strong>{' '}
              {alone ? 'broke the glass' : verdict === 'approve' ? 'approved' : 'denied'} <Ago time={at} />
              {why !== '' && <q>{visible(why)}</q>}
            </li>
          ))}
        </ul>
      )}
      {approval.state === 'pending' && <Verdict approval={approval} me={me} decided={decided} />}
      {mayBreakGlass(approval, me) && <BreakGlass approval={approval} decided={decided} />}
      {whole ? (
        <section class="more">
          <h3>Details</h3>
          <Facts of={details(approval, go)} />
        </section>
      ) : (
        <p class="card-foot">
          <Link href={`/approvals/${approval.id}`} go={go}>
            Everything about this request
          </Link>
        </p>
      )}
    </article>
  );
}

/** Approve or deny, with a reason. */
function Verdict({ approval, me, decided }: Pick<Properties, 'approval' | 'me' | 'decided'>) {
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const why = whyNot(approval, me);
  if (why !== undefined) return <p class="muted">{why}</p>;
  const decide = async (verdict: 'approve' | 'deny') => {
    if (approval.reason_required && reason.trim() === '') {
      setError(new ApiError(400, 'approval_reason_required', 'Write a reason first: this policy asks for one.'));
      return;
    }
    setBusy(true);
    setError(undefined);
    try {
      decided(
        await ask<Approval>('POST', `/api/approvals/${approval.id}/decision`, { verdict, reason: reason.trim() }),
      );
    } catch (thrown) {
      if (thrown instanceof ApiError) setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="verdict" onSubmit={(event) => event.preventDefault()}>
      <label>
        <span>
          Reason{' '}
          <span class="muted">{approval.reason_required ? '(needed)' : '(optional, kept with the decision)'}</span>
        </span>
        <input
          value={reason}
          maxLength={1000}
          autocomplete="off"
          aria-required={approval.reason_required}
          onInput={(event) => setReason(event.currentTarget.value)}
        />
      </label>
      <div class="buttons">
        <button type="button" class="primary" disabled={busy} onClick={() => decide('approve')}>
          Approve
        </button>
        <button type="button" class="danger" disabled={busy} onClick={() => decide('deny')}>
          Deny
        </button>
      </div>
      <Trouble error={error} />
      {approval.quorum > 1 && (
        <p class="muted small">
          {count(approval.votes.filter(({ verdict }) => verdict === 'approve').length, 'person has', 'people have')}{' '}
          approved; {approval.quorum} are needed.
        </p>
      )}
    </form>
  );
}

/** Why somebody cannot decide this; the desk says so too, this only spares them the click. */
function whyNot({ subject, chain, groups, votes }: Approval, { principal, role }: Me): string | undefined {
  const mine = (one: { issuer: string; id: string }) => one.issuer === principal.issuer && one.id === principal.id;
  if ([subject, ...chain].some(mine)) return 'This was asked for on your behalf: somebody else has to decide.';
  if (votes.some(({ approver }) => mine(approver))) return 'You have decided. It waits for others.';
  if (role === 'viewer') return 'You may see this, and not decide it.';
  if (!groups.some((group) => principal.groups.includes(group))) return `For ${groups.join(' or ')} to decide.`;
  return undefined;
}

function Left({ until }: { until: string }) {
  const now = useNow(1_000);
  const leftMs = Date.parse(until) - now;
  return <Tag tone="wait">{leftMs <= 0 ? 'Out of time' : `${span(leftMs)} left`}</Tag>;
}

function Outcome({ approval }: { approval: Approval }) {
  const good = approval.state === 'approved' || approval.state === 'used';
  return <Tag tone={good ? 'good' : 'bad'}>{state(approval.state)}</Tag>;
}

function estimateWords({ estimate }: Approval): string {
  const { rows } = estimate;
  if (typeof rows === 'number') return `about ${count(rows, 'row')}`;
  return words(Object.keys(estimate).length > 0 ? estimate : undefined);
}

function details(approval: Approval, go: (path: string) => void) {
  const reusable = approval.uses === 1 ? 'once' : `${approval.uses} times`;
  return [
    ['Rule', approval.reasons.map(({ policy, code }) => `${policy}: ${plain(code)}`).join('; ')],
    ['May decide', `${approval.groups.join(' or ')}${approval.quorum > 1 ? `, ${approval.quorum} people` : ''}`],
    ['Can run', reusable],
    ...(approval.break_glass
      ? [['In an emergency', 'whoever asked may go on alone, and everybody is told'] as const]
      : []),
    ['The agent', approval.mode === 'wait' ? 'waits for the answer' : 'was told to try again once it is approved'],
    ['Client', `${visible(approval.application) || 'unnamed'} at ${approval.client_address}`],
    [
      'Session',
      <Link href={`/sessions/${approval.session}`} go={go}>
        {approval.session}
      </Link>,
    ],
    ['Asked', <Ago time={approval.requested_at} />],
    ...approval.used.map(
      ({ at, outcome }) =>
        [
          'Ran',
          <>
            {outcome}, <Ago time={at} />
          </>,
        ] as const,
    ),
    ['Fingerprint', <code class="wrap">{approval.digest}</code>],
  ] as const;
}
