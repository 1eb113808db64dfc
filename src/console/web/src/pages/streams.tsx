/** All streams: pages, filters and order are the server's work, so that any number of them will do. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Outcome, Paged, Stream } from '../api/types';
import { asError, useCall, useRested } from '../hooks';
import { t, word } from '../i18n';
import { link, place, refine } from '../router';
import { Button, LinkButton } from '../ui/form';
import { count, when } from '../ui/format';
import { Filter, Head, Search } from '../ui/head';
import { Badge, Empty, note, noteError, Tag } from '../ui/show';
import { List, paging, type Column } from '../ui/table';
import { GroupPick } from './pick';

export const streamName = (s: Stream) => s.ChannelName || s.Name || s.Id;

export function StreamBadge({ stream }: { stream: Stream }) {
  return stream.Enabled ? <Badge status={stream.Status}>{word('stream.status', stream.Status)}</Badge> : <Badge tone="warn">{t('stream.forbidden')}</Badge>;
}

export function Streams() {
  const { query } = place.value;
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [busy, setBusy] = useState(false);
  const name = useRested(query.get('name') ?? '');
  const params = { GroupId: query.get('group'), DeviceId: query.get('device'), Name: name, Status: query.get('status') };
  const loaded = useCall<Paged & { Streams: Stream[] }>('DescribeStreams', { ...params, ...paging() }, 8000);
  const columns: Column<Stream>[] = [
    { title: t('stream.name'), sort: 'Name', cell: (s) => <a class="strong" href={link('streams', s.Id)}>{streamName(s)}</a> },
    { title: t('ui.status'), sort: 'Status', cell: (s) => <StreamBadge stream={s} /> },
    { title: t('stream.viewers'), figure: true, cell: (s) => (s.Status === 'on' ? count(s.ViewerNum ?? 0) : '–') },
    { title: t('stream.size'), minor: true, cell: (s) => (s.Width && s.Height ? `${s.Width}×${s.Height}` : '–') },
    { title: t('group.in'), minor: true, cell: (s) => <Tag>{word('protocol', s.Protocol)}</Tag> },
    { title: t('stream.path'), minor: true, cell: (s) => <code>{s.App}/{s.Id}</code> },
    { title: t('stream.since'), sort: 'StartTime', minor: true, cell: (s) => when(s.Status === 'on' ? s.StartTime : s.StopTime) },
  ];
  const batch = async (action: string) => {
    setBusy(true);
    try {
      const { Results } = await call<{ Results: Outcome[] }>(action, { Id: [...chosen].join(',') });
      const failed = Results.filter((row) => row.Error);
      if (failed.length > 0) note(t('batch.some', { n: failed.length, of: Results.length, why: failed[0].Error ?? '' }), 'bad');
      else note(t('batch.all', { what: t(action.includes('Start') ? 'ui.start' : 'ui.stop'), n: Results.length }));
      setChosen(new Set());
      loaded.reload();
    } catch (e) {
      noteError(asError(e));
    }
    setBusy(false);
  };
  return (
    <>
      <Head title={t('page.streams')} text={t('streams.text')} />
      <div class="filters">
        <GroupPick />
        <Search label={t('ui.exactName')} value={query.get('name') ?? ''} onChange={(to) => refine({ name: to, page: undefined })} />
        <Filter label={t('ui.status')} name="status" values={['on', 'off']} prefix="stream.status" />
      </div>
      {chosen.size > 0 && (
        <div class="batch" role="toolbar" aria-label={t('batch.title')}>
          <span>{t('batch.chosen', { n: chosen.size })}</span>
          <LinkButton small icon="wall" href={link('wall', '', { ids: [...chosen].slice(0, 16).join(',') })}>{t('stream.toWall')}</LinkButton>
          <Button small icon="play" busy={busy} onClick={() => void batch('BatchStartStreams')}>{t('ui.start')}</Button>
          <Button small icon="stop" busy={busy} onClick={() => void batch('BatchStopStreams')}>{t('ui.stop')}</Button>
        </div>
      )}
      <List
        caption={t('page.streams')}
        loaded={loaded}
        columns={columns}
        rows={(d: { Streams: Stream[] }) => d.Streams}
        rowKey={(s) => s.Id}
        selected={chosen}
        onSelect={setChosen}
        empty={<Empty icon="streams" title={t('streams.none')} text={t('streams.noneText')}><LinkButton kind="primary" icon="add" href={link('add')}>{t('page.add')}</LinkButton></Empty>}
      />
    </>
  );
}
