/* The state machine of a test's servers: see raft_machine.h. */
#include "raft_machine.h"

#include "raft_cluster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_BYTES = 24 }; /* of an image: then come as many more as the state says */

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

/* ---- Images ---- */

uint64_t machine_image_bytes(const struct cluster *c, const struct machine_state *state) {
  return STATE_BYTES + mix(state->hash, 1) % (c->options.image_bytes_max + 1);
}

uint64_t machine_image_tag(const struct machine_state *state) {
  return mix(state->hash, 2);
}

static uint8_t image_byte(const struct machine_state *state, uint64_t offset) {
  const uint64_t fields[] = {state->index, state->term, state->hash};
  if (offset >= STATE_BYTES) return (uint8_t)mix(state->hash, offset);
  return (uint8_t)(fields[offset / 8] >> (8 * (offset % 8)));
}

void machine_image_read(const struct machine_state *state, uint64_t offset, uint8_t *out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = image_byte(state, offset + i);
}

static uint64_t get(const uint8_t *at) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; i++) value |= (uint64_t)at[i] << (8 * i);
  return value;
}

static void keep_image(struct machine *machine, const struct machine_state *state) {
  machine->images[1] = machine->images[0];
  machine->images[0] = *state;
}

/* ---- Applying ---- */

static uint64_t *hash_at(struct machine_history *history, uint64_t index) {
  if (index > history->n) {
    const size_t n = (size_t)index * 2;
    history->hashes = realloc(history->hashes, n * sizeof *history->hashes);
    assert(history->hashes != NULL);
    memset(history->hashes + history->n, 0, (n - history->n) * sizeof *history->hashes);
    history->n = n;
  }
  return &history->hashes[index - 1];
}

static void check_state(struct cluster *c, const struct server *server) {
  const struct machine_state *state = &server->machine.state;
  uint64_t *hash = hash_at(&c->machines, state->index);
  CLUSTER_CHECK(c, *hash == 0 || *hash == state->hash, "server %d has another state at index %d",
                (int)server->id, (int)state->index);
  *hash = state->hash;
}

static void apply(struct cluster *c, struct server *server) {
  struct machine_state *state = &server->machine.state;
  const struct coracle_raft_entry *entry = coracle_raft_entry_at(server->raft, state->index + 1);
  CLUSTER_CHECK(c, entry != NULL, "server %d has lost entry %d before it applied it", (int)server->id,
                (int)state->index + 1);
  uint64_t hash = mix(mix(mix(state->hash, entry->index), entry->term), entry->type);
  for (uint32_t i = 0; i < entry->bytes; i++) hash = mix(hash, entry->data[i]);
  *state = (struct machine_state){.index = entry->index, .term = entry->term, .hash = hash};
  check_state(c, server);
}

static void install(struct cluster *c, struct server *server, const struct coracle_raft_snapshot *snapshot) {
  struct machine *machine = &server->machine;
  CLUSTER_CHECK(c, machine->incoming_n == snapshot->bytes && snapshot->bytes >= STATE_BYTES,
                "server %d installs %d bytes of %d", (int)server->id, (int)machine->incoming_n,
                (int)snapshot->bytes);
  const struct machine_state state = {get(machine->incoming), get(machine->incoming + 8),
                                      get(machine->incoming + 16)};
  for (size_t i = 0; i < machine->incoming_n; i++)
    CLUSTER_CHECK(c, machine->incoming[i] == image_byte(&state, i), "byte %d of an image is another", (int)i);
  CLUSTER_CHECK(c,
                state.index == snapshot->index && state.term == snapshot->term &&
                    machine_image_tag(&state) == snapshot->tag &&
                    machine_image_bytes(c, &state) == snapshot->bytes,
                "server %d installs another image than it says", (int)server->id);
  CLUSTER_CHECK(c, state.index > machine->state.index, "server %d goes back to index %d", (int)server->id,
                (int)state.index);
  machine->state = state;
  machine->incoming_n = 0;
  keep_image(machine, &state);
  check_state(c, server);
}

static void store_chunk(struct cluster *c, struct server *server,
                        const struct coracle_raft_persist *persist) {
  struct machine *machine = &server->machine;
  if (persist->chunk.offset == 0) machine->incoming_n = 0;
  CLUSTER_CHECK(c, persist->chunk.offset == machine->incoming_n, "server %d: a chunk at %d after %d bytes",
                (int)server->id, (int)persist->chunk.offset, (int)machine->incoming_n);
  machine->incoming = realloc(machine->incoming, machine->incoming_n + persist->chunk.n + 1);
  assert(machine->incoming != NULL);
  memcpy(machine->incoming + machine->incoming_n, persist->chunk.data, persist->chunk.n);
  machine->incoming_n += persist->chunk.n;
  if (persist->chunk.installs) install(c, server, persist->chunk.snapshot);
}

void machine_step(struct cluster *c, struct server *server, const struct coracle_raft_effects *effects) {
  if (effects->persist.chunk.snapshot != NULL) store_chunk(c, server, &effects->persist);
  while (server->machine.state.index < effects->commit_index) apply(c, server);
  for (size_t i = 0; i < effects->chunk_requests_n; i++)
    *(struct coracle_raft_chunk_request *)queue_push(&server->machine.requests) = effects->chunk_requests[i];
}

void machine_restart(struct server *server, const struct machine_state *state) {
  server->machine = (struct machine){
      .state = *state, .images = {*state}, .requests = QUEUE_OF(struct coracle_raft_chunk_request)};
}

void machine_close(struct machine *machine) {
  free(machine->incoming);
  queue_close(&machine->requests);
  *machine = (struct machine){0};
}

/* ---- What a test does ---- */

int cluster_snapshot(struct cluster *c, uint64_t id) {
  struct server *server = cluster_server(c, id);
  const struct machine_state state = server->machine.state;
  struct coracle_raft_event event = {.type = CORACLE_RAFT_SNAPSHOT_TAKEN,
                                     .snapshot_taken = {.index = state.index,
                                                        .bytes = machine_image_bytes(c, &state),
                                                        .tag = machine_image_tag(&state)}};
  int error = cluster_step(c, id, &event);
  if (error != 0) return error;
  keep_image(&server->machine, &state);
  cluster_snapshot_durable(c, server, coracle_raft_snapshot(server->raft), &state);
  return 0;
}

void cluster_forget_images(struct cluster *c, uint64_t id, size_t kept) {
  for (size_t i = kept; i < MACHINE_IMAGES_MAX; i++)
    cluster_server(c, id)->machine.images[i] = (struct machine_state){0};
}

bool cluster_answer_chunk(struct cluster *c, uint64_t id) {
  enum { CHUNK_BYTES_MAX = 4096 };
  struct server *server = cluster_server(c, id);
  const struct coracle_raft_chunk_request *first = queue_at(&server->machine.requests, 0);
  uint8_t data[CHUNK_BYTES_MAX];
  if (server->raft == NULL || first == NULL) return false;
  const struct coracle_raft_chunk_request request = *first;
  queue_pop(&server->machine.requests);

  struct coracle_raft_event event = {
      .type = CORACLE_RAFT_SNAPSHOT_CHUNK,
      .chunk = {.peer = request.peer, .index = request.index, .offset = request.offset, .data = data}};
  for (size_t i = 0; i < MACHINE_IMAGES_MAX; i++) {
    const struct machine_state *image = &server->machine.images[i];
    if (image->index != request.index || image->index == 0) continue;
    CLUSTER_CHECK(c,
                  request.bytes_max > 0 && request.bytes_max <= CHUNK_BYTES_MAX &&
                      request.tag == machine_image_tag(image) &&
                      request.offset + request.bytes_max <= machine_image_bytes(c, image),
                  "server %d is asked for what is not in the image", (int)id);
    event.chunk.n = request.bytes_max;
    machine_image_read(image, request.offset, data, event.chunk.n);
  }
  assert_int_equal(cluster_step(c, id, &event), 0);
  return true;
}
