// A module of the console for Node: bundled in memory, so that what is tested is what is built.
import { build } from 'esbuild';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const top = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');

export async function load(file) {
  const made = await build({ absWorkingDir: top, entryPoints: [file], bundle: true, format: 'esm', write: false, platform: 'node', external: ['/console/*'], jsx: 'automatic', jsxImportSource: 'preact' });
  return import(`data:text/javascript;base64,${Buffer.from(made.outputFiles[0].contents).toString('base64')}`);
}
