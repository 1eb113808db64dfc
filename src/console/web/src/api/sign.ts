/** Signature 1.0 (HMAC-SHA1) of the API. By hand, because browsers offer no cryptography on plain HTTP. */
import { hmac } from '@noble/hashes/hmac.js';
import { sha1 } from '@noble/hashes/legacy.js';

export type Params = Record<string, string>;

export interface Key {
  id: string;
  secret: string;
}

const VERSION = '2018-12-12';

/** RFC 3986: everything but the unreserved characters. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Parameters in the order and form in which they are signed. */
export function canonical(params: Params): string {
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return Object.keys(params).sort(order).map((name) => `${encode(name)}=${encode(params[name])}`).join('&');
}

export function stringToSign(method: string, params: Params): string {
  return `${method}&%2F&${encode(canonical(params))}`;
}

export function signature(method: string, params: Params, secret: string): string {
  const bytes = new TextEncoder();
  const mac = hmac(sha1, bytes.encode(`${secret}&`), bytes.encode(stringToSign(method, params)));
  return btoa(String.fromCharCode(...mac));
}

/** 128 random bits; `crypto.randomUUID` is missing on plain HTTP. */
export function nonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

/** All parameters of a call, signed. `now` is the server's time in milliseconds. */
export function signed(method: string, action: string, own: Params, key: Key, now: number): Params {
  const params: Params = {
    ...own,
    Action: action,
    Version: VERSION,
    Format: 'JSON',
    AccessKeyId: key.id,
    SignatureMethod: 'HMAC-SHA1',
    SignatureVersion: '1.0',
    SignatureNonce: nonce(),
    Timestamp: `${new Date(now).toISOString().slice(0, 19)}Z`,
  };
  return { ...params, Signature: signature(method, params, key.secret) };
}
