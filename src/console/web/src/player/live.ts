/** Keeps a stream on a `<video>`: the best way that works, and again by itself when it breaks. */
import { call, serverNow } from '../api/client';
import type { PlayUrl } from '../api/types';
import { flv } from './flv';
import { hls } from './hls';
import { Unplayable, type Running, type Way, type WayName } from './way';
import { whep } from './whep';

export interface State {
  phase: 'starting' | 'playing' | 'waiting' | 'failed';
  way?: WayName;
  why?: string;
}

export interface Wanted {
  id: string;
  /** Only this way, where the user chose one. */
  way?: WayName;
  /** The stretch of the device's own recording, in unix seconds. */
  from?: number;
  to?: number;
  rule?: string;
  /** So many seconds behind what is live, out of the time shift. */
  delay?: number;
}

const WAYS: [WayName, Way, (url: PlayUrl) => string | undefined][] = [
  ['whep', whep, (url) => url.WhepUrl],
  ['flv', flv, (url) => url.FlvUrl],
  ['hls', hls, (url) => url.HlsUrl],
];

/** A picture must have come within this time, and must not stand still for longer. */
const FIRST = 12_000;
/** WebRTC is quick, or its packets do not come through at all: then it is left out for a while. */
const FIRST_WHEP = 5_000;
const BLOCKED = 300_000;
const STALL = 6_000;
const PAUSES = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

/** URLs are asked for once for many players that start together. */
let batch: { ids: Set<string>; answer: Promise<Map<string, PlayUrl>> } | null = null;

function urls(wanted: Wanted): Promise<PlayUrl | undefined> {
  if (wanted.from !== undefined || wanted.rule) {
    const params = { Id: wanted.id, StartTime: wanted.from, EndTime: wanted.to, Transcode: wanted.rule };
    return call<{ Results: PlayUrl[] }>('DescribePlayUrls', params).then((a) => a.Results[0]);
  }
  if (!batch || batch.ids.size >= 100) {
    const ids = new Set<string>();
    const answer = new Promise((done) => setTimeout(done, 20)).then(async () => {
      batch = null;
      const { Results } = await call<{ Results: PlayUrl[] }>('DescribePlayUrls', { Id: [...ids].join(',') });
      return new Map(Results.map((row) => [row.Id, row]));
    });
    batch = { ids, answer };
  }
  batch.ids.add(wanted.id);
  return batch.answer.then((found) => found.get(wanted.id));
}

/** Until when WebRTC is not tried, and whether it ever worked in this page. */
let blockedUntil = 0;
let whepWorks = false;

export class Live {
  private running: Running | null = null;
  private timer = 0;
  private stopped = false;
  private tries = 0;
  private unfit = new Map<WayName, string>();

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly wanted: Wanted,
    private readonly tell: (state: State) => void,
    private readonly poster: (url: string) => void,
  ) {
    void this.start();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.running?.stop();
    this.running = null;
  }

  private async start(): Promise<void> {
    this.tell({ phase: 'starting' });
    try {
      const found = await urls(this.wanted);
      const url = found && { ...found };
      if (this.stopped) return;
      if (!url || url.Error) throw new Unplayable(url?.Error ?? '', false);
      const { delay } = this.wanted;
      if (delay && url.HlsUrl) url.HlsUrl += `${url.HlsUrl.includes('?') ? '&' : '?'}delay=${delay}`;
      if (url.SnapshotUrl && this.wanted.from === undefined && !delay) this.poster(url.SnapshotUrl);
      const open = (name: WayName) => !this.unfit.has(name) && (name !== 'whep' || Date.now() > blockedUntil);
      const ways = WAYS.filter(([name, , of]) => of(url) && (!delay || name === 'hls') && (this.wanted.way && !delay ? this.wanted.way === name : open(name)));
      if (ways.length === 0) return this.tell({ phase: 'failed', why: [...this.unfit.values()].join(' · ') });
      for (const [name, way, of] of ways) {
        if (this.stopped || (await this.attempt(name, way, of(url) ?? ''))) return;
      }
      this.again([...this.unfit.values()].at(-1) ?? '');
    } catch (e) {
      this.again(e instanceof Error ? e.message : String(e));
    }
  }

  /** Whether it plays: pictures have come. */
  private async attempt(name: WayName, way: Way, url: string): Promise<boolean> {
    let settle: (playing: boolean) => void = () => undefined;
    const outcome = new Promise<boolean>((done) => (settle = done));
    let watching = 0;
    let playing = false;
    const end = (why: Unplayable) => {
      clearTimeout(watching);
      if (this.stopped) return;
      this.running?.stop();
      this.running = null;
      if (why.final) this.unfit.set(name, why.message);
      if (playing) this.again(why.message);
      else settle(false);
    };
    try {
      const running = await way(this.video, url, end);
      if (this.stopped) {
        running.stop();
        return true;
      }
      this.running = running;
    } catch (e) {
      if (e instanceof Unplayable && e.final) this.unfit.set(name, e.message);
      return this.stopped;
    }
    const began = serverNow();
    let last = { frames: this.frames(), at: began };
    const watch = () => {
      if (this.stopped) return;
      const [frames, now] = [this.frames(), serverNow()];
      if (frames !== last.frames || document.hidden) last = { frames, at: now };
      if (!playing && frames > 0 && this.video.readyState >= 2) {
        playing = true;
        if (name === 'whep') whepWorks = true;
        this.tries = 0;
        this.tell({ phase: 'playing', way: name });
        settle(true);
      }
      if (now - last.at > (playing ? STALL : FIRST) && !this.video.paused) return end(new Unplayable('stalled', false));
      if (!playing && name === 'whep' && now - began > FIRST_WHEP) {
        if (!whepWorks) blockedUntil = Date.now() + BLOCKED;
        return end(new Unplayable('timeout', false));
      }
      if (!playing && now - began > FIRST) return end(new Unplayable('timeout', false));
      watching = window.setTimeout(watch, 300);
    };
    watch();
    return outcome;
  }

  private frames(): number {
    return this.video.getVideoPlaybackQuality().totalVideoFrames;
  }

  private again(why: string): void {
    if (this.stopped) return;
    const pause = PAUSES[Math.min(this.tries, PAUSES.length - 1)];
    this.tries += 1;
    this.tell({ phase: 'waiting', why });
    this.timer = window.setTimeout(() => void this.start(), pause * (0.8 + Math.random() * 0.4));
  }
}
