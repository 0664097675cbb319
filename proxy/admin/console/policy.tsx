/** The policy in force. */
import { useApi, useChanges } from './hooks.ts';
import { Facts, Page, Tag, Trouble } from './parts.tsx';

const kinds = ['bundle'];

/** `/policy` */
export function Policy() {
  const { value, error, refresh } = useApi<{ ready: boolean; bundle: string; data: string }>('/api/bundle');
  useChanges(kinds, refresh);
  return (
    <Page
      title="Policy"
      lead={value && (value.ready ? <Tag tone="good">In force</Tag> : <Tag tone="bad">None in force</Tag>)}
    >
      <Trouble error={error} />
      {value && (
        <div class="card">
          <Facts
            of={[
              ['Rules', <code class="wrap">{value.bundle}</code>],
              ['Data', <code class="wrap">{value.data}</code>],
            ]}
          />
          <p class="muted small">
            Every decision names both revisions. A new one takes effect on the next operation, in sessions that are open
            as well.
          </p>
        </div>
      )}
    </Page>
  );
}
