/** The head of a page and the filters below it. */
import type { ComponentChildren } from 'preact';
import { t, word } from '../i18n';
import { place, refine } from '../router';
import { Icon } from './icon';

export function Head({ title, text, children }: { title: ComponentChildren; text?: ComponentChildren; children?: ComponentChildren }) {
  return (
    <header class="head">
      <div>
        <h1>{title}</h1>
        {text && <p class="muted">{text}</p>}
      </div>
      <div class="row wrap end">{children}</div>
    </header>
  );
}

export function Search({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  return (
    <label class="search">
      <span class="unseen">{label}</span>
      <Icon name="search" size={16} />
      <input type="search" placeholder={label} value={value} onInput={(e) => onChange(e.currentTarget.value)} />
    </label>
  );
}

/** A choice that stands in the page's address and is asked of the server. */
export function Filter({ label, name, values, prefix }: { label: string; name: string; values: string[]; prefix: string }) {
  const value = place.value.query.get(name) ?? '';
  return <Choice label={label} value={value} onChange={(to) => refine({ [name]: to, page: undefined })} options={[['', t('ui.any')], ...values.map((v): [string, string] => [v, word(prefix, v)])]} />;
}

export function Choice({ label, value, options, onChange }: { label: string; value: string; options: [string, string][]; onChange: (value: string) => void }) {
  return (
    <label class="inline">
      <span>{label}</span>
      <select value={value} onChange={(e) => onChange(e.currentTarget.value)}>
        {options.map(([v, text]) => <option key={v} value={v}>{text}</option>)}
      </select>
    </label>
  );
}

/** Names and values, for one object. */
export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows.filter(([, value]) => value !== undefined && value !== '' && value !== null).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
