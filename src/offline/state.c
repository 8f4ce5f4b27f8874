#include "offline/state.h"

#include "store/image.h"

#include <inttypes.h>

static int feed_all(struct image_decoder *decoder, struct snapshot_reader *reader, const char *name,
                    struct disk_fault *fault) {
  struct slice block;
  snapshot_reader_rewind(reader);
  for (;;) {
    int error = snapshot_reader_next(reader, &block, fault);
    if (error != 0 || block.n == 0) return error;
    if (image_decoder_feed(decoder, block.at, block.n) == 0) continue;
    disk_fault_set(fault, "%s is whole, but what it holds is no image of this version", name);
    return CORACLE_EDAMAGED;
  }
}

int state_read_image(struct snapshot_reader *reader, const char *name,
                     const uint8_t key[STORE_HASH_KEY_BYTES], struct store **store,
                     struct disk_fault *fault) {
  struct image_decoder *decoder = image_decoder_new(key);
  int error = feed_all(decoder, reader, name, fault);
  if (error == 0 && image_decoder_finish(decoder, store) != 0) {
    disk_fault_set(fault, "%s is whole, but its documents are not those that its state hash was made of",
                   name);
    error = CORACLE_EDAMAGED;
  }
  image_decoder_free(decoder);
  return error;
}

const char *state_refuses(uint8_t entry_type, const void *data, size_t n) {
  struct coracle_raft_configuration configuration;
  struct command command;
  struct command_once once;
  bool has_once;
  switch (entry_type) {
  case CORACLE_RAFT_NOOP:
    return NULL;
  case CORACLE_RAFT_CONFIGURATION:
    if (coracle_raft_configuration_decode(data, n, &configuration) == 0) return NULL;
    return "is not a configuration that this version can read";
  case CORACLE_RAFT_COMMAND:
    if (command_decode(data, n, &command, &once, &has_once) == 0) return NULL;
    return "is not a command that this version can apply";
  default:
    return "is of a type that this version does not know";
  }
}

enum { DROPPED_AT_ONCE = 4096 }; /* documents: nobody waits in between */

static int apply(struct store *store, const struct coracle_raft_entry *entry, struct disk_fault *fault) {
  struct store_result result;
  const char *refused = state_refuses(entry->type, entry->data, entry->bytes);
  if (refused == NULL && entry->type == CORACLE_RAFT_COMMAND) {
    if (store_apply(store, entry->index, entry->data, entry->bytes, &result) == 0) {
      store_result_close(&result);
      while (store_is_busy(store)) store_go_on(store, DROPPED_AT_ONCE);
    } else {
      refused = "cannot be applied";
    }
  }
  if (refused == NULL) return 0;
  disk_fault_set(fault, "entry %" PRIu64 " of the log %s: a newer one may have written it", entry->index,
                 refused);
  return CORACLE_ELIMIT;
}

int state_build(const struct disk_found *found, const uint8_t key[STORE_HASH_KEY_BYTES], struct store **built,
                struct disk_fault *fault) {
  char name[FILES_NAME_BYTES_MAX];
  struct store *store;
  int error = 0;
  snapshot_name(found->snapshot.index, name);
  if (found->image == NULL)
    store = store_new(key);
  else
    error = state_read_image(found->image, name, key, &store, fault);
  if (error != 0) return error;
  for (size_t i = 0; error == 0 && i < found->entries_n; i++)
    if (found->entries[i]->index > found->snapshot.index) error = apply(store, found->entries[i], fault);
  if (error == 0)
    *built = store;
  else
    store_free(store);
  return error;
}
