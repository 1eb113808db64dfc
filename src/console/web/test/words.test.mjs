// Both dictionaries are complete, and say everything that the sources ask for.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { load } from './load.mjs';

const src = path.join(path.dirname(fileURLToPath(import.meta.url)), '../src');
const { en } = await load('src/i18n/en.ts');
const { zh } = await load('src/i18n/zh.ts');

async function sources() {
  const names = await readdir(src, { recursive: true });
  const code = names.filter((name) => /\.tsx?$/.test(name) && !name.includes('i18n'));
  return Promise.all(code.map(async (name) => [name, await readFile(path.join(src, name), 'utf8')]));
}

test('the dictionaries have the same keys and the same places for values', () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  const places = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const key of Object.keys(en)) {
    assert.ok(en[key].trim() && zh[key].trim(), key);
    assert.deepEqual(places(zh[key]), places(en[key]), key);
  }
});

test('what is Chinese is Chinese', () => {
  const same = Object.keys(en).filter((key) => en[key] === zh[key]);
  // Names of protocols are the same everywhere.
  const names = /^(way|protocol|template\.value|licenses\.sku|format)\b/;
  assert.deepEqual(same.filter((key) => !names.test(key)), []);
});

test('every key that the sources name exists, and every key is used', async () => {
  const used = new Set();
  const prefixes = new Set();
  for (const [name, text] of await sources()) {
    for (const [, key] of text.matchAll(/['"`]([a-z][a-zA-Z]*(?:\.[\w]+)+)['"`]/g)) used.add(key);
    for (const [, prefix] of text.matchAll(/word\(\s*['"`]([\w.]+)['"`]/g)) prefixes.add(`${prefix}.`);
    for (const [, prefix] of text.matchAll(/prefix="([\w.]+)"/g)) prefixes.add(`${prefix}.`);
    for (const [, prefix] of text.matchAll(/`([a-z]+(?:\.[a-z]+)*\.)\$\{/g)) prefixes.add(prefix);
    for (const [, key] of text.matchAll(/\bt\(\s*'([^']+)'/g)) assert.ok(key in en, `${name} asks for ${key}`);
  }
  const asked = (key) => used.has(key) || [...prefixes].some((prefix) => key.startsWith(prefix));
  assert.deepEqual(Object.keys(en).filter((key) => !asked(key)), []);
});
