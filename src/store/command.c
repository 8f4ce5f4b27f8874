#include "store/command.h"

#include "base/codec.h"

#include <assert.h>

enum { FIXED_BYTES = 1 + 1 + 8 + 1 + 2 }; /* all but the collection, the id and the body */

/* What both sides hold to: the encoder as an assertion, the decoder towards the log. */
static bool command_is_valid(const struct command *c) {
  bool has_body = c->body.n > 0;

  if (c->type != COMMAND_PUT && c->type != COMMAND_DELETE) return false;
  if (c->condition > COMMAND_CREATE) return false;
  if (c->type == COMMAND_DELETE && c->condition == COMMAND_CREATE) return false;
  if (c->condition != COMMAND_IF_REVISION && c->revision != 0) return false;
  if (has_body != (c->type == COMMAND_PUT) || c->body.n > UINT32_MAX) return false;
  return collection_name_is_valid(c->collection) && document_id_is_valid(c->id);
}

size_t command_size(const struct command *c) {
  return FIXED_BYTES + c->collection.n + c->id.n + c->body.n;
}

static uint8_t *write_uint(uint8_t *out, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; i++) *out++ = (uint8_t)(value >> (8 * i));
  return out;
}

static uint8_t *write_slice(uint8_t *out, struct slice s) {
  if (s.n > 0) memcpy(out, s.at, s.n);
  return out + s.n;
}

void command_encode(const struct command *c, uint8_t *out) {
  const uint8_t *start = out;
  assert(command_is_valid(c));
  out = write_uint(out, c->type, 1);
  out = write_uint(out, c->condition, 1);
  out = write_uint(out, c->revision, 8);
  out = write_uint(out, c->collection.n, 1);
  out = write_slice(out, c->collection);
  out = write_uint(out, c->id.n, 2);
  out = write_slice(out, c->id);
  out = write_slice(out, c->body);
  assert((size_t)(out - start) == command_size(c));
}

static struct slice read_slice(struct reader *r, size_t n) {
  const uint8_t *at = get_raw(r, n);
  return at != NULL ? (struct slice){(const char *)at, n} : (struct slice){NULL, 0};
}

int command_decode(const void *data, size_t bytes, struct command *command) {
  struct reader r = reader_of(data, bytes);
  struct command c = {0};

  c.type = get_u8(&r);
  c.condition = get_u8(&r);
  c.revision = get_u64(&r);
  c.collection = get_string8(&r);
  c.id = read_slice(&r, get_u16(&r));
  c.body = read_slice(&r, reader_left(&r));
  if (!reader_ok(&r) || !command_is_valid(&c)) return CORACLE_EMALFORMED;
  *command = c;
  return 0;
}
