// The JSON Patch test suite (the npm package json-patch-test-suite) against PATCH of a live cluster.
// Documents of the suite that are no objects, or have an "id", are put into a member "v", and the patch's
// pointers are led there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { ask, each, JSON_PATCH } from './lib/client.js';
import { withCluster } from './lib/cluster.js';
import { equal } from './lib/json.js';

const cluster = withCluster();
const { resolve } = createRequire(import.meta.url);

const FILES = ['spec_tests.json', 'tests.json'];
const cases = FILES.flatMap((file) =>
  JSON.parse(readFileSync(resolve(`json-patch-test-suite/${file}`), 'utf8')).map((one, index) => ({
    ...one,
    name: `${file} ${index}: ${one.comment ?? one.error ?? ''}`,
  })),
);
const enabled = cases.filter((one) => one.patch && !one.disabled);

/** The patch for a document in the member "v"; what is no pointer stays so. */
const led = (patch) =>
  patch.map((operation) => {
    const prefixed = { ...operation };
    for (const name of ['path', 'from']) {
      const pointer = operation[name];
      if (typeof pointer === 'string' && (pointer === '' || pointer.startsWith('/')))
        prefixed[name] = `/v${pointer}`;
    }
    return prefixed;
  });

async function tryCase(one, number) {
  const path = `/v1/collections/suite/${number}`;
  const made = await ask(cluster.leader, 'PUT', path, {
    body: `{"id":"${number}","v":${JSON.stringify(one.doc)},"w":0.10}`,
  });
  assert.equal(made.status, 201, one.name);
  const node = cluster.nodes[number % cluster.nodes.length];
  const answer = await ask(node, 'PATCH', path, { body: led(one.patch), headers: JSON_PATCH });
  const now = await ask(node, 'GET', path);
  const told = `${one.name}: ${answer.status} ${answer.text}`;
  assert.ok(now.text.endsWith(',"w":0.10}'), `${told}: the rest is ${now.text}`);
  if (one.error !== undefined) {
    assert.ok([400, 409, 422].includes(answer.status), told);
    assert.deepEqual(now.body, made.body, `${told}, and yet it is changed`);
    assert.equal(now.headers.etag, made.headers.etag, told);
    return 'refused';
  }
  assert.equal(answer.status, 200, told);
  assert.deepEqual(answer.body, now.body, told);
  assert.equal(answer.headers.etag, now.headers.etag, told);
  const expected = 'expected' in one ? one.expected : one.doc; // a case of tests alone has none
  assert.ok(equal(now.json().v, expected), `${told}: not ${JSON.stringify(expected)}`);
  return 'applied';
}

test(`${enabled.length} cases of the suite`, async (t) => {
  const outcomes = { applied: 0, refused: 0 };
  await each(enabled, async (one, number) => {
    outcomes[await tryCase(one, number)] += 1;
  });
  t.diagnostic(
    `${outcomes.applied} applied, ${outcomes.refused} refused; ` +
      `${cases.length - enabled.length} are disabled or no cases`,
  );
});

// Those that the suite has disabled, because parsers differ. Here they have one outcome.
const put = (body) => ask(cluster.leader, 'PUT', '/v1/collections/suite/own', { body });
const patch = (body) =>
  ask(cluster.leader, 'PATCH', '/v1/collections/suite/own', { body, headers: JSON_PATCH });

test('a member of an operation twice is 400', async () => {
  await put('{"foo":"bar"}');
  assert.equal(
    (await patch('[{"op":"add","path":"/baz","value":"qux","op":"move","from":"/foo"}]')).code,
    'invalid_json',
  );
});

test('the whole document can be tested, and replaced by another of the same id', async () => {
  await put('{"id":"own","foo":1}');
  assert.equal((await patch('[{"op":"test","path":"","value":{"foo":1,"id":"own"}}]')).status, 200);
  const replaced = await patch('[{"op":"replace","path":"","value":{"id":"own", "bar":0.10}}]');
  assert.equal(replaced.status, 200, replaced.text);
  assert.equal(replaced.text, '{"id":"own", "bar":0.10}');
});
