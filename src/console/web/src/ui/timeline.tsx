/** A day as a bar: what is recorded is filled, a click or the arrow keys choose a moment. */
import { useEffect, useState } from 'preact/hooks';
import { t } from '../i18n';
import { Button } from './form';

export interface Stretch {
  from: number;
  to: number;
  key: string;
}

const DAY = 86_400_000;
const HOUR = 3_600_000;
const TEN = 600_000;

/** How much of the day is shown, in hours, and how far its marks stand apart, in minutes. */
const ZOOMS: Record<number, number> = { 24: 180, 6: 60, 1: 10 };

/** All times in milliseconds; `day` is its beginning in the user's zone. */
export function Timeline({ day, stretches, at, onPick }: { day: number; stretches: Stretch[]; at: number | null; onPick: (at: number) => void }) {
  const [zoom, setZoom] = useState(24);
  const [begin, setBegin] = useState(day);
  const length = zoom * HOUR;
  const put = (centre: number) => setBegin(Math.min(day + DAY - length, Math.max(day, Math.floor((centre - length / 2) / TEN) * TEN)));
  // What is chosen stays in sight; without a choice, what was recorded last.
  const centre = at ?? stretches.at(-1)?.from ?? day + DAY / 2;
  useEffect(() => put(centre), [zoom, day]);
  useEffect(() => {
    if (at !== null && (at < begin || at > begin + length)) put(at);
  }, [at]);
  const share = (time: number) => `${(Math.min(1, Math.max(0, (time - begin) / length)) * 100).toFixed(3)}%`;
  const clock = (time: number) => new Date(time).toLocaleTimeString([], { hour12: false });
  const pick = (event: MouseEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    onPick(begin + ((event.clientX - box.left) / box.width) * length);
  };
  const keys: Record<string, number> = { ArrowLeft: -60_000, ArrowRight: 60_000, PageDown: -HOUR, PageUp: HOUR, ArrowDown: -TEN, ArrowUp: TEN };
  const step = (event: KeyboardEvent) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    onPick(Math.min(day + DAY - 1000, Math.max(day, (at ?? day) + keys[event.key])));
  };
  const seen = stretches.filter((s) => s.to >= begin && s.from <= begin + length);
  const gap = ZOOMS[zoom] * 60_000;
  const marks = Array.from({ length: length / gap + 1 }, (_, n) => begin + n * gap);
  const mark = (time: number) => (time === day + DAY ? '24:00' : new Date(time).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' }));
  return (
    <div class="timeline">
      <div class="row zoom">
        <div class="segments" role="group" aria-label={t('timeline.zoom')}>
          {[24, 6, 1].map((hours) => <button key={hours} type="button" aria-pressed={hours === zoom} onClick={() => setZoom(hours)}>{t('stream.hours', { n: hours })}</button>)}
        </div>
        {zoom < 24 && <Button small icon="left" label={t('timeline.earlier')} disabled={begin <= day} onClick={() => put(begin)} />}
        {zoom < 24 && <Button small icon="right" label={t('timeline.later')} disabled={begin + length >= day + DAY} onClick={() => put(begin + length)} />}
      </div>
      <div class="track" role="slider" tabIndex={0} aria-label={t('timeline.label')} aria-valuemin={0} aria-valuemax={86_400} aria-valuenow={Math.round(((at ?? day) - day) / 1000)} aria-valuetext={clock(at ?? day)} onClick={pick} onKeyDown={step}>
        {seen.map((s) => <span key={s.key} class="stretch" style={{ left: share(s.from), width: `max(2px, calc(${share(s.to)} - ${share(s.from)}))` }} title={`${clock(s.from)} – ${clock(s.to)}`} />)}
        {at !== null && at >= begin && at <= begin + length && <span class="needle" style={{ left: share(at) }} />}
      </div>
      <div class="hours" aria-hidden="true">
        {marks.map((time) => <span key={time} style={{ left: share(time) }}>{mark(time)}</span>)}
      </div>
    </div>
  );
}

/** The beginning of the day of a time, in the user's zone. */
export function dayOf(time: number): number {
  const date = new Date(time);
  date.setHours(0, 0, 0, 0);
  return date.getTime();
}

/** As `<input type="date">` has it. */
export function dateText(day: number): string {
  const date = new Date(day);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

export function DayPick({ day, onPick }: { day: number; onPick: (day: number) => void }) {
  return (
    <label class="inline">
      <span>{t('timeline.day')}</span>
      <input type="date" value={dateText(day)} max={dateText(Date.now())} onChange={(e) => e.currentTarget.value && onPick(dayOf(new Date(`${e.currentTarget.value}T00:00:00`).getTime()))} />
    </label>
  );
}
