/** Choosing a group, out of as many as there are. */
import { useEffect } from 'preact/hooks';
import type { Group, Paged } from '../api/types';
import { useCall } from '../hooks';
import { t, word } from '../i18n';
import { place, refine } from '../router';

export function useGroups(protocol?: string) {
  return useCall<Paged & { Groups: Group[] }>('DescribeGroups', { PageSize: 100, InProtocol: protocol, SortBy: 'Name', SortDirection: 'asc' });
}

/** The group of the page's address; the first one where it names none and `must` is set. */
export function GroupPick({ protocol, must }: { protocol?: string; must?: boolean }) {
  const { data } = useGroups(protocol);
  const chosen = place.value.query.get('group') ?? '';
  const first = data?.Groups[0]?.Id;
  useEffect(() => {
    if (must && !chosen && first) refine({ group: first });
  }, [must, chosen, first]);
  const groups = data?.Groups ?? [];
  // One that stands beyond the first hundred is chosen by a link.
  const unknown = chosen && !groups.some((g) => g.Id === chosen);
  return (
    <label class="inline">
      <span>{t('group.one')}</span>
      <select value={chosen} onChange={(e) => refine({ group: e.currentTarget.value, page: undefined, folder: undefined, parent: undefined })}>
        {!must && <option value="">{t('ui.any')}</option>}
        {unknown && <option value={chosen}>{chosen}</option>}
        {groups.map((g) => <option key={g.Id} value={g.Id}>{g.Name} ({word('protocol', g.InProtocol)})</option>)}
      </select>
    </label>
  );
}
