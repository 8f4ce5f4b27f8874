// PATCH against other people's implementations: some thousand random documents and patches, drawn from a
// seed, applied by the live cluster and by the npm packages rfc6902 (JSON Patch) and json-merge-patch. The
// results are the same values, or both refuse; and whatever the patch did not touch is spelled as it was,
// which those packages cannot do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, each, JSON_PATCH, MERGE_PATCH } from './lib/client.js';
import { withCluster } from './lib/cluster.js';
import { equal, spellings } from './lib/json.js';
import { mergePatched, patched } from './lib/oracles.js';
import { Dice, SEED } from './lib/random.js';

const cluster = withCluster();
const CASES = Number(process.env.CORACLE_CLIENTS_CASES ?? 2000); // of each kind

// Names that pointers must escape, that look like indexes, that are long, and that are not ASCII. None of
// them is one that JavaScript's objects have by themselves.
const NAMES = [
  'a',
  'b',
  'c',
  '',
  'a/b',
  'm~n',
  '~1',
  '0',
  '1',
  '-',
  '01',
  ' ',
  'é',
  '日本',
  '😀',
  'n"q',
  'x'.repeat(300),
];

let drawn = 0; // so that every scalar of a case can be told from every other

/** A scalar's text, in one of many spellings, none of which JSON.stringify would write. */
function scalar(dice) {
  drawn += 1;
  return dice.one([
    () => `${drawn}.50`,
    () => `${drawn}.0`,
    () => `${drawn}e2`,
    () => `${drawn}E+1`,
    () => `-${drawn}.1e-3`,
    () => `"\\u0061${drawn}"`,
    () => `"${drawn}\\/"`,
    () => `"é${drawn}\\u00e9\\ud83d\\ude00"`,
    () => `"\\t${drawn}"`,
    () => 'true',
    () => 'null',
    () => 'false',
    () => '""',
  ])();
}

const space = (dice) => (dice.chance(10) ? dice.one([' ', '\n', '\t ', '  ']) : '');

function text(dice, depth) {
  const kind = depth > 0 ? dice.below(10) : 9;
  if (kind < 5) {
    const names = new Set(Array.from({ length: dice.below(5) }, () => dice.one(NAMES)));
    const member = (name) => [JSON.stringify(name), ':', text(dice, depth - 1)].join(space(dice));
    return `{${space(dice)}${[...names].map(member).join(`,${space(dice)}`)}${space(dice)}}`;
  }
  if (kind < 8)
    return `[${space(dice)}${Array.from({ length: dice.below(4) }, () => text(dice, depth - 1)).join(',')}]`;
  return scalar(dice);
}

/** All pointers into a value. */
function pointers(value, at = '') {
  if (value === null || typeof value !== 'object') return [at];
  const escaped = (name) => name.replaceAll('~', '~0').replaceAll('/', '~1');
  return [at, ...Object.entries(value).flatMap(([name, inner]) => pointers(inner, `${at}/${escaped(name)}`))];
}

/** Mostly one that leads somewhere in the document as it is at the beginning, or beside. */
function pointer(dice, known) {
  const base = dice.one(known);
  return dice.one([
    base,
    base,
    base,
    `${base}/${dice.one(['a', 'b', '0', '1', '2', '-', '01', '', 'm~0n', 'a~1b', '日本'])}`,
  ]);
}

function operation(dice, known) {
  const op = dice.one(['add', 'add', 'remove', 'replace', 'replace', 'move', 'copy', 'test']);
  const path = JSON.stringify(pointer(dice, known));
  if (op === 'remove') return `{"op":"remove","path":${path}}`;
  if (op === 'move' || op === 'copy')
    return `{"op":"${op}","from":${JSON.stringify(pointer(dice, known))},"path":${path}}`;
  return `{"op":"${op}", "path":${path}, "value":${text(dice, 2)}}`;
}

/** Which bytes may be in the result, judged by the tokens of values: all come from the document or the patch.
 *  */
function checkSpellings(told, result, ...sources) {
  const known = new Set(sources.flatMap(spellings));
  const foreign = spellings(result).filter((token) => !known.has(token));
  assert.deepEqual(foreign, [], `${told}: spelled as nobody has sent it`);
}

async function compare(collection, number, document, patch, headers, expected) {
  const path = `/v1/collections/${collection}/${number}`;
  const told = `seed ${SEED}, case ${number}\n  document ${document}\n  patch ${patch}`;
  const made = await ask(cluster.leader, 'PUT', path, { body: document });
  assert.ok([200, 201].includes(made.status), `${told}: ${made.text}`);
  const answer = await ask(cluster.nodes[number % cluster.nodes.length], 'PATCH', path, {
    body: patch,
    headers,
  });
  if (expected === undefined) {
    assert.ok(
      [400, 409, 422].includes(answer.status),
      `${told}\n  is ${answer.status} ${answer.text}, and the oracle refuses`,
    );
    const now = await ask(cluster.leader, 'GET', path);
    assert.deepEqual(now.body, made.body, `${told}: refused, and changed`);
    return 'refused';
  }
  assert.equal(
    answer.status,
    200,
    `${told}\n  is ${answer.text}, and the oracle has ${JSON.stringify(expected)}`,
  );
  assert.ok(
    equal(answer.json(), expected),
    `${told}\n  is ${answer.text}, and the oracle has ${JSON.stringify(expected)}`,
  );
  checkSpellings(told, answer.text, document, patch);
  return 'applied';
}

async function run(t, collection, draw) {
  const outcomes = { applied: 0, refused: 0 };
  const cases = Array.from({ length: CASES }, (_, number) => draw(new Dice(SEED * 1000003 + number), number));
  await each(cases, async ([document, patch, headers, expected], number) => {
    outcomes[await compare(collection, number, document, patch, headers, expected)] += 1;
  });
  t.diagnostic(`seed ${SEED}: ${outcomes.applied} applied, ${outcomes.refused} refused`);
  assert.ok(outcomes.applied > CASES / 4, 'too few patches apply to say much');
}

test(`${CASES} random JSON patches do what rfc6902 says`, (t) =>
  run(t, 'json-patch', (dice, number) => {
    const document = `{"id":"${number}","keep":0.10,"v":${text(dice, 3)}, "rest": 1.50e+3}`;
    const value = JSON.parse(document);
    const known = pointers(value.v, '/v');
    const patch = `[${Array.from({ length: 1 + dice.below(3) }, () => operation(dice, known)).join(',')}]`;
    return [document, patch, JSON_PATCH, patched(value, JSON.parse(patch))];
  }));

test(`${CASES} random merge patches do what json-merge-patch says`, (t) =>
  run(t, 'merge-patch', (dice, number) => {
    const document = `{"id":"${number}","keep":0.10,"v":${text(dice, 3)}, "rest": 1.50e+3}`;
    const patch = `{"v":${text(dice, 3)}${dice.chance(30) ? `,"new":${text(dice, 1)}` : ''}}`;
    return [document, patch, MERGE_PATCH, mergePatched(JSON.parse(document), JSON.parse(patch))];
  }));

test('a merge patch as plain JSON is the same', (t) =>
  run(t, 'plain', (dice, number) => {
    const document = `{"id":"${number}","v":${text(dice, 2)}}`;
    const patch = `{"v":${text(dice, 2)}}`;
    return [document, patch, {}, mergePatched(JSON.parse(document), JSON.parse(patch))];
  }));
