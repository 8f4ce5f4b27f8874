/* Images of the store: those that others may need, and the one that comes in. Private to replica/.
 *
 * Taking one costs next to nothing: it is a view of the store (store/view.h), and its bytes are made when a
 * peer needs them. So the newest is always at hand, and an older one stays until no peer is being sent it.
 *
 * With durable storage an image goes there before the core hears of it, so that there is always one to begin
 * with again. It goes the way of one that a leader sends, and gives way to such a one.
 *
 * An image that comes in becomes a store of its own beside the one that serves, chunk after chunk, and takes
 * its place when it is complete. What is no longer needed is released a little at a time. */
#ifndef CORACLE_REPLICA_SNAPSHOT_H
#define CORACLE_REPLICA_SNAPSHOT_H

#include "base/bytes.h"
#include "base/queue.h"
#include "replica/replica.h"
#include "store/image.h"

struct image {
  uint64_t index;
  struct store_view *view;
  struct image_encoder *encoder;
};

/* The newest image, of which the core has yet to hear. */
enum own_image {
  OWN_NONE,
  OWN_TO_STORE, /* its bytes go to storage */
  OWN_STORED,   /* they are there: the core is to be told */
};

enum { IMAGES_MAX = CORACLE_RAFT_MEMBERS_MAX + 1 }; /* each peer may still be getting another one */

struct snapshots {
  uint8_t store_key[STORE_HASH_KEY_BYTES];
  uint64_t compact_bytes;
  bool durable;
  struct image images[IMAGES_MAX]; /* oldest first */
  size_t images_n;
  enum own_image own;
  struct coracle_raft_snapshot own_snapshot; /* TO_STORE; index 0: not described yet */
  uint64_t own_written;                      /* TO_STORE: bytes given to storage */
  uint64_t refused_log_bytes; /* of the log, when there was no room for an image; 0: there is */
  struct queue requests;      /* of struct coracle_raft_chunk_request: not answered yet */
  struct bytes chunk;         /* of the last answer: lent to the core until its next step */
  struct bytes stored;        /* the last chunk for storage */
  struct image_decoder *incoming;
  uint64_t incoming_index;     /* of that image */
  struct queue retired_views;  /* of struct store_view *, to be released */
  struct queue retired_stores; /* of struct store *, to be released */
};

void snapshots_init(struct snapshots *, const struct replica_options *);
void snapshots_close(struct snapshots *);

/* ---- Compaction ---- */

/* The log has grown larger than the image that would take its place, and than it is worth. */
bool snapshots_are_due(const struct snapshots *, const struct coracle_raft *, const struct store *,
                       uint64_t applied);
/* The store as it is now becomes an image. */
void snapshots_take(struct snapshots *, const struct store *, uint64_t applied);
/* Its next bytes for storage, when those before are durable; false: there are none. */
bool snapshots_next_stored(struct snapshots *, const struct coracle_raft *, struct coracle_raft_persist *);
/* The core is to be told of it; false: not, or not yet. */
bool snapshots_next_taken(struct snapshots *, struct coracle_raft_event *);
/* The core has refused it. */
void snapshots_drop_newest(struct snapshots *);
/* Storage had no room for it. False: it was dropped already. */
bool snapshots_refused_image(struct snapshots *, const struct coracle_raft *);

/* ---- Sending ---- */

/* Notes what the core asks for. */
void snapshots_request(struct snapshots *, const struct coracle_raft_effects *);
/* Answers the oldest request; false when there is none. */
bool snapshots_next_chunk(struct snapshots *, struct coracle_raft_event *event);

/* ---- Receiving ---- */

/* Takes in a chunk. The store that takes the place of the one that serves, when that was the last one; else
 * NULL. Ends the process over an image that this version cannot read. */
struct store *snapshots_receive(struct snapshots *, const struct coracle_raft_persist *);
/* A whole image, from storage. */
struct store *snapshots_restore(struct snapshots *, const struct coracle_raft_snapshot *,
                                const struct replica_image *);
/* The store is that of the core's newest snapshot, exactly: it is an image that others may need. */
void snapshots_keep(struct snapshots *, const struct store *, const struct coracle_raft_snapshot *);

/* ---- Releasing ---- */

void snapshots_retire_store(struct snapshots *, struct store *);
void snapshots_retire_view(struct snapshots *, struct store_view *);
/* Drops what nobody needs any more, and releases some of what was dropped. */
void snapshots_tidy(struct snapshots *, const struct coracle_raft *, uint64_t applied);

#endif
