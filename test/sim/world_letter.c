/* Datagrams, opened: in words, for whoever reads a trace; and whether they may be sent. What they say of
 * their sender, its term and its vote is on its disk by then. */
#include "world_core.h"

#include <inttypes.h>

static const char *type_text(uint8_t type) {
  static const char *const raft[] = {[CORACLE_RAFT_VOTE_REQUEST] = "vote request",
                                     [CORACLE_RAFT_VOTE_REPLY] = "vote reply",
                                     [CORACLE_RAFT_HEARTBEAT] = "heartbeat",
                                     [CORACLE_RAFT_HEARTBEAT_REPLY] = "heartbeat reply"};
  static const char *const join[] = {
      [JOIN_ACCEPT] = "ACCEPT",   [JOIN_CREDENTIALS] = "CREDENTIALS", [JOIN_SAVED] = "SAVED",
      [JOIN_NOT_YET] = "NOT_YET", [JOIN_REFUSED] = "REFUSED",         [JOIN_PROBE] = "PROBE",
      [JOIN_PROBED] = "PROBED",   [JOIN_REMOVED] = "REMOVED"};
  const uint8_t of_raft = (uint8_t)(type - DATAGRAM_TYPE_RAFT);
  const char *text = NULL;
  if (type >= DATAGRAM_TYPE_RAFT)
    text = of_raft < sizeof raft / sizeof raft[0] ? raft[of_raft] : NULL;
  else
    text = type < sizeof join / sizeof join[0] ? join[type] : NULL;
  return text != NULL ? text : "?";
}

static bool open_datagram(const void *data, size_t n, uint8_t plain[DATAGRAM_BYTES_MAX],
                          struct datagram *datagram) {
  struct seal_keys keys;
  seal_keys_derive(world_secret(), &keys);
  return datagram_open(data, n, keys.datagrams, plain, datagram) == DATAGRAM_NONE;
}

void letter_spell(struct world *w, int node, const struct letter *letter) {
  uint8_t plain[DATAGRAM_BYTES_MAX];
  struct datagram datagram;
  char from[ADDRESS_TEXT_MAX];
  if (!w->spells || !open_datagram(letter->data, letter->n, plain, &datagram)) return;
  world_trace(w, node,
              "gets %s of term %" PRIu64 ", round %" PRIx64 ", from %c (%s), start %" PRIu64
              ", counter %" PRIu64 "%s",
              type_text(datagram.type), datagram.term, datagram.round,
              letter->from_node >= 0 ? 'a' + letter->from_node : '?', address_format(&letter->from, from),
              datagram.start, datagram.counter, datagram.to == 0 ? ", for whoever is there" : "");
}

/* A pre-vote, and its grant, name a term that nobody is in yet (section 9.6). */
static bool names_own_term(const struct coracle_raft_message *message) {
  if (message->type == CORACLE_RAFT_VOTE_REQUEST) return !message->vote_request.pre;
  if (message->type == CORACLE_RAFT_VOTE_REPLY) return !message->vote_reply.pre;
  return true;
}

static void check_raft(struct world *w, int node, const struct datagram *datagram) {
  const struct world_disk *disk = &w->processes[node].disk;
  struct coracle_raft_message message;
  WORLD_CHECK(w, raft_message_from_datagram(datagram, &message) == 0);
  if (!names_own_term(&message)) return;
  if (message.term > disk->term)
    world_fail(w, "%c says that it is in term %" PRIu64 ", and its disk does not know yet", 'a' + node,
               message.term);
  if (message.type == CORACLE_RAFT_VOTE_REQUEST) durable_given(w, node, message.term, disk->id);
  if (message.type == CORACLE_RAFT_VOTE_REPLY && message.vote_reply.granted)
    durable_given(w, node, message.term, message.to);
}

void letter_check(struct world *w, int node, const void *data, size_t n) {
  const struct world_disk *disk = &w->processes[node].disk;
  uint8_t plain[DATAGRAM_BYTES_MAX];
  struct datagram datagram;
  if (!w->options.durable) return;
  WORLD_CHECK(w, open_datagram(data, n, plain, &datagram));
  if (datagram.from != disk->id || memcmp(datagram.cluster, disk->cluster, sizeof disk->cluster) != 0)
    world_fail(w, "%c speaks under an identity that its disk does not know yet", 'a' + node);
  if (datagram.type >= DATAGRAM_TYPE_RAFT) check_raft(w, node, &datagram);
}
