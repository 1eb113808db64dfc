/** What the device itself recorded: the day as a bar, played through this server, with pause, seeking and speed. */
import { useEffect, useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Stream } from '../api/types';
import { asError, useCall } from '../hooks';
import { t } from '../i18n';
import { Player } from '../player/player';
import { link, place, refine } from '../router';
import { Button } from '../ui/form';
import { bytes, duration, iso, when } from '../ui/format';
import { Choice, Head } from '../ui/head';
import { Busy, Empty, ErrorBox, noteError, Tag } from '../ui/show';
import { Table, type Column } from '../ui/table';
import { DayPick, dayOf, Timeline } from '../ui/timeline';
import { StreamPick } from './stream-pick';
import { streamName } from './streams';

const DAY = 86_400_000;

interface DeviceRecord { Name: string; FilePath: string; Type: string; StartTime: string; EndTime: string; FileSize?: number }

export function Playback() {
  return <StreamPick title="page.playback" text="playback.text" to="playback" devices />;
}

export function PlaybackOf({ id }: { id: string }) {
  const day = Number(place.value.query.get('day')) || dayOf(Date.now());
  const { data: stream } = useCall<Stream>('DescribeStream', { Id: id });
  const { data, error, loading, reload } = useCall<{ TotalCount: number; Records: DeviceRecord[] }>('DescribeDeviceRecords', { Id: id, StartTime: iso(day), EndTime: iso(day + DAY) });
  const [range, setRange] = useState<{ from: number; to: number } | null>(null);
  useEffect(() => setRange(null), [id, day]);
  const rows = data?.Records ?? [];
  const spans = rows.map((r, n) => ({ key: `${r.StartTime}/${n}`, from: Date.parse(r.StartTime), to: Date.parse(r.EndTime) }));
  const pick = (at: number) => {
    const span = spans.find((s) => s.from <= at && at < s.to) ?? spans.find((s) => s.from >= at);
    if (span) setRange({ from: Math.floor(Math.max(at, span.from) / 1000), to: Math.floor(span.to / 1000) });
  };
  const columns: Column<DeviceRecord>[] = [
    { title: t('record.begins'), cell: (r) => <button type="button" class="linklike" onClick={() => pick(Date.parse(r.StartTime))}>{when(r.StartTime)}</button> },
    { title: t('record.length'), figure: true, cell: (r) => duration((Date.parse(r.EndTime) - Date.parse(r.StartTime)) / 1000) },
    { title: t('playback.kind'), cell: (r) => <Tag>{r.Type || '–'}</Tag> },
    { title: t('record.size'), figure: true, minor: true, cell: (r) => (r.FileSize === undefined ? '–' : bytes(r.FileSize)) },
    { title: t('ui.description'), minor: true, cell: (r) => r.Name },
  ];
  return (
    <>
      <Head title={t('playback.of', { name: stream ? streamName(stream) : id })}>
        <a class="button plain" href={link('streams', id)}>{t('record.live')}</a>
        <Button icon="refresh" label={t('ui.retry')} busy={loading} onClick={reload} />
      </Head>
      <div class="filters">
        <Button small icon="left" label={t('timeline.before')} onClick={() => refine({ day: dayOf(day - DAY / 2) })} />
        <DayPick day={day} onPick={(d) => refine({ day: d })} />
        <Button small icon="right" label={t('timeline.after')} disabled={day >= dayOf(Date.now())} onClick={() => refine({ day: dayOf(day + DAY * 1.5) })} />
      </div>
      {error && <ErrorBox error={error} retry={reload} />}
      <Timeline day={day} stretches={spans} at={range ? range.from * 1000 : null} onPick={pick} />
      {range && stream && <Session key={`${range.from}`} id={id} title={streamName(stream)} {...range} />}
      {rows.length > 0 ? (
        <div class="card flush"><Table caption={t('page.playback')} columns={columns} rows={rows} rowKey={(r) => `${r.StartTime}/${r.FilePath}`} /></div>
      ) : loading ? (
        <Busy label={t('playback.asking')} />
      ) : (
        !error && <div class="card"><Empty icon="playback" title={t('playback.none')} text={t('playback.noneText')} /></div>
      )}
    </>
  );
}

const SPEEDS = ['0.5', '1', '2', '4', '8'];

function Session({ id, title, from, to }: { id: string; title: string; from: number; to: number }) {
  const [paused, setPaused] = useState(false);
  const [speed, setSpeed] = useState('1');
  const [position, setPosition] = useState(0);
  const control = async (Command: string, more: Record<string, number | string> = {}) => {
    try {
      await call('ControlPlayback', { Id: id, StartTime: from, EndTime: to, Command, ...more });
      return true;
    } catch (e) {
      noteError(asError(e));
      return false;
    }
  };
  const [playing, setPlaying] = useState(false);
  const length = to - from;
  // Devices do not tell where they are: it is reckoned from when pictures come.
  useEffect(() => {
    if (!playing || paused) return;
    const timer = setInterval(() => setPosition((at) => Math.min(length, at + Number(speed))), 1000);
    return () => clearInterval(timer);
  }, [playing, paused, speed, length]);
  return (
    <section class="replay">
      <Player id={id} title={title} from={from} to={to} onState={(state) => setPlaying(state.phase === 'playing')} />
      <div class="filters">
        <Button icon={paused ? 'play' : 'pause'} onClick={() => void control(paused ? 'resume' : 'pause').then((ok) => ok && setPaused(!paused))}>{t(paused ? 'playback.resume' : 'playback.pause')}</Button>
        <Choice label={t('ptz.speed')} value={speed} onChange={(v) => void control('speed', { Speed: v }).then((ok) => ok && setSpeed(v))} options={SPEEDS.map((s): [string, string] => [s, `${s}×`])} />
        <label class="inline grow">
          <span>{duration(position)} / {duration(length)}</span>
          <input type="range" min="0" max={length} value={position} aria-label={t('playback.seek')} onInput={(e) => setPosition(Number(e.currentTarget.value))} onChange={(e) => void control('seek', { Position: e.currentTarget.value })} />
        </label>
      </div>
    </section>
  );
}
