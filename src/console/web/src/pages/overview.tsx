/** How the server does: figures that move, and what wants attention. */
import { useEffect, useState } from 'preact/hooks';
import type { Alarm, Overview as Figures, Paged, PlayUrl, Stream } from '../api/types';
import { has } from '../api/spec';
import { useCall } from '../hooks';
import { t, type Key } from '../i18n';
import { here } from '../player/way';
import { link } from '../router';
import { alarmName } from './alarm-name';
import { Chart } from '../ui/chart';
import { LinkButton } from '../ui/form';
import { bits, count, when } from '../ui/format';
import { Icon, type IconName } from '../ui/icon';
import { Busy, Empty, ErrorBox } from '../ui/show';

const EVERY = 3000;
/** What the live charts show, in seconds. */
const WINDOW = 600;
/** Points that are kept for that. */
const KEPT = 220;

interface Point extends Figures {
  at: number;
}

/** What was seen while the console is open; it outlives the page. */
let history: Point[] = [];

export function Overview() {
  const { data, error, reload } = useCall<Figures>('DescribeOverview', {}, EVERY);
  const { data: recording } = useCall<Paged>(has('DescribeRecordStreams') && data ? 'DescribeRecordStreams' : null, { PageSize: 1 }, 10_000);
  const [points, setPoints] = useState(history);
  useEffect(() => {
    if (!data) return;
    history = [...history, { ...data, at: Date.now() / 1000 }].slice(-KEPT);
    setPoints(history);
  }, [data]);
  if (!data) return error ? <ErrorBox error={error} retry={reload} /> : <Busy />;
  if (data.GroupNum === 0 && data.StreamNum === 0) return <Welcome />;
  const times = points.map((p) => p.at);
  const line = (pick: (p: Point) => number) => points.map(pick);
  return (
    <>
      {error && <ErrorBox error={error} retry={reload} />}
      <div class="tiles">
        <Tile icon="devices" label="overview.devices" value={count(data.OnlineDeviceNum)} of={count(data.DeviceNum)} href={link('devices')} />
        <Tile icon="streams" label="overview.streams" value={count(data.OnlineStreamNum)} of={count(data.StreamNum)} href={link('streams', '', { status: 'on' })} />
        <Tile icon="viewers" label="overview.viewers" value={count(data.ViewerNum)} />
        <Tile icon="down" label="overview.in" value={bits(data.InBps)} />
        <Tile icon="up" label="overview.out" value={bits(data.OutBps)} />
        {recording && <Tile icon="records" label="overview.recording" value={count(recording.TotalCount)} href={link('records')} />}
        <Tile icon="alarm" label="overview.alarms" value={count(data.AlarmNum)} href={link('alarms')} tone={data.AlarmNum > 0 ? 'warn' : undefined} />
      </div>
      <div class="grid two">
        <section class="card">
          <h2>{t('overview.bandwidth')}</h2>
          <Chart label={t('overview.bandwidth')} times={times} window={WINDOW} show={bits} lines={[{ label: t('overview.in'), tone: 1, values: line((p) => p.InBps) }, { label: t('overview.out'), tone: 2, values: line((p) => p.OutBps) }]} />
        </section>
        <section class="card">
          <h2>{t('overview.activity')}</h2>
          <Chart label={t('overview.activity')} times={times} window={WINDOW} show={(n) => count(Math.round(n))} lines={[{ label: t('overview.streams'), tone: 1, values: line((p) => p.OnlineStreamNum) }, { label: t('overview.viewers'), tone: 2, values: line((p) => p.ViewerNum) }, { label: t('overview.devices'), tone: 3, values: line((p) => p.OnlineDeviceNum) }]} />
        </section>
      </div>
      <div class="grid two">
        <Now />
        {has('DescribeAlarms') && <Alarms />}
      </div>
    </>
  );
}

function Tile({ icon, label, value, of, href, tone }: { icon: IconName; label: Key; value: string; of?: string; href?: string; tone?: string }) {
  // The unit stands back behind its figure.
  const [figure, unit] = value.split(' ');
  const inner = (
    <>
      <span class="round"><Icon name={icon} size={20} /></span>
      <span class="label">{t(label)}</span>
      <span class="value">
        {figure}
        {unit && <small> {unit}</small>}
        {of !== undefined && <small> / {of}</small>}
      </span>
    </>
  );
  return href ? <a class={`tile ${tone ?? ''}`} href={href}>{inner}</a> : <div class={`tile ${tone ?? ''}`}>{inner}</div>;
}

/** Pictures of some of the streams that run. */
function Now() {
  const { data } = useCall<Paged & { Streams: Stream[] }>('DescribeStreams', { Status: 'on', PageSize: 6 }, 10_000);
  const ids = (data?.Streams ?? []).map((s) => s.Id).join(',');
  const { data: urls } = useCall<{ Results: PlayUrl[] }>(ids ? 'DescribePlayUrls' : null, { Id: ids }, 60_000);
  const picture = (id: string) => urls?.Results.find((row) => row.Id === id)?.SnapshotUrl;
  return (
    <section class="card">
      <header>
        <h2>{t('overview.now')}</h2>
        <LinkButton small kind="quiet" icon="wall" href={link('wall')}>{t('page.wall')}</LinkButton>
      </header>
      {data && data.Streams.length === 0 && <p class="muted pad">{t('overview.none')}</p>}
      <div class="thumbs">
        {data?.Streams.map((stream) => (
          <a key={stream.Id} class="thumb" href={link('streams', stream.Id)}>
            <Snapshot url={picture(stream.Id)} />
            <span class="name">{stream.ChannelName || stream.Name}</span>
          </a>
        ))}
      </div>
    </section>
  );
}

/** A picture that is made anew now and then. */
function Snapshot({ url }: { url?: string }) {
  const [turn, setTurn] = useState(0);
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && setTurn((n) => n + 1), 10_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span class="still">
      {url && <img src={`${here(url)}&width=320&n=${turn}`} alt="" hidden={!shown} onLoad={() => setShown(true)} onError={() => setShown(false)} />}
      {!shown && <Icon name="camera" size={24} />}
    </span>
  );
}

function Alarms() {
  const { data } = useCall<Paged & { Alarms: Alarm[] }>('DescribeAlarms', { PageSize: 6 }, 10_000);
  return (
    <section class="card">
      <header>
        <h2>{t('overview.latest')}</h2>
        <LinkButton small kind="quiet" icon="alarm" href={link('alarms')}>{t('ui.allOfThem')}</LinkButton>
      </header>
      {data && data.Alarms.length === 0 && <p class="muted pad">{t('alarms.none')}</p>}
      <ul class="feed">
        {data?.Alarms.map((alarm) => (
          <li key={alarm.Id}>
            <span class={`level p${alarm.Priority}`} aria-hidden="true" />
            <div>
              <a href={link('devices', alarm.DeviceId)}>{alarmName(alarm)}</a>
              <p class="muted">{alarm.Description || alarm.GbId}</p>
            </div>
            <time>{when(alarm.Time)}</time>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The first thing that an operator of an empty server sees. */
function Welcome() {
  return (
    <Empty icon="streams" title={t('welcome.title')} text={t('welcome.text')}>
      <LinkButton kind="primary" icon="devices" href={link('add', '', { what: 'camera' })}>{t('add.camera')}</LinkButton>
      <LinkButton icon="streams" href={link('add', '', { what: 'push' })}>{t('add.push')}</LinkButton>
    </Empty>
  );
}
