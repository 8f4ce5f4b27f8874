/* The state of the store as bytes: what a snapshot holds, on disk and on its way to another node.
 *
 * The image of a state is always the same bytes, on every node and every time: a header, then the documents
 * in the order of (collection, id), then the idempotency keys in log order. Integers are little-endian.
 *
 *   offset  bytes
 *   0       4      "CRCI"
 *   4       4      version of the format: 2
 *   8       8      revision: log index of the last command that was applied; 0: none was
 *   16      8      d = documents
 *   24      8      b = bytes of all documents (collections + ids + bodies)
 *   32      16     state hash (store.h), low half first
 *   48      8      e = idempotency keys
 *   56      8      XXH3-64 of the 56 bytes before: the tag of the image
 *   64             d records, 15 * d + b bytes:
 *             8      revision of the document, 1 to that of the header
 *             4      k = length of the body
 *             2      m = length of the id
 *             1      n = length of the collection's name
 *             n+m+k  collection, id, body
 *                  e keys, 60 * e bytes:
 *             16     digest of the key
 *             16     digest of the request
 *             16     note
 *             8      revision of the command
 *             1      enum store_outcome
 *             1      enum store_outcome of the operation that failed, if that is REFUSED, else 0
 *             2      the operation that failed, if that is REFUSED, else 0
 *
 * There is no checksum at the end: the state hash is the sum of the hashes of exactly these records and keys,
 * so it covers their bytes, and it is known before the first of them is written. That makes every part of an
 * image independent of what came before it, so that writing it can begin anew anywhere. */
#ifndef CORACLE_STORE_IMAGE_H
#define CORACLE_STORE_IMAGE_H

#include "store/view.h"

enum {
  IMAGE_VERSION = 2,
  IMAGE_HEADER_BYTES = 64,
  IMAGE_KEY_BYTES = 60,
  IMAGE_RECORD_BYTES = 15,                /* of a document, beside its collection, id and body */
  IMAGE_BODY_BYTES_MAX = 4 * 1024 * 1024, /* no log entry holds a longer one */
};

/* ---- Writing ---- */

struct image_encoder;

/* Of a view that is the caller's and outlives the encoder. Constant time: nothing is walked or copied.
 * Released with image_encoder_free(). */
struct image_encoder *image_encoder_new(const struct store_view *);
void image_encoder_free(struct image_encoder *); /* NULL is fine; constant time */

/* The whole length of the image, and its tag: equal for equal images, and as good as never for others. Both
 * are known from the start. */
uint64_t image_encoder_bytes(const struct image_encoder *);
uint64_t image_encoder_tag(const struct image_encoder *);

/* Writes the bytes of the image from `offset` on, at most n of them, and returns how many: n, or what is left
 * to the end. `offset` may be any, up to image_encoder_bytes(); several readers may use one encoder in turn.
 *
 * Cost: going on where the last call ended, only that of the bytes. Going back, or to any place up to the
 * furthest there was: the encoder remembers a place every IMAGE_CHECKPOINT_BYTES and walks from there. To a
 * place beyond the furthest: a walk of all documents between (about 0.1 s for a million of them). */
size_t image_encoder_read(struct image_encoder *, uint64_t offset, uint8_t *out, size_t n);
enum { IMAGE_CHECKPOINT_BYTES = 64 * 1024 };

/* ---- Reading ---- */

struct image_decoder;

/* Builds a new store under `key` (see store_new()) while the bytes come in. */
struct image_decoder *image_decoder_new(const uint8_t key[STORE_HASH_KEY_BYTES]);
/* Frees what was built and not handed over. NULL is fine. */
void image_decoder_free(struct image_decoder *);
/* The same in constant time: hands over what was built, to be released with store_free_some() and for nothing
 * else. NULL when there is nothing. */
MUST_CHECK struct store *image_decoder_abandon(struct image_decoder *);

/* The next bytes of the image, in pieces of any size (none too). Its work is that of the documents in them.
 * CORACLE_EMALFORMED as soon as they can be no image of this version: then nothing but
 * image_decoder_free() may follow. Nothing outside is trusted: memory grows with the bytes that came, plus
 * one document. */
MUST_CHECK int image_decoder_feed(struct image_decoder *, const void *data, size_t n);
/* After the last byte: hands the store over, whose owner the caller becomes. CORACLE_EMALFORMED, and no
 * store, when the image is not complete or its documents are not those that the state hash was made of. The
 * decoder remains to be freed. */
MUST_CHECK int image_decoder_finish(struct image_decoder *, struct store **);

#endif
