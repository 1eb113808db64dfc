/** Lines over time. The library is loaded when the first chart is shown. */
import { useEffect, useRef } from 'preact/hooks';
import { lang } from '../i18n';
import { dark } from './theme';

export interface Line {
  label: string;
  /** The nth colour of the theme, from 1. */
  tone: number;
  values: (number | null)[];
}

interface Props {
  /** Unix seconds. */
  times: number[];
  lines: Line[];
  show: (n: number) => string;
  height?: number;
  bars?: boolean;
  label: string;
  /** Shows so many seconds up to the newest point; all of them where it is not given. */
  window?: number;
}

type Plot = typeof import('uplot');

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function Chart({ times, lines, show, height = 180, label, bars, window: span }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<import('uplot') | null>(null);
  const data = [times, ...lines.map((line) => line.values)] as import('uplot').AlignedData;
  const fresh = useRef(data);
  fresh.current = data;
  useEffect(() => {
    let gone = false;
    let watch: ResizeObserver | undefined;
    void import(__UPLOT__).then(({ default: Plot }: { default: Plot }) => {
      const element = box.current;
      if (gone || !element) return;
      const axis = { stroke: color('--text-soft'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
      const paths = bars ? Plot.paths.bars?.({ size: [0.7, 40] }) : Plot.paths.spline?.();
      const options: import('uplot').Options = {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: { x: { range: () => extent(fresh.current[0] as number[], span) }, y: { range: (_, min, max) => [Math.min(0, min), max > 0 ? max * 1.15 : 4] } },
        axes: [
          { ...axis, size: 28, values: (_, ticks) => stamps(ticks) },
          { ...axis, size: 74, values: (_, ticks) => ticks.map((tick) => show(tick)) },
        ],
        series: [{}, ...lines.map((line) => ({ label: line.label, stroke: color(`--chart-${line.tone}`), width: 2, fill: `${color(`--chart-${line.tone}`)}${bars ? 'cc' : '22'}`, points: { show: () => fresh.current[0].length < 3 }, paths }))],
        hooks: { setCursor: [(u) => hint(u, element, lines, show)] },
      };
      plot.current = new Plot(options, fresh.current, element);
      watch = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
      watch.observe(element);
    });
    return () => {
      gone = true;
      watch?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [dark.value, lang.value, height, lines.map((line) => line.label).join()]);
  useEffect(() => plot.current?.setData(data), [data]);
  const now = (line: Line) => line.values.findLast((value) => value !== null);
  return (
    <figure class="chart">
      <div class="plot" ref={box} role="img" aria-label={`${label}: ${lines.map((line) => `${line.label} ${show(now(line) ?? 0)}`).join(', ')}`}>
        <div class="hint" aria-hidden="true" hidden />
      </div>
      {lines.length > 1 && (
        <figcaption>
          {lines.map((line) => <span key={line.label} class={`mark tone${line.tone}`}>{line.label}</span>)}
        </figcaption>
      )}
    </figure>
  );
}

/** What the time axis shows; a single point stands in the middle of an hour. */
function extent(times: number[], span: number | undefined): [number, number] {
  const [first, last] = [times[0] ?? Date.now() / 1000, times.at(-1) ?? Date.now() / 1000];
  if (span) return [last - span, last];
  return first < last ? [first, last] : [first - 1800, first + 1800];
}

/** The values under the pointer. */
function hint(u: import('uplot'), element: HTMLElement, lines: Line[], show: (n: number) => string): void {
  const box = element.querySelector<HTMLElement>('.hint');
  const at = u.cursor.idx;
  if (!box) return;
  box.hidden = at === null || at === undefined;
  if (at === null || at === undefined) return;
  const time = new Date(u.data[0][at] * 1000).toLocaleString(lang.value === 'zh' ? 'zh-CN' : 'en-GB', { hour12: false });
  box.textContent = [time, ...lines.map((line, n) => `${lines.length > 1 ? `${line.label}: ` : ''}${show(u.data[n + 1][at] ?? 0)}`)].join('\n');
  const left = u.cursor.left ?? 0;
  box.style.left = `${Math.min(left + 84, element.clientWidth - box.offsetWidth - 4)}px`;
}

/** The day at midnight, else the time; where no midnight is shown, the first tick has both. */
function stamps(ticks: number[]): string[] {
  const two = (n: number) => String(n).padStart(2, '0');
  const dates = ticks.map((tick) => new Date(tick * 1000));
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 0;
  const midnight = (date: Date) => date.getHours() === 0 && date.getMinutes() === 0;
  const dated = dates.some(midnight);
  return dates.map((date, n) => {
    const day = `${date.getMonth() + 1}/${date.getDate()}`;
    if (step >= 86_400 || midnight(date)) return day;
    const time = `${two(date.getHours())}:${two(date.getMinutes())}${step > 0 && step < 60 ? `:${two(date.getSeconds())}` : ''}`;
    return n === 0 && !dated ? `${day} ${time}` : time;
  });
}
