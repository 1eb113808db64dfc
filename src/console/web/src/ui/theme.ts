/** Light or dark: as the system says, until the user says otherwise. */
import { effect, signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';

const STORED = 'weir.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

function first(): Theme {
  try {
    const kept = localStorage.getItem(STORED);
    return kept === 'light' || kept === 'dark' ? kept : 'auto';
  } catch {
    return 'auto';
  }
}

export const theme = signal<Theme>(first());
export const dark = signal(false);

const settle = () => {
  dark.value = theme.value === 'dark' || (theme.value === 'auto' && system.matches);
  document.documentElement.dataset.theme = dark.value ? 'dark' : 'light';
};

effect(settle);
system.addEventListener('change', settle);

export function setTheme(to: Theme): void {
  theme.value = to;
  try {
    if (to === 'auto') localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, to);
  } catch {
    // Not kept, then.
  }
}
