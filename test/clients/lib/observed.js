// Which statuses the suites have seen: with CORACLE_OBSERVED=FOLDER each process adds lines "METHOD TARGET
// STATUS" to a file of its own there. test/cluster/client.py writes the same.

import { appendFileSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.env.CORACLE_OBSERVED;
const seen = new Set();

export function observe(method, target, status) {
  const line = `${method} ${target.split('?')[0]} ${status}\n`;
  if (!folder || seen.has(line)) return;
  seen.add(line);
  appendFileSync(join(folder, `${process.pid}`), line);
}

/** [{method, path, status}] of all processes. */
export function observations() {
  return readdirSync(folder)
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'))
    .filter((line) => line)
    .map((line) => {
      const [method, path, status] = line.split(' ');
      return { method, path, status };
    });
}
