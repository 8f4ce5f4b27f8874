#include "store/command.h"

#include "base/codec.h"

#include <assert.h>

enum {
  DOCUMENT_FIXED_BYTES = 1 + 1 + 8 + 1 + 2, /* all but the collection, the id and the body */
  SEVERAL_FIXED_BYTES = 1 + 2,
  OPERATION_FIXED_BYTES = 4,
  ONCE_BYTES = 1 + 3 * COMMAND_DIGEST_BYTES,
};

/* ---- What both sides hold to: the encoder as an assertion, the decoder towards the log ---- */

static bool asks_for_revision(const struct command *c) {
  return c->condition == COMMAND_IF_REVISION || c->condition == COMMAND_IF_BASE;
}

static bool is_to_one_document(const struct command *c) {
  return c->type == COMMAND_PUT || c->type == COMMAND_DELETE;
}

static bool is_to_several(const struct command *c) {
  return c->type == COMMAND_TRANSACTION || c->type == COMMAND_BATCH;
}

static bool document_command_is_valid(const struct command *c) {
  bool has_body = c->body.n > 0;

  if (c->condition > COMMAND_IF_BASE) return false;
  if (c->type == COMMAND_DELETE && (c->condition == COMMAND_CREATE || c->condition == COMMAND_IF_BASE))
    return false;
  if (!asks_for_revision(c) && c->revision != 0) return false;
  if (has_body != (c->type == COMMAND_PUT) || c->body.n > UINT32_MAX) return false;
  return collection_name_is_valid(c->collection) && document_id_is_valid(c->id);
}

static bool count_is_valid(const struct command *c) {
  const size_t max = c->type == COMMAND_TRANSACTION ? COMMAND_TRANSACTION_MAX : COMMAND_BATCH_MAX;
  return c->operations_n >= 1 && c->operations_n <= max;
}

/* ---- Encoding ---- */

static size_t document_command_size(const struct command *c) {
  return DOCUMENT_FIXED_BYTES + c->collection.n + c->id.n + c->body.n;
}

static size_t operations_size(const struct command *c) {
  size_t size = 0;
  for (size_t i = 0; i < c->operations_n; i++)
    size += OPERATION_FIXED_BYTES + document_command_size(&c->operations[i]);
  return size;
}

size_t command_size(const struct command *c) {
  const size_t once = c->once != NULL ? ONCE_BYTES : 0;
  if (is_to_several(c)) return once + SEVERAL_FIXED_BYTES + operations_size(c);
  if (c->type == COMMAND_DROP) return once + 1 + c->collection.n;
  return once + document_command_size(c);
}

static uint8_t *write_raw(uint8_t *out, const void *at, size_t n) {
  if (n > 0) memcpy(out, at, n);
  return out + n;
}

static uint8_t *write_slice(uint8_t *out, struct slice s) {
  return write_raw(out, s.at, s.n);
}

static uint8_t *write_once(uint8_t *out, const struct command_once *once) {
  out = write_uint(out, COMMAND_ONCE, 1);
  out = write_raw(out, once->key, sizeof once->key);
  out = write_raw(out, once->request, sizeof once->request);
  return write_raw(out, once->note, sizeof once->note);
}

static uint8_t *write_document_command(uint8_t *out, const struct command *c) {
  assert(is_to_one_document(c) && document_command_is_valid(c));
  out = write_uint(out, c->type, 1);
  out = write_uint(out, c->condition, 1);
  out = write_uint(out, c->revision, 8);
  out = write_uint(out, c->collection.n, 1);
  out = write_slice(out, c->collection);
  out = write_uint(out, c->id.n, 2);
  out = write_slice(out, c->id);
  return write_slice(out, c->body);
}

static uint8_t *write_several(uint8_t *out, const struct command *c) {
  assert(count_is_valid(c));
  out = write_uint(out, c->type, 1);
  out = write_uint(out, c->operations_n, 2);
  for (size_t i = 0; i < c->operations_n; i++) {
    const struct command *operation = &c->operations[i];
    assert(operation->once == NULL && document_command_size(operation) <= UINT32_MAX);
    out = write_uint(out, document_command_size(operation), OPERATION_FIXED_BYTES);
    out = write_document_command(out, operation);
  }
  return out;
}

static uint8_t *write_drop(uint8_t *out, const struct command *c) {
  assert(c->type == COMMAND_DROP && collection_name_is_valid(c->collection));
  out = write_uint(out, c->type, 1);
  return write_slice(out, c->collection);
}

void command_encode(const struct command *c, uint8_t *out) {
  const uint8_t *start = out;
  if (c->once != NULL) out = write_once(out, c->once);
  if (is_to_one_document(c))
    out = write_document_command(out, c);
  else if (is_to_several(c))
    out = write_several(out, c);
  else
    out = write_drop(out, c);
  assert((size_t)(out - start) == command_size(c));
}

/* ---- Decoding ---- */

static struct slice read_slice(struct reader *r, size_t n) {
  const uint8_t *at = get_raw(r, n);
  return at != NULL ? (struct slice){(const char *)at, n} : (struct slice){NULL, 0};
}

/* What follows the type, to the end. */
static bool read_document_command(struct reader *r, struct command *c) {
  c->condition = get_u8(r);
  c->revision = get_u64(r);
  c->collection = get_string8(r);
  c->id = read_slice(r, get_u16(r));
  c->body = read_slice(r, reader_left(r));
  return reader_ok(r) && document_command_is_valid(c);
}

static bool read_operation(struct slice encoded, struct command *operation) {
  struct reader r = reader_of(encoded.at, encoded.n);
  *operation = (struct command){.type = get_u8(&r)};
  return is_to_one_document(operation) && read_document_command(&r, operation);
}

/* Takes the bytes of the next operation off the front; false at the end, or where they are cut off. */
static bool next_operation(struct slice *encoded, struct slice *operation) {
  struct reader r = reader_of(encoded->at, encoded->n);
  *operation = read_slice(&r, get_u32(&r));
  if (!reader_ok(&r)) return false;
  *encoded = read_slice(&r, reader_left(&r));
  return true;
}

static bool read_several(struct reader *r, struct command *c) {
  c->operations_n = get_u16(r);
  c->encoded_operations = read_slice(r, reader_left(r));
  if (!reader_ok(r) || !count_is_valid(c)) return false;
  struct slice left = c->encoded_operations, encoded;
  struct command operation;
  for (size_t i = 0; i < c->operations_n; i++)
    if (!next_operation(&left, &encoded) || !read_operation(encoded, &operation)) return false;
  return left.n == 0;
}

static bool read_drop(struct reader *r, struct command *c) {
  c->collection = read_slice(r, reader_left(r));
  return collection_name_is_valid(c->collection);
}

static bool read_command(struct reader *r, struct command *c) {
  if (is_to_one_document(c)) return read_document_command(r, c);
  if (is_to_several(c)) return read_several(r, c);
  return c->type == COMMAND_DROP && read_drop(r, c);
}

static void read_digest(struct reader *r, uint8_t digest[COMMAND_DIGEST_BYTES]) {
  const uint8_t *at = get_raw(r, COMMAND_DIGEST_BYTES);
  if (at != NULL) memcpy(digest, at, COMMAND_DIGEST_BYTES);
}

int command_decode(const void *data, size_t bytes, struct command *command, struct command_once *once,
                   bool *has_once) {
  struct reader r = reader_of(data, bytes);
  struct command c = {.type = get_u8(&r)};
  struct command_once o = {0};
  const bool is_once = c.type == COMMAND_ONCE;

  if (is_once) {
    read_digest(&r, o.key);
    read_digest(&r, o.request);
    read_digest(&r, o.note);
    c.type = get_u8(&r);
  }
  if (!reader_ok(&r) || !read_command(&r, &c)) return CORACLE_EMALFORMED;
  *command = c;
  *has_once = is_once;
  if (is_once) *once = o;
  return 0;
}

bool command_next(struct slice *encoded, struct command *operation) {
  struct slice bytes;
  if (encoded->n == 0) return false;
  bool good = next_operation(encoded, &bytes) && read_operation(bytes, operation);
  assert(good && "command_decode() has checked it");
  (void)good;
  return true;
}
