/** What was told to callback addresses, and what they answered. */
import { useState } from 'preact/hooks';
import type { Delivery, Paged } from '../api/types';
import { useCall, useRested } from '../hooks';
import { t } from '../i18n';
import { place, refine } from '../router';
import { Dialog } from '../ui/dialog';
import { Button, CheckField } from '../ui/form';
import { when } from '../ui/format';
import { Facts, Head, Search } from '../ui/head';
import { Badge, Empty } from '../ui/show';
import { List, paging, type Column } from '../ui/table';

export function Callbacks() {
  const { query } = place.value;
  const { PageNum, PageSize } = paging();
  const [open, setOpen] = useState<Delivery | null>(null);
  const object = useRested(query.get('object') ?? '');
  const failed = query.get('failed') === '1';
  const loaded = useCall<Paged & { Deliveries: Delivery[] }>('ListCallbackDeliveries', { Object: object, Failed: failed || undefined, PageNum, PageSize }, 8000);
  const outcome = (d: Delivery) => (d.Error ? <Badge tone={d.Last ? 'bad' : 'warn'}>{d.HttpStatus || t('callback.noAnswer')}</Badge> : <Badge tone="good">{d.HttpStatus}</Badge>);
  const columns: Column<Delivery>[] = [
    { title: t('callback.time'), cell: (d) => <time>{when(d.Time)}</time> },
    { title: t('callback.outcome'), cell: outcome },
    { title: t('callback.url'), cell: (d) => <button type="button" class="linklike" onClick={() => setOpen(d)}>{d.Url}</button> },
    { title: t('callback.object'), minor: true, cell: (d) => <code>{d.Object}</code> },
    { title: t('callback.try'), figure: true, minor: true, cell: (d) => d.Try },
    { title: t('callback.took'), figure: true, minor: true, cell: (d) => `${d.Took} ms` },
  ];
  return (
    <>
      <Head title={t('page.callbacks')} text={t('callbacks.text')} />
      <div class="filters">
        <Search label={t('callback.object')} value={query.get('object') ?? ''} onChange={(to) => refine({ object: to, page: undefined })} />
        <CheckField label={t('callback.failed')} checked={failed} onChange={(on) => refine({ failed: on ? '1' : undefined, page: undefined })} />
      </div>
      <List caption={t('page.callbacks')} loaded={loaded} columns={columns} rows={(d: { Deliveries: Delivery[] }) => d.Deliveries} rowKey={(d) => d.Id} empty={<Empty icon="callbacks" title={t('callbacks.none')} text={t('callbacks.noneText')} />} />
      {open && (
        <Dialog title={t('callback.one')} onClose={() => setOpen(null)} wide>
          <div class="body">
            <Facts rows={[[t('callback.time'), when(open.Time)], [t('callback.url'), <code>{open.Url}</code>], [t('callback.outcome'), outcome(open)], [t('callback.try'), String(open.Try)], [t('callback.took'), `${open.Took} ms`], [t('callback.error'), open.Error]]} />
            <pre>{pretty(open.Body)}</pre>
          </div>
          <footer><Button onClick={() => setOpen(null)}>{t('ui.close')}</Button></footer>
        </Dialog>
      )}
    </>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
