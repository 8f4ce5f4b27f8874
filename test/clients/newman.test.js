// newman, Postman's own runner, runs docs/postman/ against the leader, and against a follower, whose
// redirects it follows.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'node:test';
import newman from 'newman';
import { withCluster } from './lib/cluster.js';
import { observe } from './lib/observed.js';

const cluster = withCluster();
const file = (name) =>
  JSON.parse(
    readFileSync(fileURLToPath(new URL(`../../docs/postman/coracle.postman_${name}.json`, import.meta.url))),
  );

async function run(t, node) {
  const collection = file('collection');
  const summary = await promisify(newman.run)({
    collection,
    environment: file('environment'),
    envVar: [{ key: 'baseUrl', value: node.url }],
    reporters: [],
  });
  const failures = summary.run.failures.map(
    ({ source, error, cursor }) => `${cursor.position}. ${source?.name}: ${error.test}: ${error.message}`,
  );
  assert.deepEqual(failures, []);
  for (const { request, response } of summary.run.executions)
    observe(request.method, `/${request.url.getPath().replace(/^\//, '')}`, response.code);
  const { requests, assertions } = summary.run.stats;
  const items = collection.item.flatMap((folder) => folder.item);
  assert.equal(summary.run.executions.length, items.length);
  assert.ok(assertions.total >= items.length, 'every request has a test');
  t.diagnostic(`${requests.total} requests, ${assertions.total} tests`);
}

test('the Postman collection at the leader', (t) => run(t, cluster.leader));
test('the Postman collection at a follower', (t) => run(t, cluster.followers[0]));
