/** Lists that are paged, sorted and filtered by the server: what the user chose stands in the page's address. */
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Paged } from '../api/types';
import type { Loaded } from '../hooks';
import { t } from '../i18n';
import { place, refine } from '../router';
import { Button } from './form';
import { count } from './format';
import { Icon } from './icon';
import { Busy, ErrorBox } from './show';

export interface Column<T> {
  title: string;
  /** The field that the server sorts by. */
  sort?: string;
  cell: (row: T) => ComponentChildren;
  /** Right-aligned figures. */
  figure?: boolean;
  /** Left out where there is little room. */
  minor?: boolean;
}

export const SIZES = [20, 50, 100];

/** Page, size and order, as the page's address has them. */
export function paging(): { PageNum: number; PageSize: number; SortBy?: string; SortDirection?: string } {
  const { query } = place.value;
  const number = (name: string, preset: number) => Math.max(1, Number.parseInt(query.get(name) ?? '', 10) || preset);
  const size = number('size', SIZES[0]);
  const sort = query.get('sort') ?? undefined;
  return { PageNum: number('page', 1), PageSize: SIZES.includes(size) ? size : SIZES[0], SortBy: sort, SortDirection: sort ? (query.get('dir') ?? 'asc') : undefined };
}

interface TableProps<T> {
  caption: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  selected?: Set<string>;
  onSelect?: (ids: Set<string>) => void;
}

export function Table<T>({ caption, columns, rows, rowKey, selected, onSelect }: TableProps<T>) {
  const by = place.value.query.get('sort');
  const direction = place.value.query.get('dir') ?? 'asc';
  const order = (column: Column<T>) => refine({ sort: column.sort, dir: by === column.sort && direction === 'asc' ? 'desc' : 'asc', page: undefined });
  const all = rows.length > 0 && selected !== undefined && rows.every((row) => selected.has(rowKey(row)));
  const toggle = (id: string) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    onSelect?.(next);
  };
  return (
    <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {onSelect && (
              <th class="tick">
                <input type="checkbox" aria-label={t('ui.all')} checked={all} onChange={() => onSelect(new Set(all ? [] : rows.map(rowKey)))} />
              </th>
            )}
            {columns.map((column) => (
              <th key={column.title} scope="col" class={`${column.figure ? 'figure' : ''}${column.minor ? ' minor' : ''}`} aria-sort={column.sort && by === column.sort ? (direction === 'asc' ? 'ascending' : 'descending') : undefined}>
                {column.sort ? (
                  <button type="button" class="sorter" onClick={() => order(column)}>
                    {column.title}
                    {by === column.sort && <Icon name={direction === 'asc' ? 'up' : 'down'} size={14} />}
                  </button>
                ) : (
                  column.title || <span class="unseen">{t('ui.actions')}</span>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const id = rowKey(row);
            return (
              <tr key={id} class={selected?.has(id) ? 'chosen' : undefined}>
                {onSelect && (
                  <td class="tick">
                    <input type="checkbox" aria-label={id} checked={selected?.has(id)} onChange={() => toggle(id)} />
                  </td>
                )}
                {columns.map((column) => (
                  <td key={column.title} class={`${column.figure ? 'figure' : ''}${column.minor ? ' minor' : ''}`}>{column.cell(row)}</td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

export function Pager({ page }: { page: Paged }) {
  const { PageNum, PageCount, TotalCount, PageSize } = page;
  const to = (n: number) => refine({ page: n === 1 ? undefined : n });
  return (
    <nav class="pager" aria-label={t('ui.pages')}>
      <span class="muted">{t('ui.total', { n: count(TotalCount) })}</span>
      <label class="inline">
        <span>{t('ui.perPage')}</span>
        <select value={String(PageSize)} onChange={(e) => refine({ size: e.currentTarget.value, page: undefined })}>
          {SIZES.map((size) => <option key={size} value={String(size)}>{size}</option>)}
        </select>
      </label>
      <span class="spring" />
      <Button small icon="left" label={t('ui.previous')} disabled={PageNum <= 1} onClick={() => to(PageNum - 1)} />
      <span class="where">
        {count(PageNum)} / {count(Math.max(1, PageCount))}
      </span>
      <Button small icon="right" label={t('ui.next')} disabled={PageNum >= PageCount} onClick={() => to(PageNum + 1)} />
    </nav>
  );
}

interface ListProps<T> extends Omit<TableProps<T>, 'rows'> {
  loaded: Loaded<Paged>;
  rows: (data: never) => T[];
  empty: ComponentChildren;
}

/** A whole list: the table, its pages, and what stands there while there is nothing to show. */
export function List<T>({ loaded, rows, empty, ...table }: ListProps<T>) {
  const { data, error, loading, reload } = loaded;
  // A page that is not there any more, or never was: the last one that is.
  const past = data !== null && data.TotalCount > 0 && data.PageNum > data.PageCount;
  useEffect(() => {
    if (past && data) refine({ page: data.PageCount });
  }, [past]);
  if (!data) return error ? <ErrorBox error={error} retry={reload} /> : <Busy />;
  const shown = rows(data as never);
  return (
    <div class="card flush" aria-busy={loading}>
      {error && <ErrorBox error={error} retry={reload} />}
      {shown.length === 0 && data.TotalCount === 0 ? empty : <Table {...table} rows={shown} />}
      {data.TotalCount > 0 && <Pager page={data} />}
    </div>
  );
}
