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

/** A "move" and a "copy" as the RFC has them, sections 4.4 and 4.5: a "remove", and an "add" of what there
 *  was. (rfc6902 looks for the target of a "move" before it removes, and so in an array at another place; and
 *  it copies to behind the end of an array.) None: there is nothing to be moved, or it would go into itself.
 *  */
function steps(value, { op, from, ...rest }) {
  if (op !== 'move' && op !== 'copy') return [{ op, ...rest }];
  const found = Pointer.fromJSON(from).get(value);
  if (found === undefined || (op === 'move' && rest.path.startsWith(`${from}/`))) return [];
  const add = { op: 'add', ...rest, value: structuredClone(found) };
  return op === 'copy' ? [add] : [{ op: 'remove', path: from }, add];
}

/** rfc6902's word: the value, or undefined where the patch does not apply. */
export function patched(value, patch) {
  const copy = structuredClone(value);
  for (const operation of patch) {
    const all = leads(copy, operation.from ?? '', false) ? steps(copy, operation) : [];
    if (all.length === 0) return undefined;
    for (const step of all) {
      if (!leads(copy, step.path, step.op === 'add')) return undefined;
      if (applyPatch(copy, [step]).some((error) => error !== null)) return undefined;
    }
  }
  return copy;
}

/** json-merge-patch's word. */
export function mergePatched(value, patch) {
  return mergePatch.apply(structuredClone(value), patch);
}
