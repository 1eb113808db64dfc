/** Data of the API in components. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, call, type Value } from './api/client';

export interface Loaded<T> {
  data: T | null;
  error: ApiError | null;
  loading: boolean;
  reload: () => void;
}

export function asError(e: unknown): ApiError {
  return e instanceof ApiError ? e : new ApiError(0, 'Unexpected', e instanceof Error ? e.message : String(e), '');
}

/** Calls an action when the parameters change, and every `every` milliseconds while the page is visible. `null` calls nothing. */
export function useCall<T>(action: string | null, params: Record<string, Value> = {}, every = 0): Loaded<T> {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [loading, setLoading] = useState(action !== null);
  const [turn, setTurn] = useState(0);
  const asked = useRef('');
  const key = JSON.stringify([action, params]);
  useEffect(() => {
    if (action === null) return;
    const stop = new AbortController();
    let timer = 0;
    if (asked.current !== key) setLoading(true);
    asked.current = key;
    const ask = async () => {
      try {
        const got = await call<T>(action, params, stop.signal);
        if (stop.signal.aborted) return;
        setData(got);
        setError(null);
      } catch (e) {
        if (stop.signal.aborted) return;
        setError(asError(e));
      }
      setLoading(false);
      if (every > 0) timer = window.setTimeout(again, every);
    };
    const again = () => {
      if (document.hidden) timer = window.setTimeout(again, every);
      else void ask();
    };
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, every, turn]);
  return { data, error, loading, reload: useCallback(() => setTurn((n) => n + 1), []) };
}

/** A value that follows another one after it has rested for a while: what is typed becomes a question. */
export function useRested<T>(value: T, ms = 350): T {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return rested;
}
