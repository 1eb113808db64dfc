/** Tells of new alarms wherever one is in the console. */
import { useEffect, useRef } from 'preact/hooks';
import { has } from '../api/spec';
import type { Alarm, Paged } from '../api/types';
import { useCall } from '../hooks';
import { alarmName } from '../pages/alarm-name';
import { note } from './show';

/** More at once than this are told as the newest alone. */
const MOST = 3;

export function AlarmWatch() {
  const { data } = useCall<Paged & { Alarms: Alarm[] }>(has('DescribeAlarms') ? 'DescribeAlarms' : null, { PageSize: 10 }, 10_000);
  const newest = useRef<string | null>(null);
  useEffect(() => {
    if (!data) return;
    const [first] = data.Alarms;
    const before = newest.current;
    newest.current = first?.Id ?? '';
    // What was there when the console was opened is no news.
    if (before === null || !first || first.Id === before) return;
    const known = data.Alarms.findIndex((alarm) => alarm.Id === before);
    const fresh = data.Alarms.slice(0, known < 0 ? 1 : Math.min(known, MOST));
    for (const alarm of fresh.reverse()) note(`${alarmName(alarm)} · ${alarm.Description || alarm.GbId}`, 'bad');
  }, [data]);
  return null;
}
