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

/* It may have come back meanwhile, with another that is good. */
void join_token_refused(struct join *j, uint64_t id, const uint8_t token[JOIN_TOKEN_BYTES]) {
  struct table_entry *entry = find(j, id);
  if (entry != NULL && memcmp(entry->token, token, JOIN_TOKEN_BYTES) == 0) entry->has_token = false;
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

/* There a loopback address says nothing: every host has it. */
bool members_is_same_node(const struct join *j, const struct join_member *member, uint64_t id,
                          const struct join_card *card) {
  if (strcmp(member->name, card->name) == 0) return true;
  if (!join_has_peers(j)) return address_equal(&member->http, &card->http);
  const struct address *udp = book_address(j, id);
  return (address_equal(&member->http, &card->http) && !address_is_loopback(&card->http)) ||
         (udp != NULL && address_equal(&member->udp, udp));
}

/* A member, dead or not, whose place that node would take. */
static bool has_place_taken(const struct join *j, const struct coracle_raft_configuration *configuration,
                            uint64_t id, const struct join_card *card) {
  struct join_member who;
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    const struct coracle_raft_member *member = &configuration->members[i];
    if (member->id != id && join_member_decode(member, &who) == 0 && members_is_same_node(j, &who, id, card))
      return true;
  }
  return false;
}

/* A member is let in whatever it says of itself: it may have come back where another was before, and so may
 * that one have. */
bool members_taken(const struct join *j, const struct join_situation *s, uint64_t id,
                   const struct join_card *card, struct join_member *who) {
  if (is_member(s, id)) return false;
  for (uint32_t i = 0; i < s->configuration->members_n; i++) {
    const struct coracle_raft_member *member = &s->configuration->members[i];
    if (join_member_decode(member, who) != 0) continue;
    if (members_is_same_node(j, who, id, card) && !is_dead(j, s, member->id)) return true;
  }
  return false;
}

/* It has come all the way to step 7, is not in yet, and is still there: by the same clock by which a member
 * is dead, or it would be taken in and removed in turn. (A late ACCEPT of one that has ended is news here,
 * and none to the book.) */
static bool is_waiting(const struct join *j, const struct join_situation *s,
                       const struct table_entry *entry) {
  return entry->id != 0 && entry->has_token && !is_member(s, entry->id) &&
         !join_elapsed(j, book_heard_ms(j, entry->id), j->options.election_timeout_ms);
}

static bool has_successor(const struct join *j, const struct join_situation *s,
                          const struct join_member *member) {
  for (size_t i = 0; i < TABLE_MAX; i++)
    if (is_waiting(j, s, &j->table[i]) && members_is_same_node(j, member, j->table[i].id, &j->table[i].card))
      return true;
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

/* Takes everybody in who waits, as far as there is room; a successor when its predecessor is out, not before:
 * once it is in, nobody waits for that place any more. */
static bool add_learners(const struct join *j, const struct join_situation *s,
                         struct coracle_raft_configuration *next, struct bytes *text) {
  bool added = false;
  for (size_t i = 0; i < TABLE_MAX && next->members_n < CORACLE_RAFT_MEMBERS_MAX; i++) {
    const struct table_entry *entry = &j->table[i];
    struct join_member info = {.memory_storage = entry->card.memory_storage,
                               .waiting = join_is_waiting(s),
                               .http = entry->card.http};
    if (!is_waiting(j, s, entry) || has_place_taken(j, next, entry->id, &entry->card)) continue;
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

/* ---- What members say of themselves ---- */

/* A member as it was last heard of: of a name or an HTTP address it speaks in the handshake only. */
static void hear_member(const struct join *j, const struct join_situation *s, uint64_t id,
                        struct join_member *info) {
  struct address udp;
  if (join_find_address(j, s, id, &udp)) info->udp = udp;
  if (id == j->options.id) {
    memcpy(info->name, j->name, sizeof info->name);
    info->http = j->options.http;
    info->udp = j->options.udp;
    return;
  }
  for (size_t i = 0; i < TABLE_MAX; i++) {
    if (j->table[i].id != id) continue;
    memcpy(info->name, j->table[i].card.name, sizeof info->name);
    info->http = j->table[i].card.http;
  }
}

/* Two members may have changed names; but who took the name of a member that keeps it keeps its own. */
static void keep_names_apart(struct join_member *infos, const struct join_member *before, uint32_t n) {
  for (bool again = true; again;) {
    again = false;
    for (uint32_t i = 0; i < n; i++) {
      if (strcmp(infos[i].name, before[i].name) == 0) continue;
      for (uint32_t k = 0; k < n && !again; k++)
        if (k != i && strcmp(infos[i].name, infos[k].name) == 0) again = true;
      if (!again) continue;
      memcpy(infos[i].name, before[i].name, sizeof infos[i].name);
      break;
    }
  }
}

/* Members that came back elsewhere under their id: the log gets what they say now. */
static bool update_members(const struct join *j, const struct join_situation *s,
                           struct coracle_raft_configuration *next, struct bytes *text) {
  struct join_member before[CORACLE_RAFT_MEMBERS_MAX], now[CORACLE_RAFT_MEMBERS_MAX];
  char http[ADDRESS_TEXT_MAX], udp[ADDRESS_TEXT_MAX];
  bool changed = false;
  for (uint32_t i = 0; i < next->members_n; i++) {
    if (join_member_decode(&next->members[i], &before[i]) != 0) return false; /* a newer version's */
    now[i] = before[i];
    hear_member(j, s, next->members[i].id, &now[i]);
  }
  keep_names_apart(now, before, next->members_n);
  for (uint32_t i = 0; i < next->members_n; i++) {
    if (strcmp(now[i].name, before[i].name) == 0 && address_equal(&now[i].http, &before[i].http) &&
        address_equal(&now[i].udp, &before[i].udp))
      continue;
    join_member_encode(&now[i], &next->members[i]);
    bytes_printf(text, "%s %s is %s now, http %s, udp %s", changed ? ";" : "membership:", before[i].name,
                 now[i].name, address_format(&now[i].http, http), address_format(&now[i].udp, udp));
    changed = true;
  }
  return changed;
}

/* The voters that the cluster was to begin with have all come: it takes writes from now on, whoever leads it
 * and whoever goes. */
static bool end_waiting(const struct join *j, const struct join_situation *s,
                        struct coracle_raft_configuration *next, struct bytes *text) {
  const uint32_t voters = coracle_raft_configuration_voters(next);
  struct join_member info;
  if (!join_is_waiting(s) || voters < j->options.expect) return false;
  for (uint32_t i = 0; i < next->members_n; i++) {
    if (join_member_decode(&next->members[i], &info) != 0) continue;
    info.waiting = false;
    join_member_encode(&info, &next->members[i]);
  }
  bytes_printf(text, "membership: %u voters are in, %u were waited for: taking writes", (unsigned)voters,
               (unsigned)j->options.expect);
  return true;
}

static void change_configuration(struct join *j, const struct join_situation *s) {
  struct coracle_raft_configuration next = *s->configuration;
  struct bytes text = {0};
  if (!s->raft.configuration_committed || !s->raft.committed_own_term) return;
  if (end_waiting(j, s, &next, &text) || remove_dead(j, s, &next, &text) ||
      update_members(j, s, &next, &text) || add_learners(j, s, &next, &text)) {
    struct join_action *action = join_act(j, JOIN_DO_CHANGE);
    action->base_index = s->raft.configuration_index;
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
