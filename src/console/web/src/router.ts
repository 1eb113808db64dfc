/** Pages by the fragment of the address: `#/streams/123?group=7`. The server sees none of it. */
import { signal } from '@preact/signals';

export interface Place {
  page: string;
  id: string;
  query: URLSearchParams;
}

function read(): Place {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [page = '', id = ''] = path.split('/');
  let name = id;
  try {
    name = decodeURIComponent(id);
  } catch {
    // As it stands, then.
  }
  return { page: page || 'overview', id: name, query: new URLSearchParams(query) };
}

export const place = signal<Place>(read());

addEventListener('hashchange', () => {
  place.value = read();
});

export function link(page: string, id = '', query: Record<string, string | number | undefined> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ''}${search ? `?${search}` : ''}`;
}

export function go(to: string): void {
  location.hash = to;
}

/** Changes parts of the query and keeps the rest; the back button does not step through filters. */
export function refine(change: Record<string, string | number | undefined>): void {
  const { page, id, query } = place.value;
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined || value === '') next.delete(name);
    else next.set(name, String(value));
  }
  history.replaceState(null, '', link(page, id, Object.fromEntries(next)));
  place.value = read();
}
