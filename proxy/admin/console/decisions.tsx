/** Decisions, with the rule that made each. */
import { useState } from 'preact/hooks';
import { query } from './api.ts';
import { useApi } from './hooks.ts';
import { shown, words } from './operation.ts';
import { Ago, Empty, Link, Page, Tag, Trouble } from './parts.tsx';
import type { Json, JsonObject, Reason } from './types.ts';
import { effect, plain, visible } from './words.ts';

interface Decision {
  readonly seq: number;
  readonly time: string;
  readonly decision_id: string;
  readonly session: string;
  readonly protocol: string;
  readonly upstream: string;
  readonly subject: JsonObject;
  readonly effect: string;
  readonly action: string;
  readonly resource: { readonly type: string; readonly id: string };
  readonly operation: JsonObject;
  readonly reasons?: readonly Reason[];
  readonly text?: Json;
  readonly code?: string;
  readonly message?: string;
}

/** `/decisions` */
export function Decisions({ go }: { go: (path: string) => void }) {
  const [effectWanted, setEffect] = useState('');
  const [subject, setSubject] = useState('');
  const [draft, setDraft] = useState('');
  const [own, setOwn] = useState(false);
  const { value, error, refresh } = useApi<{ decisions: Decision[] }>(
    `/api/decisions${query({ effect: effectWanted, subject, limit: '100', own: own ? 'include' : undefined })}`,
  );
  return (
    <Page
      title="Decisions"
      lead={
        <button type="button" onClick={refresh}>
          Refresh
        </button>
      }
    >
      <search>
        <form
          class="search"
          onSubmit={(event) => {
            event.preventDefault();
            setSubject(draft);
          }}
        >
          <label>
            <span>Who</span>
            <input value={draft} autocomplete="off" onInput={(event) => setDraft(event.currentTarget.value.trim())} />
          </label>
          <label>
            <span>What came of it</span>
            <select value={effectWanted} onChange={(event) => setEffect(event.currentTarget.value)}>
              <option value="">Anything</option>
              <option value="allow">Allowed</option>
              <option value="deny">Refused</option>
              <option value="require_approval">Held for approval</option>
            </select>
          </label>
          <button type="submit">Search</button>
        </form>
      </search>
      <label class="check">
        <input type="checkbox" checked={own} onChange={(event) => setOwn(event.currentTarget.checked)} />
        What the gateway asked for itself, too
      </label>
      <Trouble error={error} />
      {value?.decisions.length === 0 && (
        <Empty title="No decision matches">Older ones are in the audit trail: sallyport audit query finds them.</Empty>
      )}
      <ul class="rows">
        {value?.decisions.map((decision) => (
          <li key={decision.seq} class="row still">
            <DecisionRow decision={decision} go={go} />
          </li>
        ))}
      </ul>
    </Page>
  );
}

function DecisionRow({ decision, go }: { decision: Decision; go: (path: string) => void }) {
  const tone = { allow: 'good', deny: 'bad', require_approval: 'wait' } as const;
  const { text } = shown(decision.protocol, decision.action, decision.resource, {
    ...decision.operation,
    ...(decision.text !== undefined && { text: decision.text }),
  });
  const [reason] = decision.reasons ?? [];
  const why = reason?.message ?? decision.message;
  const rule = reason ? `${reason.policy}: ${plain(reason.code)}` : decision.code && plain(decision.code);
  return (
    <>
      <span class="row-main">
        <code class="line">{visible(text)}</code>
        <span class="muted">
          <strong>{visible(words(decision.subject?.id))}</strong> at {decision.upstream}
          {why && `: ${visible(why)}`}
        </span>
        {rule && <span class="rule">{visible(rule)}</span>}
      </span>
      <span class="row-side">
        <Tag tone={Object.hasOwn(tone, decision.effect) ? tone[decision.effect as keyof typeof tone] : undefined}>
          {effect(decision.effect)}
        </Tag>
        <Link href={`/sessions/${decision.session}`} go={go}>
          <Ago time={decision.time} />
        </Link>
      </span>
    </>
  );
}
