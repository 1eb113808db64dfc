// The signature against the vectors of the interface document, as the browser would make it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './load.mjs';

const { signature, encode, canonical } = await load('src/api/sign.ts');

const common = { AccessKeyId: 'testid', SignatureMethod: 'HMAC-SHA1', SignatureVersion: '1.0' };

test('the worked example of the document', () => {
  const params = { ...common, Format: 'JSON', Action: 'DescribeGroup', SignatureNonce: 'c2fe8fbb-2977-4414-8d39-348d02419c1c', Version: '2018-12-12', Timestamp: '2019-02-28T00:00:00Z' };
  assert.equal(signature('GET', params, 'testsecret'), 'sgILSN6tpSSOFF3I1NKD+/z0Nos=');
});

test('the second vector', () => {
  const params = { ...common, Format: 'XML', Action: 'DescribeRegions', SignatureNonce: '3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf', Version: '2014-05-26', Timestamp: '2016-02-23T12:46:24Z' };
  assert.equal(signature('GET', params, 'testsecret'), 'OLeaidS1JvxuMvnyHOwuJ+uX5qY=');
});

test('only the unreserved characters stay as they are', () => {
  assert.equal(encode("a-_.~ *'()!+/流"), 'a-_.~%20%2A%27%28%29%21%2B%2F%E6%B5%81');
  // By bytes, capitals first.
  assert.equal(canonical({ b: '2', a: '1', B: '3' }), 'B=3&a=1&b=2');
});
