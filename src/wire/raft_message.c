#include "wire/raft_message.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* What an entry takes in an APPEND besides its data: term, type, bytes. */
enum { ENTRY_HEADER_BYTES = 8 + 1 + 4 };

static void put_bool(struct bytes *out, bool value) {
  put_u8(out, value ? 1 : 0);
}

static bool get_bool(struct reader *r) {
  uint8_t value = get_u8(r);
  if (value > 1) r->failed = true;
  return value == 1;
}

/* ---- Datagrams ---- */

bool raft_message_is_datagram(const struct coracle_raft_message *message) {
  return message->type >= CORACLE_RAFT_VOTE_REQUEST && message->type <= CORACLE_RAFT_HEARTBEAT_REPLY;
}

void raft_message_put_body(struct bytes *out, const struct coracle_raft_message *message) {
  assert(raft_message_is_datagram(message));
  switch (message->type) {
  case CORACLE_RAFT_VOTE_REQUEST:
    put_bool(out, message->vote_request.pre);
    put_bool(out, message->vote_request.transfer);
    put_u64(out, message->vote_request.last_index);
    put_u64(out, message->vote_request.last_term);
    break;
  case CORACLE_RAFT_VOTE_REPLY:
    put_bool(out, message->vote_reply.pre);
    put_bool(out, message->vote_reply.granted);
    break;
  case CORACLE_RAFT_HEARTBEAT:
    put_u64(out, message->heartbeat.commit);
    put_u64(out, message->heartbeat.leader_commit);
    break;
  case CORACLE_RAFT_HEARTBEAT_REPLY:
    break;
  }
}

int raft_message_from_datagram(const struct datagram *datagram, struct coracle_raft_message *message) {
  struct reader r = reader_of(datagram->body.at, datagram->body.n);
  if (datagram->type < DATAGRAM_TYPE_RAFT) return CORACLE_EMALFORMED;
  *message = (struct coracle_raft_message){.type = (uint8_t)(datagram->type - DATAGRAM_TYPE_RAFT),
                                           .from = datagram->from,
                                           .to = datagram->to,
                                           .term = datagram->term,
                                           .round = datagram->round};
  switch (message->type) {
  case CORACLE_RAFT_VOTE_REQUEST:
    message->vote_request.pre = get_bool(&r);
    message->vote_request.transfer = get_bool(&r);
    message->vote_request.last_index = get_u64(&r);
    message->vote_request.last_term = get_u64(&r);
    break;
  case CORACLE_RAFT_VOTE_REPLY:
    message->vote_reply.pre = get_bool(&r);
    message->vote_reply.granted = get_bool(&r);
    break;
  case CORACLE_RAFT_HEARTBEAT:
    message->heartbeat.commit = get_u64(&r);
    message->heartbeat.leader_commit = get_u64(&r);
    break;
  case CORACLE_RAFT_HEARTBEAT_REPLY:
    break;
  default:
    return CORACLE_EMALFORMED;
  }
  return reader_done(&r) ? 0 : CORACLE_EMALFORMED;
}

/* ---- Hello ---- */

void hello_encode(const struct hello *hello, struct bytes *out) {
  assert(hello->protocol == HELLO_PROTOCOL);
  size_t frame_offset = frame_begin(out, FRAME_HELLO);
  put_u16(out, hello->protocol);
  bytes_append(out, hello->cluster, CLUSTER_ID_BYTES);
  put_u64(out, hello->from);
  put_u64(out, hello->to);
  put_u64(out, hello->term);
  frame_end(out, frame_offset);
}

int hello_decode(const struct frame *frame, struct hello *hello) {
  struct reader r = reader_of(frame->payload.at, frame->payload.n);
  if (frame->type != FRAME_HELLO) return CORACLE_EMALFORMED;
  hello->protocol = get_u16(&r);
  const uint8_t *cluster = get_raw(&r, CLUSTER_ID_BYTES);
  hello->from = get_u64(&r);
  hello->to = get_u64(&r);
  hello->term = get_u64(&r);
  if (!reader_done(&r) || hello->protocol != HELLO_PROTOCOL) return CORACLE_EMALFORMED;
  memcpy(hello->cluster, cluster, CLUSTER_ID_BYTES);
  return 0;
}

/* ---- Appends, but for their term ---- */

static void put_append(struct bytes *out, const struct coracle_raft_message *message) {
  assert(message->append.entries_n <= FRAME_BYTES_MAX / ENTRY_HEADER_BYTES);
  put_u64(out, message->append.previous_index);
  put_u64(out, message->append.previous_term);
  put_u64(out, message->append.commit);
  put_u32(out, (uint32_t)message->append.entries_n);
  for (size_t i = 0; i < message->append.entries_n; i++) {
    const struct coracle_raft_entry *entry = message->append.entries[i];
    /* An index is not sent, so the receiver would number a gap away. */
    assert(entry->index == message->append.previous_index + 1 + i);
    put_u64(out, entry->term);
    put_u8(out, entry->type);
    put_u32(out, entry->bytes);
    bytes_append(out, entry->data, entry->bytes);
  }
}

static void put_append_reply(struct bytes *out, const struct coracle_raft_message *message) {
  put_bool(out, message->append_reply.success);
  put_u64(out, message->append_reply.match);
  put_u64(out, message->append_reply.previous_index);
  put_u64(out, message->append_reply.conflict_index);
  put_u64(out, message->append_reply.conflict_term);
}

/* ---- Snapshots, but for their term ---- */

/* The core's allocation reports that memory ran out; here that ends the process, as base/memory.h explains.
 */
static struct coracle_raft_entry *not_null(struct coracle_raft_entry *entry, size_t bytes) {
  if (entry == NULL) {
    fprintf(stderr, "coracle: out of memory allocating an entry of %zu bytes\n", bytes);
    abort();
  }
  return entry;
}

static void put_snapshot(struct bytes *out, const struct coracle_raft_message *message) {
  const struct coracle_raft_snapshot *snapshot = message->snapshot.snapshot;
  struct coracle_raft_entry *configuration =
      not_null(coracle_raft_configuration_entry(&snapshot->configuration), sizeof snapshot->configuration);
  put_u64(out, message->round);
  put_u64(out, snapshot->index);
  put_u64(out, snapshot->term);
  put_u64(out, snapshot->bytes);
  put_u64(out, snapshot->tag);
  put_u64(out, snapshot->configuration_index);
  put_u32(out, configuration->bytes);
  bytes_append(out, configuration->data, configuration->bytes);
  put_u64(out, message->snapshot.offset);
  if (message->snapshot.n > 0) bytes_append(out, message->snapshot.data, message->snapshot.n);
  coracle_raft_entry_unref(configuration);
}

static void put_snapshot_reply(struct bytes *out, const struct coracle_raft_message *message) {
  put_u64(out, message->round);
  put_u64(out, message->snapshot_reply.index);
  put_u64(out, message->snapshot_reply.term);
  put_u64(out, message->snapshot_reply.tag);
  put_u64(out, message->snapshot_reply.offset);
}

/* ---- Frames ---- */

static enum frame_type frame_type_of(const struct coracle_raft_message *message) {
  switch (message->type) {
  case CORACLE_RAFT_APPEND:
    return FRAME_APPEND;
  case CORACLE_RAFT_APPEND_REPLY:
    return FRAME_APPEND_REPLY;
  case CORACLE_RAFT_READ_REQUEST:
    return FRAME_READ_REQUEST;
  case CORACLE_RAFT_READ_REPLY:
    return FRAME_READ_REPLY;
  case CORACLE_RAFT_SNAPSHOT:
    return FRAME_SNAPSHOT;
  case CORACLE_RAFT_SNAPSHOT_REPLY:
    return FRAME_SNAPSHOT_REPLY;
  default:
    assert(message->type == CORACLE_RAFT_TIMEOUT_NOW);
    return FRAME_TIMEOUT_NOW;
  }
}

bool raft_frame_is_leaders(uint8_t frame_type) {
  return frame_type == FRAME_APPEND || frame_type == FRAME_READ_REPLY || frame_type == FRAME_TIMEOUT_NOW ||
         frame_type == FRAME_SNAPSHOT || frame_type == FRAME_STATE;
}

bool raft_message_is_leaders(const struct coracle_raft_message *message) {
  return raft_frame_is_leaders((uint8_t)frame_type_of(message));
}

void raft_message_put_frame(struct bytes *out, const struct coracle_raft_message *message) {
  const enum frame_type type = frame_type_of(message);
  size_t frame_offset = frame_begin(out, type);
  put_u64(out, message->term);
  switch (message->type) {
  case CORACLE_RAFT_APPEND:
    put_append(out, message);
    break;
  case CORACLE_RAFT_APPEND_REPLY:
    put_append_reply(out, message);
    break;
  case CORACLE_RAFT_READ_REQUEST:
    put_u64(out, message->read_request.request);
    break;
  case CORACLE_RAFT_READ_REPLY:
    put_u64(out, message->read_reply.request);
    put_u64(out, message->read_reply.index);
    break;
  case CORACLE_RAFT_TIMEOUT_NOW:
    break;
  case CORACLE_RAFT_SNAPSHOT:
    put_snapshot(out, message);
    break;
  case CORACLE_RAFT_SNAPSHOT_REPLY:
    put_snapshot_reply(out, message);
    break;
  }
  frame_end(out, frame_offset);
}

/* Reads one entry, or NULL with the reader failed. */
static struct coracle_raft_entry *get_entry(struct reader *r, uint64_t index) {
  uint64_t term = get_u64(r);
  uint8_t type = get_u8(r);
  uint32_t bytes = get_u32(r);
  if (type < CORACLE_RAFT_NOOP || type > CORACLE_RAFT_COMMAND || bytes > CORACLE_RAFT_ENTRY_BYTES_MAX)
    r->failed = true;
  const uint8_t *data = get_raw(r, bytes);
  if (data == NULL) return NULL;

  struct coracle_raft_entry *entry =
      not_null(coracle_raft_entry_new((enum coracle_raft_entry_type)type, bytes), bytes);
  entry->index = index;
  entry->term = term;
  memcpy(entry->data, data, bytes);
  return entry;
}

/* Fills message->append; after a failure, with what was read before it. */
static void get_append(struct reader *r, struct coracle_raft_message *message) {
  message->append.previous_index = get_u64(r);
  message->append.previous_term = get_u64(r);
  message->append.commit = get_u64(r);
  size_t entries_n = get_u32(r);
  /* A number of entries is believed only as far as the bytes that came with it reach. */
  if (entries_n > reader_left(r) / ENTRY_HEADER_BYTES) r->failed = true;
  if (message->append.previous_index > UINT64_MAX - entries_n) r->failed = true;
  if (!reader_ok(r) || entries_n == 0) return;

  message->append.entries = memory_alloc(entries_n * sizeof(struct coracle_raft_entry *));
  for (size_t i = 0; i < entries_n; i++) {
    struct coracle_raft_entry *entry = get_entry(r, message->append.previous_index + 1 + i);
    if (entry == NULL) return;
    message->append.entries[message->append.entries_n++] = entry;
  }
}

static void get_append_reply(struct reader *r, struct coracle_raft_message *message) {
  message->append_reply.success = get_bool(r);
  message->append_reply.match = get_u64(r);
  message->append_reply.previous_index = get_u64(r);
  message->append_reply.conflict_index = get_u64(r);
  message->append_reply.conflict_term = get_u64(r);
}

/* Fills message->snapshot; after a failure, with nothing to release. */
static void get_snapshot(struct reader *r, struct coracle_raft_message *message) {
  struct coracle_raft_snapshot snapshot = {0};
  message->round = get_u64(r);
  snapshot.index = get_u64(r);
  snapshot.term = get_u64(r);
  snapshot.bytes = get_u64(r);
  snapshot.tag = get_u64(r);
  snapshot.configuration_index = get_u64(r);
  const size_t configuration_bytes = get_u32(r);
  const uint8_t *configuration = get_raw(r, configuration_bytes);
  message->snapshot.offset = get_u64(r);
  message->snapshot.n = reader_left(r);
  message->snapshot.data = get_raw(r, message->snapshot.n);
  if (!reader_ok(r) ||
      coracle_raft_configuration_decode(configuration, configuration_bytes, &snapshot.configuration) != 0) {
    r->failed = true;
    return;
  }
  struct coracle_raft_snapshot *copy = memory_alloc(sizeof *copy);
  *copy = snapshot;
  message->snapshot.snapshot = copy;
}

static void get_snapshot_reply(struct reader *r, struct coracle_raft_message *message) {
  message->round = get_u64(r);
  message->snapshot_reply.index = get_u64(r);
  message->snapshot_reply.term = get_u64(r);
  message->snapshot_reply.tag = get_u64(r);
  message->snapshot_reply.offset = get_u64(r);
}

int raft_message_from_frame(const struct frame *frame, uint64_t from, uint64_t to,
                            struct coracle_raft_message *message) {
  struct reader r = reader_of(frame->payload.at, frame->payload.n);
  *message = (struct coracle_raft_message){.from = from, .to = to, .term = get_u64(&r)};
  switch (frame->type) {
  case FRAME_APPEND:
    message->type = CORACLE_RAFT_APPEND;
    get_append(&r, message);
    break;
  case FRAME_APPEND_REPLY:
    message->type = CORACLE_RAFT_APPEND_REPLY;
    get_append_reply(&r, message);
    break;
  case FRAME_READ_REQUEST:
    message->type = CORACLE_RAFT_READ_REQUEST;
    message->read_request.request = get_u64(&r);
    break;
  case FRAME_READ_REPLY:
    message->type = CORACLE_RAFT_READ_REPLY;
    message->read_reply.request = get_u64(&r);
    message->read_reply.index = get_u64(&r);
    break;
  case FRAME_TIMEOUT_NOW:
    message->type = CORACLE_RAFT_TIMEOUT_NOW;
    break;
  case FRAME_SNAPSHOT:
    message->type = CORACLE_RAFT_SNAPSHOT;
    get_snapshot(&r, message);
    break;
  case FRAME_SNAPSHOT_REPLY:
    message->type = CORACLE_RAFT_SNAPSHOT_REPLY;
    get_snapshot_reply(&r, message);
    break;
  default:
    return CORACLE_EMALFORMED;
  }
  if (reader_done(&r)) return 0;
  raft_message_close(message);
  return CORACLE_EMALFORMED;
}

void raft_message_close(struct coracle_raft_message *message) {
  if (message->type == CORACLE_RAFT_APPEND) {
    for (size_t i = 0; i < message->append.entries_n; i++)
      coracle_raft_entry_unref(message->append.entries[i]);
    free(message->append.entries);
  }
  if (message->type == CORACLE_RAFT_SNAPSHOT) free((void *)(uintptr_t)message->snapshot.snapshot);
  *message = (struct coracle_raft_message){0};
}
