// Builds the console into ../dist, or with --check tells whether what is there is what the sources make.
//
// Files have the same names at every build; the server finds them at paths that carry a digest of their content, which is
// counted here in the same way (the first ten digits of SHA-256, in hexadecimal).

import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import zlib from 'node:zlib';

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, '../dist');
const check = process.argv.includes('--check');
const require = createRequire(import.meta.url);
const brotli = promisify(zlib.brotliCompress);
const gzip = promisify(zlib.gzip);

const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome100', 'firefox100', 'safari15.4'],
  charset: 'utf8',
  legalComments: 'none',
  write: false,
  external: ['/console/*'],
  logLevel: 'warning',
  define: { 'process.env.NODE_ENV': '"production"' },
};

async function bundle(options) {
  const result = await build({ ...common, ...options });
  return Buffer.from(result.outputFiles[0].contents);
}

const digest = (content) => createHash('sha256').update(content).digest('hex').slice(0, 10);
const address = (name, content) => `/console/${name.replace(/\.(\w+)$/, `.${digest(content)}.$1`)}`;

// What is big and not needed at once is loaded when it is.
const lazy = {
  'hls.js': `export { default } from 'hls.js/light';`,
  'mpegts.js': `export { default } from 'mpegts.js';`,
  'uplot.js': `export { default } from 'uplot';`,
};
const files = {};
const define = { ...common.define };
for (const [name, contents] of Object.entries(lazy)) {
  const made = await bundle({ stdin: { contents, resolveDir: here, loader: 'js' } });
  files[name] = made;
  define[`__${name.split('.')[0].toUpperCase()}__`] = JSON.stringify(address(name, made));
}
files['app.js'] = await bundle({ entryPoints: ['src/main.tsx'], define, jsx: 'automatic', jsxImportSource: 'preact' });
files['app.css'] = await bundle({ entryPoints: ['src/styles/app.css'] });
files['icon.svg'] = await readFile(path.join(here, 'src/icon.svg'));
files['licenses.txt'] = Buffer.from(await licenses());
const page = await readFile(path.join(here, 'src/index.html'), 'utf8');
const fill = (_, name) => address(name, files[name]);
files['index.html'] = Buffer.from(page.replace(/\{\{([\w.]+)\}\}/g, fill).replace(/\n\s*/g, '\n'));

// The licenses of the parts, as they ask for.
async function licenses() {
  const own = JSON.parse(await readFile(path.join(here, 'package.json'), 'utf8'));
  const names = [...Object.keys(own.dependencies), '@preact/signals-core', 'es6-promise', 'webworkify-webpack', 'events'];
  const texts = [];
  for (const name of names.sort()) {
    const folder = path.join(here, 'node_modules', name);
    let listed;
    try { listed = await readdir(folder); } catch { continue; }
    const about = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
    const file = listed.sort().find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? await readFile(path.join(folder, file), 'utf8') : '';
    texts.push(`${name} ${about.version} (${about.license})\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${'-'.repeat(78)}\n\n`);
}

let stale = 0;
if (!check) await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
for (const [name, content] of Object.entries(files)) {
  const br = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: content.length } };
  if (check) {
    // Another version of Node may pack differently, so packed files are compared by what they hold.
    const read = async (ending, open) => open(await readFile(path.join(dist, name + ending)));
    for (const [ending, open] of [['', (b) => b], ['.br', zlib.brotliDecompressSync], ['.gz', zlib.gunzipSync]]) {
      const kept = await read(ending, open).catch(() => null);
      if (!kept?.equals(content)) {
        console.error(`dist/${name}${ending} is not what the sources make: run npm run build`);
        stale = 1;
      }
    }
    continue;
  }
  const [small, packed] = [await brotli(content, br), await gzip(content, { level: 9 })];
  await writeFile(path.join(dist, name), content);
  await writeFile(path.join(dist, `${name}.br`), small);
  await writeFile(path.join(dist, `${name}.gz`), packed);
  console.log(`${name.padEnd(14)} ${String(content.length).padStart(8)} bytes, ${small.length} packed`);
}
if (check) {
  const known = new Set(Object.keys(files).flatMap((name) => [name, `${name}.br`, `${name}.gz`]));
  for (const name of await readdir(dist)) {
    if (!known.has(name)) {
      console.error(`dist/${name} is not made by the sources`);
      stale = 1;
    }
  }
  if (!stale) console.log('dist is what the sources make');
}
process.exitCode = stale;
