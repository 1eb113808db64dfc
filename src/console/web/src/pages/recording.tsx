/** Recording a stream now: what runs, and a button that starts and ends it. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Paged } from '../api/types';
import { asError, useCall } from '../hooks';
import { t, word } from '../i18n';
import { Button } from '../ui/form';
import { bytes, when } from '../ui/format';
import { Badge, note, noteError } from '../ui/show';

interface Recording { Id: string; StreamId: string; FileFormat: string; Trigger: 'auto' | 'ondemand'; Status: string; Trouble: string; StartTime: string; Size: number; Files: number }

const TONES: Record<string, string> = { recording: 'good', waiting: 'info', failing: 'bad' };

export function RecordNow({ id }: { id: string }) {
  const { data, reload } = useCall<Paged & { [list: string]: unknown }>('DescribeRecordStreams', { StreamId: id }, 5000);
  const [busy, setBusy] = useState(false);
  const rows = ((data && Object.values(data).find(Array.isArray)) ?? []) as Recording[];
  const mine = rows.some((row) => row.Trigger === 'ondemand');
  const act = async () => {
    setBusy(true);
    try {
      // One format that every browser plays, unless a template says otherwise.
      await call(mine ? 'StopRecordStream' : 'StartRecordStream', mine ? { Id: id } : { Id: id, FileFormat: 'mp4' });
      note(t(mine ? 'recording.ended' : 'recording.begun'));
      reload();
    } catch (e) {
      noteError(asError(e));
    }
    setBusy(false);
  };
  return (
    <section class="card">
      <header>
        <h2>{t('recording.title')}</h2>
        <Button small icon={mine ? 'stop' : 'records'} kind={mine ? 'danger' : 'plain'} busy={busy} onClick={() => void act()}>{t(mine ? 'recording.stop' : 'recording.start')}</Button>
      </header>
      {data && rows.length === 0 && <p class="muted pad">{t('recording.none')}</p>}
      <ul class="plain">
        {rows.map((row) => (
          <li key={row.Id}>
            <div class="row wrap">
              <Badge tone={TONES[row.Status] ?? 'calm'}>{word('recording.status', row.Status)}</Badge>
              <span>{row.FileFormat.toUpperCase()}</span>
              <span class="muted">{word('template.trigger', row.Trigger)}</span>
              <span class="spring" />
              <span class="muted">{bytes(row.Size)}</span>
            </div>
            <p class="hint">{when(row.StartTime)}{row.Trouble && ` · ${row.Trouble}`}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}
