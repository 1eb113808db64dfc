/** Alarms by their numbers (GB/T 28181, annex A: alarm method and type). */
import type { Alarm } from '../api/types';
import { t, word } from '../i18n';

export function alarmName(alarm: Alarm): string {
  const method = word('alarm.method', alarm.Alarm);
  const kind = alarm.SubAlarm === undefined ? '' : word(`alarm.kind.${alarm.Alarm}`, String(alarm.SubAlarm));
  const known = kind && kind !== String(alarm.SubAlarm);
  return known ? kind : `${method === alarm.Alarm ? t('alarm.other', { n: alarm.Alarm }) : method}${kind ? ` · ${kind}` : ''}`;
}
