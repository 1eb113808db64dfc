/** Usage of a group over time: charts and the figures as CSV. */
import { useState } from 'preact/hooks';
import { has } from '../api/spec';
import { session } from '../api/session';
import { useCall } from '../hooks';
import { t, type Key } from '../i18n';
import { place } from '../router';
import { Chart, type Line } from '../ui/chart';
import { Button } from '../ui/form';
import { bits, bytes, count, duration, iso } from '../ui/format';
import { Choice, Head } from '../ui/head';
import { Busy, Empty, ErrorBox } from '../ui/show';
import { GroupPick } from './pick';
import { saveCsv } from './csv';

type Row = Record<string, string | number | Record<string, number>>;

interface Series {
  title: Key;
  action: string;
  /** Where the rows lie in the answer, and what they call their time. */
  path: [string, string];
  time: string;
  lines: [Key, (row: Row) => number][];
  show: (n: number) => string;
  bars?: boolean;
}

const number = (name: string) => (row: Row) => Number(row[name] ?? 0);
const detail = (name: string) => (row: Row) => Number((row.Detail as Record<string, number> | undefined)?.[name] ?? 0);
const whole = (n: number) => count(Math.round(n));

const SERIES: Series[] = [
  { title: 'usage.out', action: 'DescribeUsageStatBpsData', path: ['BpsDataPerInterval', 'DataModule'], time: 'TimeStamp', lines: [['usage.out', number('BpsValue')]], show: bits },
  { title: 'usage.in', action: 'DescribeUsageStatReqBpsData', path: ['ReqBpsDataPerInterval', 'DataModule'], time: 'TimeStamp', lines: [['usage.in', number('ReqBpsValue')]], show: bits },
  { title: 'usage.traffic', action: 'DescribeUsageStatTrafficData', path: ['TrafficDataPerInterval', 'DataModule'], time: 'TimeStamp', lines: [['usage.traffic', number('TrafficValue')]], show: bytes, bars: true },
  { title: 'usage.trafficIn', action: 'DescribeUsageStatReqTrafficData', path: ['ReqTrafficDataPerInterval', 'DataModule'], time: 'TimeStamp', lines: [['usage.trafficIn', number('ReqTrafficValue')]], show: bytes, bars: true },
  { title: 'usage.peak', action: 'DescribeUsageStatUpPeakPublishStreamData', path: ['DescribeVsUpPeakPublishStreamDatas', 'DescribeVsUpPeakPublishStreamData'], time: 'PeakTime', lines: [['usage.peak', number('PublishStreamNum')]], show: whole, bars: true },
  { title: 'usage.recorded', action: 'DescribeUsageStatRecordData', path: ['RecordDataInfos', 'RecordDataInfo'], time: 'Date', lines: [['format.mp4', detail('MP4')], ['format.flv', detail('FLV')], ['format.hls', detail('HLS')]], show: duration, bars: true },
  { title: 'usage.snapshots', action: 'DescribeUsageStatSnapshotData', path: ['SnapshotDataInfos', 'SnapshotDataInfo'], time: 'Date', lines: [['usage.snapshots', number('Total')]], show: whole, bars: true },
];

const SPANS: Record<string, number> = { '6h': 6, '24h': 24, '3d': 72, '7d': 168, '30d': 720, '90d': 2160 };

export function Usage() {
  const group = place.value.query.get('group') ?? '';
  const [span, setSpan] = useState('24h');
  const [now] = useState(() => Math.floor(Date.now() / 60_000) * 60_000);
  const range = { StartTime: iso(now - SPANS[span] * 3_600_000), EndTime: iso(now) };
  return (
    <>
      <Head title={t('page.usage')} text={t('usage.text')} />
      <div class="filters">
        <GroupPick must />
        <Choice label={t('usage.span')} value={span} onChange={setSpan} options={Object.keys(SPANS).map((s): [string, string] => [s, t(`usage.span.${s}` as Key)])} />
      </div>
      {group ? (
        <div class="grid two">
          {SERIES.filter((series) => has(series.action)).map((series) => <SeriesCard key={series.action} series={series} group={group} range={range} />)}
        </div>
      ) : (
        <div class="card"><Empty icon="usage" title={t('usage.none')} text={t('groups.noneText')} /></div>
      )}
      {session.value?.operator && has('QueryChargingTrafficTotalUsage') && <Charging range={range} />}
    </>
  );
}

type Range = { StartTime: string; EndTime: string };

function SeriesCard({ series, group, range }: { series: Series; group: string; range: Range }) {
  const { data, error, reload } = useCall<Record<string, Record<string, Row[]>>>(series.action, { GroupId: group, ...range });
  const rows = [...(data?.[series.path[0]]?.[series.path[1]] ?? [])].sort((a, b) => stamp(a, series) - stamp(b, series));
  const times = rows.map((row) => stamp(row, series) / 1000);
  const lines: Line[] = series.lines.map(([label, of], n) => ({ label: t(label), tone: n + 1, values: rows.map(of) }));
  const save = () => saveCsv(`${series.action}-${group}`, [['time', ...lines.map((l) => l.label)], ...rows.map((row, n) => [iso(times[n] * 1000), ...series.lines.map(([, of]) => of(row))])]);
  const top = Math.max(0, ...lines.flatMap((line) => line.values.map((v) => v ?? 0)));
  return (
    <section class="card">
      <header>
        <h2>{t(series.title)}</h2>
        <span class="row">
          <span class="muted small">{t('usage.top', { value: series.show(top) })}</span>
          <Button small kind="quiet" icon="download" disabled={rows.length === 0} onClick={save}>CSV</Button>
        </span>
      </header>
      {error ? <ErrorBox error={error} retry={reload} /> : data ? <Chart label={t(series.title)} times={times} lines={lines} show={series.show} bars={series.bars} /> : <Busy />}
    </section>
  );
}

const stamp = (row: Row, series: Series): number => Date.parse(String(row[series.time]).replace(/^(\d{4}-\d\d-\d\d)$/, '$1T00:00:00Z'));

interface Datas { Datas: { UserId: string; Usage: string }[] }

/** What is charged: a row for each tenant. */
function Charging({ range }: { range: Range }) {
  const down = useCall<Datas>('QueryChargingBpsMaxUsage', { Type: 'down', ...range });
  const up = useCall<Datas>('QueryChargingBpsMaxUsage', { Type: 'up', ...range });
  const traffic = useCall<Datas>('QueryChargingTrafficTotalUsage', { Type: 'down', ...range });
  const devices = useCall<Datas>('QueryChargingDevicesOnlineMaxNum', range);
  const records = useCall<Datas>('QueryChargingRecordMaxNum', range);
  const shots = useCall<Datas>('QueryChargingScreenshotTotal', range);
  const parts = [traffic, down, up, devices, records, shots];
  const shows = [bytes, bits, bits, whole, whole, whole];
  const titles: Key[] = ['usage.traffic', 'usage.maxOut', 'usage.maxIn', 'usage.devices', 'usage.records', 'usage.snapshots'];
  const users = [...new Set(parts.flatMap((part) => part.data?.Datas.map((row) => row.UserId) ?? []))];
  const of = (part: { data: Datas | null }, user: string) => Number(part.data?.Datas.find((row) => row.UserId === user)?.Usage ?? 0);
  const failed = parts.find((part) => part.error);
  const save = () => saveCsv('charging', [['UserId', ...titles.map((key) => t(key))], ...users.map((user) => [user, ...parts.map((part) => of(part, user))])]);
  return (
    <section class="card flush">
      <header class="inset">
        <h2>{t('usage.charging')}</h2>
        <Button small kind="quiet" icon="download" disabled={users.length === 0} onClick={save}>CSV</Button>
      </header>
      {failed?.error && <ErrorBox error={failed.error} retry={failed.reload} />}
      <div class="scroll" role="region" aria-label={t('usage.charging')} tabIndex={0}>
        <table>
          <thead><tr><th scope="col">{t('tenant.user')}</th>{titles.map((key) => <th key={key} scope="col" class="figure">{t(key)}</th>)}</tr></thead>
          <tbody>
            {users.map((user) => (
              <tr key={user}>
                <td><code>{user}</code></td>
                {parts.map((part, n) => <td key={titles[n]} class="figure">{shows[n](of(part, user))}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
