/** Devices of a group, by directory; batches start, stop and delete. */
import { useEffect, useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Device, Directory, Outcome, Paged } from '../api/types';
import { asError, useCall, useRested } from '../hooks';
import { t, word } from '../i18n';
import { link, place, refine } from '../router';
import { FormDialog } from '../ui/dialog';
import { Button, LinkButton, TextField } from '../ui/form';
import { when } from '../ui/format';
import { Filter, Head, Search } from '../ui/head';
import { Icon } from '../ui/icon';
import { Badge, Empty, note, noteError, Tag } from '../ui/show';
import { List, paging, type Column } from '../ui/table';
import { DeviceDialog } from './device-dialog';
import { GroupPick } from './pick';

export function Devices() {
  const { query } = place.value;
  const group = query.get('group') ?? '';
  const [editing, setEditing] = useState<Device | 'new' | null>(null);
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [deleting, setDeleting] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => setChosen(new Set()), [group]);
  const text = useRested((query.get('name') ?? '').trim());
  const code = /^\d{20}$/.test(text);
  const params = { GroupId: group, Name: code ? '' : text, GbId: code ? text : '', DirectoryId: query.get('folder'), ParentId: query.get('parent'), Type: query.get('type'), Status: query.get('status') };
  const loaded = useCall<Paged & { Devices: Device[] }>(group ? 'DescribeDevices' : null, { ...params, ...paging() }, 10_000);
  const columns: Column<Device>[] = [
    { title: t('device.name'), sort: 'Name', cell: (d) => <a class="strong" href={link('devices', d.Id)}>{d.Name || d.GbId}</a> },
    { title: t('ui.status'), sort: 'Status', cell: (d) => <Badge status={d.Status}>{word('device.status', d.Status)}</Badge> },
    { title: t('device.code'), sort: 'GbId', cell: (d) => <code>{d.GbId}</code> },
    { title: t('device.type'), sort: 'Type', minor: true, cell: (d) => <Tag>{word('device.type', d.Type)}</Tag> },
    { title: t('device.address'), sort: 'Ip', minor: true, cell: (d) => (d.Ip ? <code>{d.Ip}{d.Port ? `:${d.Port}` : ''}</code> : '–') },
    { title: t('device.vendor'), sort: 'Vendor', minor: true, cell: (d) => d.Vendor || '–' },
    { title: t('device.registered'), minor: true, cell: (d) => when(d.RegisteredTime) },
    { title: '', cell: (d) => <span class="row end"><Button small kind="quiet" icon="edit" label={t('ui.edit')} onClick={() => setEditing(d)} /></span> },
  ];
  const batch = async (action: string, done: string) => {
    setBusy(true);
    try {
      const { Results } = await call<{ Results: Outcome[] }>(action, { Id: [...chosen].join(',') });
      const failed = Results.filter((row) => row.Error);
      if (failed.length > 0) note(t('batch.some', { n: failed.length, of: Results.length, why: failed[0].Error ?? '' }), 'bad');
      else note(t('batch.all', { what: done, n: Results.length }));
      setChosen(new Set());
      loaded.reload();
    } catch (e) {
      noteError(asError(e));
    }
    setBusy(false);
  };
  return (
    <>
      <Head title={t('page.devices')} text={t('devices.text')}>
        {group && <Button icon="add" kind="primary" onClick={() => setEditing('new')}>{t('device.new')}</Button>}
      </Head>
      <div class="filters">
        <GroupPick protocol="gb28181" must />
        <Search label={t('device.find')} value={query.get('name') ?? ''} onChange={(name) => refine({ name, page: undefined })} />
        <Filter label={t('ui.status')} name="status" values={['on', 'off', 'new', 'failed']} prefix="device.status" />
        <Filter label={t('device.type')} name="type" values={['ipc', 'platform', 'ied']} prefix="device.type" />
      </div>
      {chosen.size > 0 && (
        <div class="batch" role="toolbar" aria-label={t('batch.title')}>
          <span>{t('batch.chosen', { n: chosen.size })}</span>
          <Button small icon="play" busy={busy} onClick={() => void batch('BatchStartDevices', t('ui.start'))}>{t('ui.start')}</Button>
          <Button small icon="stop" busy={busy} onClick={() => void batch('BatchStopDevices', t('ui.stop'))}>{t('ui.stop')}</Button>
          <Button small icon="trash" kind="danger" onClick={() => setDeleting(true)}>{t('ui.delete')}</Button>
        </div>
      )}
      {group ? (
        <div class="with-tree">
          <Tree group={group} />
          <List
            caption={t('page.devices')}
            loaded={loaded}
            columns={columns}
            rows={(d: { Devices: Device[] }) => d.Devices}
            rowKey={(d) => d.Id}
            selected={chosen}
            onSelect={setChosen}
            empty={<Empty icon="devices" title={t('devices.none')} text={t('devices.noneText')}><LinkButton kind="primary" icon="add" href={link('add', '', { what: 'camera', group })}>{t('add.camera')}</LinkButton></Empty>}
          />
        </div>
      ) : (
        <div class="card"><Empty icon="devices" title={t('devices.noGroup')} text={t('devices.noGroupText')}><LinkButton kind="primary" icon="add" href={link('add', '', { what: 'camera' })}>{t('add.camera')}</LinkButton></Empty></div>
      )}
      {editing && <DeviceDialog device={editing === 'new' ? null : editing} group={group} onClose={() => setEditing(null)} onDone={loaded.reload} />}
      {deleting && (
        <FormDialog title={t('batch.deleteAsk', { n: chosen.size })} submit={t('ui.delete')} danger onClose={() => setDeleting(false)} onSubmit={() => batch('BatchDeleteDevices', t('ui.delete'))}>
          <p>{t('device.deleteText')}</p>
        </FormDialog>
      )}
    </>
  );
}

/** Directories of the group, opened one level at a time. */
function Tree({ group }: { group: string }) {
  const chosen = place.value.query.get('folder') ?? '';
  const { data, reload } = useCall<Paged & { Directories: Directory[] }>('DescribeDirectories', { GroupId: group, PageSize: 100 });
  const [making, setMaking] = useState(false);
  const rows = data?.Directories ?? [];
  const inside = new Set(rows.map((d) => d.Id));
  return (
    <nav class="card tree" aria-label={t('device.directories')}>
      <button type="button" aria-current={chosen === '' ? 'true' : undefined} onClick={() => refine({ folder: undefined, page: undefined })}>
        <Icon name="groups" size={16} />
        {t('device.everywhere')}
      </button>
      {rows.filter((d) => !inside.has(d.ParentId)).map((d) => <Branch key={d.Id} directory={d} group={group} chosen={chosen} />)}
      <button type="button" class="muted" onClick={() => setMaking(true)}>
        <Icon name="add" size={16} />
        {t('device.newDirectory')}
      </button>
      {making && <DirectoryDialog group={group} parent={chosen} onClose={() => setMaking(false)} onDone={reload} />}
    </nav>
  );
}

function DirectoryDialog({ group, parent, onClose, onDone }: { group: string; parent: string; onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState('');
  return (
    <FormDialog title={t('device.newDirectory')} submit={t('ui.create')} onClose={onClose} onSubmit={async () => { await call('CreateDirectory', { GroupId: group, Name: name, ParentId: parent }); onDone(); }}>
      <TextField label={t('device.name')} value={name} onChange={setName} required maxLength={128} autofocus hint={parent ? t('device.below') : undefined} />
    </FormDialog>
  );
}

function Branch({ directory, group, chosen }: { directory: Directory; group: string; chosen: string }) {
  const [open, setOpen] = useState(false);
  const { data } = useCall<Paged & { Directories: Directory[] }>(open ? 'DescribeDirectories' : null, { GroupId: group, ParentId: directory.Id, PageSize: 100 });
  return (
    <div class="branch">
      <div class="row">
        <Button small kind="quiet" icon={open ? 'down' : 'right'} label={t(open ? 'ui.fold' : 'ui.unfold')} onClick={() => setOpen(!open)} />
        <button type="button" aria-current={chosen === directory.Id ? 'true' : undefined} onClick={() => refine({ folder: directory.Id, page: undefined })}>
          <Icon name="folder" size={16} />
          {directory.Name}
        </button>
      </div>
      {open && data?.Directories.map((d) => <Branch key={d.Id} directory={d} group={group} chosen={chosen} />)}
      {open && data?.Directories.length === 0 && <p class="muted small">{t('device.noSub')}</p>}
    </div>
  );
}
