/** One stream: its picture, the camera's controls, how it can be played elsewhere, what is bound to it. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import { has } from '../api/spec';
import type { Group, Paged, PlayUrl, Stream, Template } from '../api/types';
import { asError, useCall } from '../hooks';
import { t, word } from '../i18n';
import { Player } from '../player/player';
import type { WayName } from '../player/way';
import { go, link } from '../router';
import { FormDialog } from '../ui/dialog';
import { Button, Copyable, LinkButton, TextField } from '../ui/form';
import { count, duration, when } from '../ui/format';
import { Choice, Facts, Head } from '../ui/head';
import { Busy, ErrorBox, note, noteError } from '../ui/show';
import { Bindings } from './bindings';
import { Ptz } from './ptz';
import { PushUrl } from './push-url';
import { RecordNow } from './recording';
import { StreamBadge, streamName } from './streams';

export function StreamDetail({ id }: { id: string }) {
  const { data: stream, error, reload } = useCall<Stream>('DescribeStream', { Id: id }, 4000);
  const [way, setWay] = useState('');
  const [rule, setRule] = useState('');
  const [delay, setDelay] = useState('0');
  const rules = useBound(stream, 'transcode').flatMap((template) => template.TransConfigs ?? []);
  const shifted = useBound(stream, 'timeshift').length > 0;
  const { data: group } = useCall<Group>(stream ? 'DescribeGroup' : null, { Id: stream?.GroupId });
  const [dialog, setDialog] = useState<'rename' | 'delete' | 'push' | 'urls' | null>(null);
  const [busy, setBusy] = useState('');
  if (!stream) return error ? <ErrorBox error={error} retry={reload} /> : <Busy />;
  const device = stream.DeviceId !== '';
  const on = stream.Status === 'on';
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
  const name = streamName(stream);
  // What this browser cannot decode it may be able to decode transcoded.
  const fallBack = () => {
    if (rule || way || rules.length === 0) return;
    note(t('player.fellBack', { name: rules[0].Name }));
    setRule(rules[0].Name);
  };
  return (
    <>
      <Head title={name}>
        <StreamBadge stream={stream} />
        {device && !on && <Button icon="play" kind="primary" busy={busy === 'StartStream'} onClick={() => void act('StartStream', t('stream.started'))}>{t('ui.start')}</Button>}
        {device && on && <Button icon="stop" busy={busy === 'StopStream'} onClick={() => void act('StopStream', t('stream.stopped'))}>{t('ui.stop')}</Button>}
        {!device && <Button icon="up" onClick={() => setDialog('push')}>{t('push.title')}</Button>}
        <Button icon="open" onClick={() => setDialog('urls')}>{t('stream.urls')}</Button>
        {stream.Enabled ? (
          <Button icon="close" busy={busy === 'ForbidVsStream'} onClick={() => void act('ForbidVsStream', t('stream.forbade'))}>{t('stream.forbid')}</Button>
        ) : (
          <Button icon="check" busy={busy === 'ResumeVsStream'} onClick={() => void act('ResumeVsStream', t('stream.resumed'))}>{t('stream.resume')}</Button>
        )}
        <Button icon="edit" label={t('ui.rename')} onClick={() => setDialog('rename')} />
        {!device && <Button icon="trash" label={t('ui.delete')} onClick={() => setDialog('delete')} />}
      </Head>
      <div class="grid stage">
        <section>
          {on || device ? (
            <Player id={id} title={name} way={(way || undefined) as WayName | undefined} rule={rule || undefined} delay={Number(delay) || undefined} onState={(state) => state.phase === 'failed' && fallBack()} />
          ) : (
            <div class="player idle"><p class="state">{t('stream.idle')}</p></div>
          )}
          <div class="filters">
            <Choice label={t('player.way')} value={way} onChange={setWay} options={[['', t('player.auto')], ['whep', word('way.long', 'whep')], ['flv', word('way.long', 'flv')], ['hls', word('way.long', 'hls')]]} />
            {shifted && <Choice label={t('player.back')} value={delay} onChange={setDelay} options={BACK.map((b): [string, string] => [b, b === '0' ? t('player.now') : duration(Number(b))])} />}
            {rules.length > 0 && <Choice label={t('player.version')} value={rule} onChange={setRule} options={[['', t('player.original')], ...rules.map((r): [string, string] => [r.Name, `${r.Name} (${r.Width}×${r.Height})`])]} />}
            {on && has('CreateStreamSnapshot') && <Button small kind="quiet" icon="camera" busy={busy === 'CreateStreamSnapshot'} onClick={() => void act('CreateStreamSnapshot', t('stream.pictured'))}>{t('stream.picture')}</Button>}
            <LinkButton small kind="quiet" icon="records" href={link('records', id)}>{t('page.records')}</LinkButton>
            {device && has('DescribeDeviceRecords') && <LinkButton small kind="quiet" icon="playback" href={link('playback', id)}>{t('page.playback')}</LinkButton>}
          </div>
        </section>
        <div class="stack">
          {device && has('ContinuousMove') && <Ptz id={id} />}
          {has('StartRecordStream') && <RecordNow id={id} />}
          <section class="card">
            <h2>{t('ui.details')}</h2>
            <Facts rows={[
              ['ID', <code>{stream.Id}</code>], [t('stream.path'), <code>{stream.App}/{stream.Id}</code>], [t('group.in'), word('protocol', stream.Protocol)], [t('stream.size'), stream.Width && stream.Height ? `${stream.Width}×${stream.Height}` : ''],
              [t('stream.viewers'), on ? count(stream.ViewerNum ?? 0) : ''], [t('stream.begun'), when(stream.StartTime)], [t('stream.ended'), stream.StopTime ? when(stream.StopTime) : ''],
              [t('group.one'), <a href={link('groups', stream.GroupId)}>{group?.Name ?? stream.GroupId}</a>], [t('device.one'), device ? <a href={link('devices', stream.DeviceId)}>{stream.DeviceId}</a> : ''],
            ]} />
          </section>
        </div>
      </div>
      <Bindings id={id} type="stream" />
      {dialog === 'push' && <PushUrl url={stream.PushUrl} id={id} onClose={() => setDialog(null)} />}
      {dialog === 'urls' && <Urls id={id} onClose={() => setDialog(null)} />}
      {dialog === 'rename' && <Rename stream={stream} onClose={() => setDialog(null)} onDone={reload} />}
      {dialog === 'delete' && (
        <FormDialog title={t('ui.deleteAsk', { name })} submit={t('ui.delete')} danger onClose={() => setDialog(null)} onSubmit={async () => { await call('DeleteStream', { Id: id }); go(link('streams')); }}>
          <p>{t('stream.deleteText')}</p>
        </FormDialog>
      )}
    </>
  );
}

/** The templates of a kind that apply to a stream: its own, else its group's. */
function useBound(stream: Stream | null, type: Template['Type']): Template[] {
  const ask = (id: string | undefined) => useCall<Paged & { Templates: Template[] }>(id ? 'DescribeTemplates' : null, { InstanceId: id, Type: type }).data?.Templates ?? [];
  const [own, group] = [ask(stream?.Id), ask(stream?.GroupId)];
  return own.length > 0 ? own : group;
}

/** How far one may go back at once, in seconds. */
const BACK = ['0', '60', '300', '900', '3600', '21600', '86400'];

function Rename({ stream, onClose, onDone }: { stream: Stream; onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState(stream.Name);
  return (
    <FormDialog title={t('ui.rename')} onClose={onClose} onSubmit={async () => { await call('ModifyStream', { Id: stream.Id, GroupId: stream.GroupId, Name: name }); onDone(); }}>
      <TextField label={t('stream.name')} value={name} onChange={setName} required maxLength={128} autofocus />
    </FormDialog>
  );
}

const HOURS = ['1', '24', '168', '720'];

/** Signed URLs, to be handed on. */
function Urls({ id, onClose }: { id: string; onClose: () => void }) {
  const [hours, setHours] = useState(HOURS[0]);
  const { data, error, reload } = useCall<{ Results: PlayUrl[]; ExpireTime: number }>('DescribePlayUrls', { Id: id, Expire: Number(hours) * 3600 });
  const url = data?.Results[0];
  return (
    <FormDialog title={t('stream.urls')} submit={t('ui.close')} wide onClose={onClose} onSubmit={async () => undefined}>
      <Choice label={t('stream.validFor')} value={hours} onChange={setHours} options={HOURS.map((h): [string, string] => [h, t('stream.hours', { n: h })])} />
      {error && <ErrorBox error={error} retry={reload} />}
      {url && (
        <Facts rows={[
          ['WebRTC (WHEP)', url.WhepUrl && <Copyable text={url.WhepUrl} />],
          ['HTTP-FLV', url.FlvUrl && <Copyable text={url.FlvUrl} />],
          ['WS-FLV', url.FlvUrl && <Copyable text={url.FlvUrl.replace('http', 'ws')} />],
          ['HLS', url.HlsUrl && <Copyable text={url.HlsUrl} />],
          ['RTMP', url.RtmpUrl && <Copyable text={url.RtmpUrl} />],
          [t('stream.snapshot'), url.SnapshotUrl && <Copyable text={url.SnapshotUrl} />],
          [t('stream.validUntil'), when((data?.ExpireTime ?? 0) * 1000)],
        ]} />
      )}
    </FormDialog>
  );
}
