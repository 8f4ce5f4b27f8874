// docs/openapi.json: a public linter finds nothing (Redocly's, its recommended rules), every node serves it
// byte for byte, and what it says of the documents' paths is so.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { createConfig, lint } from '@redocly/openapi-core';
import { ask } from './lib/client.js';
import { withCluster } from './lib/cluster.js';

const cluster = withCluster();
const FILE = fileURLToPath(new URL('../../docs/openapi.json', import.meta.url));

test('the linter finds nothing', async () => {
  const config = await createConfig({ extends: ['recommended'] });
  const found = await lint({ ref: FILE, config });
  const told = found.map(
    ({ severity, ruleId, message, location }) => `${severity} ${ruleId} ${location[0].pointer}: ${message}`,
  );
  assert.deepEqual(told, []);
});

test('every node serves the file, byte for byte', async () => {
  const file = readFileSync(FILE);
  for (const node of cluster.nodes) {
    const answer = await ask(node, 'GET', '/openapi.json');
    assert.equal(answer.status, 200);
    assert.ok(answer.body.equals(file), 'other bytes: was the server built from this file?');
    const { version } = (await ask(node, 'GET', '/')).json();
    assert.equal(JSON.parse(file).info.version, version);
  }
});

test('every path of the file is one of the server, with the methods that the file has', async () => {
  const { paths } = JSON.parse(readFileSync(FILE));
  for (const [template, operations] of Object.entries(paths)) {
    const path = template.replaceAll('{collection}', 'c').replaceAll('{id}', 'i');
    const methods = Object.keys(operations).filter((name) =>
      /^(get|head|post|put|patch|delete|options)$/.test(name),
    );
    const answer = await ask(cluster.leader, 'OPTIONS', path);
    assert.equal(answer.status, 204, template);
    const allowed = answer.headers.allow.split(', ').map((name) => name.toLowerCase());
    for (const name of methods)
      assert.ok(allowed.includes(name), `${name} ${template}: only ${allowed} are allowed`);
    for (const name of allowed.filter((one) => !['head', 'options'].includes(one))) {
      assert.ok(methods.includes(name), `${name} ${template} is not in the file`);
    }
  }
});
