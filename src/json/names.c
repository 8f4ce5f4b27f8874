#include "json/names.h"

#include "base/memory.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

_Static_assert((int)JSON_SEED_BYTES == (int)crypto_shorthash_KEYBYTES, "the key of SipHash-2-4");
_Static_assert((NAME_SLOTS & (NAME_SLOTS - 1)) == 0, "slots are found by a mask");

uint64_t name_hash_decoded(struct slice name, const uint8_t seed[JSON_SEED_BYTES]) {
  uint64_t hash;
  uint8_t digest[crypto_shorthash_BYTES];
  crypto_shorthash(digest, (const uint8_t *)name.at, name.n, seed);
  memcpy(&hash, digest, sizeof hash);
  return hash;
}

uint64_t name_hash(struct slice name, const uint8_t seed[JSON_SEED_BYTES], struct bytes *scratch) {
  struct slice inner = {name.at + 1, name.n - 2};
  if (inner.n > 0 && memchr(inner.at, '\\', inner.n) != NULL) {
    scratch->n = 0;
    json_decode(name, scratch);
    inner = slice_of_bytes(scratch);
  }
  return name_hash_decoded(inner, seed);
}

void name_quote(struct slice decoded, struct bytes *out) {
  bytes_append(out, "\"", 1);
  for (size_t i = 0; i < decoded.n; i++) {
    const char c = decoded.at[i];
    if ((uint8_t)c < ' ') {
      bytes_printf(out, "\\u%04x", (unsigned)c);
    } else {
      if (c == '"' || c == '\\') bytes_append(out, "\\", 1);
      bytes_append(out, &c, 1);
    }
  }
  bytes_append(out, "\"", 1);
}

void names_open(struct names *names, const uint8_t seed[JSON_SEED_BYTES]) {
  names->seed = seed;
  names->all = NULL;
  names->n = names->capacity = 0;
  names->scratch = (struct bytes){0};
}

void names_close(struct names *names) {
  free(names->all);
  bytes_close(&names->scratch);
}

void names_push(struct names *names, struct slice name) {
  if (names->n == names->capacity) {
    names->capacity = names->capacity > 0 ? 2 * names->capacity : 32;
    names->all = memory_realloc(names->all, names->capacity * sizeof *names->all);
  }
  names->all[names->n++] = (struct name){.text = name};
}

/* The name gets the next free slot after its hash, unless it meets itself on the way. */
static bool put(struct names *names, struct name *first, size_t index, size_t mask) {
  struct name *name = &first[index];
  name->hash = name_hash(name->text, names->seed, &names->scratch);
  size_t slot = name->hash & mask;
  for (; names->slots[slot] != 0; slot = (slot + 1) & mask) {
    const struct name *other = &first[names->slots[slot] - 1];
    if (other->hash == name->hash && json_strings_equal(other->text, name->text)) return false;
  }
  names->slots[slot] = (uint16_t)(index + 1);
  return true;
}

bool names_pop(struct names *names, size_t first, struct slice *twice) {
  const size_t n = names->n - first;
  names->n = first;
  if (n < 2) return true;
  size_t slots = 4;
  while (slots < 2 * n) slots *= 2;
  assert(slots <= NAME_SLOTS);
  memset(names->slots, 0, slots * sizeof names->slots[0]);
  for (size_t i = 0; i < n; i++) {
    *twice = names->all[first + i].text;
    if (!put(names, names->all + first, i, slots - 1)) return false;
  }
  return true;
}
