/** Upper platforms: where this server registers as a device itself, and what it shows there. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Outcome, Paged } from '../api/types';
import { asError, useCall } from '../hooks';
import { t, word } from '../i18n';
import { go, link } from '../router';
import { FormDialog } from '../ui/dialog';
import { Button, CheckField, Copyable, SelectField, TextField } from '../ui/form';
import { count, when } from '../ui/format';
import { Facts, Head } from '../ui/head';
import { Badge, Busy, Empty, ErrorBox, note, noteError } from '../ui/show';
import { List, paging, type Column } from '../ui/table';
import { useGroups } from './pick';

interface Upper {
  Id: string; Name: string; Enabled: boolean; Status: 'on' | 'off'; StatusTime?: string; Error?: string; Host: string; Port: number; Transport: string; ServerGbId: string; Domain: string;
  LocalGbId: string; Username: string; Expires: number; KeepaliveInterval: number; AllowControl: boolean; GroupIds: string[]; ChannelNum: number; CallNum: number; CreatedTime: string;
}

interface UpperChannel { StreamId: string; GroupId: string; DeviceId?: string; GbId: string; Name: string }

type Uppers = Paged & { [list: string]: unknown };

/** The list, whatever its name in the answer is. */
const rowsOf = <T,>(data: Uppers): T[] => (Object.values(data).find(Array.isArray) as T[] | undefined) ?? [];

const state = (x: Upper) => (x.Enabled ? <Badge status={x.Status}>{word('upper.status', x.Status)}</Badge> : <Badge tone="warn">{t('upper.disabled')}</Badge>);

export function Uppers() {
  const { PageNum, PageSize } = paging();
  const loaded = useCall<Uppers>('DescribeUpperPlatforms', { PageNum, PageSize }, 6000);
  const [editing, setEditing] = useState<Upper | 'new' | null>(null);
  const columns: Column<Upper>[] = [
    { title: t('upper.name'), cell: (x) => <a class="strong" href={link('uppers', x.Id)}>{x.Name}</a> },
    { title: t('ui.status'), cell: state },
    { title: t('upper.address'), cell: (x) => <code>{x.Host}:{x.Port}/{x.Transport}</code> },
    { title: t('upper.channels'), figure: true, minor: true, cell: (x) => count(x.ChannelNum) },
    { title: t('upper.calls'), figure: true, minor: true, cell: (x) => count(x.CallNum) },
    { title: '', cell: (x) => <span class="row end"><Button small kind="quiet" icon="edit" label={t('ui.edit')} onClick={() => setEditing(x)} /></span> },
  ];
  return (
    <>
      <Head title={t('page.uppers')} text={t('uppers.text')}>
        <Button kind="primary" icon="add" onClick={() => setEditing('new')}>{t('upper.new')}</Button>
      </Head>
      <List caption={t('page.uppers')} loaded={loaded} columns={columns} rows={(d: Uppers) => rowsOf<Upper>(d)} rowKey={(x) => x.Id} empty={<Empty icon="uppers" title={t('uppers.none')} text={t('uppers.noneText')} />} />
      {editing && <UpperDialog upper={editing === 'new' ? null : editing} onClose={() => setEditing(null)} onDone={loaded.reload} />}
    </>
  );
}

export function UpperOf({ id }: { id: string }) {
  const found = useCall<Uppers>('DescribeUpperPlatforms', { Id: id }, 5000);
  const { PageNum, PageSize } = paging();
  const shown = useCall<Uppers>('DescribeUpperPlatformStreams', { Id: id, PageNum, PageSize }, 15_000);
  const [dialog, setDialog] = useState<'edit' | 'bind' | 'delete' | null>(null);
  const { data: groups } = useGroups();
  if (!found.data) return found.error ? <ErrorBox error={found.error} retry={found.reload} /> : <Busy />;
  const x = rowsOf<Upper>(found.data)[0];
  if (!x) return <Empty icon="uppers" title={t('error.ResourceNotFound')} />;
  const both = () => { found.reload(); shown.reload(); };
  const unbind = async (instance: string, type: string) => {
    try {
      await call('UnbindUpperPlatformStreams', { Id: id, InstanceId: instance, InstanceType: type });
      both();
    } catch (e) {
      noteError(asError(e));
    }
  };
  const name = (group: string) => groups?.Groups.find((g) => g.Id === group)?.Name ?? group;
  const columns: Column<UpperChannel>[] = [
    { title: t('stream.name'), cell: (c) => <a class="strong" href={link('streams', c.StreamId)}>{c.Name || c.StreamId}</a> },
    { title: t('upper.known'), cell: (c) => <code>{c.GbId}</code> },
    { title: t('group.one'), minor: true, cell: (c) => <a href={link('groups', c.GroupId)}>{name(c.GroupId)}</a> },
    { title: '', cell: (c) => (x.GroupIds.includes(c.GroupId) ? null : <span class="row end"><Button small kind="quiet" icon="close" label={t('upper.hide')} onClick={() => void unbind(c.StreamId, 'stream')} /></span>) },
  ];
  return (
    <>
      <Head title={x.Name}>
        {state(x)}
        <Button kind="primary" icon="add" onClick={() => setDialog('bind')}>{t('upper.show')}</Button>
        <Button icon="edit" onClick={() => setDialog('edit')}>{t('ui.edit')}</Button>
        <Button icon="trash" label={t('ui.delete')} onClick={() => setDialog('delete')} />
      </Head>
      {x.Error && <p class="tip bad">{x.Error}</p>}
      <div class="grid two">
        <section class="card">
          <h2>{t('ui.details')}</h2>
          <Facts rows={[
            [t('upper.address'), <code>{x.Host}:{x.Port}/{x.Transport}</code>], [t('sip.serverId'), <code>{x.ServerGbId}</code>], [t('sip.domain'), <code>{x.Domain}</code>], [t('upper.local'), <Copyable text={x.LocalGbId} />], [t('sip.user'), x.Username],
            [t('sip.expires'), String(x.Expires)], [t('sip.beat'), String(x.KeepaliveInterval)], [t('upper.control'), t(x.AllowControl ? 'ui.yes' : 'ui.no')], [t('upper.since'), when(x.StatusTime)], [t('ui.created'), when(x.CreatedTime)],
          ]} />
        </section>
        <section class="card">
          <h2>{t('upper.groups')}</h2>
          {x.GroupIds.length === 0 && <p class="muted pad">{t('upper.noGroups')}</p>}
          <ul class="plain">
            {x.GroupIds.map((group) => (
              <li key={group} class="row">
                <a href={link('groups', group)}>{name(group)}</a>
                <span class="spring" />
                <Button small kind="quiet" icon="close" label={t('upper.hide')} onClick={() => void unbind(group, 'group')} />
              </li>
            ))}
          </ul>
        </section>
      </div>
      <List caption={t('upper.channels')} loaded={shown} columns={columns} rows={(d: Uppers) => rowsOf<UpperChannel>(d)} rowKey={(c) => c.StreamId} empty={<Empty icon="streams" title={t('upper.noChannels')} text={t('upper.noChannelsText')} />} />
      {dialog === 'edit' && <UpperDialog upper={x} onClose={() => setDialog(null)} onDone={both} />}
      {dialog === 'bind' && <ShowDialog id={id} onClose={() => setDialog(null)} onDone={both} />}
      {dialog === 'delete' && (
        <FormDialog title={t('ui.deleteAsk', { name: x.Name })} submit={t('ui.delete')} danger onClose={() => setDialog(null)} onSubmit={async () => { await call('DeleteUpperPlatform', { Id: id }); go(link('uppers')); }}>
          <p>{t('upper.deleteText')}</p>
        </FormDialog>
      )}
    </>
  );
}

function ShowDialog({ id, onClose, onDone }: { id: string; onClose: () => void; onDone: () => void }) {
  const { data } = useGroups();
  const [type, setType] = useState('group');
  const [instance, setInstance] = useState('');
  const submit = async () => {
    const { Results } = await call<{ Results: Outcome[] }>('BindUpperPlatformStreams', { Id: id, InstanceId: instance, InstanceType: type });
    const wrong = Results.find((row) => row.Error);
    if (wrong?.Error) note(wrong.Error, 'bad');
    onDone();
  };
  return (
    <FormDialog title={t('upper.show')} submit={t('upper.show')} onClose={onClose} onSubmit={submit}>
      <SelectField label={t('template.kind')} value={type} onChange={(v) => { setType(v); setInstance(''); }} options={[{ value: 'group', label: t('group.one') }, { value: 'stream', label: t('upper.streams') }]} />
      {type === 'group' ? (
        <SelectField label={t('group.one')} required value={instance} onChange={setInstance} options={[{ value: '', label: '–' }, ...(data?.Groups ?? []).map((g) => ({ value: g.Id, label: g.Name }))]} hint={t('upper.groupHint')} />
      ) : (
        <TextField label={t('upper.streamIds')} required mono value={instance} onChange={setInstance} hint={t('upper.streamHint')} />
      )}
    </FormDialog>
  );
}

function UpperDialog({ upper, onClose, onDone }: { upper: Upper | null; onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState(upper?.Name ?? '');
  const [host, setHost] = useState(upper?.Host ?? '');
  const [port, setPort] = useState(String(upper?.Port ?? 5060));
  const [transport, setTransport] = useState(upper?.Transport ?? 'udp');
  const [server, setServer] = useState(upper?.ServerGbId ?? '');
  const [local, setLocal] = useState(upper?.LocalGbId ?? '');
  const [user, setUser] = useState(upper?.Username ?? '');
  const [password, setPassword] = useState('');
  const [control, setControl] = useState(upper?.AllowControl ?? true);
  const [enabled, setEnabled] = useState(upper?.Enabled ?? true);
  const submit = async () => {
    const both = { Name: name, Host: host, Port: port, Transport: transport, ServerGbId: server, LocalGbId: local, Username: user, Password: password, AllowControl: control };
    if (upper) await call('ModifyUpperPlatform', { Id: upper.Id, Enabled: enabled, ...both });
    else await call('CreateUpperPlatform', both);
    note(t('ui.saved'));
    onDone();
  };
  return (
    <FormDialog title={upper ? t('upper.edit') : t('upper.new')} onClose={onClose} onSubmit={submit}>
      <div class="fields">
        <TextField label={t('upper.name')} value={name} onChange={setName} required autofocus />
        <TextField label={t('sip.ip')} value={host} onChange={setHost} required mono />
        <TextField label={t('sip.port')} value={port} onChange={setPort} required type="number" min={1} max={65535} />
        <SelectField label={t('upper.transport')} value={transport} onChange={setTransport} options={[{ value: 'udp', label: 'UDP' }, { value: 'tcp', label: 'TCP' }]} />
        <TextField label={t('sip.serverId')} value={server} onChange={setServer} required pattern="[0-9]{20}" mono />
        <TextField label={t('upper.local')} value={local} onChange={setLocal} required pattern="[0-9]{20}" mono hint={t('upper.localHint')} />
        <TextField label={t('sip.user')} value={user} onChange={setUser} mono autocomplete="off" />
        <TextField label={t('sip.password')} value={password} onChange={setPassword} type="password" autocomplete="new-password" hint={upper ? t('device.passwordKeep') : undefined} />
        <CheckField label={t('upper.control')} checked={control} onChange={setControl} hint={t('upper.controlHint')} />
        {upper && <CheckField label={t('upper.enabled')} checked={enabled} onChange={setEnabled} />}
      </div>
    </FormDialog>
  );
}
