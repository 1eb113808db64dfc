/** Recordings and pictures of a stream: the day as a bar, a player, and the files. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, call } from '../api/client';
import type { Paged, Record_, Stream } from '../api/types';
import { asError, useCall } from '../hooks';
import { t } from '../i18n';
import { hls } from '../player/hls';
import { here } from '../player/way';
import { link, place, refine } from '../router';
import { Button } from '../ui/form';
import { bytes, duration, iso, when } from '../ui/format';
import { Choice, Head } from '../ui/head';
import { Icon } from '../ui/icon';
import { Busy, Empty, ErrorBox, Tag } from '../ui/show';
import { Table, type Column } from '../ui/table';
import { DayPick, dayOf, Timeline } from '../ui/timeline';
import { StreamPick } from './stream-pick';

const DAY = 86_400_000;
/** Pages of 100 that are read of one day at most. */
const PAGES = 30;

export function Records() {
  return <StreamPick title="page.records" text="records.text" to="records" />;
}

/** Everything of one day, page after page; what is there is shown while more comes. */
function useDay(stream: string, type: string, day: number) {
  const [rows, setRows] = useState<Record_[]>([]);
  const [progress, setProgress] = useState<{ done: number; of: number } | null>({ done: 0, of: 1 });
  const [error, setError] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  const seen = useRef('');
  useEffect(() => {
    const stop = new AbortController();
    const read = async () => {
      setError(null);
      if (seen.current !== `${stream}/${type}/${day}`) {
        setRows([]);
        setProgress({ done: 0, of: 1 });
      }
      seen.current = `${stream}/${type}/${day}`;
      let found: Record_[] = [];
      try {
        for (let page = 1; page <= PAGES; page += 1) {
          const params = { Type: type, StreamId: stream, StartTime: iso(day), EndTime: iso(day + DAY), PageSize: 100, PageNum: page };
          const answer = await call<Paged & { Records: Record_[] }>('DescribeRecords', params, stop.signal);
          found = [...found, ...answer.Records];
          setRows((rows) => (rows.length > found.length && page < answer.PageCount ? rows : found));
          setProgress({ done: page, of: Math.max(1, Math.min(PAGES, answer.PageCount)) });
          if (page >= answer.PageCount) break;
        }
        setProgress(null);
      } catch (e) {
        if (stop.signal.aborted) return;
        setError(asError(e));
        setProgress(null);
      }
    };
    void read();
    return () => stop.abort();
  }, [stream, type, day, turn]);
  // Today goes on: what is short is read again by itself.
  const short = rows.length < 100 && day === dayOf(Date.now());
  useEffect(() => {
    if (!short) return;
    const timer = setInterval(() => !document.hidden && setTurn((n) => n + 1), 10_000);
    return () => clearInterval(timer);
  }, [short]);
  return { rows, progress, error, reload: () => setTurn((n) => n + 1) };
}

export function RecordsOf({ id }: { id: string }) {
  const { query } = place.value;
  const type = query.get('type') === 'snapshot' ? 'snapshot' : 'record';
  const day = Number(query.get('day')) || dayOf(Date.now());
  const { data: stream } = useCall<Stream>('DescribeStream', { Id: id });
  const { rows, progress, error, reload } = useDay(id, type, day);
  const [chosen, setChosen] = useState<{ record: Record_; at: number } | null>(null);
  useEffect(() => setChosen(null), [id, type, day]);
  const spans = rows.map((r) => ({ key: r.Id, from: Date.parse(r.StartTime), to: Date.parse(r.EndTime) }));
  const pick = (at: number) => {
    const inside = rows.findIndex((_, n) => spans[n].from <= at && at < spans[n].to);
    const nearest = inside >= 0 ? inside : spans.findIndex((s) => s.from >= at);
    if (nearest >= 0) setChosen({ record: rows[nearest], at: Math.max(0, (at - spans[nearest].from) / 1000) });
  };
  const columns: Column<Record_>[] = [
    { title: t('record.begins'), cell: (r) => <button type="button" class="linklike" onClick={() => setChosen({ record: r, at: 0 })}>{when(r.StartTime)}</button> },
    { title: t('record.length'), figure: true, cell: (r) => (type === 'record' ? duration(r.Duration) : '–') },
    { title: t('record.format'), cell: (r) => <Tag>{r.FileFormat.toUpperCase()}</Tag> },
    { title: t('stream.size'), minor: true, cell: (r) => (r.Width && r.Height ? `${r.Width}×${r.Height}` : '–') },
    { title: t('record.size'), figure: true, cell: (r) => bytes(r.Size) },
    { title: '', cell: (r) => <span class="row end"><a class="button small quiet bare" href={own(r.Url)} download={fileName(r)} aria-label={t('record.download')} title={t('record.download')}><Icon name="download" size={16} /></a></span> },
  ];
  return (
    <>
      <Head title={t('record.of', { name: stream ? stream.ChannelName || stream.Name : id })}>
        <a class="button plain" href={link('streams', id)}>{t('record.live')}</a>
        <Button icon="refresh" label={t('ui.retry')} onClick={reload} />
      </Head>
      <div class="filters">
        <Choice label={t('record.type')} value={type} onChange={(v) => refine({ type: v })} options={[['record', t('record.video')], ['snapshot', t('record.pictures')]]} />
        <Button small icon="left" label={t('timeline.before')} onClick={() => refine({ day: dayOf(day - DAY / 2) })} />
        <DayPick day={day} onPick={(d) => refine({ day: d })} />
        <Button small icon="right" label={t('timeline.after')} disabled={day >= dayOf(Date.now())} onClick={() => refine({ day: dayOf(day + DAY * 1.5) })} />
        {progress && <progress value={progress.done} max={progress.of} aria-label={t('ui.loading')} />}
      </div>
      {error && <ErrorBox error={error} retry={reload} />}
      {type === 'record' && <Timeline day={day} stretches={spans} at={chosen ? Date.parse(chosen.record.StartTime) + chosen.at * 1000 : null} onPick={pick} />}
      {chosen && type === 'record' && (
        <Replay
          record={chosen.record}
          at={chosen.at}
          onEnd={() => {
            const next = rows[rows.findIndex((r) => r.Id === chosen.record.Id) + 1];
            if (next) setChosen({ record: next, at: 0 });
          }}
        />
      )}
      {chosen && type === 'snapshot' && <img class="picture" src={own(chosen.record.Url)} alt={when(chosen.record.StartTime)} />}
      {rows.length > 0 ? (
        <div class="card flush"><Table caption={t('page.records')} columns={columns} rows={rows} rowKey={(r) => r.Id} /></div>
      ) : progress ? (
        <Busy />
      ) : (
        !error && <div class="card"><Empty icon="records" title={t('records.none')} text={t('records.noneText')}><a class="button primary" href={link('templates')}>{t('page.templates')}</a></Empty></div>
      )}
    </>
  );
}

/** Files of this server by their path, so that the name that it has outside does not matter; a bucket's by their URL. */
function own(url: string): string {
  const { pathname } = new URL(url, location.href);
  return pathname.startsWith('/records/') ? here(url) : url;
}

const fileName = (r: Record_) => `${r.StreamId}-${r.StartTime.replace(/[:]/g, '')}.${r.FileFormat === 'hls' ? 'm3u8' : r.FileFormat}`;

function Replay({ record, at, onEnd }: { record: Record_; at: number; onEnd: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [failed, setFailed] = useState('');
  const [speed, setSpeed] = useState('1');
  const url = own(record.Url);
  const foreign = new URL(url, location.href).origin !== location.origin;
  useEffect(() => {
    const element = video.current;
    if (!element || foreign) return;
    setFailed('');
    let stop = () => undefined as void;
    let gone = false;
    if (record.FileFormat === 'hls') {
      void hls(element, url, (why) => setFailed(why.message)).then((running) => (gone ? running.stop() : (stop = running.stop)), (e: Error) => setFailed(e.message));
    } else if (record.FileFormat === 'mp4') {
      element.src = url;
      stop = () => {
        element.removeAttribute('src');
        element.load();
      };
    } else setFailed(t('record.flv'));
    const seek = () => (element.currentTime = at);
    element.addEventListener('loadedmetadata', seek, { once: true });
    void element.play().catch(() => undefined);
    return () => {
      gone = true;
      element.removeEventListener('loadedmetadata', seek);
      stop();
    };
  }, [url]);
  useEffect(() => {
    const element = video.current;
    if (element && element.readyState > 0) element.currentTime = at;
  }, [at]);
  useEffect(() => {
    if (video.current) video.current.playbackRate = Number(speed);
  }, [speed, url]);
  return (
    <section class="replay">
      <video ref={video} controls muted playsInline aria-label={when(record.StartTime)} onEnded={onEnd} onError={() => setFailed(video.current?.error?.message ?? '?')} />
      <div class="filters">
        <strong>{when(record.StartTime)}</strong>
        <Choice label={t('ptz.speed')} value={speed} onChange={setSpeed} options={['0.5', '1', '2', '4', '8'].map((s): [string, string] => [s, `${s}×`])} />
        <a class="button small" href={url} download={fileName(record)}>{t('record.download')}</a>
      </div>
      {(failed || foreign) && <p class="tip bad">{foreign ? t('record.foreign') : t('record.failed')} {failed}</p>}
    </section>
  );
}
