/** A way to bring a stream to a `<video>`: WebRTC, FLV over WebSocket, HLS. */

export type WayName = 'whep' | 'flv' | 'hls';

/** A picture that runs; `stop` ends it and frees the element. */
export interface Running {
  stop: () => void;
}

/** Why a way does not work. `final`: trying the same again is of no use. */
export class Unplayable extends Error {
  constructor(
    message: string,
    readonly final: boolean,
  ) {
    super(message);
  }
}

/** Begins to play; `fail` is called at most once, later, when it breaks. */
export type Way = (video: HTMLVideoElement, url: string, fail: (why: Unplayable) => void) => Promise<Running>;

/** Only the path and the query of a URL: the console speaks to the host that it came from, whatever name that has outside. */
export function here(url: string): string {
  const { pathname, search } = new URL(url, location.href);
  return pathname + search;
}
