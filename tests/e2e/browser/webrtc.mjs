// Plays or publishes by WebRTC in headless Chromium, as a web page would, and tells what came of it as one JSON line.
//
//     node webrtc.mjs KIND URL SECONDS [STREAMURL]      run in the folder that holds node_modules
//
// KIND: whep (URL takes the offer), tcp (the same, but the page is not told of the UDP addresses), rtc (URL is /rtc/v1/play, STREAMURL is the stream), whip (publishes the fake camera until
// the input closes), delay (plays by WHEP a picture that carries the time of day, see `webrtc.py`). The page comes from a server of its own, so that Weir is of another origin, as it is for real pages.

import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

const [kind, url, seconds, streamurl] = process.argv.slice(2);
const require = createRequire(path.join(process.cwd(), 'package.json'));
const { chromium } = require('playwright-core');
const page = `<!doctype html><meta charset="utf-8"><title>webrtc</title><video muted autoplay playsinline></video>`;

const server = http.createServer((request, answer) => {
  answer.setHeader('Content-Type', 'text/html');
  answer.end(page);
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));

const profile = await mkdtemp(path.join(os.tmpdir(), 'weir-e2e-chromium-'));
const said = [];
let context;
try {
  context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required', '--disable-dev-shm-usage',
      '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
    timeout: 60000,
  });
  const tab = await context.newPage();
  tab.on('console', (message) => said.push(message.text()));
  tab.on('pageerror', (error) => said.push(String(error)));
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  const opened = await tab.evaluate(open, { kind, url, streamurl });
  const result = opened.error ? { ok: false, ...opened } : await tab.evaluate({ whip: send, delay: late }[kind] ?? watch, Number(seconds));
  console.log(JSON.stringify({ ...opened, ...result, said: said.slice(-20) }));
  if (kind === 'whip' && result.ok) {
    await new Promise((done) => process.stdin.on('end', done).resume());
  }
  await tab.evaluate(leave);
} catch (error) {
  console.log(JSON.stringify({ error: String(error), said: said.slice(-20) }));
} finally {
  await context?.close().catch(() => {});
  server.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
process.exit(0);

// In the page: offer, answer.
async function open({ kind, url, streamurl }) {
  const peer = (window.peer = new RTCPeerConnection());
  if (kind === 'whip') {
    const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360, frameRate: 25 }, audio: true });
    for (const track of media.getTracks()) {
      const lane = peer.addTransceiver(track, { direction: 'sendonly' });
      if (track.kind === 'video') {
        const all = RTCRtpSender.getCapabilities('video').codecs;
        lane.setCodecPreferences(all.filter((c) => /H264|rtx/.test(c.mimeType)));
      }
    }
  } else {
    const video = document.querySelector('video');
    const all = new MediaStream();
    peer.addTransceiver('video', { direction: 'recvonly' });
    peer.addTransceiver('audio', { direction: 'recvonly' });
    peer.ontrack = (event) => {
      // The sound is played, too: what is muted is not decoded to the end.
      video.muted = false;
      all.addTrack(event.track);
      video.srcObject = all;
      video.play().catch(() => {});
    };
  }
  window.began = performance.now();
  await peer.setLocalDescription();
  const sdp = peer.localDescription.sdp;
  const json = kind === 'rtc';
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': json ? 'application/json' : 'application/sdp' },
    body: json ? JSON.stringify({ api: url, streamurl, clientip: null, sdp }) : sdp,
  });
  const text = await response.text();
  if (json) {
    const reply = JSON.parse(text);
    if (reply.code) return { error: reply.msg, status: reply.code };
    await peer.setRemoteDescription({ type: 'answer', sdp: reply.sdp });
    return { session: reply.sessionid };
  }
  if (response.status !== 201) return { error: text.trim(), status: response.status };
  window.resource = new URL(response.headers.get('Location'), url).href;
  const patched = await fetch(window.resource, {
    method: 'PATCH',
    headers: { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': response.headers.get('ETag') },
    body: `a=ice-ufrag:${/a=ice-ufrag:(.*)/.exec(sdp)[1].trim()}\r\na=end-of-candidates\r\n`,
  });
  const answer = kind === 'tcp' ? text.replace(/a=candidate:\S+ \d+ udp .*\r\n/gi, '') : text;
  await peer.setRemoteDescription({ type: 'answer', sdp: answer });
  return { resource: window.resource, patched: patched.status };
}

// In the page: the picture and the sound have to go on for three seconds.
async function watch(seconds) {
  const video = document.querySelector('video');
  let first = null, took = null;
  const state = async () => {
    const found = { first, took, now: video.currentTime, width: video.videoWidth, height: video.videoHeight, state: window.peer.connectionState };
    const reports = await window.peer.getStats();
    for (const report of reports.values()) {
      if (report.type === 'transport') {
        const pair = reports.get(report.selectedCandidatePairId);
        found.protocol = reports.get(pair?.remoteCandidateId)?.protocol;
      }
      if (report.type === 'inbound-rtp' && report.kind === 'video') {
        Object.assign(found, { frames: report.framesDecoded, dropped: report.framesDropped, lost: report.packetsLost, plis: report.pliCount,
          nacks: report.nackCount, delay: report.jitterBufferDelay / report.jitterBufferEmittedCount, freezes: report.freezeCount,
          bytes: report.bytesReceived, keys: report.keyFramesDecoded });
      }
      if (report.type === 'inbound-rtp' && report.kind === 'audio') {
        Object.assign(found, { sound: report.totalSamplesReceived, concealed: report.concealedSamples, energy: report.totalAudioEnergy });
      }
      if (report.type === 'codec') found[report.mimeType] = report.payloadType;
    }
    return found;
  };
  while ((performance.now() - window.began) / 1000 < seconds) {
    await new Promise((done) => setTimeout(done, 100));
    if (video.readyState >= 2 && video.videoWidth && first === null) {
      first = video.currentTime;
      took = (performance.now() - window.began) / 1000;
    }
    if (first !== null && video.currentTime - first >= 3) return { ok: true, ...(await state()) };
  }
  return { ok: false, ...(await state()) };
}

// In the page: reads the time of day out of fifty pictures, and tells how old they were when they were shown.
async function late(seconds) {
  const video = document.querySelector('video');
  const canvas = new OffscreenCanvas(320, 40);
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  const ages = [];
  const shown = () => new Promise((done) => video.requestVideoFrameCallback(done));
  while (ages.length < 75 && (performance.now() - window.began) / 1000 < seconds) {
    await Promise.race([shown(), new Promise((done) => setTimeout(done, 1000))]);
    if (!video.videoWidth) continue;
    pen.drawImage(video, 0, 0, 320, 40, 0, 0, 320, 40);
    const { data } = pen.getImageData(0, 0, 320, 40);
    let time = 0n;
    for (let bit = 0; bit < 32; bit++) {
      const [x, y] = [(bit % 16) * 20 + 10, Math.floor(bit / 16) * 20 + 10];
      time = (time << 1n) | (data[(y * 320 + x) * 4] > 128 ? 1n : 0n);
    }
    ages.push(Number((BigInt(Date.now()) - time) & 0xffffffffn));
  }
  // The first second is the start.
  const steady = ages.slice(25).sort((a, b) => a - b);
  return { ok: steady.length >= 50, median: steady[steady.length >> 1], worst: steady.at(-1), first: ages[0] };
}

// In the page: the camera has to be sent for two seconds.
async function send(seconds) {
  while ((performance.now() - window.began) / 1000 < seconds) {
    await new Promise((done) => setTimeout(done, 100));
    for (const report of (await window.peer.getStats()).values()) {
      if (report.type === 'outbound-rtp' && report.kind === 'video' && report.framesEncoded >= 50) {
        return { ok: true, frames: report.framesEncoded, plis: report.pliCount, state: window.peer.connectionState };
      }
    }
  }
  return { ok: false, state: window.peer.connectionState };
}

// In the page: as a page ends that is closed in order.
async function leave() {
  if (window.resource) await fetch(window.resource, { method: 'DELETE' });
  window.peer?.close();
}
