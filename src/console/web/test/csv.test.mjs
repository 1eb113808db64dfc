// Exported tables: quoted where needed, and harmless in spreadsheets.
import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './load.mjs';

const { csv } = await load('src/pages/csv.ts');

test('cells are quoted, formulas are disarmed, figures stay figures', () => {
  assert.equal(csv([['a', 'b,c'], ['say "x"', -1.5], ['=1+1', '@x']]), 'a,"b,c"\r\n"say ""x""",-1.5\r\n\'=1+1,\'@x');
});
