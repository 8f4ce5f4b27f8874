/* Reads an image, byte by byte if need be: the header, the head of a record and a key are gathered in a small
 * buffer, the rest of a record goes straight to where it stays. */
#include "store/core.h"
#include "store/image.h"

#include "base/codec.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

/* The table has room for so many times the records that came, up to those that are announced: so it is large
 * while there is little in it that would have to move, and a false announcement costs little. */
enum { RESERVED_TIMES = 16 };

struct image_decoder {
  struct store *store; /* owned; what came so far. Its revision is that of the header */
  bool has_header, failed;
  uint8_t head[IMAGE_HEADER_BYTES]; /* of the image, or of a record, or a key, as it comes */
  size_t head_bytes;
  struct store_record *record;     /* owned: the one whose data is coming; NULL: none is */
  size_t data_bytes;               /* of it that came */
  struct store_record *last;       /* borrowed from the store: the one before; NULL: none */
  uint64_t documents, bytes, keys; /* that the header announces */
  uint64_t last_key;               /* revision of the key before; 0: none came */
  struct state_hash state_hash;
};

struct image_decoder *image_decoder_new(const uint8_t key[STORE_HASH_KEY_BYTES]) {
  struct image_decoder *d = memory_zalloc(sizeof *d);
  d->store = store_new(key);
  return d;
}

struct store *image_decoder_abandon(struct image_decoder *d) {
  if (d == NULL) return NULL;
  struct store *store = d->store;
  store_record_unref(d->record);
  free(d);
  return store;
}

void image_decoder_free(struct image_decoder *d) {
  store_free(image_decoder_abandon(d));
}

/* Moves bytes from the input until `*have` are `want`. */
static bool gather(struct reader *in, void *to, size_t *have, size_t want) {
  size_t n = want - *have < reader_left(in) ? want - *have : reader_left(in);
  const uint8_t *at = get_raw(in, n);
  if (n > 0) memcpy((uint8_t *)to + *have, at, n);
  *have += n;
  return *have == want;
}

static int read_header(struct image_decoder *d) {
  struct reader r = reader_of(d->head, IMAGE_HEADER_BYTES);
  bool is_image = memcmp(get_raw(&r, 4), "CRCI", 4) == 0;
  bool is_known = get_u32(&r) == IMAGE_VERSION;
  d->store->revision = get_u64(&r);
  d->documents = get_u64(&r);
  d->bytes = get_u64(&r);
  d->state_hash.low = get_u64(&r);
  d->state_hash.high = get_u64(&r);
  d->keys = get_u64(&r);
  bool is_whole = get_u64(&r) == XXH3_64bits(d->head, IMAGE_HEADER_BYTES - 8);
  d->has_header = true;
  return is_image && is_known && is_whole && d->keys <= STORE_KEYS_MAX ? 0 : CORACLE_EMALFORMED;
}

/* The lengths are checked here, before anything is allocated for them. */
static int begin_record(struct image_decoder *d) {
  struct reader r = reader_of(d->head, IMAGE_RECORD_BYTES);
  uint64_t revision = get_u64(&r);
  size_t body_bytes = get_u32(&r), id_bytes = get_u16(&r), collection_bytes = get_u8(&r);

  if (revision == 0 || revision > d->store->revision) return CORACLE_EMALFORMED;
  if (body_bytes == 0 || body_bytes > IMAGE_BODY_BYTES_MAX) return CORACLE_EMALFORMED;
  if (id_bytes == 0 || id_bytes > DOCUMENT_ID_BYTES_MAX) return CORACLE_EMALFORMED;
  if (collection_bytes == 0 || collection_bytes > COLLECTION_BYTES_MAX) return CORACLE_EMALFORMED;
  if (body_bytes + id_bytes + collection_bytes > d->bytes - d->store->bytes) return CORACLE_EMALFORMED;
  d->record = record_new(collection_bytes, id_bytes, body_bytes);
  d->record->revision = revision;
  d->data_bytes = 0;
  return 0;
}

/* Whether the record comes after the last one in the order of (collection, id). */
static bool is_in_order(const struct image_decoder *d) {
  if (d->last == NULL) return true;
  int order = slice_compare(store_record_collection(d->last), store_record_collection(d->record));
  if (order == 0) order = slice_compare(store_record_id(d->last), store_record_id(d->record));
  return order < 0;
}

static void reserve(struct image_decoder *d) {
  const uint64_t room = RESERVED_TIMES * (store_documents(d->store) + 1);
  table_reserve(&d->store->table, room < d->documents ? room : d->documents);
}

static int end_record(struct image_decoder *d) {
  struct slice collection = store_record_collection(d->record), id = store_record_id(d->record);
  if (!collection_name_is_valid(collection) || !document_id_is_valid(id) || !is_in_order(d))
    return CORACLE_EMALFORMED;
  reserve(d);
  d->record->hash = table_hash(&d->store->table, collection, id);
  store_insert(d->store, d->record);
  d->last = d->record;
  d->record = NULL;
  return 0;
}

static int read_key(struct image_decoder *d) {
  struct store_key key;
  if (!key_decode(d->head, &key)) return CORACLE_EMALFORMED;
  if (key.revision <= d->last_key || key.revision > d->store->revision) return CORACLE_EMALFORMED;
  if (keys_find(&d->store->keys, key.once.key) != NULL) return CORACLE_EMALFORMED;
  store_remember(d->store, d->head);
  d->last_key = key.revision;
  return 0;
}

/* What comes next, as far as it is of a length that is known. */
struct head {
  size_t bytes;
  int (*read)(struct image_decoder *);
};

/* No bytes: the image is complete. */
static struct head next_head(const struct image_decoder *d) {
  if (!d->has_header) return (struct head){IMAGE_HEADER_BYTES, read_header};
  if (store_documents(d->store) < d->documents) return (struct head){IMAGE_RECORD_BYTES, begin_record};
  if (store_keys(d->store) < d->keys) return (struct head){IMAGE_KEY_BYTES, read_key};
  return (struct head){0};
}

/* One thing further: the header, a head or the data of a record, a key; or as far as the input goes. */
static int advance(struct image_decoder *d, struct reader *in) {
  if (d->record != NULL)
    return gather(in, d->record->data, &d->data_bytes, record_bytes(d->record)) ? end_record(d) : 0;
  const struct head head = next_head(d);
  if (head.bytes == 0) return CORACLE_EMALFORMED;
  if (!gather(in, d->head, &d->head_bytes, head.bytes)) return 0;
  d->head_bytes = 0;
  return head.read(d);
}

int image_decoder_feed(struct image_decoder *d, const void *data, size_t n) {
  struct reader in = reader_of(data, n);
  assert(!d->failed && d->store != NULL);
  while (reader_left(&in) > 0) {
    int error = advance(d, &in);
    if (error == 0) continue;
    d->failed = true;
    return error;
  }
  return 0;
}

int image_decoder_finish(struct image_decoder *d, struct store **store) {
  assert(!d->failed && d->store != NULL);
  d->failed = true;
  if (!d->has_header) return CORACLE_EMALFORMED;
  if (store_documents(d->store) != d->documents || store_bytes(d->store) != d->bytes)
    return CORACLE_EMALFORMED;
  if (store_keys(d->store) != d->keys) return CORACLE_EMALFORMED;
  if (!state_hash_equal(store_state_hash(d->store), d->state_hash)) return CORACLE_EMALFORMED;
  *store = d->store;
  d->store = NULL;
  return 0;
}
