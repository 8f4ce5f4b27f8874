// A model of the API, a map in memory, against a live cluster: random sequences of requests, each at a random
// node, whose every answer the model foretells (fast-check's model-based testing: a failure is shrunk to the
// shortest sequence that still fails, and printed with its seed).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ask, JSON_PATCH, MERGE_PATCH } from './lib/client.js';
import { withCluster } from './lib/cluster.js';
import { equal } from './lib/json.js';
import { mergePatched, patched } from './lib/oracles.js';
import { SEED } from './lib/random.js';

const cluster = withCluster();
const RUNS = Number(process.env.CORACLE_CLIENTS_RUNS ?? 60);
const COMMANDS_MAX = 60;
const IDS = ['a', 'b', 'c/d', 'é'];
const pathOf = (id) => encodeURIComponent(id);

/** What is there: {id: {value, etag}}. `real` has the collection, and the ETags that were seen. */
const freshModel = () => new Map();
let runs = 0;
const freshReal = () => ({ collection: `model-${SEED}-${process.pid}-${runs++}`, seen: ['"1"'], keys: 0 });

/** The header of a condition, and whether it holds for what is there. A tag is the current one, or one seen
 *  before. */
function conditionOf({ kind, pick }, now, real) {
  const old = real.seen[pick % real.seen.length];
  switch (kind) {
    case 'match':
      return {
        header: { 'if-match': now?.etag ?? old },
        operation: { if_match: now?.etag ?? old },
        holds: now !== undefined,
      };
    case 'match old':
      return { header: { 'if-match': old }, operation: { if_match: old }, holds: now?.etag === old };
    case 'match any':
      return { header: { 'if-match': '*' }, operation: { if_match: '*' }, holds: now !== undefined };
    case 'none':
      return {
        header: { 'if-none-match': '*' },
        operation: { if_none_match: '*' },
        holds: now === undefined,
      };
    default:
      return { header: {}, operation: {}, holds: true };
  }
}

class Command {
  constructor(drawn) {
    this.drawn = drawn;
  }

  check() {
    return true;
  }

  async ask(real, method, path, options = {}) {
    const key = this.drawn.again ? { 'idempotency-key': `"${real.collection}-${real.keys++}"` } : {};
    const once = (number) =>
      ask(cluster.nodes[number % cluster.nodes.length], method, path, {
        ...options,
        headers: { ...options.headers, ...key },
      });
    this.answer = await once(this.drawn.node);
    const { etag } = this.answer.headers;
    if (etag && !real.seen.includes(etag)) real.seen.push(etag);
    if (this.drawn.again) this.isReplay(await once(this.drawn.node + 1));
    return this.answer;
  }

  /** The answer to the same again, with the same key: it has done nothing, and says what the first time did.
   *  */
  isReplay(again) {
    assert.equal(again.status, this.answer.status, `${this} again: ${again.text}`);
    assert.equal(again.code, this.answer.code);
    if (again.status >= 300) return;
    assert.equal(again.headers['idempotency-replayed'], 'true', `${this} again`);
    assert.equal(again.headers.etag, this.answer.headers.etag);
    assert.equal(again.headers.location, this.answer.headers.location);
  }

  document(real, id = this.drawn.id) {
    return `/v1/collections/${real.collection}/${pathOf(id)}`;
  }

  is(status, why) {
    assert.equal(this.answer.status, status, `${this}: ${why}; ${this.answer.text}`);
  }

  /** A write that has made `value` of the document. */
  stored(model, id, status, value) {
    this.is(status, 'stored');
    assert.ok(
      equal(this.answer.json(), value),
      `${this}: ${this.answer.text} is not ${JSON.stringify(value)}`,
    );
    const before = model.get(id)?.etag;
    assert.ok(
      before === undefined || Number(this.answer.headers.etag.slice(1, -1)) > Number(before.slice(1, -1)),
    );
    model.set(id, { value, etag: this.answer.headers.etag });
  }

  /** A 412 or 409, which shows what is there. */
  refused(now, status) {
    this.is(status, 'the condition does not hold');
    assert.ok(equal(this.answer.json().current, now?.value ?? null), `${this}: ${this.answer.text}`);
    assert.equal(this.answer.headers.etag, now?.etag);
  }

  toString() {
    return `${this.constructor.name} ${JSON.stringify(this.drawn)}`;
  }
}

class Put extends Command {
  async run(model, real) {
    const { id, body, condition } = this.drawn;
    const now = model.get(id);
    const { header, holds } = conditionOf(condition, now, real);
    await this.ask(real, 'PUT', this.document(real), { body, headers: header });
    if (!holds) return this.refused(now, 412);
    return this.stored(model, id, now === undefined ? 201 : 200, { ...body, id });
  }
}

class Post extends Command {
  async run(model, real) {
    const { id, body } = this.drawn;
    await this.ask(real, 'POST', `/v1/collections/${real.collection}`, { body: { ...body, id } });
    if (model.has(id)) return this.refused(model.get(id), 409);
    this.stored(model, id, 201, { ...body, id });
    return assert.equal(this.answer.headers.location, this.document(real));
  }
}

class Patch extends Command {
  async run(model, real) {
    const { id, body, operations, condition } = this.drawn;
    const now = model.get(id);
    const { header, holds } = conditionOf(condition, now, real);
    const patch = operations ?? body;
    await this.ask(real, 'PATCH', this.document(real), {
      body: patch,
      headers: { ...(operations ? JSON_PATCH : MERGE_PATCH), ...header },
    });
    if (now === undefined) {
      const isConditioned = 'if-match' in header;
      return this.is(isConditioned ? 412 : 404, 'there is nothing to patch');
    }
    if (!holds) return this.refused(now, 412);
    const value = operations ? patched(now.value, operations) : mergePatched(now.value, body);
    if (value === undefined)
      return assert.ok([400, 409, 422].includes(this.answer.status), `${this}: ${this.answer.text}`);
    return this.stored(model, id, 200, value);
  }
}

class Delete extends Command {
  async run(model, real) {
    const { id, condition } = this.drawn;
    const now = model.get(id);
    const { header, holds } = conditionOf(condition, now, real);
    await this.ask(real, 'DELETE', this.document(real), { headers: header });
    if (now === undefined && holds) return this.is(404, 'there is nothing to delete');
    if (!holds) return this.refused(now, 412);
    this.is(204, 'deleted');
    return model.delete(id);
  }
}

class Get extends Command {
  async run(model, real) {
    const { id, condition } = this.drawn;
    const now = model.get(id);
    const header =
      condition.kind === 'match old' && now
        ? { 'if-none-match': real.seen[condition.pick % real.seen.length] }
        : {};
    await this.ask(real, 'GET', this.document(real), { headers: header });
    if (now === undefined) return this.is(404, 'there is nothing');
    assert.equal(this.answer.headers.etag, now.etag);
    if (header['if-none-match'] === now.etag) return this.is(304, 'it is known');
    this.is(200, 'it is there');
    return assert.ok(equal(this.answer.json(), now.value));
  }
}

class List extends Command {
  async run(model, real) {
    await this.ask(real, 'GET', `/v1/collections/${real.collection}`);
    this.is(200, 'a list');
    const ids = [...model.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.ok(
      equal(
        this.answer.json(),
        ids.map((id) => model.get(id).value),
      ),
      `${this}: ${this.answer.text}`,
    );
    assert.equal(this.answer.headers['x-total-count'], String(model.size));
  }
}

class Drop extends Command {
  async run(model, real) {
    await this.ask(real, 'DELETE', `/v1/collections/${real.collection}`);
    this.is(204, 'dropped');
    model.clear();
  }
}

class Transaction extends Command {
  async run(model, real) {
    const steps = this.drawn.steps.filter(
      (step, i, all) => all.findIndex((other) => other.id === step.id) === i,
    );
    const judged = steps.map((step) => ({
      ...step,
      now: model.get(step.id),
      ...conditionOf(step.condition, model.get(step.id), real),
    }));
    for (const one of judged.filter(({ method }) => method === 'patch'))
      one.value = one.now && mergePatched(one.now.value, one.body);
    const operations = judged.map(({ id, method, body, operation }) => ({
      method,
      path: `${real.collection}/${pathOf(id)}`,
      ...operation,
      ...(method === 'delete' ? {} : { body }),
    }));
    await this.ask(real, 'POST', '/v1/transactions', { body: { operations } });
    const failed = judged.flatMap(({ holds, method, now }, i) =>
      !holds || (method !== 'put' && now === undefined) ? [i] : [],
    );
    if (failed.length > 0) {
      this.is(409, `operations ${failed} fail`);
      return assert.ok(failed.includes(this.answer.json().operation), this.answer.text);
    }
    this.is(200, 'all of it');
    const { results } = this.answer.json();
    assert.equal(results.length, judged.length);
    judged.forEach(({ id, method, body, now, value }, i) => {
      if (method === 'delete') {
        assert.equal(results[i].status, 204);
        model.delete(id);
      } else {
        assert.equal(results[i].status, now === undefined ? 201 : 200);
        model.set(id, { value: value ?? { ...body, id }, etag: results[i].etag });
        assert.ok(equal(results[i].body, model.get(id).value), this.answer.text);
      }
    });
  }
}

const number = fc.nat({ max: 9 });
const id = fc.constantFrom(...IDS);
const scalar = fc.oneof(number, fc.constantFrom('x', '', true, null, 1.5));
const body = fc.dictionary(
  fc.constantFrom('n', 'm', 'a/b'),
  fc.oneof(scalar, fc.array(scalar, { maxLength: 2 }), fc.record({ n: scalar, m: scalar })),
  { maxKeys: 3 },
);
const condition = fc.record({
  kind: fc.constantFrom('', '', 'match', 'match old', 'match any', 'none'),
  pick: fc.nat({ max: 40 }),
});
const pointer = fc.constantFrom('/n', '/m', '/a~1b', '/n/n', '/n/0', '/m/-', '/new');
const operation = fc.oneof(
  fc.record({ op: fc.constantFrom('add', 'replace', 'test'), path: pointer, value: scalar }),
  fc.record({ op: fc.constant('remove'), path: pointer }),
  fc.record({ op: fc.constantFrom('move', 'copy'), from: pointer, path: pointer }),
);
const step = fc.record({ method: fc.constantFrom('put', 'put', 'patch', 'delete'), id, body, condition });
const again = fc.boolean(); // sent twice, with a key
const drawn = (type, members) => fc.record({ node: number, ...members }).map((values) => new type(values));
const commands = [
  drawn(Put, { id, body, condition, again }),
  drawn(Post, { id, body, again }),
  drawn(Patch, { id, body, condition, again }),
  drawn(Patch, { id, operations: fc.array(operation, { maxLength: 3 }), condition, again }),
  drawn(Delete, { id, condition, again }),
  drawn(Get, { id, condition }),
  drawn(List, {}),
  drawn(Drop, { again }),
  drawn(Transaction, { steps: fc.array(step, { minLength: 1, maxLength: 4 }), again }),
];

test(`${RUNS} random sequences of requests are answered as the model foretells`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: COMMANDS_MAX, size: 'max' }), async (sequence) => {
      await fc.asyncModelRun(() => ({ model: freshModel(), real: freshReal() }), sequence);
    }),
    { seed: SEED, numRuns: RUNS },
  );
});
