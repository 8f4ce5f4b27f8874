// Every status that docs/openapi.json documents for an operation was seen in some test of this run
// (lib/observed.js), but for those below; and every status that was seen is documented. run.sh runs it last.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { observations } from './lib/observed.js';

const FILE = fileURLToPath(new URL('../../docs/openapi.json', import.meta.url));
const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'];

// Not to be had from outside, each for its reason.
const UNSEEN = {
  'GET /v1/replication 101':
    'takes the write token of a node, which only nodes tell each other (test_stream.py has it)',
};

// Of the protocol, for any path: the file has them as "default".
const OF_THE_PROTOCOL = ['400', '404', '405', '408', '413', '414', '415', '417', '431', '501', '505'];

const file = JSON.parse(readFileSync(FILE));
const templates = Object.keys(file.paths).map((template) => ({
  template,
  pattern: new RegExp(`^${template.replaceAll(/\{[^}]*\}/g, '[^/]+')}$`),
}));

const documented = new Map(); // "METHOD TEMPLATE": statuses
for (const [template, operations] of Object.entries(file.paths)) {
  for (const method of METHODS.filter((name) => name in operations)) {
    documented.set(
      `${method.toUpperCase()} ${template}`,
      Object.keys(operations[method].responses).filter((name) => name !== 'default'),
    );
  }
}

const seen = new Map();
for (const { method, path, status } of observations()) {
  const template = templates.find(({ pattern }) => pattern.test(path))?.template;
  if (template === undefined) continue; // no path of the API: that is a 404
  const operation = `${method} ${template}`;
  seen.set(operation, (seen.get(operation) ?? new Set()).add(status));
}

test('every documented status was seen', (t) => {
  const unseen = [...documented].flatMap(([operation, statuses]) =>
    statuses.filter((status) => !seen.get(operation)?.has(status)).map((status) => `${operation} ${status}`),
  );
  assert.deepEqual(unseen.sort(), Object.keys(UNSEEN).sort());
  t.diagnostic(
    `${[...documented.values()].flat().length} statuses of ${documented.size} operations, ` +
      `${unseen.length} of them unseen`,
  );
});

test('every status that was seen is documented', () => {
  const foreign = [...seen].flatMap(([operation, statuses]) =>
    [...statuses]
      .filter(
        (status) =>
          documented.has(operation) &&
          !documented.get(operation).includes(status) &&
          !OF_THE_PROTOCOL.includes(status),
      )
      .map((status) => `${operation} ${status}`),
  );
  assert.deepEqual(foreign, []);
});
