#include "replica/snapshot.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t COMPACT_BYTES_DEFAULT = (uint64_t)64 * 1024 * 1024;

enum {
  RELEASED_PER_TURN = 4096, /* records: well below a millisecond */
  STORED_CHUNK_BYTES = 256 * 1024,
};

void snapshots_init(struct snapshots *s, const struct replica_options *options) {
  const uint64_t compact_bytes = options->compact_bytes;
  *s = (struct snapshots){.compact_bytes = compact_bytes != 0 ? compact_bytes : COMPACT_BYTES_DEFAULT,
                          .durable = options->durable,
                          .requests = QUEUE_OF(struct coracle_raft_chunk_request),
                          .retired_views = QUEUE_OF(struct store_view *),
                          .retired_stores = QUEUE_OF(struct store *)};
  memcpy(s->store_key, options->store_key, sizeof s->store_key);
}

/* ---- Releasing ---- */

void snapshots_retire_view(struct snapshots *s, struct store_view *view) {
  *(struct store_view **)queue_push(&s->retired_views) = view;
}

static void drop_image(struct snapshots *s, size_t i) {
  image_encoder_free(s->images[i].encoder);
  snapshots_retire_view(s, s->images[i].view);
  memmove(s->images + i, s->images + i + 1, (--s->images_n - i) * sizeof *s->images);
}

void snapshots_retire_store(struct snapshots *s, struct store *store) {
  *(struct store **)queue_push(&s->retired_stores) = store;
}

static void drop_incoming(struct snapshots *s) {
  struct store *store = image_decoder_abandon(s->incoming);
  if (store != NULL) snapshots_retire_store(s, store);
  s->incoming = NULL;
}

static void release(struct snapshots *s, size_t records) {
  struct store_view **view = queue_at(&s->retired_views, 0);
  struct store **store = queue_at(&s->retired_stores, 0);
  if (view != NULL && store_view_free_some(*view, records)) queue_pop(&s->retired_views);
  if (store != NULL && store_free_some(*store, records)) queue_pop(&s->retired_stores);
}

void snapshots_close(struct snapshots *s) {
  while (s->images_n > 0) drop_image(s, 0);
  drop_incoming(s);
  while (s->retired_views.n > 0 || s->retired_stores.n > 0) release(s, SIZE_MAX);
  queue_close(&s->requests);
  queue_close(&s->retired_views);
  queue_close(&s->retired_stores);
  bytes_close(&s->chunk);
  bytes_close(&s->stored);
}

static bool is_needed(const struct coracle_raft *raft, uint64_t index) {
  struct coracle_raft_status status;
  if (coracle_raft_snapshot(raft)->index == index) return true;
  coracle_raft_status(raft, 0, &status);
  for (size_t i = 0; i < status.peers_n; i++)
    if (status.peers[i].snapshot_index == index) return true;
  return false;
}

/* An image that comes in and is behind the log by now will not be gone on with: see struct
 * coracle_raft_persist. */
void snapshots_tidy(struct snapshots *s, const struct coracle_raft *raft, uint64_t applied) {
  if (s->incoming != NULL && applied >= s->incoming_index) drop_incoming(s);
  for (size_t i = 0; i + 1 < s->images_n;)
    if (is_needed(raft, s->images[i].index))
      i++;
    else
      drop_image(s, i);
  release(s, RELEASED_PER_TURN);
}

/* ---- Compaction ---- */

static uint64_t image_bytes(const struct store *store) {
  return IMAGE_HEADER_BYTES + IMAGE_RECORD_BYTES * store_documents(store) + store_bytes(store) +
         IMAGE_KEY_BYTES * store_keys(store);
}

bool snapshots_are_due(const struct snapshots *s, const struct coracle_raft *raft, const struct store *store,
                       uint64_t applied) {
  struct coracle_raft_status status;
  if (applied <= coracle_raft_snapshot(raft)->index || s->images_n == IMAGES_MAX) return false;
  if (s->own != OWN_NONE || s->incoming != NULL) return false;
  coracle_raft_status(raft, 0, &status);
  if (s->refused_log_bytes > 0 && status.log_bytes <= s->refused_log_bytes + s->compact_bytes) return false;
  return status.log_bytes > s->compact_bytes && status.log_bytes > image_bytes(store);
}

static const struct image *add_image(struct snapshots *s, const struct store *store, uint64_t index) {
  assert(s->images_n < IMAGES_MAX);
  struct image *image = &s->images[s->images_n++];
  image->index = index;
  image->view = store_view_take(store);
  image->encoder = image_encoder_new(image->view);
  return image;
}

void snapshots_take(struct snapshots *s, const struct store *store, uint64_t applied) {
  add_image(s, store, applied);
  s->own = s->durable ? OWN_TO_STORE : OWN_STORED;
  s->own_snapshot.index = 0;
  s->own_written = 0;
}

void snapshots_drop_newest(struct snapshots *s) {
  s->own = OWN_NONE;
  drop_image(s, s->images_n - 1);
}

/* One of which nothing was given to storage yet is another one. */
bool snapshots_refused_image(struct snapshots *s, const struct coracle_raft *raft) {
  struct coracle_raft_status status;
  if (s->own != OWN_TO_STORE || s->own_written == 0) return false;
  coracle_raft_status(raft, 0, &status);
  s->refused_log_bytes = status.log_bytes;
  snapshots_drop_newest(s);
  return true;
}

/* The core refuses as long as the log up to there is not durable. */
static bool describe(struct snapshots *s, const struct coracle_raft *raft, const struct image *image) {
  if (s->own_snapshot.index != 0) return true;
  if (coracle_raft_describe_snapshot(raft, image->index, &s->own_snapshot) != 0) return false;
  s->own_snapshot.bytes = image_encoder_bytes(image->encoder);
  s->own_snapshot.tag = image_encoder_tag(image->encoder);
  return true;
}

bool snapshots_next_stored(struct snapshots *s, const struct coracle_raft *raft,
                           struct coracle_raft_persist *persist) {
  if (s->own != OWN_TO_STORE) return false;
  const struct image *image = &s->images[s->images_n - 1];
  if (!describe(s, raft, image)) return false;
  if (s->own_written == s->own_snapshot.bytes) {
    s->own = OWN_STORED;
    return false;
  }
  s->stored.n = 0;
  uint8_t *out = bytes_reserve(&s->stored, STORED_CHUNK_BYTES);
  s->stored.n = image_encoder_read(image->encoder, s->own_written, out, STORED_CHUNK_BYTES);
  *persist = (struct coracle_raft_persist){
      .chunk = {
          .snapshot = &s->own_snapshot, .offset = s->own_written, .data = s->stored.data, .n = s->stored.n}};
  s->own_written += s->stored.n;
  persist->chunk.installs = persist->chunk.keep_log = s->own_written == s->own_snapshot.bytes;
  return true;
}

bool snapshots_next_taken(struct snapshots *s, struct coracle_raft_event *event) {
  if (s->own != OWN_STORED) return false;
  const struct image *image = &s->images[s->images_n - 1];
  s->own = OWN_NONE;
  s->refused_log_bytes = 0;
  event->type = CORACLE_RAFT_SNAPSHOT_TAKEN;
  event->snapshot_taken.index = image->index;
  event->snapshot_taken.bytes = image_encoder_bytes(image->encoder);
  event->snapshot_taken.tag = image_encoder_tag(image->encoder);
  return true;
}

/* ---- Sending ---- */

void snapshots_request(struct snapshots *s, const struct coracle_raft_effects *effects) {
  for (size_t i = 0; i < effects->chunk_requests_n; i++)
    *(struct coracle_raft_chunk_request *)queue_push(&s->requests) = effects->chunk_requests[i];
}

static struct image *find_image(struct snapshots *s, const struct coracle_raft_chunk_request *request) {
  for (size_t i = 0; i < s->images_n; i++)
    if (s->images[i].index == request->index && image_encoder_tag(s->images[i].encoder) == request->tag)
      return &s->images[i];
  return NULL;
}

/* No bytes at all say that the image is gone. */
bool snapshots_next_chunk(struct snapshots *s, struct coracle_raft_event *event) {
  const struct coracle_raft_chunk_request *first = queue_at(&s->requests, 0);
  if (first == NULL) return false;
  const struct coracle_raft_chunk_request request = *first;
  struct image *image = find_image(s, &request);
  queue_pop(&s->requests);
  s->chunk.n = 0;
  if (image != NULL) {
    uint8_t *out = bytes_reserve(&s->chunk, request.bytes_max);
    s->chunk.n = image_encoder_read(image->encoder, request.offset, out, request.bytes_max);
  }
  event->type = CORACLE_RAFT_SNAPSHOT_CHUNK;
  event->chunk.peer = request.peer;
  event->chunk.index = request.index;
  event->chunk.offset = request.offset;
  event->chunk.data = s->chunk.data;
  event->chunk.n = s->chunk.n;
  return true;
}

/* ---- Receiving ---- */

/* Going on without it, or with what is left of it, would make this node differ from the others for good. */
static void check(bool good, uint64_t index) {
  if (good) return;
  fprintf(stderr,
          "coracle: the snapshot of index %llu is none that this version can read: upgrade this node\n",
          (unsigned long long)index);
  abort();
}

struct store *snapshots_receive(struct snapshots *s, const struct coracle_raft_persist *persist) {
  const uint64_t index = persist->chunk.snapshot->index;
  struct store *store = NULL;
  if (s->own != OWN_NONE) snapshots_drop_newest(s);
  if (persist->chunk.offset == 0) {
    drop_incoming(s);
    s->incoming = image_decoder_new(s->store_key);
    s->incoming_index = index;
  }
  assert(s->incoming != NULL && s->incoming_index == index);
  check(image_decoder_feed(s->incoming, persist->chunk.data, persist->chunk.n) == 0, index);
  if (!persist->chunk.installs) return NULL;
  check(image_decoder_finish(s->incoming, &store) == 0, index);
  drop_incoming(s);
  return store;
}

struct store *snapshots_restore(struct snapshots *s, const struct coracle_raft_snapshot *snapshot,
                                const struct replica_image *image) {
  struct image_decoder *decoder = image_decoder_new(s->store_key);
  struct store *store = NULL;
  struct slice piece;
  for (;;) {
    if (!image->next(image->context, &piece)) {
      fprintf(stderr, "coracle: the snapshot of index %llu cannot be read from storage\n",
              (unsigned long long)snapshot->index);
      abort();
    }
    if (piece.n == 0) break;
    check(image_decoder_feed(decoder, piece.at, piece.n) == 0, snapshot->index);
  }
  check(image_decoder_finish(decoder, &store) == 0, snapshot->index);
  image_decoder_free(decoder);
  return store;
}

void snapshots_keep(struct snapshots *s, const struct store *store,
                    const struct coracle_raft_snapshot *snapshot) {
  if (s->images_n == IMAGES_MAX) drop_image(s, 0); /* who installs leads nobody: it is sent to nobody */
  const struct image *image = add_image(s, store, snapshot->index);
  check(image_encoder_tag(image->encoder) == snapshot->tag &&
            image_encoder_bytes(image->encoder) == snapshot->bytes,
        snapshot->index);
}
