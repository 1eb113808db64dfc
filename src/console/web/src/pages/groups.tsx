/** Groups: what devices register to, or streams are pushed to. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Group, Paged } from '../api/types';
import { asError, useCall, useRested } from '../hooks';
import { t, word } from '../i18n';
import { link, place, refine } from '../router';
import { FormDialog } from '../ui/dialog';
import { AreaField, Button, CheckField, LinkButton, SelectField, TextField } from '../ui/form';
import { when } from '../ui/format';
import { Head, Search, Filter } from '../ui/head';
import { Badge, Empty, note, noteError, Tag } from '../ui/show';
import { List, paging, type Column } from '../ui/table';

export const protocols = (group: Group) => group.OutProtocol.split(',').map((p) => <Tag key={p}>{p.toUpperCase()}</Tag>);

export function Groups() {
  const { query } = place.value;
  const [editing, setEditing] = useState<Group | 'new' | null>(null);
  const name = useRested(query.get('name') ?? '');
  const loaded = useCall<Paged & { Groups: Group[] }>('DescribeGroups', { ...paging(), Name: name, InProtocol: query.get('in'), Status: query.get('status') }, 15_000);
  const columns: Column<Group>[] = [
    { title: t('group.name'), sort: 'Name', cell: (g) => <a class="strong" href={link('groups', g.Id)}>{g.Name}</a> },
    { title: t('ui.status'), sort: 'Status', cell: (g) => <Badge status={g.Status} tone={g.Status === 'on' ? 'good' : 'warn'}>{word('group.status', g.Status)}</Badge> },
    { title: t('group.in'), sort: 'InProtocol', cell: (g) => <Tag>{word('protocol', g.InProtocol)}</Tag> },
    { title: t('group.out'), minor: true, cell: (g) => <span class="tags">{protocols(g)}</span> },
    { title: t('group.app'), minor: true, sort: 'App', cell: (g) => <code>{g.App}</code> },
    { title: t('ui.created'), minor: true, sort: 'CreatedTime', cell: (g) => when(g.CreatedTime) },
    { title: '', cell: (g) => <GroupActions group={g} onEdit={() => setEditing(g)} onDone={loaded.reload} /> },
  ];
  return (
    <>
      <Head title={t('page.groups')} text={t('groups.text')}>
        <Button kind="primary" icon="add" onClick={() => setEditing('new')}>{t('group.new')}</Button>
      </Head>
      <div class="filters">
        <Search label={t('ui.exactName')} value={query.get('name') ?? ''} onChange={(name) => refine({ name, page: undefined })} />
        <Filter label={t('group.in')} name="in" values={['gb28181', 'rtmp']} prefix="protocol" />
        <Filter label={t('ui.status')} name="status" values={['on', 'off']} prefix="group.status" />
      </div>
      <List
        caption={t('page.groups')}
        loaded={loaded}
        columns={columns}
        rows={(d: { Groups: Group[] }) => d.Groups}
        rowKey={(g) => g.Id}
        empty={<Empty icon="groups" title={t('groups.none')} text={t('groups.noneText')}><LinkButton kind="primary" icon="add" href={link('add')}>{t('page.add')}</LinkButton></Empty>}
      />
      {editing && <GroupDialog group={editing === 'new' ? null : editing} onClose={() => setEditing(null)} onDone={loaded.reload} />}
    </>
  );
}

/** Halting, enabling, deleting. */
export function GroupActions({ group, onEdit, onDone }: { group: Group; onEdit: () => void; onDone: () => void }) {
  const [asking, setAsking] = useState<'halt' | 'delete' | null>(null);
  const on = group.Status === 'on';
  const enable = async () => {
    try {
      await call('EnableGroup', { Id: group.Id });
      note(t('group.enabled', { name: group.Name }));
      onDone();
    } catch (e) {
      noteError(asError(e));
    }
  };
  return (
    <span class="row end">
      <Button small kind="quiet" icon="edit" label={t('ui.edit')} onClick={onEdit} />
      {on ? (
        <Button small kind="quiet" icon="pause" label={t('group.halt')} onClick={() => setAsking('halt')} />
      ) : (
        <>
          <Button small kind="quiet" icon="play" label={t('group.enable')} onClick={() => void enable()} />
          <Button small kind="quiet" icon="trash" label={t('ui.delete')} onClick={() => setAsking('delete')} />
        </>
      )}
      {asking === 'halt' && (
        <FormDialog title={t('group.haltAsk', { name: group.Name })} submit={t('group.halt')} danger onClose={() => setAsking(null)} onSubmit={async () => { await call('HaltGroup', { Id: group.Id }); onDone(); }}>
          <p>{t('group.haltText')}</p>
        </FormDialog>
      )}
      {asking === 'delete' && (
        <FormDialog title={t('ui.deleteAsk', { name: group.Name })} submit={t('ui.delete')} danger onClose={() => setAsking(null)} onSubmit={async () => { await call('DeleteGroup', { Id: group.Id }); onDone(); }}>
          <p>{t('group.deleteText')}</p>
        </FormDialog>
      )}
    </span>
  );
}

export function GroupDialog({ group, onClose, onDone, preset }: { group: Group | null; onClose: () => void; onDone: (id: string) => void; preset?: 'gb28181' | 'rtmp' }) {
  const [name, setName] = useState(group?.Name ?? '');
  const [description, setDescription] = useState(group?.Description ?? '');
  const [app, setApp] = useState(group?.App ?? 'live');
  const [into, setInto] = useState<string>(group?.InProtocol ?? preset ?? 'gb28181');
  const [out, setOut] = useState<string[]>((group?.OutProtocol ?? 'rtmp,flv,hls').split(','));
  const [lazy, setLazy] = useState(group?.LazyPull ?? false);
  const [auto, setAuto] = useState(group?.AutoRegister ?? false);
  const [license, setLicense] = useState(group?.RequireLicense ?? false);
  const [password, setPassword] = useState('');
  const [callback, setCallback] = useState(group?.Callback ?? '');
  const gb = into === 'gb28181';
  const submit = async () => {
    const device = gb ? { LazyPull: lazy, AutoRegister: auto, RequireLicense: license, GbPassword: password } : {};
    const both = { Name: name, Description: description, OutProtocol: out.join(','), Callback: callback, ...device };
    const answer = group
      ? await call<{ Id: string }>('ModifyGroup', { Id: group.Id, ...both })
      : await call<{ Id: string }>('CreateGroup', { ...both, App: app, InProtocol: into });
    note(group ? t('ui.saved') : t('group.made', { name }));
    onDone(answer.Id);
  };
  return (
    <FormDialog title={group ? t('group.edit') : t('group.new')} onClose={onClose} onSubmit={submit}>
      <div class="fields">
        <TextField label={t('group.name')} value={name} onChange={setName} required maxLength={128} autofocus />
        {!group && <TextField label={t('group.app')} value={app} onChange={setApp} required mono hint={t('group.appHint')} />}
        {!group && <SelectField label={t('group.in')} value={into} onChange={setInto} options={['gb28181', 'rtmp'].map((value) => ({ value, label: word('protocol', value) }))} />}
        <fieldset class="field">
          <legend>{t('group.out')}</legend>
          <div class="row wrap">
            {['rtmp', 'flv', 'hls'].map((p) => <CheckField key={p} label={p.toUpperCase()} checked={out.includes(p)} onChange={(on) => setOut(on ? [...out, p] : out.filter((o) => o !== p))} />)}
          </div>
        </fieldset>
        {gb && <TextField label={t('group.password')} type="password" autocomplete="new-password" value={password} onChange={setPassword} hint={t('group.passwordHint')} />}
        {gb && <CheckField label={t('group.lazy')} checked={lazy} onChange={setLazy} hint={t('group.lazyHint')} />}
        {gb && <CheckField label={t('group.auto')} checked={auto} onChange={setAuto} hint={t('group.autoHint')} />}
        {gb && <CheckField label={t('group.license')} checked={license} onChange={setLicense} hint={t('group.licenseHint')} />}
        <TextField wide label={t('group.callback')} value={callback} onChange={setCallback} placeholder="https://" hint={t('group.callbackHint')} />
        <AreaField label={t('ui.description')} value={description} onChange={setDescription} rows={2} />
      </div>
    </FormDialog>
  );
}
