/** Showing states: badges, errors, empty places, notes that go away. */
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { ApiError } from '../api/client';
import { t, word } from '../i18n';
import { advice } from './advice';
import { Button } from './form';
import { Icon, type IconName } from './icon';

const TONES: Record<string, string> = { on: 'good', active: 'good', running: 'good', ok: 'good', failed: 'bad', deleted: 'bad', new: 'info', suspended: 'warn', forbidden: 'warn' };

export function Badge({ status, tone, children }: { status?: string; tone?: string; children?: ComponentChildren }) {
  return (
    <span class={`badge ${tone ?? TONES[status ?? ''] ?? 'calm'}`}>
      <span class="dot" aria-hidden="true" />
      {children ?? word('status', status ?? '')}
    </span>
  );
}

export function Tag({ children }: { children: ComponentChildren }) {
  return <span class="tag">{children}</span>;
}

/** What went wrong, and what to do about it. */
export function ErrorBox({ error, retry }: { error: ApiError; retry?: () => void }) {
  return (
    <div class="error" role="alert">
      <Icon name="warn" />
      <div>
        <p class="what">{advice(error)}</p>
        {error.message && <p class="said">{error.message}</p>}
        <p class="code">
          {error.code}
          {error.requestId && ` · ${error.requestId}`}
        </p>
      </div>
      {retry && <Button small icon="refresh" onClick={retry}>{t('ui.retry')}</Button>}
    </div>
  );
}

export function Empty({ icon, title, text, children }: { icon: IconName; title: string; text?: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <span class="round"><Icon name={icon} size={28} /></span>
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      {children && <div class="row center">{children}</div>}
    </div>
  );
}

export function Busy({ label }: { label?: string }) {
  return (
    <div class="loading" role="status">
      <span class="spinner" aria-hidden="true" />
      {label ?? t('ui.loading')}
    </div>
  );
}

interface Note {
  id: number;
  text: string;
  tone: 'good' | 'bad';
}

const notes = signal<Note[]>([]);
let count = 0;

export function note(text: string, tone: Note['tone'] = 'good'): void {
  const id = ++count;
  notes.value = [...notes.value.slice(-3), { id, text, tone }];
  setTimeout(() => (notes.value = notes.value.filter((n) => n.id !== id)), tone === 'bad' ? 8000 : 4000);
}

export const noteError = (error: ApiError): void => note(`${advice(error)}${error.message ? ` ${error.message}` : ''}`, 'bad');

export function Notes() {
  return (
    <div class="notes" role="status" aria-live="polite">
      {notes.value.map((n) => (
        <p key={n.id} class={`note ${n.tone}`}>
          <Icon name={n.tone === 'good' ? 'check' : 'warn'} />
          <span>{n.text}</span>
          <Button small kind="quiet" icon="close" label={t('ui.close')} onClick={() => (notes.value = notes.value.filter((m) => m.id !== n.id))} />
        </p>
      ))}
    </div>
  );
}
