/** The wall: 1, 4, 9 or 16 live pictures; what stands where is kept in the page's address. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Paged, Stream } from '../api/types';
import { useCall, useRested } from '../hooks';
import { t } from '../i18n';
import { Player } from '../player/player';
import { link, place, refine } from '../router';
import { Dialog } from '../ui/dialog';
import { Button, LinkButton } from '../ui/form';
import { Choice, Search } from '../ui/head';
import { Badge, Empty } from '../ui/show';
import { GroupPick } from './pick';
import { streamName } from './streams';

const SIZES = [1, 4, 9, 16];

type Streams = Paged & { Streams: Stream[] };

export function Wall() {
  const { query } = place.value;
  const size = SIZES.includes(Number(query.get('size'))) ? Number(query.get('size')) : 4;
  const page = Math.max(1, Number(query.get('page')) || 1);
  const fixed = query.get('ids') ?? '';
  const [turn, setTurn] = useState(0);
  const [picking, setPicking] = useState<number | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const live = useCall<Streams>(fixed ? null : 'DescribeStreams', { Status: 'on', GroupId: query.get('group'), PageSize: size, PageNum: page }, 10_000);
  const pages = Math.max(1, live.data?.PageCount ?? 1);
  useEffect(() => {
    if (!turn || fixed) return;
    const timer = setInterval(() => refine({ page: page >= pages ? undefined : page + 1 }), turn * 1000);
    return () => clearInterval(timer);
  }, [turn, fixed, page, pages]);
  const shown = fixed ? fixed.split(',').slice(0, size) : (live.data?.Streams ?? []).map((s) => s.Id);
  const cells = Array.from({ length: size }, (_, n) => shown[n] ?? '');
  const put = (n: number, id: string) => {
    const next = [...cells];
    next[n] = id;
    refine({ ids: next.join(',').replace(/,+$/, '') });
  };
  return (
    <div class="wall-page" ref={box}>
      <div class="filters">
        <h1>{t('page.wall')}</h1>
        <div class="segments" role="group" aria-label={t('wall.size')}>
          {SIZES.map((n) => <button key={n} type="button" aria-pressed={n === size} onClick={() => refine({ size: n, page: undefined })}>{n}</button>)}
        </div>
        {!fixed && <GroupPick />}
        {!fixed && <Choice label={t('wall.turn')} value={String(turn)} onChange={(v) => setTurn(Number(v))} options={[['0', t('wall.never')], ['10', '10 s'], ['30', '30 s'], ['60', '60 s']]} />}
        {fixed && <Button small icon="refresh" onClick={() => refine({ ids: undefined })}>{t('wall.auto')}</Button>}
        <span class="spring" />
        {!fixed && pages > 1 && (
          <>
            <Button small icon="left" label={t('ui.previous')} disabled={page <= 1} onClick={() => refine({ page: page - 1 })} />
            <span class="where">{page} / {pages}</span>
            <Button small icon="right" label={t('ui.next')} disabled={page >= pages} onClick={() => refine({ page: page + 1 })} />
          </>
        )}
        <Button small icon="full" onClick={() => void box.current?.requestFullscreen()}>{t('player.full')}</Button>
      </div>
      {!fixed && live.data?.TotalCount === 0 ? (
        <div class="card"><Empty icon="wall" title={t('wall.none')} text={t('wall.noneText')}><LinkButton kind="primary" icon="add" href={link('add')}>{t('page.add')}</LinkButton></Empty></div>
      ) : (
        <div class={`wall n${size}`}>
          {cells.map((id, n) => (
            <div key={id || `empty${n}`} class="cell">
              {id ? <Cell id={id} names={live.data?.Streams} /> : <button type="button" class="vacant" onClick={() => setPicking(n)}>{t('wall.choose')}</button>}
              {id && <span class="swap"><Button small kind="quiet" icon="edit" label={t('wall.change')} onClick={() => setPicking(n)} /></span>}
            </div>
          ))}
        </div>
      )}
      {picking !== null && <Picker onClose={() => setPicking(null)} onPick={(id) => { put(picking, id); setPicking(null); }} />}
    </div>
  );
}

function Cell({ id, names }: { id: string; names?: Stream[] }) {
  const known = names?.find((s) => s.Id === id);
  const { data } = useCall<Stream>(known ? null : 'DescribeStream', { Id: id });
  const stream = known ?? data;
  return <Player id={id} small title={stream ? streamName(stream) : id} href={link('streams', id)} />;
}

function Picker({ onClose, onPick }: { onClose: () => void; onPick: (id: string) => void }) {
  const [name, setName] = useState('');
  const asked = useRested(name);
  const { data } = useCall<Streams>('DescribeStreams', { Name: asked, PageSize: 50, SortBy: 'Status', SortDirection: 'desc' });
  return (
    <Dialog title={t('wall.choose')} onClose={onClose}>
      <div class="body">
        <Search label={t('ui.exactName')} value={name} onChange={setName} />
        <ul class="plain pick">
          {data?.Streams.map((s) => (
            <li key={s.Id}>
              <button type="button" class="rowlike" onClick={() => onPick(s.Id)}>
                <span>{streamName(s)}</span>
                <span class="spring" />
                <Badge status={s.Status}>{s.Status === 'on' ? t('stream.live') : t('stream.offline')}</Badge>
              </button>
            </li>
          ))}
        </ul>
        {data?.Streams.length === 0 && <p class="muted">{t('streams.none')}</p>}
      </div>
    </Dialog>
  );
}
