/* The network between the servers of a test: see raft_cluster.h. */
#include "raft_network.h"

#include "raft_history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- Letters ---- */

void letters_push(struct letters *letters, struct letter *letter) {
  if (letters->n == letters->capacity) {
    letters->capacity = letters->capacity > 0 ? letters->capacity * 2 : 16;
    letters->at = realloc(letters->at, letters->capacity * sizeof(struct letter *));
    assert(letters->at != NULL);
  }
  letters->at[letters->n++] = letter;
}

struct letter *letters_take(struct letters *letters, size_t i) {
  assert(i < letters->n);
  struct letter *letter = letters->at[i];
  memmove(letters->at + i, letters->at + i + 1, (--letters->n - i) * sizeof(struct letter *));
  return letter;
}

static void letters_clear(struct letters *letters) {
  while (letters->n > 0) letter_free(letters->at[--letters->n]);
}

void letters_close(struct letters *letters) {
  letters_clear(letters);
  free(letters->at);
  *letters = (struct letters){0};
}

static struct coracle_raft_entry *copy_entry(const struct coracle_raft_entry *entry) {
  struct coracle_raft_entry *copy =
      coracle_raft_entry_new((enum coracle_raft_entry_type)entry->type, entry->bytes);
  assert(copy != NULL);
  copy->index = entry->index;
  copy->term = entry->term;
  memcpy(copy->data, entry->data, entry->bytes);
  return copy;
}

static void copy_snapshot(struct letter *letter, const struct coracle_raft_message *message) {
  struct coracle_raft_snapshot *snapshot = malloc(sizeof *snapshot + message->snapshot.n);
  assert(snapshot != NULL);
  *snapshot = *message->snapshot.snapshot;
  letter->snapshot = snapshot;
  letter->message.snapshot.snapshot = snapshot;
  letter->message.snapshot.data = (uint8_t *)(snapshot + 1);
  if (message->snapshot.n > 0) memcpy(snapshot + 1, message->snapshot.data, message->snapshot.n);
}

struct letter *letter_new(const struct coracle_raft_message *message) {
  struct letter *letter = calloc(1, sizeof *letter);
  assert(letter != NULL);
  letter->message = *message;
  if (message->type == CORACLE_RAFT_APPEND && message->append.entries_n > 0) {
    size_t n = message->append.entries_n;
    letter->message.append.entries = calloc(n, sizeof(struct coracle_raft_entry *));
    assert(letter->message.append.entries != NULL);
    for (size_t i = 0; i < n; i++) letter->message.append.entries[i] = copy_entry(message->append.entries[i]);
  }
  if (message->type == CORACLE_RAFT_SNAPSHOT) copy_snapshot(letter, message);
  return letter;
}

void letter_free(struct letter *letter) {
  if (letter->message.type == CORACLE_RAFT_APPEND && letter->message.append.entries_n > 0) {
    for (size_t i = 0; i < letter->message.append.entries_n; i++)
      coracle_raft_entry_unref(letter->message.append.entries[i]);
    free(letter->message.append.entries);
  }
  free(letter->snapshot);
  free(letter);
}

/* ---- Streams ---- */

static bool goes_by_stream(enum coracle_raft_message_type type) {
  return type >= CORACLE_RAFT_APPEND;
}

/* Which side of its stream a message goes to. */
static enum side side_of(enum coracle_raft_message_type type) {
  return type == CORACLE_RAFT_APPEND_REPLY || type == CORACLE_RAFT_READ_REQUEST ||
                 type == CORACLE_RAFT_SNAPSHOT_REPLY
             ? AT_LEADER
             : AT_FOLLOWER;
}

static struct stream *find_stream(const struct cluster *c, uint64_t leader, uint64_t follower) {
  for (size_t i = 0; i < c->streams_n; i++)
    if (c->streams[i]->leader == leader && c->streams[i]->follower == follower) return c->streams[i];
  return NULL;
}

/* The stream that carries such a message. */
static struct stream *stream_for(const struct cluster *c, uint64_t from, uint64_t to,
                                 enum coracle_raft_message_type type) {
  return side_of(type) == AT_FOLLOWER ? find_stream(c, from, to) : find_stream(c, to, from);
}

static struct stream *find_serial(const struct cluster *c, uint64_t serial) {
  for (size_t i = 0; i < c->streams_n; i++)
    if (c->streams[i]->serial == serial) return c->streams[i];
  return NULL;
}

static void free_stream(struct stream *stream) {
  letters_close(&stream->to[AT_LEADER]);
  letters_close(&stream->to[AT_FOLLOWER]);
  free(stream);
}

void cluster_sweep_streams(struct cluster *c) {
  size_t kept = 0;
  for (size_t i = 0; i < c->streams_n; i++) {
    struct stream *stream = c->streams[i];
    if (stream->told[AT_LEADER] || stream->told[AT_FOLLOWER])
      c->streams[kept++] = stream;
    else
      free_stream(stream);
  }
  c->streams_n = kept;
}

void cluster_open(struct cluster *c, uint64_t leader, uint64_t follower) {
  struct stream *stream = calloc(1, sizeof *stream);
  assert(stream != NULL && find_stream(c, leader, follower) == NULL);
  *stream = (struct stream){
      .serial = ++c->streams_opened, .leader = leader, .follower = follower, .told = {true, true}};
  c->streams = realloc(c->streams, (c->streams_n + 1) * sizeof(struct stream *));
  assert(c->streams != NULL);
  c->streams[c->streams_n++] = stream;
  struct coracle_raft_event at_follower = {.type = CORACLE_RAFT_LINK_UP, .peer = leader};
  struct coracle_raft_event at_leader = {.type = CORACLE_RAFT_LINK_UP, .peer = follower};
  assert_int_equal(cluster_step(c, follower, &at_follower), 0);
  assert_int_equal(cluster_step(c, leader, &at_leader), 0);
}

void cluster_cut(struct cluster *c, uint64_t leader, uint64_t follower) {
  struct stream *stream = find_stream(c, leader, follower);
  CLUSTER_CHECK(c, stream != NULL, "there is no stream from %d to %d to cut", (int)leader, (int)follower);
  stream->cut = true;
  letters_clear(&stream->to[AT_LEADER]);
  letters_clear(&stream->to[AT_FOLLOWER]);
}

void cluster_tell_end(struct cluster *c, struct stream *stream, enum side side) {
  const uint64_t id = side == AT_LEADER ? stream->leader : stream->follower;
  struct coracle_raft_event event = {.type = CORACLE_RAFT_LINK_DOWN,
                                     .peer = side == AT_LEADER ? stream->follower : stream->leader};
  assert(stream->cut && stream->told[side]);
  stream->told[side] = false;
  assert_int_equal(cluster_step(c, id, &event), 0);
}

void cluster_tell(struct cluster *c, uint64_t leader, uint64_t follower, enum side side) {
  struct stream *stream = find_stream(c, leader, follower);
  CLUSTER_CHECK(c, stream != NULL && stream->cut && stream->told[side], "no end of a stream to tell");
  cluster_tell_end(c, stream, side);
}

void network_server_gone(struct cluster *c, uint64_t id, bool crashed) {
  for (size_t i = 0; i < c->streams_n; i++) {
    struct stream *stream = c->streams[i];
    if (stream->leader == id) {
      stream->cut = true;
      stream->told[AT_LEADER] = false;
      letters_clear(&stream->to[AT_LEADER]);
    } else if (stream->follower == id && crashed) {
      stream->cut = true;
      stream->told[AT_FOLLOWER] = false;
      letters_clear(&stream->to[AT_FOLLOWER]);
    }
  }
}

/* The follower would refuse the stream of a leader whose term is over. */
static bool may_open(const struct cluster *c, const struct server *leader, uint64_t id) {
  if (id > c->servers_n) return false; /* a test made that member up */
  const struct server *follower = cluster_server(c, id);
  return id != leader->id && follower->raft != NULL && follower->status.role != CORACLE_RAFT_LEADER &&
         follower->status.term <= leader->status.term && !c->blocked[leader->id][id] &&
         !c->blocked[id][leader->id] && find_stream(c, leader->id, id) == NULL;
}

/* A stream that came up while its follower was no member is news to the leader when the follower is one
 * again. */
static bool may_tell_again(const struct cluster *c, const struct server *leader,
                           const struct coracle_raft_peer_status *peer) {
  const struct stream *stream = find_stream(c, leader->id, peer->id);
  return stream != NULL && !stream->cut && stream->told[AT_LEADER] && !peer->link;
}

static bool open_one_of(struct cluster *c, const struct server *leader) {
  for (size_t i = 0; i < leader->status.peers_n; i++) {
    const struct coracle_raft_peer_status *peer = &leader->status.peers[i];
    if (may_tell_again(c, leader, peer)) {
      struct coracle_raft_event event = {.type = CORACLE_RAFT_LINK_UP, .peer = peer->id};
      assert_int_equal(cluster_step(c, leader->id, &event), 0);
      return true;
    }
    if (may_open(c, leader, peer->id)) {
      cluster_open(c, leader->id, peer->id);
      return true;
    }
  }
  return false;
}

bool cluster_open_any(struct cluster *c) {
  for (size_t i = 0; i < c->servers_n; i++) {
    const struct server *server = c->servers[i];
    if (server->raft != NULL && server->status.role == CORACLE_RAFT_LEADER && open_one_of(c, server))
      return true;
  }
  return false;
}

/* ---- Sending ---- */

static void send_letter(struct cluster *c, struct server *from, struct letter *letter) {
  history_leaves(c, from, letter);
  if (letter->stream == 0) {
    if (c->no_datagrams)
      letter_free(letter);
    else
      letters_push(&c->datagrams, letter);
    return;
  }
  struct stream *stream = find_serial(c, letter->stream);
  if (stream == NULL || stream->cut)
    letter_free(letter);
  else
    letters_push(&stream->to[side_of(letter->message.type)], letter);
}

void network_post(struct cluster *c, struct server *from, const struct coracle_raft_message *message) {
  struct letter *letter = letter_new(message);
  CLUSTER_CHECK(c, message->from == from->id && message->to != from->id,
                "a message of another's, or to itself");
  if (goes_by_stream(message->type)) {
    const struct stream *stream = stream_for(c, message->from, message->to, message->type);
    if (stream == NULL || stream->cut) {
      letter_free(letter);
      return;
    }
    letter->stream = stream->serial;
  }
  if (message->after_sequence <= from->durable_sequence)
    send_letter(c, from, letter);
  else
    letters_push(&from->held, letter);
}

void network_release(struct cluster *c, struct server *from) {
  for (size_t i = 0; i < from->held.n;) {
    if (from->held.at[i]->message.after_sequence <= from->durable_sequence)
      send_letter(c, from, letters_take(&from->held, i));
    else
      i++;
  }
}

/* ---- Arriving ---- */

static void arrive(struct cluster *c, const struct letter *letter) {
  const struct coracle_raft_message *message = &letter->message;
  if (message->to > c->servers_n || cluster_server(c, message->to)->raft == NULL) return;
  if (c->blocked[message->from][message->to]) return;
  assert_int_equal(cluster_receive(c, message->to, message), 0);
}

void cluster_deliver_datagram(struct cluster *c, size_t i, bool keep) {
  if (keep) {
    struct letter *copy = letter_new(&c->datagrams.at[i]->message);
    arrive(c, copy);
    letter_free(copy);
  } else {
    struct letter *letter = letters_take(&c->datagrams, i);
    arrive(c, letter);
    letter_free(letter);
  }
}

void cluster_drop_datagram(struct cluster *c, size_t i) {
  letter_free(letters_take(&c->datagrams, i));
}

void cluster_deliver_stream(struct cluster *c, struct stream *stream, enum side to) {
  struct letter *letter = letters_take(&stream->to[to], 0);
  arrive(c, letter);
  letter_free(letter);
}

static bool is_kind(const struct letter *letter, uint64_t from, uint64_t to,
                    enum coracle_raft_message_type type) {
  return letter->message.from == from && letter->message.to == to && letter->message.type == type;
}

/* Where the oldest of that kind is underway, and its position there; NULL: nowhere. */
static struct letters *look_for(struct cluster *c, uint64_t from, uint64_t to,
                                enum coracle_raft_message_type type, size_t *position) {
  struct letters *letters = &c->datagrams;
  if (goes_by_stream(type)) {
    struct stream *stream = stream_for(c, from, to, type);
    if (stream == NULL) return NULL;
    letters = &stream->to[side_of(type)];
  }
  for (*position = 0; *position < letters->n; ++*position)
    if (is_kind(letters->at[*position], from, to, type)) return letters;
  return NULL;
}

static struct letter *take(struct cluster *c, uint64_t from, uint64_t to,
                           enum coracle_raft_message_type type) {
  size_t i;
  struct letters *letters = look_for(c, from, to, type, &i);
  CLUSTER_CHECK(c, letters != NULL, "no message of type %d from %d to %d", (int)type, (int)from, (int)to);
  return letters_take(letters, i);
}

const struct coracle_raft_message *cluster_find(struct cluster *c, uint64_t from, uint64_t to,
                                                enum coracle_raft_message_type type) {
  size_t i;
  struct letters *letters = look_for(c, from, to, type, &i);
  return letters != NULL ? &letters->at[i]->message : NULL;
}

void cluster_deliver(struct cluster *c, uint64_t from, uint64_t to, enum coracle_raft_message_type type) {
  struct letter *letter = take(c, from, to, type);
  arrive(c, letter);
  letter_free(letter);
}

void cluster_drop(struct cluster *c, uint64_t from, uint64_t to, enum coracle_raft_message_type type) {
  letter_free(take(c, from, to, type));
}

static bool move_stream(struct cluster *c, struct stream *stream) {
  for (enum side side = AT_LEADER; side <= AT_FOLLOWER; side++) {
    if (!stream->told[side]) continue;
    if (stream->to[side].n > 0) {
      cluster_deliver_stream(c, stream, side);
      return true;
    }
    if (stream->cut) {
      cluster_tell_end(c, stream, side);
      return true;
    }
  }
  return false;
}

bool network_move(struct cluster *c) {
  cluster_sweep_streams(c);
  if (!c->links_by_hand && cluster_open_any(c)) return true;
  if (c->datagrams.n > 0) {
    cluster_deliver_datagram(c, 0, false);
    return true;
  }
  for (size_t i = 0; i < c->streams_n; i++)
    if (move_stream(c, c->streams[i])) return true;
  return false;
}

void cluster_block(struct cluster *c, uint64_t from, uint64_t to, bool block) {
  c->blocked[from][to] = block;
  if (!block) return;
  if (find_stream(c, from, to) != NULL) cluster_cut(c, from, to);
  if (find_stream(c, to, from) != NULL) cluster_cut(c, to, from);
}

void cluster_isolate(struct cluster *c, uint64_t id) {
  for (uint64_t other = 1; other <= c->servers_n; other++) {
    if (other == id) continue;
    cluster_block(c, id, other, true);
    cluster_block(c, other, id, true);
  }
}

void cluster_heal(struct cluster *c) {
  memset(c->blocked, 0, sizeof c->blocked);
}

void network_close(struct cluster *c) {
  for (size_t i = 0; i < c->streams_n; i++) free_stream(c->streams[i]);
  free(c->streams);
  letters_close(&c->datagrams);
}
