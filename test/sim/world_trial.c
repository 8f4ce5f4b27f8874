/* What if: the disk of a process is copied, in the middle of what is done to it or between, and all goes
 * wrong that can go wrong there, while the process goes on as if nothing had happened. */
#include "base/memory.h"
#include "world_core.h"

#include <errno.h>
#include <stdlib.h>

static struct world_directory *directory_of(struct world *w, int node) {
  return &w->processes[node].disk.directory;
}

void trial_forget(struct world_directory *d) {
  disk_found_close(&d->tried);
  fake_files_free(d->tried_files);
  d->tried_files = NULL;
  d->tries = false;
}

/* The process that is started then goes on: in the next term, with an entry. */
static void go_on(struct world *w, int node, struct disk *writer, const struct disk_found *found) {
  struct batch *batch = batch_new();
  struct disk_fault fault = {{0}};
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_NOOP, 0);
  entry->term = found->raft.term + 1;
  entry->index =
      1 + (found->entries_n > 0 && found->entries[found->entries_n - 1]->index > found->snapshot.index
               ? found->entries[found->entries_n - 1]->index
               : found->snapshot.index);
  const struct coracle_raft_persist raft = {
      .vote_changed = true, .term = entry->term, .voted_for = found->id, .entries = &entry, .entries_n = 1};
  batch_add(batch, &(struct batch_item){.sequence = 1, .raft = &raft});
  if (disk_write(writer, batch, &fault) != 0)
    world_fail(w, "%c could not write if it were started again now: %s", 'a' + node, fault.text);
  batch_free(batch);
  coracle_raft_entry_unref(entry);
}

/* What that has added is there, and is left out of what was found. */
static void take_back(struct world *w, struct disk_found *found) {
  WORLD_CHECK(w, found->entries_n > 0);
  struct coracle_raft_entry *entry = found->entries[--found->entries_n];
  WORLD_CHECK(w, found->raft.voted_for == found->id && entry->term == found->raft.term &&
                     entry->type == CORACLE_RAFT_NOOP);
  found->raft.entries_n--;
  coracle_raft_entry_unref(entry);
}

/* A start may itself end in the middle, or since an operation fails. */
static void open_in_vain(struct world *w, int node, struct fake_files *copy) {
  struct disk_found found;
  struct disk_fault fault = {{0}};
  struct disk *writer = NULL;
  if (world_dice(w, 2) == 0)
    fake_files_crash_after(copy, world_dice(w, DIRECTORY_CHANGES_PER_START));
  else
    fake_files_fail(copy, world_dice(w, 2) == 0 ? FAKE_BIT(FAKE_SYNC) : FAKE_CHANGES, world_dice(w, 8), -EIO);
  if (directory_open(w, node, copy, &writer, &found, &fault) == 0) disk_found_close(&found);
  disk_free(writer);
  directory_end(w, copy, world_dice(w, 2) == 0);
}

/* Of what comes after the snapshot. */
static size_t entries_after(const struct disk_found *found) {
  size_t n = 0;
  while (n < found->entries_n && found->entries[found->entries_n - 1 - n]->index > found->snapshot.index) n++;
  return n;
}

static bool same_found(const struct disk_found *a, const struct disk_found *b) {
  const size_t n = entries_after(a);
  if (a->id != b->id || a->raft.term != b->raft.term || a->raft.voted_for != b->raft.voted_for ||
      a->snapshot.index != b->snapshot.index || a->snapshot.tag != b->snapshot.tag || entries_after(b) != n)
    return false;
  for (size_t i = 1; i <= n; i++)
    if (a->entries[a->entries_n - i]->term != b->entries[b->entries_n - i]->term) return false;
  return true;
}

/* Files in which something is not what was written are refused, or hold what they did. */
static void try_damaged(struct world *w, int node, struct fake_files *copy, const struct disk_found *before) {
  struct disk_found found;
  struct disk_fault fault = {{0}};
  struct disk *writer = NULL;
  char what[160];
  if (fake_files_damage(copy, what)) {
    const int error = directory_open(w, node, copy, &writer, &found, &fault);
    const bool right =
        error == 0 ? same_found(&found, before) : directory_is_refusal(error) && fault.text[0] != '\0';
    if (!right) world_trace(w, node, "with damage (%s): %d, %s", what, error, fault.text);
    if (!right && error == 0) directory_mismatch(w, node, &found, "its disk being damaged");
    WORLD_CHECK(w, right);
    disk_found_close(&found);
    disk_free(writer);
  }
  WORLD_CHECK(w, fake_files_handles(copy) == 0);
}

/* A process is started on a copy, after an end, goes on a little perhaps, and the power fails: what it has
 * found and what it has added must be there. Nor can any of it be lost unnoticed. */
static void open_copy(struct world *w, int node, struct fake_files *copy, struct disk_found *found) {
  struct disk_fault fault = {{0}};
  struct disk *writer;
  const bool goes_on = world_dice(w, 3) != 0;
  fake_files_set_room(copy, UINT64_MAX);
  directory_end(w, copy, world_dice(w, 3) != 0);
  while (world_dice(w, 3) == 0) open_in_vain(w, node, copy);
  if (directory_open(w, node, copy, &writer, found, &fault) != 0)
    world_fail(w, "%c could not be started again if it ended now: %s", 'a' + node, fault.text);
  const uint64_t term = found->raft.term, voted_for = found->raft.voted_for;
  if (goes_on) go_on(w, node, writer, found);
  disk_found_close(found);
  disk_free(writer);
  directory_end(w, copy, true);
  struct fake_files *to_damage = fake_files_copy(copy, random_next(&w->random));
  if (directory_open(w, node, copy, &writer, found, &fault) != 0)
    world_fail(w, "%c could not be started twice if it ended now: %s", 'a' + node, fault.text);
  disk_free(writer);
  if (world_dice(w, 2) == 0) try_damaged(w, node, to_damage, found);
  fake_files_free(to_damage);
  if (goes_on) take_back(w, found);
  found->raft.term = term;
  found->raft.voted_for = voted_for;
}

/* All that was told is durable: as a crash now would show. */
void trial_audit(struct world *w, int node) {
  struct world_disk *disk = &w->processes[node].disk;
  struct fake_files *copy = fake_files_copy(disk->directory.files, random_next(&w->random));
  struct disk_found found;
  open_copy(w, node, copy, &found);
  const char *why = directory_compare(w, disk, &found);
  if (why != NULL) directory_mismatch(w, node, &found, why);
  disk_found_close(&found);
  fake_files_free(copy);
}

void trial_begin(struct world *w, int node) {
  struct world_directory *d = directory_of(w, node);
  struct fake_files *picture = fake_files_picture(d->files);
  d->tries = picture != NULL;
  d->as_it_was = false;
  if (!d->tries) return;
  open_copy(w, node, picture, &d->tried);
  d->tried_files = picture;
  trial_compare(w, node);
}

void trial_compare(struct world *w, int node) {
  const struct world_disk *disk = &w->processes[node].disk;
  const struct world_directory *d = &disk->directory;
  if (d->tries && !d->as_it_was && directory_compare(w, disk, &d->tried) == NULL)
    directory_of(w, node)->as_it_was = true;
}

void trial_end(struct world *w, int node) {
  struct world_directory *d = directory_of(w, node);
  if (d->tries && !d->as_it_was)
    directory_mismatch(w, node, &d->tried, "if it ended in the middle of what it has just done");
  trial_forget(d);
}
