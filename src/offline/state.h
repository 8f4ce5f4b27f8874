/* The documents that a data directory holds, put together as a starting node does it. */
#ifndef CORACLE_OFFLINE_STATE_H
#define CORACLE_OFFLINE_STATE_H

#include "disk/disk.h"
#include "store/store.h"

/* Reads an image from its beginning into a new store, the caller's. CORACLE_EDAMAGED, CORACLE_EIO; the fault
 * names the file. */
MUST_CHECK int state_read_image(struct snapshot_reader *, const char *name,
                                const uint8_t key[STORE_HASH_KEY_BYTES], struct store **,
                                struct disk_fault *);

/* Whether a node of this version can apply the entry: NULL, or what is wrong with it. */
const char *state_refuses(uint8_t entry_type, const void *data, size_t n);

/* Everything that was found: the image, and every entry of the log behind it, committed or not. */
MUST_CHECK int state_build(const struct disk_found *, const uint8_t key[STORE_HASH_KEY_BYTES],
                           struct store **, struct disk_fault *);

#endif
