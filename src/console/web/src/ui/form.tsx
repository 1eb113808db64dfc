/** Buttons and fields. */
import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { t } from '../i18n';
import { Icon, type IconName } from './icon';

interface ButtonProps {
  children?: ComponentChildren;
  icon?: IconName;
  kind?: 'primary' | 'plain' | 'danger' | 'quiet';
  small?: boolean;
  busy?: boolean;
  disabled?: boolean;
  type?: 'button' | 'submit';
  label?: string;
  pressed?: boolean;
  onClick?: (event: MouseEvent) => void;
}

export function Button({ children, icon, kind = 'plain', small, busy, disabled, type = 'button', label, pressed, onClick }: ButtonProps) {
  const classes = `button ${kind}${small ? ' small' : ''}${children === undefined ? ' bare' : ''}${busy ? ' busy' : ''}`;
  return (
    <button type={type} class={classes} disabled={disabled || busy} aria-label={children === undefined ? label : undefined} title={label} aria-pressed={pressed} aria-busy={busy} onClick={onClick}>
      {icon && <Icon name={icon} size={small ? 16 : 18} />}
      {children}
    </button>
  );
}

export function LinkButton({ href, children, icon, kind = 'plain', small }: { href: string; children: ComponentChildren; icon?: IconName; kind?: string; small?: boolean }) {
  return (
    <a class={`button ${kind}${small ? ' small' : ''}`} href={href}>
      {icon && <Icon name={icon} size={small ? 16 : 18} />}
      {children}
    </a>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  required?: boolean;
  wide?: boolean;
  children: (id: string, hintId: string | undefined) => ComponentChildren;
}

export function Field({ label, hint, required, wide, children }: FieldProps) {
  const id = useId();
  return (
    <div class={`field${wide ? ' wide' : ''}`}>
      <label for={id}>
        {label}
        {required && <span class="must" aria-hidden="true"> *</span>}
      </label>
      {children(id, hint ? `${id}-hint` : undefined)}
      {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}

interface TextProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: string;
  required?: boolean;
  type?: string;
  placeholder?: string;
  pattern?: string;
  maxLength?: number;
  min?: number | string;
  max?: number | string;
  step?: number | string;
  autocomplete?: string;
  wide?: boolean;
  mono?: boolean;
  autofocus?: boolean;
}

/** The field that is typed into first takes the focus when it appears. */
function focusOnce(field: HTMLInputElement | null): void {
  if (!field || field.dataset.seen) return;
  field.dataset.seen = '1';
  field.focus();
}

export function TextField({ label, value, onChange, hint, wide, mono, autofocus, ...rest }: TextProps) {
  return (
    <Field label={label} hint={hint} required={rest.required} wide={wide}>
      {(id, hintId) => (
        <input
          id={id}
          class={mono ? 'mono' : undefined}
          aria-describedby={hintId}
          value={value}
          spellcheck={false}
          ref={autofocus ? focusOnce : undefined}
          {...(rest as object)}
          onInput={(e) => onChange(e.currentTarget.value)}
        />
      )}
    </Field>
  );
}

export function AreaField({ label, value, onChange, hint, rows = 4 }: { label: string; value: string; onChange: (v: string) => void; hint?: string; rows?: number }) {
  return (
    <Field label={label} hint={hint} wide>
      {(id, hintId) => <textarea id={id} rows={rows} class="mono" aria-describedby={hintId} value={value} spellcheck={false} onInput={(e) => onChange(e.currentTarget.value)} />}
    </Field>
  );
}

export interface Option {
  value: string;
  label: string;
}

interface SelectProps {
  label: string;
  value: string;
  options: Option[];
  onChange: (value: string) => void;
  hint?: string;
  required?: boolean;
  wide?: boolean;
}

export function SelectField({ label, value, options, onChange, hint, required, wide }: SelectProps) {
  return (
    <Field label={label} hint={hint} required={required} wide={wide}>
      {(id, hintId) => (
        <select id={id} aria-describedby={hintId} required={required} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
          {options.map((o) => <option key={o.value} value={o.value}>{o.label}</option>)}
        </select>
      )}
    </Field>
  );
}

export function CheckField({ label, checked, onChange, hint }: { label: string; checked: boolean; onChange: (checked: boolean) => void; hint?: string }) {
  const id = useId();
  return (
    <div class="check">
      <input id={id} type="checkbox" checked={checked} aria-describedby={hint ? `${id}-hint` : undefined} onChange={(e) => onChange(e.currentTarget.checked)} />
      <div>
        <label for={id}>{label}</label>
        {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
      </div>
    </div>
  );
}

/** A text that is to be typed in elsewhere, with a button that copies it. */
export function Copyable({ text, secret }: { text: string; secret?: boolean }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Plain HTTP has no clipboard API.
      const area = document.createElement('textarea');
      area.value = text;
      (document.querySelector('dialog[open]') ?? document.body).append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <span class="copyable">
      <code class={secret ? 'secret' : undefined}>{text}</code>
      <Button small kind="quiet" icon={done ? 'check' : 'copy'} label={done ? t('ui.copied') : t('ui.copy')} onClick={() => void copy()} />
    </span>
  );
}
