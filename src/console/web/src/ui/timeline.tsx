/** A day as a bar: what is recorded is filled, a click or the arrow keys choose a moment. */
import { t } from '../i18n';

export interface Stretch {
  from: number;
  to: number;
  key: string;
}

const DAY = 86_400_000;

/** All times in milliseconds; `day` is its beginning in the user's zone. */
export function Timeline({ day, stretches, at, onPick }: { day: number; stretches: Stretch[]; at: number | null; onPick: (at: number) => void }) {
  const share = (time: number) => `${(Math.min(1, Math.max(0, (time - day) / DAY)) * 100).toFixed(3)}%`;
  const clock = (time: number) => new Date(time).toLocaleTimeString([], { hour12: false });
  const pick = (event: MouseEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    onPick(day + ((event.clientX - box.left) / box.width) * DAY);
  };
  const keys: Record<string, number> = { ArrowLeft: -60_000, ArrowRight: 60_000, PageDown: -3_600_000, PageUp: 3_600_000, ArrowDown: -600_000, ArrowUp: 600_000 };
  const step = (event: KeyboardEvent) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    onPick(Math.min(day + DAY - 1000, Math.max(day, (at ?? day) + keys[event.key])));
  };
  return (
    <div class="timeline">
      <div class="track" role="slider" tabIndex={0} aria-label={t('timeline.label')} aria-valuemin={0} aria-valuemax={86_400} aria-valuenow={Math.round(((at ?? day) - day) / 1000)} aria-valuetext={clock(at ?? day)} onClick={pick} onKeyDown={step}>
        {stretches.map((s) => <span key={s.key} class="stretch" style={{ left: share(s.from), width: `max(2px, calc(${share(s.to)} - ${share(s.from)}))` }} title={`${clock(s.from)} – ${clock(s.to)}`} />)}
        {at !== null && <span class="needle" style={{ left: share(at) }} />}
      </div>
      <div class="hours" aria-hidden="true">
        {[0, 3, 6, 9, 12, 15, 18, 21, 24].map((h) => <span key={h} style={{ left: `${(h / 24) * 100}%` }}>{String(h).padStart(2, '0')}:00</span>)}
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
