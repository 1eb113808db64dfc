/** The page's language. English is the shape; the other dictionary has the same keys (the compiler and a test see to it). */
import { computed, signal } from '@preact/signals';
import { en, type Key } from './en';
import { zh } from './zh';

export type Lang = 'en' | 'zh';

const STORED = 'weir.lang';

function first(): Lang {
  try {
    const kept = localStorage.getItem(STORED);
    if (kept === 'en' || kept === 'zh') return kept;
  } catch {
    // No storage: the browser's language decides.
  }
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

export const lang = signal<Lang>(first());

export function setLang(to: Lang): void {
  lang.value = to;
  try {
    localStorage.setItem(STORED, to);
  } catch {
    // As above.
  }
}

const words = computed<Record<Key, string>>(() => (lang.value === 'zh' ? zh : en));

/** The text of a key; `{name}` in it stands for values. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const text = words.value[key];
  return text.replace(/\{(\w+)\}/g, (all, name: string) => (name in values ? String(values[name]) : all));
}

/** The text of a key that is made at run time, such as a status; the word itself where there is none. */
export function word(prefix: string, name: string): string {
  const key = `${prefix}.${name}`;
  return key in words.value ? words.value[key as Key] : name;
}

export type { Key };
