/** Who is signed in. The key stays in this tab: in memory, or in sessionStorage if the user asks for it. */
import { signal } from '@preact/signals';
import type { Key } from './sign';

const STORED = 'weir.key';

export interface Session {
  key: Key;
  /** The operator's key reaches tenants and what belongs to the server itself. */
  operator: boolean;
}

export const session = signal<Session | null>(null);

export function keep(now: Session, stored: boolean): void {
  session.value = now;
  try {
    if (stored) sessionStorage.setItem(STORED, JSON.stringify(now.key));
    else sessionStorage.removeItem(STORED);
  } catch {
    // A browser that keeps nothing keeps nothing.
  }
}

/** The key that an earlier page of this tab kept. */
export function stored(): Key | null {
  try {
    const key: unknown = JSON.parse(sessionStorage.getItem(STORED) ?? 'null');
    const is = (k: unknown): k is Key => typeof k === 'object' && k !== null && typeof (k as Key).id === 'string' && typeof (k as Key).secret === 'string';
    return is(key) ? key : null;
  } catch {
    return null;
  }
}

export function leave(): void {
  session.value = null;
  try {
    sessionStorage.removeItem(STORED);
  } catch {
    // As above.
  }
}
