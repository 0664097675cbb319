/** Small pieces that every page is made of. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { ApiError } from './api.ts';
import { useNow } from './hooks.ts';
import type { JsonObject, Principal } from './types.ts';
import { ago, visible } from './words.ts';

/** A page: its heading takes the focus when one comes to it, so that a screen reader says where one is. */
export function Page({
  title,
  children,
  lead,
}: {
  title: string;
  children: ComponentChildren;
  lead?: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Sallyport`;
    heading.current?.focus({ preventScroll: true });
  }, [title]);
  return (
    <>
      <div class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {lead}
      </div>
      {children}
    </>
  );
}

/** A link inside of the console. */
export function Link(props: {
  href: string;
  go: (path: string) => void;
  class?: string;
  children: ComponentChildren;
  current?: boolean;
}) {
  const { href, go, children, current } = props;
  return (
    <a
      href={href}
      class={props.class}
      aria-current={current ? 'page' : undefined}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        go(href);
      }}
    >
      {children}
    </a>
  );
}

/** A word in a frame. */
export function Tag({
  children,
  tone,
}: {
  children: ComponentChildren;
  tone?: 'good' | 'bad' | 'wait' | 'live' | undefined;
}) {
  return <span class={`tag ${tone ?? ''}`}>{children}</span>;
}

/** What an agent or an upstream wrote, word for word. */
export function Code({ children }: { children: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard.
    <pre class="code" tabIndex={0}>
      <code>{visible(children)}</code>
    </pre>
  );
}

/** Nothing is here, and why that is. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** What went wrong. */
export function Trouble({ error }: { error: ApiError | undefined }) {
  return error === undefined ? null : (
    <p class="trouble" role="alert">
      {error.message}
    </p>
  );
}

/** Somebody, and on whose behalf. */
export function Who({ subject, chain }: { subject: Principal; chain: readonly Principal[] }) {
  return <People subjects={[subject, ...chain].map(({ id }) => id)} />;
}

/** Somebody, and on whose behalf, by their ids. */
export function People({ subjects }: { subjects: readonly string[] }) {
  const [subject = '', ...chain] = subjects.map(visible);
  return (
    <span>
      <strong>{subject}</strong>
      {chain.length > 0 && <span class="muted"> on behalf of {chain.join(', for ')}</span>}
    </span>
  );
}

/** The labels of a place: those that say something. */
export function Labels({ labels }: { labels: JsonObject }) {
  return (
    <>
      {Object.entries(labels).map(([name, value]) => (
        <Tag key={name}>
          {name === 'env' ? '' : `${name} `}
          {typeof value === 'string' ? value : JSON.stringify(value)}
        </Tag>
      ))}
    </>
  );
}

/** A time as how long ago it was; the exact one on demand. */
export function Ago({ time }: { time: string }) {
  const now = useNow(15_000);
  return (
    <time dateTime={time} title={new Date(time).toLocaleString()}>
      {ago(time, now)}
    </time>
  );
}

/** Names and values, one below the other. */
export function Facts({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
