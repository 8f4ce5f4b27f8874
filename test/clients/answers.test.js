// What docs/openapi.json says of answers is so: each answer here has a status, a problem's code, a media type, a body and
// headers that the file has for its operation, and its examples are answered with what it says.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import Ajv2020 from '@redocly/ajv/dist/2020.js';
import { ask } from './lib/client.js';
import { withCluster } from './lib/cluster.js';

const cluster = withCluster(['--cors-origin', 'https://app.example', '--max-data-bytes', '1000000']);
const file = JSON.parse(readFileSync(fileURLToPath(new URL('../../docs/openapi.json', import.meta.url))));
const ajv = new Ajv2020.default({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema(file, 'openapi');

const PAGE = { origin: 'https://app.example' };
const LINES = 'application/x-ndjson';
// Of the connection, or of the body; and what info.description says of every answer.
const GENERAL = ['connection', 'keep-alive', 'content-length', 'content-type', 'transfer-encoding', 'vary',
  'access-control-allow-origin', 'access-control-expose-headers'];

function resolve(thing) {
  while (thing.$ref) thing = thing.$ref.slice(2).split('/').reduce((at, name) => at[name], file);
  return thing;
}

/** A pointer into the file, for a schema that may be anywhere in it. */
const pointer = (...names) => `openapi#/${names.map((n) => encodeURIComponent(n.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;

function operationOf(method, path) {
  const [template, operations] = Object.entries(file.paths).find(([name]) =>
    new RegExp(`^${name.replaceAll(/\{[^}]*\}/g, '[^/]+')}$`).test(path.split('?')[0]));
  return { template, operation: operations[method.toLowerCase()] };
}

function responseOf(method, path, status) {
  const { template, operation } = operationOf(method, path);
  assert.ok(operation, `${method} ${path} is not in the file`);
  const key = status in operation.responses ? `${status}` : 'default';
  const found = operation.responses[key];
  const place = found.$ref ? found.$ref.slice(2).split('/') : ['paths', template, method.toLowerCase(), 'responses', key];
  return { place, response: resolve(found), description: found.description ?? resolve(found).description };
}

function checkBody(told, place, response, type, text) {
  if (text === '') return;
  assert.ok(response.content && type in response.content, `${told}: ${type} is not in the file`);
  const validate = ajv.getSchema(pointer(...place, 'content', type, 'schema'));
  assert.ok(validate, `${told}: no schema at ${place}`);
  const value = type === LINES ? text : JSON.parse(text);
  assert.ok(validate(value), `${told}: ${ajv.errorsText(validate.errors)} in ${text.slice(0, 500)}`);
  if (type === LINES) checkLines(told, response.content[type].schema.$ref.split('/').at(-1), text);
}

function checkLines(told, name, text) {
  const validate = ajv.getSchema(pointer('components', 'schemas', name, 'x-line-schema'));
  for (const line of text.trimEnd().split('\n')) {
    assert.ok(validate(JSON.parse(line)), `${told}: ${ajv.errorsText(validate.errors)} in ${line}`);
  }
}

/** Asks, and holds the answer against the file; the answer. */
async function check(method, path, options = {}, wanted = undefined) {
  const answer = await ask(cluster.leader, method, path, { follow: false, ...options });
  const told = `${method} ${path} ${answer.status}`;
  if (wanted !== undefined) assert.equal(answer.status, wanted, `${told}: ${answer.text}`);
  const { place, response, description } = responseOf(method, path, answer.status);
  if (answer.text && answer.code) assert.ok(description.includes(`\`${answer.code}\``), `${told}: ${answer.code} is not in: ${description}`);
  checkBody(told, place, response, answer.headers['content-type'], answer.text);
  const documented = Object.keys(response.headers ?? {}).map((name) => name.toLowerCase());
  for (const name of Object.keys(answer.headers)) {
    assert.ok(GENERAL.includes(name) || documented.includes(name), `${told}: ${name} is not in the file`);
  }
  return answer;
}

const items = '/v1/collections/items';
const patch = (type) => ({ 'content-type': `application/${type}+json` });
const key = (name) => ({ 'idempotency-key': name });
const minimal = { prefer: 'return=minimal' };

const put = (id) => ({ method: 'put', path: `items/${id}`, body: {} });
const change = (id, body) => ({ method: 'patch', path: `items/${id}`, body });
const remove = (id) => ({ method: 'delete', path: `items/${id}` });
const all = (operations, headers, status) => ['POST', '/v1/transactions', { body: { operations }, headers }, status];

// In this order: [method, path, what is sent, status].
const REQUESTS = [
  ['GET', '/', {}, 200], ['GET', '/livez', {}, 200], ['GET', '/readyz', {}, 200], ['GET', '/v1/cluster', {}, 200],
  ['GET', '/openapi.json', {}, 200], ['GET', '/readyz?consistency=stale', {}, 200],
  ['GET', '/v1/replication', {}, 426], ['HEAD', '/v1/replication', {}, 426],
  ['GET', '/?x=1', {}, 400], ['GET', '/livez', { headers: { accept: 'text/html' } }, 406],
  ['GET', '/v1/cluster', { headers: { origin: 'null' } }, 403], ['OPTIONS', items, {}, 204],
  ['OPTIONS', items, { headers: { ...PAGE, 'access-control-request-method': 'PUT' } }, 204],
  ['OPTIONS', '/v1/transactions', {}, 204],

  ['PUT', `${items}/a`, { body: { n: 1 } }, 201], ['PUT', `${items}/a`, { body: { n: 2 } }, 200],
  ['PUT', `${items}/b`, { body: {}, headers: minimal }, 204], ['PUT', `${items}/b`, { body: { id: 'x' } }, 400],
  ['PUT', `${items}/b`, { body: '{' }, 400], ['PUT', `${items}/b`, { body: '[]' }, 400],
  ['PUT', `${items}/b`, { body: {}, headers: { 'if-none-match': '*' } }, 412],
  ['PUT', `${items}/none`, { body: {}, headers: { 'if-match': '"1"' } }, 412],
  ['PUT', `${items}/b`, { body: 'a=b', headers: { 'content-type': 'text/plain' } }, 415],
  ['PUT', `${items}/b`, { body: '{}', headers: { 'content-encoding': 'gzip' } }, 415],
  ['PUT', `${items}/k`, { body: {}, headers: key('one') }, 201], ['PUT', `${items}/k`, { body: {}, headers: key('one') }, 201],
  ['PUT', `${items}/k`, { body: { n: 1 }, headers: key('one') }, 422],
  ['PUT', `${items}/k`, { body: {}, headers: key('') }, 400],
  ['PUT', `${items}/big`, { body: { x: 'x'.repeat(900000) } }, 201], ['PUT', `${items}/big2`, { body: { x: 'x'.repeat(900000) } }, 507],
  ['PUT', `${items}/big2`, { body: { x: 'x'.repeat(1048570) } }, 413], ['DELETE', `${items}/big`, {}, 204],

  ['GET', `${items}/a`, {}, 200], ['HEAD', `${items}/a`, {}, 200], ['GET', `${items}/a?consistency=stale&max_stale_ms=60000`, {}, 200],
  ['GET', `${items}/a`, { headers: { 'if-none-match': '*' } }, 304], ['GET', `${items}/a`, { headers: { 'if-match': '"1"' } }, 412],
  ['GET', `${items}/none`, {}, 404], ['GET', `${items}/a?min_revision=99999999&wait_ms=1`, {}, 504],

  ['POST', items, { body: { n: 1 } }, 201], ['POST', items, { body: { id: 17 } }, 201], ['POST', items, { body: { id: 17 } }, 409],
  ['POST', items, { body: {}, headers: minimal }, 204], ['POST', items, { body: {}, headers: { ...key('two') } }, 201],
  ['POST', items, { body: {}, headers: { ...key('two') } }, 201], ['POST', items, { body: {}, headers: { 'if-match': '*' } }, 412],
  ['POST', items, { body: '{"id":"l1"}\n{"id":"l1"}\n{\n', headers: { 'content-type': LINES } }, 200],
  ['POST', `${items}?existing=replace`, { body: '{"id":"l1"}\n', headers: { 'content-type': LINES, ...minimal } }, 200],
  ['POST', items, { body: '{}\n', headers: { 'content-type': LINES, ...key('three') } }, 400],

  ['PATCH', `${items}/a`, { body: { m: 1 } }, 200], ['PATCH', `${items}/a`, { body: { m: 2 }, headers: { ...patch('merge-patch'), ...minimal } }, 204],
  ['PATCH', `${items}/a`, { body: [{ op: 'test', path: '/m', value: 3 }], headers: patch('json-patch') }, 422],
  ['PATCH', `${items}/a`, { body: [{ op: 'remove', path: '/x' }], headers: patch('json-patch') }, 422],
  ['PATCH', `${items}/a`, { body: [{ op: 'x' }], headers: patch('json-patch') }, 400], ['PATCH', `${items}/a`, { body: { id: 'b' } }, 422],
  ['PATCH', `${items}/none`, { body: {} }, 404], ['PATCH', `${items}/none`, { body: {}, headers: { 'if-match': '*' } }, 412],
  ['PATCH', `${items}/a`, { body: '{}', headers: { 'content-type': 'text/plain' } }, 415],
  ['PATCH', `${items}/a`, { body: { m: 3 }, headers: key('four') }, 200], ['PATCH', `${items}/a`, { body: { m: 3 }, headers: key('four') }, 200],

  ['GET', items, {}, 200], ['GET', `${items}?limit=1`, {}, 200], ['GET', items, { headers: { accept: LINES } }, 200],
  ['HEAD', items, { headers: { accept: LINES } }, 200], ['GET', '/v1/collections?limit=1&consistency=stale', {}, 200],
  ['GET', '/v1/collections/no%20name', {}, 400],

  all([put('t'), remove('b'), { method: 'post', path: 'items', body: {} }], {}, 200), all([put('t')], minimal, 204),
  all([{ ...put('t'), if_match: '1' }], {}, 409), all([change('t', [{ op: 'remove', path: '/x' }])], {}, 409),
  all([change('none', {})], {}, 409), all([remove('none')], key('five'), 409), all([remove('none')], key('five'), 409),
  all([], {}, 400), all([{ method: 'get', path: 'items/t' }], {}, 400), all([remove('t'), remove('t')], {}, 400),
  all([put('t'), put('t2')], key('seven'), 200), all([put('t'), put('t2')], key('seven'), 200),

  ['DELETE', `${items}/a`, { headers: { 'if-match': '"1"' } }, 412], ['DELETE', `${items}/a`, { headers: key('six') }, 204],
  ['DELETE', `${items}/a`, { headers: key('six') }, 204], ['DELETE', `${items}/a`, {}, 404],
  ['DELETE', items, {}, 204], ['DELETE', items, { headers: { 'if-match': '*' } }, 400],
];

test(`${REQUESTS.length} requests are answered with what the file has`, async () => {
  for (const [method, path, options, status] of REQUESTS) await check(method, path, options, status);
});

test('a page that is let in gets the same', async () => {
  for (const [method, path, options] of REQUESTS) {
    const answer = await check(method, path, { ...options, headers: { ...PAGE, ...options.headers } });
    if (options.headers?.origin === undefined) assert.equal(answer.headers['access-control-allow-origin'], PAGE.origin, `${method} ${path}`);
  }
});

test('the examples of bodies are taken as their operations say', async () => {
  await check('PUT', '/v1/collections/accounts/a', { body: { balance: 100 } }, 201);
  await check('PUT', '/v1/collections/accounts/b', { body: { balance: 100 } }, 201);
  await check('PUT', '/v1/collections/holds/1', { body: {} }, 201);
  for (const [template, operations] of Object.entries(file.paths)) {
    const path = template.replace('{collection}', 'people').replace('{id}', 'grace');
    for (const method of ['put', 'post', 'patch'].filter((name) => name in operations)) {
      for (const [type, { example }] of Object.entries(operations[method].requestBody.content)) {
        const etag = (await ask(cluster.leader, 'GET', '/v1/collections/accounts/a')).headers.etag;
        if (example.operations) example.operations[0].if_match = etag;
        if (method === 'patch') await check('PUT', path, { body: operations.put.requestBody.content['application/json'].example });
        const answer = await check(method.toUpperCase(), path, { body: example, headers: { 'content-type': type } });
        assert.ok(answer.status < 300, `${method} ${path} ${type}: ${answer.status} ${answer.text}`);
      }
    }
  }
});
