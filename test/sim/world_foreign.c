/* The disk of a node that belongs to another, established cluster: it was never here before. */
#include "world_record.h"

#include "base/memory.h"
#include "store/command.h"

#include <stdio.h>

static void add(struct world_disk *disk, struct coracle_raft_entry *entry, uint64_t term) {
  entry->index = disk->entries_n + 1;
  entry->term = term;
  disk->entries[disk->entries_n++] = entry;
}

static struct coracle_raft_entry *members(struct world *w, int node, int voters) {
  struct coracle_raft_configuration configuration = {.members_n = (uint32_t)voters};
  for (int i = 0; i < voters; i++) {
    struct coracle_raft_member *member = &configuration.members[i];
    struct join_member info = {.http = i == 0 ? w->processes[node].http : world_local((uint16_t)(40000 + i)),
                               .udp = world_local((uint16_t)(41000 + i))};
    snprintf(info.name, sizeof info.name, i == 0 ? "%c" : "far-%d", i == 0 ? 'a' + node : i);
    *member = (struct coracle_raft_member){
        .id = i == 0 ? w->processes[node].disk.id : random_next(&w->random) | 1, .voter = true};
    join_member_encode(&info, member);
  }
  return coracle_raft_configuration_entry(&configuration);
}

static struct coracle_raft_entry *document(void) {
  const struct command command = {.type = COMMAND_PUT,
                                  .collection = slice_of("far"),
                                  .id = slice_of("away"),
                                  .body = slice_of("{\"id\":\"away\"}")};
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&command));
  command_encode(&command, entry->data);
  return entry;
}

void world_make_foreign(struct world *w, int node, int voters) {
  enum { ENTRIES = 3, TERM = 3 };
  struct world_disk *disk = &w->processes[node].disk;
  WORLD_CHECK(w, !world_is_running(w, node) && disk->id == 0 && voters <= CORACLE_RAFT_MEMBERS_MAX);
  world_trace(w, node, "gets the disk of a node of another cluster of %d", voters);
  disk->id = random_next(&w->random) | 1;
  for (size_t i = 0; i < sizeof disk->cluster; i++) disk->cluster[i] = (uint8_t)random_next(&w->random);
  record_of(w, disk->cluster)->foreign = true;
  if (disk->entries_capacity < ENTRIES) {
    disk->entries_capacity = ENTRIES;
    disk->entries = memory_realloc(disk->entries, ENTRIES * sizeof disk->entries[0]);
  }
  disk->term = TERM;
  add(disk, members(w, node, voters), 1);
  add(disk, coracle_raft_entry_new(CORACLE_RAFT_NOOP, 0), 1);
  add(disk, document(), 2);
  directory_make(w, node);
}
