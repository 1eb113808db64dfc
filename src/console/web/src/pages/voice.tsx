/** Sound towards a device: that of a stream, as an announcement or a talk. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import { actions } from '../api/spec';
import type { Paged, Stream } from '../api/types';
import { asError, useCall } from '../hooks';
import { t, word } from '../i18n';
import { link } from '../router';
import { FormDialog } from '../ui/dialog';
import { Button, SelectField } from '../ui/form';
import { when } from '../ui/format';
import { Badge, note, noteError } from '../ui/show';
import { streamName } from './streams';

interface Voice { DeviceId: string; StreamId: string; Mode: string; Status: string; StartTime: string }

export function VoiceCard({ device, online }: { device: string; online: boolean }) {
  const { data, reload } = useCall<{ Voices: Voice[] }>('DescribeVoiceBroadcasts', { Id: device }, 5000);
  const [starting, setStarting] = useState(false);
  const [busy, setBusy] = useState(false);
  const voice = data?.Voices[0];
  const stop = async () => {
    setBusy(true);
    try {
      await call('StopVoiceBroadcast', { Id: device });
      reload();
    } catch (e) {
      noteError(asError(e));
    }
    setBusy(false);
  };
  return (
    <section class="card">
      <header>
        <h2>{t('voice.title')}</h2>
        {voice ? <Button small icon="stop" busy={busy} onClick={() => void stop()}>{t('ui.stop')}</Button> : <Button small icon="sound" disabled={!online} onClick={() => setStarting(true)}>{t('voice.start')}</Button>}
      </header>
      {voice ? (
        <p class="row wrap">
          <Badge tone="good">{word('voice.mode', voice.Mode)}</Badge>
          <a href={link('streams', voice.StreamId)}>{voice.StreamId}</a>
          <span class="muted">{when(voice.StartTime)}</span>
        </p>
      ) : (
        <p class="muted pad">{t('voice.text')}</p>
      )}
      {starting && <StartVoice device={device} onClose={() => setStarting(false)} onDone={reload} />}
    </section>
  );
}

function StartVoice({ device, onClose, onDone }: { device: string; onClose: () => void; onDone: () => void }) {
  const { data } = useCall<Paged & { Streams: Stream[] }>('DescribeStreams', { Status: 'on', PageSize: 100 });
  const modes = actions.value.get('StartVoiceBroadcast')?.params.find((p) => p.name === 'Mode')?.values ?? [];
  const [stream, setStream] = useState('');
  const [mode, setMode] = useState('');
  const submit = async () => {
    await call('StartVoiceBroadcast', { Id: device, StreamId: stream, Mode: mode });
    note(t('voice.begun'));
    onDone();
  };
  return (
    <FormDialog title={t('voice.start')} submit={t('ui.start')} onClose={onClose} onSubmit={submit}>
      <SelectField label={t('voice.source')} required value={stream} onChange={setStream} options={[{ value: '', label: '–' }, ...(data?.Streams ?? []).map((s) => ({ value: s.Id, label: streamName(s) }))]} hint={t('voice.sourceHint')} />
      {modes.length > 0 && <SelectField label={t('voice.how')} value={mode} onChange={setMode} options={[{ value: '', label: t('player.auto') }, ...modes.map((value) => ({ value, label: word('voice.mode', value) }))]} />}
    </FormDialog>
  );
}
