/** The way to pages about one stream: first it is chosen. */
import type { Paged, Stream } from '../api/types';
import { useCall, useRested } from '../hooks';
import { t, word, type Key } from '../i18n';
import { link, place, refine } from '../router';
import { Filter, Head, Search } from '../ui/head';
import { Empty, Tag } from '../ui/show';
import { List, paging, type Column } from '../ui/table';
import { GroupPick } from './pick';
import { StreamBadge, streamName } from './streams';

export function StreamPick({ title, text, to, devices }: { title: Key; text: Key; to: string; devices?: boolean }) {
  const { query } = place.value;
  const name = useRested(query.get('name') ?? '');
  const loaded = useCall<Paged & { Streams: Stream[] }>('DescribeStreams', { GroupId: query.get('group'), Name: name, Status: query.get('status'), ...paging() });
  const columns: Column<Stream>[] = [
    { title: t('stream.name'), sort: 'Name', cell: (s) => (devices && !s.DeviceId ? streamName(s) : <a class="strong" href={link(to, s.Id)}>{streamName(s)}</a>) },
    { title: t('ui.status'), sort: 'Status', cell: (s) => <StreamBadge stream={s} /> },
    { title: t('group.in'), cell: (s) => <Tag>{word('protocol', s.Protocol)}</Tag> },
    { title: t('stream.path'), minor: true, cell: (s) => <code>{s.App}/{s.Id}</code> },
  ];
  return (
    <>
      <Head title={t(title)} text={t(text)} />
      <div class="filters">
        <GroupPick protocol={devices ? 'gb28181' : undefined} must={devices} />
        <Search label={t('ui.exactName')} value={query.get('name') ?? ''} onChange={(value) => refine({ name: value, page: undefined })} />
        <Filter label={t('ui.status')} name="status" values={['on', 'off']} prefix="stream.status" />
      </div>
      <List caption={t('page.streams')} loaded={loaded} columns={columns} rows={(d: { Streams: Stream[] }) => d.Streams} rowKey={(s) => s.Id} empty={<Empty icon="streams" title={t('streams.none')} text={t('streams.noneText')} />} />
    </>
  );
}
