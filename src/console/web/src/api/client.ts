/** Calls of the API: signed here, posted as a form, answered as JSON or with an `ApiError`. */
import { leave, session } from './session';
import { canonical, signed, type Key, type Params } from './sign';

export type Value = string | number | boolean | undefined | null;

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId: string,
  ) {
    super(message);
  }
}

/** How far the server's clock is ahead of ours, in milliseconds: signatures carry the server's time. */
let ahead = 0;

export const serverNow = (): number => Date.now() + ahead;

/** Parameters as the wire has them; what is empty is left out. */
export function plain(params: Record<string, Value>): Params {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

async function once<T>(key: Key, action: string, params: Params, stop?: AbortSignal): Promise<T> {
  const body = canonical(signed('POST', action, params, key, serverNow()));
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  let answer: Response;
  try {
    answer = await fetch('/', { method: 'POST', body, headers, signal: stop, credentials: 'omit', cache: 'no-store' });
  } catch (e) {
    if (stop?.aborted) throw e;
    throw new ApiError(0, 'Unreachable', '', '');
  }
  const date = Date.parse(answer.headers.get('Date') ?? '');
  const said = await answer.json().catch(() => null);
  if (answer.ok && said) return said as T;
  const code = String(said?.Code ?? `Http${answer.status}`);
  if (code.startsWith('InvalidTimeStamp') && !Number.isNaN(date)) ahead = date - Date.now();
  throw new ApiError(answer.status, code, String(said?.Message ?? answer.statusText), String(said?.RequestId ?? ''));
}

/** One call with a key that need not be the session's. */
export async function callAs<T>(key: Key, action: string, params: Record<string, Value> = {}, stop?: AbortSignal): Promise<T> {
  const own = plain(params);
  try {
    return await once<T>(key, action, own, stop);
  } catch (e) {
    // A clock that differs is found out by the first refusal.
    if (e instanceof ApiError && e.code.startsWith('InvalidTimeStamp')) return once<T>(key, action, own, stop);
    throw e;
  }
}

/** One call of who is signed in. A key that is not good any more ends the session. */
export async function call<T>(action: string, params: Record<string, Value> = {}, stop?: AbortSignal): Promise<T> {
  const now = session.value;
  if (!now) throw new ApiError(0, 'SignedOut', '', '');
  try {
    return await callAs<T>(now.key, action, params, stop);
  } catch (e) {
    const gone = ['InvalidAccessKeyId.NotFound', 'InvalidAccessKeyId.Inactive', 'SignatureDoesNotMatch'];
    if (e instanceof ApiError && gone.includes(e.code) && session.value === now) leave();
    throw e;
  }
}
