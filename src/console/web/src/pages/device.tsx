/** One device: its channels with their live state, what to type into it, and what it can be told. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import { has } from '../api/spec';
import type { Channel, Device, Group, Paged } from '../api/types';
import { asError, useCall } from '../hooks';
import { t, word } from '../i18n';
import { go, link, place, refine } from '../router';
import { FormDialog } from '../ui/dialog';
import { Button, LinkButton } from '../ui/form';
import { when } from '../ui/format';
import { Facts, Filter, Head, Search } from '../ui/head';
import { Badge, Busy, Empty, ErrorBox, note, noteError } from '../ui/show';
import { List, paging, type Column } from '../ui/table';
import { DeviceDialog } from './device-dialog';
import { SipValues } from './group';
import { VoiceCard } from './voice';

export function DeviceDetail({ id }: { id: string }) {
  const { data: device, error, reload } = useCall<Device>('DescribeDevice', { Id: id, IncludeStats: true }, 5000);
  const { data: group } = useCall<Group>(device ? 'DescribeGroup' : null, { Id: device?.GroupId });
  const [editing, setEditing] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [rebooting, setRebooting] = useState(false);
  const [busy, setBusy] = useState('');
  const act = async (action: string, done: string) => {
    setBusy(action);
    try {
      await call(action, { Id: id });
      note(done);
      reload();
    } catch (e) {
      noteError(asError(e));
    }
    setBusy('');
  };
  if (!device) return error ? <ErrorBox error={error} retry={reload} /> : <Busy />;
  const online = device.Status === 'on';
  return (
    <>
      <Head title={device.Name || device.GbId} text={device.Description}>
        <Badge status={device.Status}>{word('device.status', device.Status)}</Badge>
        <Button icon="play" disabled={!online} busy={busy === 'StartDevice'} onClick={() => void act('StartDevice', t('device.started'))}>{t('ui.start')}</Button>
        <Button icon="stop" disabled={!online} busy={busy === 'StopDevice'} onClick={() => void act('StopDevice', t('device.stopped'))}>{t('ui.stop')}</Button>
        <Button icon="refresh" disabled={!online} busy={busy === 'RefreshChannels'} onClick={() => void act('RefreshChannels', t('device.refreshed'))}>{t('device.refresh')}</Button>
        {device.Status === 'failed' && <Button icon="key" kind="primary" busy={busy === 'UnlockDevice'} onClick={() => void act('UnlockDevice', t('device.unlocked'))}>{t('device.unlock')}</Button>}
        {has('RebootDevice') && <Button icon="playback" disabled={!online} onClick={() => setRebooting(true)}>{t('device.reboot')}</Button>}
        {has('ResetDeviceAlarm') && <Button icon="alarm" label={t('device.resetAlarm')} disabled={!online} busy={busy === 'ResetDeviceAlarm'} onClick={() => void act('ResetDeviceAlarm', t('device.alarmReset'))} />}
        {has('DiagnoseDevice') && <LinkButton icon="doctor" href={link('doctor', id)}>{t('page.doctor')}</LinkButton>}
        <Button icon="edit" label={t('ui.edit')} onClick={() => setEditing(true)} />
        <Button icon="trash" label={t('ui.delete')} onClick={() => setDeleting(true)} />
      </Head>
      {device.Status === 'new' && <p class="tip">{t('device.newTip')}</p>}
      {device.Status === 'failed' && <p class="tip bad">{t('device.failedTip')}</p>}
      <Channels device={device} />
      <div class="grid two">
        <section class="card">
          <h2>{t('ui.details')}</h2>
          <Facts rows={[
            ['ID', <code>{device.Id}</code>], [t('device.code'), <code>{device.GbId}</code>], [t('device.type'), word('device.type', device.Type)], [t('group.one'), group ? <a href={link('groups', group.Id)}>{group.Name}</a> : ''],
            [t('device.address'), device.Ip ? <code>{device.Ip}{device.Port ? `:${device.Port}` : ''}</code> : ''], [t('device.vendor'), device.Vendor], [t('device.registered'), when(device.RegisteredTime)],
            [t('device.auto'), t(device.AutoStart ? 'ui.yes' : 'ui.no')], [t('device.place'), Number(device.Latitude) || Number(device.Longitude) ? `${device.Latitude}, ${device.Longitude}` : ''], [t('ui.created'), when(device.CreatedTime)],
          ]} />
        </section>
        {group && <SipValues group={group} device={device.GbId} />}
        {has('StartVoiceBroadcast') && <VoiceCard device={id} online={online} />}
      </div>
      {editing && <DeviceDialog device={device} group={device.GroupId} onClose={() => setEditing(false)} onDone={reload} />}
      {rebooting && (
        <FormDialog title={t('device.rebootAsk', { name: device.Name || device.GbId })} submit={t('device.reboot')} danger onClose={() => setRebooting(false)} onSubmit={async () => { await call('RebootDevice', { Id: id }); note(t('device.rebooted')); }}>
          <p>{t('device.rebootText')}</p>
        </FormDialog>
      )}
      {deleting && (
        <FormDialog title={t('ui.deleteAsk', { name: device.Name || device.GbId })} submit={t('ui.delete')} danger onClose={() => setDeleting(false)} onSubmit={async () => { await call('DeleteDevice', { Id: id }); go(link('devices', '', { group: device.GroupId })); }}>
          <p>{t('device.deleteText')}</p>
        </FormDialog>
      )}
    </>
  );
}

function Channels({ device }: { device: Device }) {
  const { query } = place.value;
  const { PageNum, PageSize } = paging();
  const loaded = useCall<Paged & { Channels: Channel[] }>('DescribeDeviceChannels', { Id: device.Id, Name: query.get('name'), Status: query.get('status'), PageNum, PageSize }, 5000);
  const [busy, setBusy] = useState('');
  const act = async (action: string, id: string) => {
    setBusy(id);
    try {
      await call(action, { Id: id });
      loaded.reload();
    } catch (e) {
      noteError(asError(e));
    }
    setBusy('');
  };
  const columns: Column<Channel>[] = [
    { title: t('channel.name'), cell: (c) => (c.StreamId ? <a class="strong" href={link('streams', c.StreamId)}>{c.Name || c.GbId}</a> : c.Name || c.GbId) },
    { title: t('channel.device'), cell: (c) => <Badge status={c.DeviceStatus}>{word('device.status', c.DeviceStatus)}</Badge> },
    { title: t('channel.stream'), cell: (c) => <Badge status={c.StreamStatus}>{word('stream.status', c.StreamStatus)}</Badge> },
    { title: t('device.code'), minor: true, cell: (c) => <code>{c.GbId}</code> },
    {
      title: '',
      cell: (c) => (
        <span class="row end">
          {c.StreamStatus === 'on' ? (
            <Button small icon="stop" busy={busy === c.Id} onClick={() => void act('StopChannel', c.Id)}>{t('ui.stop')}</Button>
          ) : (
            <Button small icon="play" busy={busy === c.Id} disabled={device.Status !== 'on'} onClick={() => void act('StartChannel', c.Id)}>{t('ui.start')}</Button>
          )}
          {c.StreamId && has('DescribeDeviceRecords') && <LinkButton small icon="playback" kind="quiet" href={link('playback', c.StreamId)}>{t('page.playback')}</LinkButton>}
        </span>
      ),
    },
  ];
  return (
    <section>
      <div class="filters">
        <h2>{t('channel.title')}</h2>
        <Search label={t('ui.exactName')} value={query.get('name') ?? ''} onChange={(name) => refine({ name, page: undefined })} />
        <Filter label={t('channel.device')} name="status" values={['on', 'off']} prefix="device.status" />
      </div>
      <List
        caption={t('channel.title')}
        loaded={loaded}
        columns={columns}
        rows={(d: { Channels: Channel[] }) => d.Channels}
        rowKey={(c) => c.Id}
        empty={<Empty icon="camera" title={t('channel.none')} text={t('channel.noneText')} />}
      />
    </section>
  );
}
