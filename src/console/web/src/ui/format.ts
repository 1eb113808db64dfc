/** Figures and times as people read them. */
import { lang } from '../i18n';

const locale = () => (lang.value === 'zh' ? 'zh-CN' : 'en-GB');

export const count = (n: number): string => new Intl.NumberFormat(locale()).format(n);

function scaled(n: number, base: number, units: string[]): string {
  let step = 0;
  let value = n;
  while (Math.abs(value) >= base && step < units.length - 1) {
    value /= base;
    step += 1;
  }
  const digits = step === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[step]}`;
}

export const bits = (n: number): string => scaled(n, 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']);

export const bytes = (n: number): string => scaled(n, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']);

/** A time of the API (UTC) in the user's zone. */
export function when(text: string | number | undefined): string {
  if (!text) return '–';
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return String(text);
  return new Intl.DateTimeFormat(locale(), { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false }).format(date);
}

export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** As the API takes times. */
export const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** As `<input type="datetime-local">` holds times, with seconds, in the user's zone. */
export function local(ms: number): string {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19);
}

export const unlocal = (text: string): number => new Date(text).getTime();
