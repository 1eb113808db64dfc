/** WebRTC by WHEP (draft-ietf-wish-whep): one offer, one answer; the server's candidates come with it. */
import { here, Unplayable, type Way } from './way';

const GIVE_UP = 8000;

/** Whether an answer stands: formats that do not fit, or a server without WebRTC. A stream that is away may come back. */
const isFinal = (status: number, text: string) => [400, 405, 406, 415, 422, 501].includes(status) || (status === 404 && /nothing at this address|not served here/.test(text));

export const whep: Way = async (video, url, fail) => {
  if (!('RTCPeerConnection' in window)) throw new Unplayable('WebRTC', true);
  const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  let session = '';
  let stopped = false;
  const stop = () => {
    if (stopped) return;
    stopped = true;
    peer.close();
    video.srcObject = null;
    if (session) void fetch(session, { method: 'DELETE', keepalive: true, credentials: 'omit' }).catch(() => undefined);
  };
  const broken = (why: string, final = false) => {
    if (stopped) return;
    stop();
    fail(new Unplayable(why, final));
  };
  try {
    peer.addTransceiver('video', { direction: 'recvonly' });
    peer.addTransceiver('audio', { direction: 'recvonly' });
    const media = new MediaStream();
    peer.ontrack = ({ track, receiver }) => {
      media.addTrack(track);
      // As little delay as the network allows.
      if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
      if (video.srcObject !== media) video.srcObject = media;
      void video.play().catch(() => undefined);
    };
    await peer.setLocalDescription(await peer.createOffer());
    const answer = await fetch(here(url), {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp' },
      body: peer.localDescription?.sdp ?? '',
      credentials: 'omit',
      signal: AbortSignal.timeout(GIVE_UP),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Unplayable(text.trim().slice(0, 200) || `HTTP ${answer.status}`, isFinal(answer.status, text));
    session = here(new URL(answer.headers.get('Location') ?? '', answer.url).href);
    await peer.setRemoteDescription({ type: 'answer', sdp: text });
  } catch (e) {
    stop();
    throw e instanceof Unplayable ? e : new Unplayable(e instanceof Error ? e.message : String(e), false);
  }
  peer.onconnectionstatechange = () => {
    if (peer.connectionState === 'failed' || peer.connectionState === 'closed') broken('ICE');
  };
  return { stop };
};
