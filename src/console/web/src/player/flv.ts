/** FLV over WebSocket, taken apart in the page and given to Media Source Extensions. */
import { here, Unplayable, type Way } from './way';

type Mpegts = typeof import('mpegts.js').default;

export const flv: Way = async (video, url, fail) => {
  const { default: mpegts } = (await import(__MPEGTS__)) as { default: Mpegts };
  if (!mpegts.isSupported()) throw new Unplayable('MSE', true);
  mpegts.LoggingControl.enableAll = false;
  const address = new URL(here(url), location.href);
  address.protocol = address.protocol.replace('http', 'ws');
  const player = mpegts.createPlayer(
    { type: 'flv', isLive: true, url: address.href },
    {
      enableWorker: false,
      enableStashBuffer: false,
      liveBufferLatencyChasing: true,
      liveBufferLatencyMaxLatency: 1.6,
      liveBufferLatencyMinRemain: 0.4,
      autoCleanupSourceBuffer: true,
      autoCleanupMaxBackwardDuration: 20,
      autoCleanupMinBackwardDuration: 8,
    },
  );
  let stopped = false;
  const stop = () => {
    if (stopped) return;
    stopped = true;
    // Not from within its own events: it would go on with what is gone.
    setTimeout(() => {
      try {
        player.destroy();
      } catch {
        // It was broken already.
      }
    });
  };
  const broken = (why: string, final: boolean) => {
    if (stopped) return;
    stop();
    fail(new Unplayable(why, final));
  };
  player.on(mpegts.Events.ERROR, (type: string, detail: string) => {
    // What the browser cannot decode does not become decodable.
    broken(`${type} ${detail}`, type === mpegts.ErrorTypes.MEDIA_ERROR && /codec|unsupported/i.test(detail));
  });
  player.on(mpegts.Events.LOADING_COMPLETE, () => broken('end', false));
  player.attachMediaElement(video);
  player.load();
  void Promise.resolve(player.play()).catch(() => undefined);
  return { stop };
};
