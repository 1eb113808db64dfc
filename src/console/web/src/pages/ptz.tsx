/** The camera's controls: it moves while a button is held, by mouse, finger or key. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { call } from '../api/client';
import { has } from '../api/spec';
import type { Preset } from '../api/types';
import { asError, useCall } from '../hooks';
import { t, type Key } from '../i18n';
import { Button } from '../ui/form';
import { Icon, type IconName } from '../ui/icon';
import { note, noteError } from '../ui/show';

type Move = { Pan?: number; Tilt?: number; Zoom?: number; Focus?: number; Iris?: number };

const PAD: [Key, IconName, Move, string][] = [
  ['ptz.up', 'up', { Tilt: 1 }, 'n'],
  ['ptz.left', 'left', { Pan: -1 }, 'w'],
  ['ptz.right', 'right', { Pan: 1 }, 'e'],
  ['ptz.down', 'down', { Tilt: -1 }, 's'],
];

const LENS: [Key, Move, Move][] = [
  ['ptz.zoom', { Zoom: -1 }, { Zoom: 1 }],
  ['ptz.focus', { Focus: -1 }, { Focus: 1 }],
  ['ptz.iris', { Iris: -1 }, { Iris: 1 }],
];

export function Ptz({ id }: { id: string }) {
  const [speed, setSpeed] = useState(5);
  const moving = useRef<'Move' | 'Adjust' | null>(null);
  const last = useRef<Promise<unknown>>(Promise.resolve());
  // Orders go out one after the other: a stop must not overtake its start.
  const send = (action: string, params: Record<string, number | string>) => {
    last.current = last.current.then(() => call(action, { Id: id, ...params })).catch((e: unknown) => noteError(asError(e)));
  };
  const start = (move: Move) => {
    const kind = move.Focus !== undefined || move.Iris !== undefined ? 'Adjust' : 'Move';
    moving.current = kind;
    const scaled = Object.fromEntries(Object.entries(move).map(([name, sign]) => [name, (sign * speed) / 10]));
    send(`Continuous${kind}`, scaled);
  };
  const stop = () => {
    if (!moving.current) return;
    send(`Stop${moving.current}`, {});
    moving.current = null;
  };
  useEffect(() => {
    addEventListener('blur', stop);
    return () => {
      removeEventListener('blur', stop);
      stop();
    };
  }, []);
  const hold = (move: Move) => ({
    onPointerDown: (e: PointerEvent) => {
      (e.currentTarget as HTMLElement).setPointerCapture(e.pointerId);
      start(move);
    },
    onPointerUp: stop,
    onPointerCancel: stop,
    onKeyDown: (e: KeyboardEvent) => (e.key === ' ' || e.key === 'Enter') && !e.repeat && (e.preventDefault(), start(move)),
    onKeyUp: stop,
    onBlur: stop,
    onContextMenu: (e: Event) => e.preventDefault(),
  });
  return (
    <section class="card ptz">
      <h2>{t('ptz.title')}</h2>
      <div class="row wrap">
        <div class="pad" role="group" aria-label={t('ptz.title')}>
          {PAD.map(([key, icon, move, at]) => (
            <button key={key} type="button" class={`hold at-${at}`} aria-label={t(key)} title={t(key)} {...hold(move)}>
              <Icon name={icon} size={22} />
            </button>
          ))}
          <span class="hub" aria-hidden="true" />
        </div>
        <div class="lens">
          {LENS.map(([key, less, more]) => (
            <div key={key} class="row">
              <button type="button" class="hold" aria-label={`${t(key)} −`} {...hold(less)}><Icon name="minus" /></button>
              <span>{t(key)}</span>
              <button type="button" class="hold" aria-label={`${t(key)} +`} {...hold(more)}><Icon name="plus" /></button>
            </div>
          ))}
          <label class="range">
            <span>{t('ptz.speed')}</span>
            <input type="range" min="1" max="10" value={speed} onInput={(e) => setSpeed(Number(e.currentTarget.value))} />
          </label>
        </div>
      </div>
      {has('DescribePresets') && <Presets id={id} />}
    </section>
  );
}

function Presets({ id }: { id: string }) {
  const [asked, setAsked] = useState(false);
  const { data, error, loading, reload } = useCall<{ Presets: Preset[] }>(asked ? 'DescribePresets' : null, { Id: id });
  const [number, setNumber] = useState('1');
  const act = async (action: string, preset: string, done: Key) => {
    try {
      await call(action, { Id: id, PresetId: preset });
      note(t(done, { n: preset }));
      if (action !== 'GotoPreset' && asked) reload();
    } catch (e) {
      noteError(asError(e));
    }
  };
  return (
    <div class="presets">
      <div class="row wrap">
        <label class="inline">
          <span>{t('ptz.preset')}</span>
          <input type="number" min="1" max="255" value={number} onInput={(e) => setNumber(e.currentTarget.value)} />
        </label>
        <Button small icon="play" onClick={() => void act('GotoPreset', number, 'ptz.went')}>{t('ptz.goto')}</Button>
        <Button small icon="add" onClick={() => void act('SetPreset', number, 'ptz.set')}>{t('ptz.store')}</Button>
        <Button small kind="quiet" icon="refresh" busy={asked && loading} onClick={() => (asked ? reload() : setAsked(true))}>{t('ptz.list')}</Button>
      </div>
      {error && <p class="muted small">{t('ptz.noList')}</p>}
      {data && (
        <ul class="chips">
          {data.Presets.map((preset) => (
            <li key={preset.Id}>
              <button type="button" class="chip" onClick={() => void act('GotoPreset', preset.Id, 'ptz.went')}>{preset.Id} · {preset.Name || t('ptz.preset')}</button>
              <Button small kind="quiet" icon="close" label={t('ptz.forget', { n: preset.Id })} onClick={() => void act('DeletePreset', preset.Id, 'ptz.gone')} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
