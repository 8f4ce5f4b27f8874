// HTTP for the suites, on bytes: what is sent is not touched, what comes is not decoded. Every answer is
// noted for openapi_statuses.test.js (see observed.js).

import http from 'node:http';
import { observe } from './observed.js';

const REDIRECTS_MAX = 3;
const LIMIT_MS = 30000;
const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });

export class Answer {
  constructor(status, headers, body) {
    this.status = status;
    this.headers = headers; // names in lower case
    this.body = body; // a Buffer
  }

  get text() {
    return this.body.toString('utf8');
  }

  json() {
    return JSON.parse(this.text);
  }

  /** The stable code of a problem document (RFC 9457); undefined for any other answer. */
  get code() {
    return this.headers['content-type'] === 'application/problem+json' ? this.json().code : undefined;
  }
}

function once(method, url, body, headers) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent, timeout: LIMIT_MS }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const { pathname, search } = new URL(url);
        observe(method, pathname + search, response.statusCode);
        resolve(new Answer(response.statusCode, response.headers, Buffer.concat(pieces)));
      });
    });
    request.on('timeout', () =>
      request.destroy(new Error(`no answer to ${method} ${url} in ${LIMIT_MS} ms`)),
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** One request to a node, following its redirects to the leader as curl -L does. A body is a Buffer, a
 *  string, or anything else for JSON.stringify; its type is JSON unless the headers have another. */
export async function ask(node, method, path, { body, headers = {}, follow = true } = {}) {
  let bytes;
  const sent = { ...headers };
  if (body !== undefined) {
    bytes = Buffer.isBuffer(body)
      ? body
      : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    sent['content-type'] ??= 'application/json';
    sent['content-length'] = bytes.length;
  }
  let url = node.url + path;
  for (let turn = 0; ; turn++) {
    const answer = await once(method, url, bytes, sent);
    if (answer.status !== 307 || !follow || turn === REDIRECTS_MAX) return answer;
    url = answer.headers.location;
  }
}

export const MERGE_PATCH = { 'content-type': 'application/merge-patch+json' };
export const JSON_PATCH = { 'content-type': 'application/json-patch+json' };

/** Runs `work` on each item, so many at a time. */
export async function each(items, work, workers = 8) {
  const rest = items.entries();
  await Promise.all(
    Array.from({ length: workers }, async () => {
      for (const [index, item] of rest) await work(item, index);
    }),
  );
}
