/** What recorded sessions are searched by. */
import { useState } from 'preact/hooks';

/** Each as it was typed; empty where it does not matter. Days are local: `since` and `until` are both part of the range. */
export interface Filter {
  readonly subject: string;
  readonly upstream: string;
  readonly protocol: string;
  readonly resource: string;
  readonly label: string;
  readonly code: string;
  readonly outcome: string;
  readonly since: string;
  readonly until: string;
}

/** Everything matches. */
export const noFilter: Filter = {
  ...{ subject: '', upstream: '', protocol: '', resource: '', label: '', code: '', outcome: '', since: '', until: '' },
};

/** As the API takes them. */
export function parametersOf(filter: Filter): Readonly<Record<string, string>> {
  return { ...filter, since: midnight(filter.since, 0), until: midnight(filter.until, 1) };
}

/** When a local day begins, days later, as RFC 3339; empty for no day. */
function midnight(day: string, daysLater: number): string {
  const date = new Date(`${day}T00:00:00`);
  if (Number.isNaN(date.getTime())) return '';
  date.setDate(date.getDate() + daysLater);
  return date.toISOString();
}

const texts = [
  ['subject', 'Who'],
  ['upstream', 'Where'],
  ['resource', 'Table, command or route'],
  ['label', 'Label'],
  ['code', 'Refused with code'],
] as const;

const endings = {
  ok: 'Well',
  error: 'With an error',
  aborted: 'Aborted',
  unknown: 'Nobody knows',
  cut: 'Cut off with the gateway',
};

const choices = [
  ['protocol', 'Protocol', { postgres: 'PostgreSQL', ssh: 'SSH', http: 'HTTP and MCP' }],
  ['outcome', 'How it ended', endings],
] as const;

const days = [
  ['since', 'From'],
  ['until', 'To'],
] as const;

/** The form. @param set - told what to search for when it is sent */
export function Search({ set }: { set: (filter: Filter) => void }) {
  const [draft, setDraft] = useState(noFilter);
  return (
    <search>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault();
          set(draft);
        }}
      >
        {texts.map(([name, label]) => (
          <label key={name}>
            <span>{label}</span>
            <input
              value={draft[name]}
              maxLength={256}
              autocomplete="off"
              onInput={(event) => setDraft({ ...draft, [name]: event.currentTarget.value.trim() })}
            />
          </label>
        ))}
        {choices.map(([name, label, values]) => (
          <label key={name}>
            <span>{label}</span>
            <select value={draft[name]} onChange={(event) => setDraft({ ...draft, [name]: event.currentTarget.value })}>
              <option value="">Any</option>
              {Object.entries(values).map(([value, said]) => (
                <option key={value} value={value}>
                  {said}
                </option>
              ))}
            </select>
          </label>
        ))}
        {days.map(([name, label]) => (
          <label key={name}>
            <span>{label}</span>
            <input
              type="date"
              value={draft[name]}
              onInput={(event) => setDraft({ ...draft, [name]: event.currentTarget.value })}
            />
          </label>
        ))}
        <button type="submit">Search</button>
      </form>
    </search>
  );
}
