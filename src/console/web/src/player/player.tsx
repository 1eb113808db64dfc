/** A live picture with what belongs to it: poster, state, sound, full screen, a picture to keep. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { t, word } from '../i18n';
import { Button } from '../ui/form';
import { Icon } from '../ui/icon';
import { Live, type State, type Wanted } from './live';
import { here } from './way';

interface Props extends Wanted {
  title: string;
  href?: string;
  /** Few controls, for walls. */
  small?: boolean;
  onState?: (state: State) => void;
}

export function Player({ title, href, small, onState, ...wanted }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [state, setState] = useState<State>({ phase: 'starting' });
  const [poster, setPoster] = useState('');
  const [muted, setMuted] = useState(true);
  const { id, way, from, to, rule, delay } = wanted;
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    setPoster('');
    const tell = (now: State) => {
      setState(now);
      onState?.(now);
    };
    const live = new Live(element, { id, way, from, to, rule, delay }, tell, (url) => setPoster(here(url)));
    return () => live.stop();
  }, [id, way, from, to, rule, delay]);
  const keep = () => {
    const element = video.current;
    if (!element?.videoWidth) return;
    const canvas = document.createElement('canvas');
    canvas.width = element.videoWidth;
    canvas.height = element.videoHeight;
    canvas.getContext('2d')?.drawImage(element, 0, 0);
    const a = document.createElement('a');
    a.href = canvas.toDataURL('image/jpeg', 0.92);
    a.download = `${title || id}.jpg`;
    a.click();
  };
  const full = () => void (document.fullscreenElement ? document.exitFullscreen() : box.current?.requestFullscreen());
  const playing = state.phase === 'playing';
  return (
    <div class={`player ${state.phase}${small ? ' small' : ''}`} ref={box} data-way={state.way} data-id={id}>
      {poster && !playing && <img class="poster" src={poster} alt="" onError={() => setPoster('')} />}
      <video ref={video} muted={muted} autoplay playsInline aria-label={title} />
      <div class="veil">
        {!playing && (
          <p class="state" role="status">
            {state.phase === 'failed' ? <Icon name="warn" /> : <span class="spinner" aria-hidden="true" />}
            <span>{t(`player.${state.phase}`)}</span>
            {state.why && state.phase !== 'starting' && <small>{reason(state.why)}</small>}
          </p>
        )}
      </div>
      <div class="bar">
        {href ? <a href={href} class="name">{title}</a> : <span class="name">{title}</span>}
        {state.way && playing && <span class="way" title={word('way.long', state.way)}>{word('way', state.way)}</span>}
        <span class="spring" />
        <Button small kind="quiet" icon={muted ? 'mute' : 'sound'} label={muted ? t('player.unmute') : t('player.mute')} onClick={() => setMuted(!muted)} />
        {!small && <Button small kind="quiet" icon="camera" label={t('player.keep')} disabled={!playing} onClick={keep} />}
        <Button small kind="quiet" icon="full" label={t('player.full')} onClick={full} />
      </div>
    </div>
  );
}

function reason(why: string): string {
  if (/codec|unsupported/i.test(why)) return t('player.codec');
  return why === 'stalled' || why === 'timeout' || why === 'end' ? t('player.silent') : why;
}
