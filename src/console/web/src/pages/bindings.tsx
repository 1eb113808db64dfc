/** The templates that are bound to a group or a stream, and binding more. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import { has } from '../api/spec';
import type { Paged, Template } from '../api/types';
import { asError, useCall } from '../hooks';
import { t, word } from '../i18n';
import { link } from '../router';
import { FormDialog } from '../ui/dialog';
import { Button, CheckField, SelectField } from '../ui/form';
import { ErrorBox, note, noteError, Tag } from '../ui/show';

type Templates = Paged & { Templates: Template[] };

export function Bindings({ id, type }: { id: string; type: 'group' | 'stream' }) {
  const { data, error, reload } = useCall<Templates>(has('DescribeTemplates') ? 'DescribeTemplates' : null, { InstanceId: id, PageSize: 100 });
  const [adding, setAdding] = useState(false);
  const unbind = async (template: Template) => {
    try {
      await call('UnbindTemplate', { TemplateId: template.Id, InstanceId: id, InstanceType: type });
      reload();
    } catch (e) {
      noteError(asError(e));
    }
  };
  return (
    <section class="card">
      <header>
        <h2>{t('binding.title')}</h2>
        <Button small icon="add" onClick={() => setAdding(true)}>{t('binding.add')}</Button>
      </header>
      {error && <ErrorBox error={error} retry={reload} />}
      {data && data.Templates.length === 0 && <p class="muted pad">{t(type === 'group' ? 'binding.noneGroup' : 'binding.none')}</p>}
      <ul class="plain">
        {data?.Templates.map((template) => (
          <li key={template.Id} class="row">
            <Tag>{word('template.type', template.Type)}</Tag>
            <a href={link('templates', template.Id)}>{template.Name}</a>
            <span class="spring" />
            <Button small kind="quiet" icon="trash" label={t('binding.remove')} onClick={() => void unbind(template)} />
          </li>
        ))}
      </ul>
      {adding && <BindDialog id={id} type={type} onClose={() => setAdding(false)} onDone={reload} />}
    </section>
  );
}

function BindDialog({ id, type, onClose, onDone }: { id: string; type: string; onClose: () => void; onDone: () => void }) {
  const { data } = useCall<Templates>('DescribeTemplates', { PageSize: 100 });
  const [template, setTemplate] = useState('');
  const [replace, setReplace] = useState(true);
  const [all, setAll] = useState(false);
  const options = (data?.Templates ?? []).map((row) => ({ value: row.Id, label: `${word('template.type', row.Type)} · ${row.Name}` }));
  const submit = async () => {
    await call('BindTemplate', { TemplateId: template, InstanceId: id, InstanceType: type, Replace: replace, ApplyAll: all || undefined });
    note(t('binding.done'));
    onDone();
  };
  return (
    <FormDialog title={t('binding.add')} submit={t('binding.bind')} onClose={onClose} onSubmit={submit}>
      {data && options.length === 0 && <p class="muted">{t('binding.noTemplates')} <a href={link('templates')}>{t('page.templates')}</a></p>}
      <SelectField label={t('binding.template')} value={template} onChange={setTemplate} required options={[{ value: '', label: '–' }, ...options]} />
      <CheckField label={t('binding.replace')} checked={replace} onChange={setReplace} hint={t('binding.replaceHint')} />
      {type === 'group' && <CheckField label={t('binding.all')} checked={all} onChange={setAll} hint={t('binding.allHint')} />}
    </FormDialog>
  );
}
