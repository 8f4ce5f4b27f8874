/* What the leader changes in the configuration: nodes whose credentials it has come in as learners (the core
 * makes them voters when they keep up); a dead member goes when its memory storage went with it, or when a
 * successor waits under its name or address. Removal first, never a swap: the majorities of a swap need not
 * meet. */
#include "join/core.h"

#include <inttypes.h>
#include <stdio.h>

static struct table_entry *find(struct join *j, uint64_t id) {
  for (size_t i = 0; i < TABLE_MAX; i++)
    if (j->table[i].id == id) return &j->table[i];
  return NULL;
}

static bool is_member(const struct join_situation *s, uint64_t id) {
  return coracle_raft_configuration_find(s->configuration, id) != NULL;
}

/* A free place, or that of the one silent for longest among those who are not members: there are fewer of
 * these than places, and they do not speak again once their token is kept. */
static struct table_entry *find_place(struct join *j, const struct join_situation *s) {
  _Static_assert(TABLE_MAX > CORACLE_RAFT_MEMBERS_MAX + 1, "there is always somebody to make room");
  struct table_entry *place = find(j, 0);
  if (place != NULL) return place;
  for (size_t i = 0; i < TABLE_MAX; i++) {
    struct table_entry *entry = &j->table[i];
    if (!is_member(s, entry->id) && (place == NULL || entry->heard_ms < place->heard_ms)) place = entry;
  }
  return place;
}

static struct table_entry *note(struct join *j, const struct join_situation *s,
                                const struct join_datagram *datagram) {
  struct table_entry *entry = find(j, datagram->from);
  if (entry == NULL) {
    entry = find_place(j, s);
    *entry = (struct table_entry){.id = datagram->from};
  }
  entry->card = datagram->message->card;
  entry->heard_ms = j->now_ms;
  return entry;
}

bool members_meet(struct join *j, const struct join_situation *s, const struct join_datagram *datagram) {
  const bool news = find(j, datagram->from) == NULL;
  note(j, s, datagram);
  return news;
}

void members_save(struct join *j, const struct join_situation *s, const struct join_datagram *datagram) {
  char http[ADDRESS_TEXT_MAX];
  struct table_entry *entry = note(j, s, datagram);
  const char *name = entry->card.name;
  if (!entry->has_token) {
    join_log(j, JOIN_LOG_INFO, "step 6: CREDENTIALS from %s: http %s", name,
             address_format(&entry->card.http, http));
    join_log(j, JOIN_LOG_INFO, "step 7: saved %s's credentials", name);
  }
  entry->has_token = true;
  memcpy(entry->token, datagram->message->token, JOIN_TOKEN_BYTES);
}

void join_token_refused(struct join *j, uint64_t id) {
  struct table_entry *entry = find(j, id);
  if (entry != NULL) entry->has_token = false;
}

/* Dead: its stream is closed and nothing was heard from it for an election timeout. */
static bool is_dead(const struct join *j, const struct join_situation *s, uint64_t id) {
  for (size_t i = 0; i < s->raft.peers_n; i++) {
    const struct coracle_raft_peer_status *peer = &s->raft.peers[i];
    if (peer->id != id) continue;
    uint64_t heard_ms = book_heard_ms(j, id);
    if (peer->last_contact_ms > heard_ms) heard_ms = peer->last_contact_ms;
    if (s->raft.leader_since_ms > heard_ms) heard_ms = s->raft.leader_since_ms;
    if (j->awake_ms > heard_ms) heard_ms = j->awake_ms;
    return !peer->link && join_elapsed(j, heard_ms, j->options.election_timeout_ms);
  }
  return false;
}

static bool is_same_node(const struct join_member *member, const struct join_card *card) {
  return strcmp(member->name, card->name) == 0 || address_equal(&member->http, &card->http);
}

/* ... or would be, in the configuration that is being made. */
static bool is_taken_in(const struct join *j, const struct join_situation *s,
                        const struct coracle_raft_configuration *configuration, uint64_t id,
                        const struct join_card *card, struct join_member *who) {
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    const struct coracle_raft_member *member = &configuration->members[i];
    if (member->id == id || join_member_decode(member, who) != 0) continue;
    if (is_same_node(who, card) && !is_dead(j, s, member->id)) return true;
  }
  return false;
}

bool members_taken(const struct join *j, const struct join_situation *s, uint64_t id,
                   const struct join_card *card, struct join_member *who) {
  return is_taken_in(j, s, s->configuration, id, card, who);
}

/* It has come all the way to step 7, is not in yet, and is still there. */
static bool is_waiting(const struct join *j, const struct join_situation *s,
                       const struct table_entry *entry) {
  return entry->id != 0 && entry->has_token && !is_member(s, entry->id) &&
         !join_elapsed(j, entry->heard_ms, j->options.election_timeout_ms);
}

static bool has_successor(const struct join *j, const struct join_situation *s,
                          const struct join_member *member) {
  for (size_t i = 0; i < TABLE_MAX; i++)
    if (is_waiting(j, s, &j->table[i]) && is_same_node(member, &j->table[i].card)) return true;
  return false;
}

static bool is_in_contact(const struct join *j, const struct join_situation *s, uint64_t id) {
  for (size_t i = 0; i < s->raft.peers_n; i++) {
    const struct coracle_raft_peer_status *peer = &s->raft.peers[i];
    if (peer->id != id) continue;
    return id == j->options.id ||
           (peer->link && !join_elapsed(j, peer->last_contact_ms, j->options.election_timeout_ms));
  }
  return false;
}

/* Without that voter a majority of the others must be there to agree. To shrink the cluster around voters
 * that cannot answer either would leave it without a majority even when the one removed comes back. */
static bool can_do_without(const struct join *j, const struct join_situation *s,
                           const struct coracle_raft_member *member) {
  uint32_t voters = 0, there = 0;
  if (!member->voter) return true;
  for (uint32_t i = 0; i < s->configuration->members_n; i++) {
    const struct coracle_raft_member *other = &s->configuration->members[i];
    if (!other->voter || other->id == member->id) continue;
    voters++;
    there += is_in_contact(j, s, other->id);
  }
  return there > voters / 2;
}

/* Takes the first dead member that may go out of *next, and says so in `text`. */
static bool remove_dead(const struct join *j, const struct join_situation *s,
                        struct coracle_raft_configuration *next, struct bytes *text) {
  for (uint32_t i = 0; i < next->members_n; i++) {
    struct join_member info;
    const uint64_t id = next->members[i].id;
    if (id == j->options.id || join_member_decode(&next->members[i], &info) != 0 || !is_dead(j, s, id))
      continue;
    if (!info.memory_storage && !has_successor(j, s, &info)) continue;
    if (!can_do_without(j, s, &next->members[i])) continue;
    bytes_printf(text, "membership: removing %s (%016" PRIx64 "): it is dead%s", info.name, id,
                 info.memory_storage ? ", and its memory storage with it" : " and replaced");
    next->members[i] = next->members[--next->members_n];
    return true;
  }
  return false;
}

/* Takes everybody in who waits, as far as there is room. */
static bool add_learners(const struct join *j, const struct join_situation *s,
                         struct coracle_raft_configuration *next, struct bytes *text) {
  bool added = false;
  for (size_t i = 0; i < TABLE_MAX && next->members_n < CORACLE_RAFT_MEMBERS_MAX; i++) {
    const struct table_entry *entry = &j->table[i];
    struct join_member info = {.memory_storage = entry->card.memory_storage, .http = entry->card.http};
    struct join_member holder;
    if (!is_waiting(j, s, entry) || is_taken_in(j, s, next, entry->id, &entry->card, &holder)) continue;
    if (!join_find_address(j, s, entry->id, &info.udp)) continue;
    snprintf(info.name, sizeof info.name, "%s", entry->card.name);
    struct coracle_raft_member *member = &next->members[next->members_n++];
    *member = (struct coracle_raft_member){.id = entry->id};
    join_member_encode(&info, member);
    bytes_printf(text, "%s %s (%016" PRIx64 ")", added ? "," : "membership: adding as a learner:", info.name,
                 entry->id);
    added = true;
  }
  return added;
}

static void change_configuration(struct join *j, const struct join_situation *s) {
  struct coracle_raft_configuration next = *s->configuration;
  struct bytes text = {0};
  if (!s->raft.configuration_committed || !s->raft.committed_own_term) return;
  if (remove_dead(j, s, &next, &text) || add_learners(j, s, &next, &text)) {
    struct join_action *action = join_act(j, JOIN_DO_CHANGE);
    action->configuration = next;
    action->level = JOIN_LOG_INFO;
    snprintf(action->text, sizeof action->text, "%.*s", (int)text.n, (const char *)text.data);
  }
  bytes_close(&text);
}

/* A stream to every member whose token is known; the node skips those that are open or being opened. */
static void open_links(struct join *j, const struct join_situation *s) {
  for (size_t i = 0; i < s->raft.peers_n; i++) {
    const struct coracle_raft_peer_status *peer = &s->raft.peers[i];
    const struct table_entry *entry = find(j, peer->id);
    if (peer->link || entry == NULL || !entry->has_token || is_dead(j, s, peer->id)) continue;
    struct join_action *action = join_act(j, JOIN_DO_LINK);
    action->to = entry->card.http;
    action->to_id = peer->id;
    memcpy(action->token, entry->token, JOIN_TOKEN_BYTES);
  }
}

static void log_blocked(struct join *j, const struct join_situation *s) {
  struct join_member info;
  if (s->raft.blocked_by == j->blocked_logged) return;
  j->blocked_logged = s->raft.blocked_by;
  const struct coracle_raft_member *member =
      coracle_raft_configuration_find(s->configuration, j->blocked_logged);
  if (member != NULL && join_member_decode(member, &info) == 0)
    join_log(j, JOIN_LOG_INFO, "membership: a learner waits for its vote until %s is in contact or removed",
             info.name);
}

/* Tokens come with the handshake of this term. Who has asked within a heartbeat or two, and was told "not
 * yet", need not ask again: so all who wait for a founder join it at the same moment. */
static void begin_term(struct join *j, const struct join_situation *s) {
  struct table_entry asked[TABLE_MAX];
  memcpy(asked, j->table, sizeof asked);
  memset(j->table, 0, sizeof j->table);
  j->leading_term = s->raft.term;
  for (size_t i = 0; i < TABLE_MAX; i++)
    if (asked[i].id != 0 &&
        !join_elapsed(j, asked[i].heard_ms, LATE_HEARTBEATS * (uint64_t)j->options.heartbeat_ms))
      handshake_answer_late(j, s, &asked[i]);
}

void members_tick(struct join *j, const struct join_situation *s) {
  if (!join_leads(s)) {
    j->leading_term = 0;
    return;
  }
  if (j->leading_term != s->raft.term) begin_term(j, s);
  change_configuration(j, s);
  open_links(j, s);
  log_blocked(j, s);
}
