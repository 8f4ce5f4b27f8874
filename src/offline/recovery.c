/* What `coracle recover` does, for any directory. Talking to people is recover.c's affair. */
#include "offline/recover.h"

#include "offline/overlay.h"
#include "offline/state.h"
#include "store/image.h"

#include <assert.h>

/* ---- What there is ---- */

static void find_configuration(const struct disk_found *found,
                               struct coracle_raft_configuration *configuration) {
  *configuration = found->snapshot.configuration;
  for (size_t i = found->entries_n; i-- > 0;) {
    const struct coracle_raft_entry *entry = found->entries[i];
    if (entry->index <= found->snapshot.index) break;
    if (entry->type == CORACLE_RAFT_CONFIGURATION &&
        coracle_raft_configuration_decode(entry->data, entry->bytes, configuration) == 0)
      return;
  }
}

static uint64_t last_index(const struct disk_found *found) {
  const uint64_t last = found->entries_n > 0 ? found->entries[found->entries_n - 1]->index : 0;
  return last > found->snapshot.index ? last : found->snapshot.index;
}

/* The members say whether the node has anything of its cluster's at all. */
static int refuse(const struct disk_found *found, const struct coracle_raft_configuration *configuration,
                  struct disk_fault *fault) {
  static const uint8_t none[DISK_CLUSTER_BYTES];
  const struct coracle_raft_member *self = coracle_raft_configuration_find(configuration, found->id);
  if (memcmp(found->cluster, none, sizeof none) == 0) {
    disk_fault_set(fault, "this node belongs to no cluster, and has nothing to recover: start it as it is");
  } else if (configuration->members_n == 0) {
    disk_fault_set(fault, "this node has got nothing yet of the cluster that it joined: there is nothing to "
                          "recover here");
  } else if (self != NULL && self->voter && coracle_raft_configuration_voters(configuration) == 1) {
    disk_fault_set(fault, "this node is the only voter of its cluster already: start it as it is");
  } else {
    return 0;
  }
  return CORACLE_ENOTFOUND;
}

/* Opens the directory and puts together what it holds; *store and *disk are the caller's if all is well. */
static int gather(const struct files *files, const struct disk_options *options,
                  const uint8_t key[STORE_HASH_KEY_BYTES], struct recovery *recovery, struct disk **disk,
                  struct store **store, struct disk_fault *fault) {
  struct disk_found found;
  int error = disk_open(files, options, disk, &found, fault);
  if (error != 0) return error;
  *recovery = (struct recovery){.id = found.id,
                                .term = found.raft.term,
                                .last_index = last_index(&found),
                                .snapshot_index = found.snapshot.index};
  memcpy(recovery->cluster, found.cluster, sizeof recovery->cluster);
  memcpy(recovery->cut, found.cut, sizeof recovery->cut);
  find_configuration(&found, &recovery->configuration);
  error = refuse(&found, &recovery->configuration, fault);
  if (error == 0) error = state_build(&found, key, store, fault);
  disk_found_close(&found);
  if (error != 0) {
    disk_free(*disk);
    return error;
  }
  recovery->documents = store_documents(*store);
  recovery->document_bytes = store_bytes(*store);
  recovery->keys = store_keys(*store);
  recovery->revision = store_revision(*store);
  return 0;
}

int recovery_look(const struct files *files, const uint8_t key[STORE_HASH_KEY_BYTES],
                  struct recovery *recovery, struct disk_fault *fault) {
  const struct disk_options options = {.fresh_id = 1};
  struct overlay *overlay = overlay_new(files);
  struct disk *disk;
  struct store *store;
  int error = gather(overlay_files(overlay), &options, key, recovery, &disk, &store, fault);
  if (error == 0) {
    store_free(store);
    disk_free(disk);
  }
  overlay_free(overlay);
  return error;
}

/* ---- What takes its place ---- */

struct image {
  struct image_encoder *encoder;
  uint64_t offset;
};

static size_t read_image(void *argument, uint8_t *out, size_t n) {
  struct image *image = argument;
  const size_t got = image_encoder_read(image->encoder, image->offset, out, n);
  image->offset += got;
  return got;
}

/* What the member's data says of name and addresses, the node itself corrects when it leads. One that is in
 * no configuration (a learner that was brought up to date with a snapshot of before) takes what another has.
 */
static struct coracle_raft_member member_of(const struct recovery *recovery, uint64_t id) {
  const struct coracle_raft_configuration *configuration = &recovery->configuration;
  const struct coracle_raft_member *self = coracle_raft_configuration_find(configuration, recovery->id);
  struct coracle_raft_member member = self != NULL ? *self : configuration->members[0];
  member.id = id;
  member.voter = true;
  return member;
}

/* As if the node had led the next term alone, had appended the configuration with which it does, and had then
 * taken a snapshot. */
static int replace(struct disk *disk, const struct recovery *recovery,
                   const struct recovery_identity *identity, const struct store *store,
                   struct disk_fault *fault) {
  struct store_view *view = store_view_take(store);
  struct image image = {.encoder = image_encoder_new(view)};
  struct coracle_raft_snapshot snapshot = {.index = recovery->last_index + 1,
                                           .term = recovery->term + 1,
                                           .bytes = image_encoder_bytes(image.encoder),
                                           .tag = image_encoder_tag(image.encoder),
                                           .configuration_index = recovery->last_index + 1};
  snapshot.configuration.members_n = 1;
  snapshot.configuration.members[0] = member_of(recovery, identity->id);
  struct disk_replacement replacement = {.id = identity->id,
                                         .term = snapshot.term,
                                         .voted_for = identity->id,
                                         .snapshot = &snapshot,
                                         .read_image = read_image,
                                         .image = &image};
  memcpy(replacement.cluster, identity->cluster, sizeof replacement.cluster);
  int error = disk_replace(disk, &replacement, fault);
  image_encoder_free(image.encoder);
  store_view_free(view);
  return error;
}

/* The first start on what was just written, which removes what is left over, and verifies all of it. */
static int open_again(const struct files *files, const struct disk_options *options,
                      const struct recovery_identity *identity, struct disk_fault *fault) {
  struct disk *disk;
  struct disk_found found;
  int error = disk_open(files, options, &disk, &found, fault);
  if (error != 0) return error;
  assert(found.id == identity->id && found.image != NULL && found.entries_n == 0);
  disk_found_close(&found);
  disk_free(disk);
  return 0;
}

int recovery_carry_out(const struct files *files, const struct recovery_identity *identity,
                       const uint8_t key[STORE_HASH_KEY_BYTES], struct disk_fault *fault) {
  const struct disk_options options = {
      .fresh_id = identity->id, .salt_seed = identity->salt_seed, .start_min = identity->start_min};
  struct recovery recovery;
  struct disk *disk;
  struct store *store;
  int error = gather(files, &options, key, &recovery, &disk, &store, fault);
  if (error != 0) return error;
  error = replace(disk, &recovery, identity, store, fault);
  store_free(store);
  disk_free(disk);
  return error == 0 ? open_again(files, &options, identity, fault) : error;
}
