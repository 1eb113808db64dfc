// Plays one URL in headless Chromium with the player that a web page would use, and tells what came of it as one JSON line.
//
//     node play.mjs KIND URL SECONDS      KIND: mpegts-http, mpegts-ws, hls, hls-low, hls-abr, mse-ws, file; run in the folder that holds node_modules
//
// The page comes from a server of its own, so that the stream is of another origin, as it is in real pages.

import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

const [kind, url, seconds] = process.argv.slice(2);
const require = createRequire(path.join(process.cwd(), 'package.json'));
const { chromium } = require('playwright-core');
const scripts = {
  '/mpegts.js': require.resolve('mpegts.js/dist/mpegts.js'),
  '/hls.js': require.resolve('hls.js/dist/hls.js'),
};
const page = `<!doctype html><meta charset="utf-8"><title>play</title><video muted autoplay playsinline></video>
<script src="/mpegts.js"></script><script src="/hls.js"></script>`;

const server = http.createServer((request, answer) => {
  const script = scripts[request.url];
  answer.setHeader('Content-Type', script ? 'text/javascript' : 'text/html');
  if (script) createReadStream(script).pipe(answer);
  else answer.end(page);
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
      '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required', '--disable-dev-shm-usage'],
    timeout: 60000,
  });
  const tab = await context.newPage();
  tab.on('console', (message) => said.push(message.text()));
  tab.on('pageerror', (error) => said.push(String(error)));
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  await tab.evaluate(start, { kind, url });
  const result = await tab.evaluate(kind === 'hls-abr' ? climb : watch, Number(seconds));
  console.log(JSON.stringify({ ...result, said: said.slice(-20) }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error), said: said.slice(-20) }));
} finally {
  await context?.close().catch(() => {});
  server.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
process.exit(0);

// In the page: what any page does to play a live stream.
function start({ kind, url }) {
  const video = document.querySelector('video');
  window.errors = [];
  video.addEventListener('error', () => window.errors.push(`video: ${video.error?.message}`));
  if (kind === 'mse-ws') {
    feed(video, url);
  } else if (kind === 'file') {
    video.src = url;
  } else if (kind.startsWith('hls')) {
    const player = (window.player = new Hls({ lowLatencyMode: kind === 'hls-low' }));
    player.on(Hls.Events.ERROR, (_, e) => e.fatal && window.errors.push(`hls.js: ${e.type} ${e.details}`));
    player.loadSource(url);
    player.attachMedia(video);
  } else {
    const player = mpegts.createPlayer({ type: 'flv', isLive: true, url }, { enableWorker: false });
    player.on(mpegts.Events.ERROR, (...e) => window.errors.push(`mpegts.js: ${e.slice(0, 2).join(' ')}`));
    player.attachMediaElement(video);
    player.load();
  }
  video.play().catch(() => {});

  // Fragmented MP4 from a WebSocket into Media Source Extensions, with nothing between.
  function feed(video, url) {
    const source = new MediaSource();
    const waiting = [];
    let buffer = null;
    video.src = URL.createObjectURL(source);
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    const next = () => {
      if (!buffer || buffer.updating || !waiting.length) return;
      buffer.appendBuffer(waiting.shift());
    };
    socket.onmessage = ({ data }) => {
      if (!buffer && source.readyState === 'open') {
        const bytes = new Uint8Array(data);
        const text = new TextDecoder('latin1').decode(bytes);
        const at = text.indexOf('avcC') + 5;
        const profile = [...bytes.slice(at, at + 3)].map((b) => b.toString(16).padStart(2, '0')).join('');
        buffer = source.addSourceBuffer(`video/mp4; codecs="avc1.${profile}${text.includes('mp4a') ? ',mp4a.40.2' : ''}"`);
        buffer.addEventListener('updateend', () => {
          const { buffered } = video;
          if (buffered.length && video.currentTime < buffered.start(0)) video.currentTime = buffered.end(buffered.length - 1) - 0.1;
          next();
        });
      }
      waiting.push(data);
      next();
    };
    socket.onclose = (e) => window.errors.push(`WebSocket: closed with ${e.code}`);
  }
}

// In the page: waits until the picture has moved for three seconds, at most `seconds`.
async function watch(seconds) {
  const video = document.querySelector('video');
  const began = performance.now();
  let first = null;
  const state = () => ({
    latency: window.player?.latency, first, now: video.currentTime, width: video.videoWidth, height: video.videoHeight,
    frames: video.getVideoPlaybackQuality().totalVideoFrames, errors: window.errors, took: (performance.now() - began) / 1000,
  });
  while ((performance.now() - began) / 1000 < seconds) {
    await new Promise((done) => setTimeout(done, 100));
    if (window.errors.length) return { ok: false, ...state() };
    if (video.readyState >= 3 && video.videoWidth && first === null) first = video.currentTime;
    if (first !== null && video.currentTime - first >= 3 && video.getVideoPlaybackQuality().totalVideoFrames >= 30) {
      return { ok: true, ...state() };
    }
  }
  return { ok: false, ...state() };
}

// In the page: plays each level of an adaptive stream for a second at least, changing in the middle, without a new start.
async function climb(seconds) {
  const video = document.querySelector('video');
  const began = performance.now();
  const { player } = window;
  const seen = [];
  const state = () => ({
    seen, now: video.currentTime, width: video.videoWidth, height: video.videoHeight, errors: window.errors,
    levels: player.levels.map(({ width, height, bitrate, codecs }) => ({ width, height, bitrate, codecs })), took: (performance.now() - began) / 1000,
  });
  const until = async (holds) => {
    while (!holds()) {
      if (window.errors.length || (performance.now() - began) / 1000 > seconds) return false;
      await new Promise((done) => setTimeout(done, 100));
    }
    return true;
  };
  if (!(await until(() => player.levels?.length && video.readyState >= 3 && video.videoWidth))) return { ok: false, ...state() };
  let last = video.currentTime;
  for (const [number, level] of player.levels.entries()) {
    player.nextLevel = number;
    if (!(await until(() => video.videoWidth === level.width && video.readyState >= 3))) return { ok: false, ...state() };
    const from = video.currentTime;
    if (!(await until(() => video.currentTime - from >= 1))) return { ok: false, ...state() };
    seen.push({ width: video.videoWidth, height: video.videoHeight, from, before: last });
    last = video.currentTime;
  }
  return { ok: true, ...state() };
}
