/** Templates: what is recorded, photographed, transcoded or kept for time shift; groups and streams are bound to them. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Paged, Template, TransConfig } from '../api/types';
import { useCall } from '../hooks';
import { t, word } from '../i18n';
import { link } from '../router';
import { FormDialog } from '../ui/dialog';
import { Button, CheckField, SelectField, TextField } from '../ui/form';
import { duration, when } from '../ui/format';
import { Facts, Filter, Head } from '../ui/head';
import { place } from '../router';
import { Busy, Empty, ErrorBox, note, Tag } from '../ui/show';
import { List, paging, type Column } from '../ui/table';

type Type = Template['Type'];

const TYPES: Type[] = ['record', 'snapshot', 'transcode', 'timeshift'];

/** What a template does, in a few words. */
function gist(x: Template): string {
  switch (x.Type) {
    case 'record': return `${x.FileFormat.toUpperCase().replaceAll(',', ', ')} · ${duration(x.Interval ?? 0)} · ${word('template.trigger', x.Trigger || 'auto')}${x.Expired ? ` · ${t('template.days', { n: x.Expired })}` : ''}`;
    case 'snapshot': return `JPG · ${t('template.every', { n: x.Interval ?? 0 })}${x.Expired ? ` · ${t('template.days', { n: x.Expired })}` : ''}`;
    case 'transcode': return (x.TransConfigs ?? []).map((c) => `${c.Name} ${c.Width}×${c.Height} ${c.VideoBitrate} kbit/s`).join(' · ');
    case 'timeshift': return t('template.days', { n: x.Retention ?? 0 });
  }
}

export function Templates() {
  const { query } = place.value;
  const { PageNum, PageSize } = paging();
  const [editing, setEditing] = useState<Template | 'new' | null>(null);
  const [deleting, setDeleting] = useState<Template | null>(null);
  const loaded = useCall<Paged & { Templates: Template[] }>('DescribeTemplates', { Type: query.get('type'), PageNum, PageSize });
  const columns: Column<Template>[] = [
    { title: t('template.name'), cell: (x) => <a class="strong" href={link('templates', x.Id)}>{x.Name}</a> },
    { title: t('template.kind'), cell: (x) => <Tag>{word('template.type', x.Type)}</Tag> },
    { title: t('template.does'), cell: (x) => gist(x) },
    { title: t('template.stored'), minor: true, cell: (x) => (x.Type === 'record' || x.Type === 'snapshot' ? x.oNestBucket || t('template.local') : '–') },
    { title: t('ui.created'), minor: true, cell: (x) => when(x.CreatedTime) },
    {
      title: '',
      cell: (x) => (
        <span class="row end">
          <Button small kind="quiet" icon="edit" label={t('ui.edit')} onClick={() => setEditing(x)} />
          <Button small kind="quiet" icon="trash" label={t('ui.delete')} onClick={() => setDeleting(x)} />
        </span>
      ),
    },
  ];
  return (
    <>
      <Head title={t('page.templates')} text={t('templates.text')}>
        <Button kind="primary" icon="add" onClick={() => setEditing('new')}>{t('template.new')}</Button>
      </Head>
      <div class="filters"><Filter label={t('template.kind')} name="type" values={TYPES} prefix="template.type" /></div>
      <List
        caption={t('page.templates')}
        loaded={loaded}
        columns={columns}
        rows={(d: { Templates: Template[] }) => d.Templates}
        rowKey={(x) => x.Id}
        empty={<Empty icon="templates" title={t('templates.none')} text={t('templates.noneText')}><Button kind="primary" icon="add" onClick={() => setEditing('new')}>{t('template.new')}</Button></Empty>}
      />
      {editing && <TemplateDialog template={editing === 'new' ? null : editing} onClose={() => setEditing(null)} onDone={loaded.reload} />}
      {deleting && (
        <FormDialog title={t('ui.deleteAsk', { name: deleting.Name })} submit={t('ui.delete')} danger onClose={() => setDeleting(null)} onSubmit={async () => { await call('DeleteTemplate', { Id: deleting.Id }); loaded.reload(); }}>
          <p>{t('template.deleteText')}</p>
        </FormDialog>
      )}
    </>
  );
}

export function TemplateDetail({ id }: { id: string }) {
  const { data: x, error, reload } = useCall<Template>('DescribeTemplate', { Id: id });
  const [editing, setEditing] = useState(false);
  if (!x) return error ? <ErrorBox error={error} retry={reload} /> : <Busy />;
  return (
    <>
      <Head title={x.Name} text={x.Description}>
        <Tag>{word('template.type', x.Type)}</Tag>
        <Button icon="edit" onClick={() => setEditing(true)}>{t('ui.edit')}</Button>
      </Head>
      <section class="card">
        <h2>{t('ui.details')}</h2>
        <Facts rows={[
          ['ID', <code>{x.Id}</code>], [t('template.does'), gist(x)], [t('template.stored'), x.oNestBucket ? `${x.oNestBucket} @ ${x.oNestEndpoint}` : x.Type === 'record' || x.Type === 'snapshot' ? t('template.local') : ''],
          ['MP4', x.Mp4 && <code>{x.Mp4}</code>], ['FLV', x.Flv && <code>{x.Flv}</code>], ['HLS m3u8', x.HlsM3u8 && <code>{x.HlsM3u8}</code>], ['HLS ts', x.HlsTs && <code>{x.HlsTs}</code>],
          [t('template.overwrite'), x.JpgOverwrite && <code>{x.JpgOverwrite}</code>], [t('template.sequence'), x.JpgSequence && <code>{x.JpgSequence}</code>], [t('group.callback'), x.Callback], [t('ui.created'), when(x.CreatedTime)],
        ]} />
      </section>
      <p class="tip">{t('template.bindTip')}</p>
      {editing && <TemplateDialog template={x} onClose={() => setEditing(false)} onDone={reload} />}
    </>
  );
}

const RULE: TransConfig = { Name: 'sd', VideoCodec: 'H264', VideoBitrate: 800, Width: 854, Height: 480, Fps: 25, Gop: 50 };

export function TemplateDialog({ template, onClose, onDone }: { template: Template | null; onClose: () => void; onDone: () => void }) {
  const [type, setType] = useState<Type>(template?.Type ?? 'record');
  const [name, setName] = useState(template?.Name ?? '');
  const [formats, setFormats] = useState((template?.FileFormat || 'mp4').split(','));
  const [interval, setInterval] = useState(String(template?.Interval ?? ''));
  const [trigger, setTrigger] = useState(template?.Trigger || 'auto');
  const [expired, setExpired] = useState(String(template?.Expired ?? 30));
  const [retention, setRetention] = useState(String(template?.Retention ?? 3));
  const [bucket, setBucket] = useState(template?.oNestBucket ?? '');
  const [endpoint, setEndpoint] = useState(template?.oNestEndpoint ?? '');
  const [callback, setCallback] = useState(template?.Callback ?? '');
  const [rules, setRules] = useState<TransConfig[]>(template?.TransConfigs?.length ? template.TransConfigs : [RULE]);
  const file = type === 'record' || type === 'snapshot';
  const params = () => {
    const stored = file ? { Interval: interval || (type === 'record' ? 600 : 60), Expired: expired, oNestBucket: bucket, oNestEndpoint: endpoint } : {};
    switch (type) {
      case 'record': return { ...stored, FileFormat: formats.join(','), Trigger: trigger };
      case 'snapshot': return { ...stored, FileFormat: 'jpg' };
      case 'transcode': return { TransConfigsJSON: JSON.stringify(rules.map(({ Id: _, ...rule }) => rule)) };
      case 'timeshift': return { Retention: retention };
    }
  };
  const submit = async () => {
    const both = { Name: name, Callback: callback, ...params() };
    if (template) await call('ModifyTemplate', { Id: template.Id, ...both });
    else await call('CreateTemplate', { Type: type, ...both });
    note(t('ui.saved'));
    onDone();
  };
  return (
    <FormDialog title={template ? t('template.edit') : t('template.new')} wide={type === 'transcode'} onClose={onClose} onSubmit={submit}>
      <div class="fields">
        <TextField label={t('template.name')} value={name} onChange={setName} required maxLength={128} autofocus />
        {!template && <SelectField label={t('template.kind')} value={type} onChange={(v) => setType(v as Type)} options={TYPES.map((value) => ({ value, label: word('template.type', value) }))} hint={word('template.text', type)} />}
        {type === 'record' && (
          <fieldset class="field">
            <legend>{t('template.formats')}</legend>
            <div class="row wrap">
              {['mp4', 'flv', 'hls'].map((f) => <CheckField key={f} label={f.toUpperCase()} checked={formats.includes(f)} onChange={(on) => setFormats(on ? [...formats, f] : formats.filter((o) => o !== f))} />)}
            </div>
          </fieldset>
        )}
        {type === 'record' && <SelectField label={t('template.trigger')} value={trigger} onChange={setTrigger} options={['auto', 'ondemand'].map((value) => ({ value, label: word('template.trigger', value) }))} />}
        {file && <TextField label={t(type === 'record' ? 'template.perFile' : 'template.between')} type="number" min={1} max={86400} value={interval} onChange={setInterval} placeholder={type === 'record' ? '600' : '60'} />}
        {file && <TextField label={t('template.expired')} type="number" min={0} max={36500} value={expired} onChange={setExpired} hint={t('template.expiredHint')} />}
        {type === 'timeshift' && <TextField label={t('template.retention')} type="number" min={1} max={365} value={retention} onChange={setRetention} required />}
        {file && <TextField label={t('template.bucket')} value={bucket} onChange={setBucket} hint={t('template.bucketHint')} />}
        {file && <TextField label={t('template.endpoint')} value={endpoint} onChange={setEndpoint} placeholder="https://" />}
        {type === 'transcode' && <Rules rules={rules} onChange={setRules} />}
        <TextField wide label={t('group.callback')} value={callback} onChange={setCallback} placeholder="https://" />
      </div>
    </FormDialog>
  );
}

const NUMBERS: (keyof TransConfig)[] = ['Width', 'Height', 'VideoBitrate', 'Fps', 'Gop'];

function Rules({ rules, onChange }: { rules: TransConfig[]; onChange: (rules: TransConfig[]) => void }) {
  const set = (at: number, change: Partial<TransConfig>) => onChange(rules.map((rule, n) => (n === at ? { ...rule, ...change } : rule)));
  return (
    <fieldset class="field wide">
      <legend>{t('template.rules')}</legend>
      <p class="hint">{t('template.rulesHint')}</p>
      {rules.map((rule, n) => (
        <div key={n} class="rule">
          <TextField label={t('template.rule')} value={rule.Name} onChange={(v) => set(n, { Name: v })} required mono />
          {NUMBERS.map((name) => <TextField key={name} label={word('template.value', name)} type="number" min={1} value={String(rule[name] ?? '')} onChange={(v) => set(n, { [name]: Number(v) })} required />)}
          <Button small kind="quiet" icon="trash" label={t('ui.delete')} disabled={rules.length === 1} onClick={() => onChange(rules.filter((_, m) => m !== n))} />
        </div>
      ))}
      <div><Button small icon="add" onClick={() => onChange([...rules, { ...RULE, Name: `r${rules.length + 1}` }])}>{t('template.addRule')}</Button></div>
    </fieldset>
  );
}
