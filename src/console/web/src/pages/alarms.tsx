/** Alarms that devices reported, newest first. */
import type { Alarm, Paged } from '../api/types';
import { useCall } from '../hooks';
import { t } from '../i18n';
import { link, place } from '../router';
import { when } from '../ui/format';
import { Head } from '../ui/head';
import { Badge, Empty } from '../ui/show';
import { List, paging, type Column } from '../ui/table';
import { alarmName } from './alarm-name';
import { GroupPick } from './pick';

const TONES = ['calm', 'bad', 'warn', 'info', 'calm'];

export function Alarms() {
  const { query } = place.value;
  const { PageNum, PageSize } = paging();
  const loaded = useCall<Paged & { Alarms: Alarm[] }>('DescribeAlarms', { GroupId: query.get('group'), DeviceId: query.get('device'), PageNum, PageSize }, 5000);
  const columns: Column<Alarm>[] = [
    { title: t('alarm.time'), cell: (a) => <time>{when(a.Time)}</time> },
    { title: t('alarm.what'), cell: (a) => <span class="strong">{alarmName(a)}</span> },
    { title: t('alarm.priority'), cell: (a) => <Badge tone={TONES[Number(a.Priority)] ?? 'calm'}>{a.Priority || '–'}</Badge> },
    { title: t('device.one'), cell: (a) => <a href={link('devices', a.DeviceId)}><code>{a.GbId}</code></a> },
    { title: t('ui.description'), minor: true, cell: (a) => a.Description || '–' },
  ];
  return (
    <>
      <Head title={t('page.alarms')} text={t('alarms.text')} />
      <div class="filters"><GroupPick protocol="gb28181" /></div>
      <List caption={t('page.alarms')} loaded={loaded} columns={columns} rows={(d: { Alarms: Alarm[] }) => d.Alarms} rowKey={(a) => a.Id} empty={<Empty icon="alarm" title={t('alarms.none')} text={t('alarms.noneText')} />} />
    </>
  );
}
