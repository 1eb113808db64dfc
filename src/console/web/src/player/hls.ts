/** HLS: by the browser itself where it can, else by hls.js. Also plays recordings. */
import { here, Unplayable, type Way } from './way';

type Hls = typeof import('hls.js').default;

export const hls: Way = async (video, url, fail) => {
  const { default: Player } = (await import(__HLS__)) as { default: Hls };
  const path = here(url);
  if (!Player.isSupported()) {
    if (!video.canPlayType('application/vnd.apple.mpegurl')) throw new Unplayable('MSE', true);
    const broken = () => fail(new Unplayable(video.error?.message || 'HLS', false));
    video.addEventListener('error', broken, { once: true });
    video.src = path;
    void video.play().catch(() => undefined);
    return {
      stop: () => {
        video.removeEventListener('error', broken);
        video.removeAttribute('src');
        video.load();
      },
    };
  }
  const player = new Player({ enableWorker: false, lowLatencyMode: true, backBufferLength: 20 });
  let stopped = false;
  const stop = () => {
    if (stopped) return;
    stopped = true;
    player.destroy();
  };
  player.on(Player.Events.ERROR, (_, e) => {
    if (!e.fatal || stopped) return;
    stop();
    fail(new Unplayable(e.details, /incompatible|codec/i.test(e.details)));
  });
  player.loadSource(path);
  player.attachMedia(video);
  player.once(Player.Events.MANIFEST_PARSED, () => void video.play().catch(() => undefined));
  return { stop };
};
