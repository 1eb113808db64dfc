// An operator at work in the console, in headless Chromium. Steps run in order; each is told as it is done.
//
//     node console.mjs JSON      run in the folder that holds node_modules; JSON is made by console.py
//
// Prints one JSON line: the steps that were done, what failed, what the page complained about.

import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';

const asked = JSON.parse(process.argv[2]);
const require = createRequire(path.join(process.cwd(), 'package.json'));
const { chromium } = require('playwright-core');
const axe = require.resolve('axe-core/axe.min.js');

const { base, key, secret, shots } = asked;
const done = [];
const said = [];
const foreign = [];
await mkdir(shots, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--autoplay-policy=no-user-gesture-required', '--disable-dev-shm-usage'],
  timeout: 60000,
});

function step(name, value) {
  done.push(value === undefined ? name : `${name}: ${value}`);
}

function check(truth, what) {
  if (!truth) throw new Error(what);
}

async function open(options) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, bypassCSP: false, ...options });
  const tab = await context.newPage();
  tab.setDefaultTimeout(15000);
  tab.on('console', (message) => {
    // A refused request is the server's word, not the page's mistake.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) said.push(message.text());
  });
  tab.on('pageerror', (error) => said.push(`${error} ${error?.stack ?? ''}`.slice(0, 400)));
  tab.on('request', (request) => {
    const url = new URL(request.url());
    if (!['data:', 'blob:'].includes(url.protocol) && url.host !== new URL(base).host) foreign.push(request.url());
  });
  return tab;
}

async function signIn(tab) {
  await tab.goto(base);
  await tab.fill('input[autocomplete=username]', key);
  await tab.fill('input[type=password]', secret);
  await tab.click('button[type=submit]');
  await tab.waitForSelector('main .page');
}

const go = (tab, to) => tab.evaluate((hash) => { location.hash = hash; }, `#/${to}`);

/** What axe finds that is serious. Its script is given to the page by the tester, past the page's policy. */
async function accessible(tab, name) {
  await tab.evaluate(await axeSource());
  const found = await tab.evaluate(() => window.axe.run(document, { resultTypes: ['violations'], rules: { 'video-caption': { enabled: false } } }));
  const grave = found.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
  check(grave.length === 0, `axe on ${name}: ${grave.map((v) => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].failureSummary?.slice(0, 200)}`).join(' | ')}`);
}

let axeText = '';
async function axeSource() {
  if (!axeText) axeText = await (await import('node:fs/promises')).readFile(axe, 'utf8');
  return axeText;
}

const pages = {
  // What an operator does, from an empty server on.
  async work() {
    const tab = await open({ locale: 'en-US' });
    // Nobody signs in with a wrong secret, and the secret is never sent.
    const sent = [];
    tab.on('request', (request) => sent.push(`${request.url()} ${request.postData() ?? ''}`));
    await tab.goto(base);
    await tab.fill('input[autocomplete=username]', key);
    await tab.fill('input[type=password]', `${secret}x`);
    await tab.click('button[type=submit]');
    await tab.waitForSelector('[role=alert]');
    step('a wrong secret is refused', await tab.innerText('[role=alert] .what'));
    await signIn(tab);
    check(!sent.some((text) => text.includes(secret)), 'the secret was sent');
    check(await tab.evaluate((s) => !JSON.stringify(sessionStorage).includes(s) && !JSON.stringify(localStorage).includes(s), secret), 'the secret was kept without being asked');
    await tab.waitForSelector('.empty a[href*="what=camera"]');
    await tab.screenshot({ path: `${shots}/first-run.png` });
    step('an empty server leads to the first steps');

    // Everything is reached by keyboard: first the way past the menu, then the menu, then the page.
    await tab.evaluate(() => document.activeElement?.blur());
    const stops = [];
    for (let n = 0; n < 40; n += 1) {
      await tab.keyboard.press('Tab');
      stops.push(await tab.evaluate(() => document.activeElement?.getAttribute('href') ?? document.activeElement?.textContent ?? ''));
    }
    for (const stop of ['#main', '#/groups', '#/explorer', '#/add?what=camera']) check(stops.includes(stop), `the Tab key does not reach ${stop}: ${stops}`);
    step('the keyboard reaches the menu and the page');

    // A camera, with the values to type in.
    await tab.click('.empty a[href*="what=camera"]');
    await tab.fill('main input[placeholder="Site 1"]', 'Yard');
    await tab.fill('main input[placeholder="Front door"]', 'Gate');
    await tab.fill('main input[pattern="[0-9]{20}"]', asked.camera.id);
    await tab.fill('main input[maxlength="64"]', asked.camera.password);
    await tab.click('main button[type=submit]');
    await tab.waitForSelector('.facts .copyable code');
    const values = await tab.$$eval('.facts .copyable code', (codes) => codes.map((code) => code.textContent));
    check(values.includes(asked.camera.id) && values.includes(asked.camera.password), `the values to type in are ${values}`);
    const server = values[0];
    check(/^\d{20}$/.test(server), `the server's id is ${server}`);
    console.error(JSON.stringify({ camera: server }));
    await tab.waitForSelector('.tip.good', { timeout: 30000 });
    step('a camera was added and is seen to register');

    // A stream that is pushed.
    await go(tab, 'add?what=push');
    await tab.fill('main input[placeholder="Pushed streams"]', 'Studio');
    await tab.fill('main input[placeholder="Studio"]', 'Stage');
    await tab.click('main button[type=submit]');
    await tab.waitForSelector('.copyable code');
    const push = (await tab.$$eval('.copyable code', (codes) => codes.map((code) => code.textContent)))[0];
    check(push.startsWith('rtmp://'), `the push address is ${push}`);
    console.error(JSON.stringify({ push }));
    await tab.waitForSelector('.badge.good', { timeout: 30000 });
    step('a stream was made and is seen to come');
    await tab.context().close();
  },

  // Four live pictures that move.
  async wall() {
    const tab = await open({ locale: 'en-US' });
    await signIn(tab);
    await go(tab, 'wall?size=4');
    await tab.waitForFunction(() => document.querySelectorAll('.player.playing').length >= 4, null, { timeout: 40000 });
    const look = () => tab.$$eval('.player', (players) => players.map((p) => {
      const video = p.querySelector('video');
      return { way: p.dataset.way, frames: video.getVideoPlaybackQuality().totalVideoFrames, width: video.videoWidth };
    }));
    const first = await look();
    await tab.waitForTimeout(2000);
    const then = await look();
    for (const [n, cell] of then.entries()) {
      check(cell.width > 0 && cell.frames - first[n].frames >= 20, `picture ${n} stands still: ${JSON.stringify([first[n], cell])}`);
    }
    await tab.screenshot({ path: `${shots}/wall-playing.png` });
    step('four pictures move on the wall', then.map((cell) => cell.way).join(' '));
    // The pictures of one stream show when they were made.
    const late = await tab.evaluate(delays, asked.clock);
    check(late.length >= 10, `the clock was read ${late.length} times`);
    late.sort((a, b) => a - b);
    const [way, median] = [then.length && (await tab.getAttribute(`.player[data-id="${asked.clock}"]`, 'data-way')), late[late.length >> 1]];
    check(median < (way === 'whep' ? 500 : 3000), `pictures are ${median} ms late by ${way}`);
    step('delay from the encoder to the page', `${median} ms by ${way}`);
    // A stream that breaks off comes back by itself.
    console.error(JSON.stringify({ restart: true }));
    await tab.waitForFunction(() => document.querySelectorAll('.player.playing').length < 4, null, { timeout: 25000 });
    await tab.waitForFunction(() => document.querySelectorAll('.player.playing').length >= 4, null, { timeout: 40000 });
    step('a stream that broke off came back');
    await tab.context().close();
  },

  // An upper platform that is a real server, and a voice towards a real camera, which has no loudspeaker.
  async uppers() {
    const tab = await open({ locale: 'en-US' });
    await signIn(tab);
    await go(tab, 'uppers');
    await tab.click('.head button');
    const { upper } = asked;
    await tab.fill('dialog input[required] >> nth=0', 'Town');
    await tab.fill('dialog input[required] >> nth=1', upper.host);
    await tab.fill('dialog input[type=number]', String(upper.port));
    await tab.fill('dialog input[pattern="[0-9]{20}"] >> nth=0', upper.server);
    await tab.fill('dialog input[pattern="[0-9]{20}"] >> nth=1', upper.local);
    await tab.fill('dialog input[type=password]', upper.password);
    await tab.click('dialog button[type=submit]');
    await tab.waitForSelector('td .badge.good', { timeout: 20000 });
    step('an upper platform was added and is registered at');
    await tab.click('td a.strong');
    await tab.click('.head button.primary');
    await tab.selectOption('dialog select >> nth=1', asked.group);
    await tab.click('dialog button[type=submit]');
    await tab.waitForSelector('td a.strong:has-text("Lobby")');
    await accessible(tab, 'an upper platform');
    await tab.screenshot({ path: `${shots}/upper-real.png` });
    step('a group is shown there');
    console.error(JSON.stringify({ shown: true }));

    await go(tab, `devices/${asked.device}`);
    await tab.click('main button:has-text("Speak to the device")');
    await tab.selectOption('dialog select >> nth=0', asked.stream);
    await tab.click('dialog button[type=submit]');
    const why = await tab.innerText('dialog [role=alert]');
    check(why.length > 10, `what the camera answers is told: ${why}`);
    await tab.screenshot({ path: `${shots}/voice-real.png` });
    step('a camera without a loudspeaker is told so', why.replaceAll('\n', ' '));
    await tab.context().close();
  },

  // The camera's controls, a template, the key page, the explorer.
  async manage() {
    const tab = await open({ locale: 'en-US' });
    await signIn(tab);
    await go(tab, `streams/${asked.cameraStream}`);
    await tab.waitForSelector('.ptz .hold');
    const orders = [];
    tab.on('request', (request) => orders.push(new URLSearchParams(request.postData() ?? '').get('Action')));
    const right = tab.locator('.ptz .at-e');
    await right.hover();
    await tab.mouse.down();
    await tab.waitForTimeout(300);
    await tab.mouse.up();
    // By keyboard as well.
    await tab.locator('.ptz .at-n').focus();
    await tab.keyboard.down('Enter');
    await tab.waitForTimeout(200);
    await tab.keyboard.up('Enter');
    await tab.waitForTimeout(800);
    const moves = orders.filter((order) => order === 'ContinuousMove' || order === 'StopMove');
    check(moves.join() === 'ContinuousMove,StopMove,ContinuousMove,StopMove', `orders to the camera: ${orders}`);
    check((await tab.$$('.note.bad')).length === 0, `the camera refused: ${await tab.innerText('.notes')}`);
    step('the camera is moved by mouse and by keyboard');

    await go(tab, 'templates');
    await tab.click('.head button');
    await tab.fill('dialog input[required]', 'Keep a week');
    await tab.fill('dialog input[max="36500"]', '7');
    await tab.click('dialog button[type=submit]');
    await tab.waitForSelector('td a:has-text("Keep a week")');
    await go(tab, `groups/${asked.group}`);
    await tab.click('button:has-text("Bind a template")');
    await tab.waitForFunction(() => document.querySelector('dialog select')?.options.length > 1);
    await tab.selectOption('dialog select', { index: 1 });
    await tab.click('dialog button[type=submit]');
    await tab.waitForSelector('section li a:has-text("Keep a week")');
    step('a template was made and bound');

    await go(tab, `usage?group=${asked.group}`);
    await tab.waitForSelector('.chart canvas');
    const [file] = await Promise.all([tab.waitForEvent('download'), tab.click('.card button:has-text("CSV")')]);
    const text = await (await import('node:fs/promises')).readFile(await file.path(), 'utf8');
    check(text.split('\r\n').length > 10 && text.includes('time'), `the CSV is ${text.slice(0, 100)}`);
    step('usage is drawn and exported', `${text.split('\r\n').length - 1} rows`);

    await go(tab, 'explorer/DescribeGroups');
    await tab.click('form.card button[type=submit]');
    await tab.waitForSelector('pre.answer');
    const answer = JSON.parse(await tab.innerText('pre.answer'));
    check(answer.TotalCount >= 2, `the explorer's answer is ${JSON.stringify(answer).slice(0, 200)}`);
    step('the explorer calls the API', `${answer.TotalCount} groups`);

    // A page past the end leads to the last one.
    await go(tab, 'groups?page=99');
    await tab.waitForSelector('tbody tr');

    if (asked.tenants) {
      await go(tab, 'tenants');
      await tab.click('.head button');
      await tab.click('dialog button[type=submit]');
      await tab.waitForSelector('dialog code.secret');
      const made = await tab.$$eval('dialog .copyable code', (codes) => codes.map((code) => code.textContent));
      await tab.click('dialog footer button');
      await tab.waitForSelector('td .badge.good');
      // The new key signs in, and sees nothing of the operator's.
      const other = await open({ locale: 'en-US' });
      await other.goto(base);
      await other.fill('input[autocomplete=username]', made[0]);
      await other.fill('input[type=password]', made[1]);
      await other.click('button[type=submit]');
      await other.waitForSelector('.empty');
      check((await other.$$('aside a[href="#/tenants"]')).length === 0, 'a tenant is shown the operator\'s pages');
      await other.context().close();
      step('a tenant was opened; its key signs in and sees an empty console');
      // A quota is set, and is there when it is looked at again.
      const limits = tab.locator('tbody tr').last().getByRole('button', { name: 'Quota' });
      const players = tab.getByLabel('Players at once');
      await limits.click();
      await players.fill('7');
      await tab.click('dialog button[type=submit]');
      await tab.waitForSelector('dialog', { state: 'detached' });
      await limits.click();
      await players.waitFor();
      check((await players.inputValue()) === '7', `the quota is ${await players.inputValue()}`);
      await tab.keyboard.press('Escape');
      step('a quota was set');
    }
    await tab.context().close();
  },

  // What a device recorded itself: found on the time bar, played, paused, sought.
  async playback() {
    const tab = await open({ locale: 'en-US' });
    await signIn(tab);
    await go(tab, `playback/${asked.cameraStream}`);
    await tab.waitForSelector('.timeline .stretch', { timeout: 20000 });
    // An hour fills the bar, and the chosen moment stays in sight.
    await tab.click('.timeline .segments button:has-text("1 h")');
    await tab.waitForTimeout(200);
    const track = await tab.locator('.timeline .track').boundingBox();
    const inside = await tab.$eval('.timeline .stretch', (s) => s.getBoundingClientRect().x + s.getBoundingClientRect().width / 2);
    await tab.mouse.click(inside, track.y + track.height / 2);
    await tab.waitForSelector('.replay .player.playing', { timeout: 30000 });
    await tab.screenshot({ path: `${shots}/playback-playing.png` });
    const way = await tab.getAttribute('.replay .player', 'data-way');
    step('what the device recorded plays', way);
    const answers = [];
    tab.on('response', async (answer) => answers.push([new URLSearchParams(answer.request().postData() ?? '').get('Command'), answer.status()]));
    await tab.click('.replay button:has-text("Pause")');
    await tab.waitForSelector('.replay button:has-text("Resume")');
    await tab.click('.replay button:has-text("Resume")');
    await tab.waitForSelector('.replay button:has-text("Pause")');
    await tab.locator('.replay .grow input').fill('60');
    await tab.waitForTimeout(1000);
    const told = answers.filter(([command]) => command).map(([command, status]) => `${command} ${status}`);
    check(told.join() === 'pause 200,resume 200,seek 200', `orders to the playback: ${told}`);
    step('it is paused, resumed and sought');
    await tab.context().close();
  },

  // A recording is listed, played, downloaded.
  async records() {
    const tab = await open({ locale: 'en-US' });
    await signIn(tab);
    await go(tab, `streams/${asked.recorded}`);
    await tab.click('button:has-text("Record now")');
    await tab.waitForSelector('.badge.good:has-text("Recording")');
    await tab.waitForTimeout(6000);
    await tab.click('button:has-text("Stop recording")');
    await tab.waitForSelector('button:has-text("Record now")');
    step('a stream is recorded on demand');
    await go(tab, `records/${asked.recorded}`);
    await tab.waitForSelector('.timeline .stretch', { timeout: 30000 });
    await tab.click('tbody .linklike');
    await tab.waitForFunction(() => document.querySelector('.replay video')?.currentTime > 0.5, null, { timeout: 15000 });
    await tab.screenshot({ path: `${shots}/records-playing.png` });
    const [file] = await Promise.all([tab.waitForEvent('download'), tab.click('.replay a[download]')]);
    const { size } = await (await import('node:fs/promises')).stat(await file.path());
    check(size > 10000, `the download has ${size} bytes`);
    step('a recording plays and is downloaded', `${size} bytes`);
    await tab.context().close();
  },

  // Every page in both languages, in light and dark, on a desk and on a phone; axe looks at each once in both themes.
  async look() {
    const names = asked.pages;
    for (const [lang, theme, width, height] of [['en-US', 'light', 1440, 900], ['zh-CN', 'dark', 1440, 900], ['zh-CN', 'light', 390, 844]]) {
      const tab = await open({ locale: lang, colorScheme: theme, viewport: { width, height } });
      await tab.goto(base);
      await tab.waitForSelector('input');
      await accessible(tab, 'sign-in');
      await tab.screenshot({ path: `${shots}/signin-${lang}-${theme}-${width}.png` });
      await signIn(tab);
      for (const [name, to] of Object.entries(names)) {
        await go(tab, to);
        await tab.waitForFunction(() => !document.querySelector('main .loading'), null, { timeout: 10000 });
        await tab.waitForTimeout(350);
        await tab.screenshot({ path: `${shots}/${name}-${lang}-${theme}-${width}.png` });
        const wide = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        check(wide <= 0, `${name} is ${wide} px wider than a screen of ${width}`);
        if (lang === 'zh-CN') {
          const english = await tab.$$eval('main h1, main h2, main th', (all) => all.map((e) => e.textContent).filter((text) => /^[A-Z][a-z]+ [a-z]+/.test(text)));
          check(english.length === 0 || name.startsWith('explorer'), `${name} in Chinese says ${english}`);
        }
        // A phone shows the same elements: how they look together is what differs.
        if (width > 1000 || name === 'overview') await accessible(tab, `${name} (${theme}, ${width})`);
      }
      await tab.context().close();
    }
    step('every page was seen in both languages and themes, and on a phone', `${Object.keys(names).length} pages`);
  },
};

// In the page: reads the clock out of the pictures for some seconds; how late each was, in milliseconds.
async function delays(id) {
  const video = document.querySelector(`.player[data-id="${id}"] video`);
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [320, 180];
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const late = [];
  for (let turn = 0; turn < 40; turn += 1) {
    await new Promise((done) => setTimeout(done, 100));
    const now = Date.now();
    context.drawImage(video, 0, 0, 320, 180);
    let [value, sound] = [0, true];
    for (let n = 0; n < 32; n += 1) {
      const at = (y) => context.getImageData(n * 10 + 5, y, 1, 1).data[1] > 128;
      sound = sound && at(20) !== at(60);
      value = value * 2 + Number(at(20));
    }
    if (sound) late.push(((now % 2 ** 32) - value + 2 ** 32) % 2 ** 32);
  }
  return late;
}

let failed = '';
try {
  await pages[asked.what]();
} catch (error) {
  failed = `${error?.stack ?? error}`.slice(0, 2000);
  for (const context of browser.contexts()) {
    for (const tab of context.pages()) await tab.screenshot({ path: `${shots}/failed-${asked.what}.png` }).catch(() => {});
  }
}
await browser.close().catch(() => {});
if (!failed && said.length > 0) failed = `the page complained: ${[...new Set(said)].slice(0, 5).join(' | ')}`;
if (!failed && foreign.length > 0) failed = `requests left the host: ${foreign.slice(0, 3)}`;
console.log(JSON.stringify({ done, failed }));
process.exit(0);
