/** What the pages have in common: places, answers of the API, what changes, the time. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, ask } from './api.ts';

/** Where we are: the path, and how to go elsewhere. */
export function usePlace(): readonly [string, (path: string) => void] {
  const [path, setPath] = useState(location.pathname);
  const go = useCallback((to: string) => {
    history.pushState(null, '', to);
    setPath(location.pathname);
    scrollTo(0, 0);
  }, []);
  useEffect(() => {
    const back = () => setPath(location.pathname);
    addEventListener('popstate', back);
    return () => removeEventListener('popstate', back);
  }, []);
  return [path, go];
}

/** What was answered so far, and what went wrong last. */
export interface Answered<Value> {
  readonly value: Value | undefined;
  readonly error: ApiError | undefined;
  /** Asks again; what was answered stays until there is something newer. */
  refresh(): void;
}

/** An answer of the API, asked for again whenever `path` changes. */
export function useApi<Value>(path: string): Answered<Value> {
  const [answered, setAnswered] = useState<{ path: string; value?: Value; error?: ApiError }>({ path });
  const asked = useRef(0);
  const refresh = useCallback(() => {
    const turn = ++asked.current;
    ask<Value>('GET', path).then(
      (value) => turn === asked.current && setAnswered({ path, value }),
      (error) => turn === asked.current && error instanceof ApiError && setAnswered((last) => ({ ...last, error })),
    );
  }, [path]);
  useEffect(refresh, [refresh]);
  const current = answered.path === path ? answered : undefined;
  return { value: current?.value, error: answered.error, refresh };
}

/** Names of events and what to do about them. */
type Listener = (kind: 'approval' | 'session' | 'bundle' | 'ready') => void;

const listeners = new Set<Listener>();

/** Listens to what changes at the gateway, by one stream for the whole page; the browser opens it again when it ends. */
export function useEventSource(signedIn: boolean): boolean {
  const [connected, setConnected] = useState(true);
  useEffect(() => {
    if (!signedIn) return;
    const source = new EventSource('/api/events');
    const kinds = ['approval', 'session', 'bundle', 'ready'] as const;
    for (const kind of kinds) source.addEventListener(kind, () => listeners.forEach((listener) => void listener(kind)));
    source.addEventListener('lost', () => listeners.forEach((listener) => void listener('ready')));
    source.onopen = () => setConnected(true);
    source.onerror = () => setConnected(false);
    return () => source.close();
  }, [signedIn]);
  return connected;
}

/** Calls back, not more often than needed, when one of these kinds changed, and when the stream began anew. */
export function useChanges(kinds: readonly string[], changed: () => void): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const listener: Listener = (kind) => {
      if (kind !== 'ready' && !kinds.includes(kind)) return;
      timer ??= setTimeout(() => {
        timer = undefined;
        changed();
      }, 150);
    };
    listeners.add(listener);
    return () => {
      clearTimeout(timer);
      listeners.delete(listener);
    };
  }, [kinds.join(), changed]);
}

/** The time, in steps. */
export function useNow(stepMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), stepMs);
    return () => clearInterval(timer);
  }, [stepMs]);
  return now;
}
