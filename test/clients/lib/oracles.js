// What other people's implementations make of a patch: the npm packages rfc6902 (JSON Patch) and
// json-merge-patch.

import mergePatch from 'json-merge-patch';
import { applyPatch, Pointer } from 'rfc6902';

/** Whether a pointer can lead somewhere in the value at all. rfc6902 does not ask: it follows what JavaScript
 *  has, such as the letters of a string, and members of an array by any name (RFC 6901, section 4, has
 *  indexes alone). */
function leads(value, pointed, mayAppend) {
  const tokens = pointed
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  return tokens.every((token, i) => {
    const parent = value;
    value = parent?.[token];
    if (!Array.isArray(parent))
      return parent === undefined || (parent !== null && typeof parent === 'object');
    return /^(0|[1-9]\d*)$/.test(token) || (mayAppend && token === '-' && i === tokens.length - 1);
  });
}

/** A "move" as the RFC has it, section 4.4: a "remove", then an "add" of what that took out. (rfc6902 looks
 *  for the target before it removes, and so in an array at another place.) */
function steps(value, operation) {
  if (operation.op !== 'move') return [operation];
  if (operation.path.startsWith(`${operation.from}/`)) return [];
  return [
    { op: 'remove', path: operation.from },
    { op: 'add', path: operation.path, value: Pointer.fromJSON(operation.from).get(value) },
  ];
}

/** rfc6902's word: the value, or undefined where the patch does not apply. */
export function patched(value, patch) {
  const copy = structuredClone(value);
  for (const operation of patch) {
    const all = leads(copy, operation.from ?? '', false) ? steps(copy, operation) : [];
    if (all.length === 0) return undefined;
    for (const step of all) {
      if (!leads(copy, step.path, ['add', 'copy'].includes(step.op))) return undefined;
      if (applyPatch(copy, [step]).some((error) => error !== null)) return undefined;
    }
  }
  return copy;
}

/** json-merge-patch's word. */
export function mergePatched(value, patch) {
  return mergePatch.apply(structuredClone(value), patch);
}
