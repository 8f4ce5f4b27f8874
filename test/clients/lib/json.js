// JSON as the judges of the suites see it.

/** The same JSON value: members in any order. */
export function equal(a, b) {
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && equal(a[name], b[name]))
  );
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** The strings and numbers of a text as they are spelled, without the names of members. */
export function spellings(text) {
  return [...text.matchAll(TOKEN)]
    .filter((match) => !/^\s*:/.test(text.slice(match.index + match[0].length)))
    .map(([token]) => token);
}
