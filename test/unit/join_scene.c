#include "join_scene.h"

#include <stdio.h>

enum { START_MS = 100000, START = 3 };

static const struct address election = {.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = 8000};

static struct address local(uint16_t port) {
  return (struct address){.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = port};
}

uint64_t scene_id(int node) {
  return (uint64_t)(node - 'a' + 1);
}

struct address scene_udp(int node) {
  return local((uint16_t)(7000 + scene_id(node)));
}

struct address scene_http(int node) {
  return local((uint16_t)(8000 + scene_id(node)));
}

static char letter(uint64_t id) {
  return (char)(id >= 1 && id <= 26 ? 'a' + (char)(id - 1) : '?');
}

/* ---- The script ---- */

__attribute__((format(printf, 2, 3))) static void say(struct scene *s, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  bytes_printf(&s->script, "%llu %s\n", (unsigned long long)(s->now_ms - s->mark_ms), line);
}

static const char *place(const struct address *address, char text[ADDRESS_TEXT_MAX]) {
  if (address_equal(address, &election)) return "election";
  if (address->port > 7000 && address->port <= 7026)
    snprintf(text, ADDRESS_TEXT_MAX, "%c", letter(address->port - 7000u));
  else
    address_format(address, text);
  return text;
}

static void say_sent(struct scene *s, const struct join_action *action) {
  const struct join_message *message = &action->message;
  char text[ADDRESS_TEXT_MAX];
  const char *to = place(&action->to, text);
  s->sent = *message;
  switch (message->type) {
  case JOIN_ACCEPT:
    say(s, "ACCEPT to %s", to);
    return;
  case JOIN_CREDENTIALS:
    say(s, "CREDENTIALS%s to %s", message->has_token ? "" : " without token", to);
    return;
  case JOIN_SAVED:
    say(s, "SAVED to %s", to);
    return;
  case JOIN_NOT_YET:
    say(s, "NOT_YET to %s", to);
    return;
  case JOIN_REFUSED:
    say(s, "REFUSED to %s", to);
    return;
  case JOIN_PROBE:
    s->round = message->round;
    say(s, "PROBE to %s", to);
    return;
  case JOIN_PROBED:
    say(s, "PROBED to %s", to);
    return;
  case JOIN_REMOVED:
    say(s, "REMOVED to %s", to);
    return;
  }
}

/* "change +d -b ^c": added as a learner, removed, made a voter. */
static void say_change(struct scene *s, const struct coracle_raft_configuration *next) {
  char text[128];
  size_t n = 0;
  for (uint32_t i = 0; i < next->members_n; i++) {
    const struct coracle_raft_member *member = &next->members[i];
    const struct coracle_raft_member *old = coracle_raft_configuration_find(&s->configuration, member->id);
    if (old == NULL || old->voter != member->voter)
      n += (size_t)snprintf(text + n, sizeof text - n, " %c%c", old == NULL ? '+' : '^', letter(member->id));
    if (old == NULL) assert_false(member->voter);
  }
  for (uint32_t i = 0; i < s->configuration.members_n; i++)
    if (coracle_raft_configuration_find(next, s->configuration.members[i].id) == NULL)
      n += (size_t)snprintf(text + n, sizeof text - n, " -%c", letter(s->configuration.members[i].id));
  text[n] = '\0';
  say(s, "change%s", text);
  s->changed = *next;
}

/* ---- The core ---- */

static void set_peers(struct scene *s) {
  struct coracle_raft_status *raft = &s->situation.raft;
  raft->peers_n = s->configuration.members_n;
  raft->voter = false;
  for (uint32_t i = 0; i < s->configuration.members_n; i++) {
    const struct coracle_raft_member *member = &s->configuration.members[i];
    raft->peers[i] = (struct coracle_raft_peer_status){
        .id = member->id, .voter = member->voter, .link = true, .last_contact_ms = s->now_ms};
    if (member->id == join_id(s->join)) raft->voter = member->voter;
  }
}

static void found(struct scene *s, const struct join_action *action) {
  s->situation.member = true;
  s->situation.established = false;
  s->configuration = action->configuration;
  set_peers(s);
  scene_lead(s, 1);
}

static void adopt(struct scene *s) {
  s->situation.member = true;
  s->situation.established = false;
  s->configuration.members_n = 0;
  s->situation.raft = (struct coracle_raft_status){0};
}

static void start_afresh(struct scene *s) {
  adopt(s);
  s->situation.member = false;
}

static void log_text(struct scene *s, const struct join_action *action) {
  bytes_printf(&s->log, "%llu %s\n", (unsigned long long)(s->now_ms - s->mark_ms), action->text);
}

static void carry_out(struct scene *s, const struct join_action *action) {
  switch (action->type) {
  case JOIN_DO_SEND:
    say_sent(s, action);
    return;
  case JOIN_DO_BIND:
    assert_false(s->holding);
    s->holding = s->address == ADDRESS_FREE;
    say(s, s->holding ? "bind: won" : "bind: taken");
    if (s->holding)
      join_bound(s->join, &s->situation, s->now_ms);
    else
      join_taken(s->join, &s->situation, s->now_ms);
    return;
  case JOIN_DO_RELEASE:
    assert_true(s->holding);
    s->holding = false;
    say(s, "release");
    return;
  case JOIN_DO_FOUND:
    say(s, "found");
    found(s, action);
    join_tick(s->join, &s->situation, s->now_ms);
    return;
  case JOIN_DO_ADOPT:
    say(s, "adopt %c", action->cluster[0]);
    adopt(s);
    join_tick(s->join, &s->situation, s->now_ms);
    return;
  case JOIN_DO_YIELD:
    say(s, "yield");
    start_afresh(s);
    join_tick(s->join, &s->situation, s->now_ms);
    return;
  case JOIN_DO_CAMPAIGN:
    say(s, "campaign");
    scene_ask(s, s->situation.raft.term);
    join_tick(s->join, &s->situation, s->now_ms);
    return;
  case JOIN_DO_CHANGE:
    assert_int_equal(action->base_index, s->situation.raft.configuration_index);
    say_change(s, &action->configuration);
    log_text(s, action);
    return;
  case JOIN_DO_LINK:
    assert_int_equal(action->token[0], action->to_id);
    say(s, "link %c at %u", letter(action->to_id), action->to.port);
    return;
  case JOIN_DO_OPEN_HTTP:
    say(s, "open http");
    return;
  case JOIN_DO_LOG:
    log_text(s, action);
    return;
  }
}

static void carry_out_all(struct scene *s) {
  struct join_action action;
  while (join_next_action(s->join, &action)) carry_out(s, &action);
}

/* ---- Life and time ---- */

struct join_options scene_options(void) {
  struct join_options options = {.name = "a",
                                 .id = 1,
                                 .start = START,
                                 .seed = 7,
                                 .election = election,
                                 .udp = scene_udp('a'),
                                 .http = scene_http('a'),
                                 .memory_storage = true,
                                 .heartbeat_ms = HEARTBEAT_MS,
                                 .election_timeout_ms = ELECTION_TIMEOUT_MS};
  memset(options.token, 1, sizeof options.token);
  return options;
}

struct join_options scene_peers_options(char self, const char *nodes) {
  static const char names[] = "a\0b\0c\0d\0e\0f";
  struct join_options options = scene_options();
  options.name = &names[2 * (self - 'a')];
  options.id = scene_id(self);
  options.http = scene_http(self);
  options.election = options.udp = scene_udp(self);
  for (; *nodes != '\0'; nodes++) options.peers.at[options.peers.n++] = scene_udp(*nodes);
  return options;
}

void scene_open_with(struct scene *s, const struct join_options *options) {
  *s = (struct scene){.now_ms = START_MS,
                      .durable = !options->memory_storage,
                      .self = (char)('a' + (int)options->id - 1),
                      .peers = options->peers};
  s->situation.configuration = &s->configuration;
  s->situation.member = options->cluster[0] != 0;
  s->join = join_new(options, s->now_ms);
  scene_mark(s);
}

void scene_open(struct scene *s) {
  const struct join_options options = scene_options();
  scene_open_with(s, &options);
}

void scene_close(struct scene *s) {
  join_free(s->join);
  bytes_close(&s->script);
  bytes_close(&s->log);
}

void scene_mark(struct scene *s) {
  s->mark_ms = s->now_ms;
  s->script.n = s->log.n = 0;
}

void scene_tick(struct scene *s) {
  join_tick(s->join, &s->situation, s->now_ms);
  carry_out_all(s);
}

/* The leader's heartbeats, and what they are answered with. */
static void hear_peers(struct scene *s) {
  const struct coracle_raft_status *raft = &s->situation.raft;
  if (!raft->hears_leader) return;
  for (size_t i = 0; i < raft->peers_n; i++)
    if (raft->peers[i].link && (raft->role == CORACLE_RAFT_LEADER || raft->peers[i].id == raft->leader) &&
        (s->silent == NULL || strchr(s->silent, letter(raft->peers[i].id)) == NULL))
      s->situation.raft.peers[i].last_contact_ms = s->now_ms;
}

void scene_run(struct scene *s, uint64_t ms) {
  const uint64_t end_ms = s->now_ms + ms;
  if (s->now_ms == START_MS) scene_tick(s);
  for (uint64_t at_ms; (at_ms = join_wakeup_ms(s->join)) <= end_ms;) {
    assert_true(at_ms > s->now_ms); /* else the node would turn without end */
    s->now_ms = at_ms;
    hear_peers(s);
    scene_tick(s);
  }
  s->now_ms = end_ms;
}

void scene_stop(struct scene *s, uint64_t ms) {
  s->now_ms += ms;
  scene_tick(s);
}

void assert_script(struct scene *s, const char *expected) {
  bytes_append(&s->script, "", 1);
  assert_string_equal((const char *)s->script.data, expected);
  scene_mark(s);
}

static bool logged(const struct scene *s, const char *text) {
  return s->log.n > 0 && memmem(s->log.data, s->log.n, text, strlen(text)) != NULL;
}

void assert_logged(const struct scene *s, const char *text) {
  if (!logged(s, text)) fail_msg("not logged: %s\n%.*s", text, (int)s->log.n, (const char *)s->log.data);
}

void assert_not_logged(const struct scene *s, const char *text) {
  if (logged(s, text)) fail_msg("logged: %s\n%.*s", text, (int)s->log.n, (const char *)s->log.data);
}

/* ---- What the core knows ---- */

void scene_configure(struct scene *s, const char *voters, const char *learners) {
  const char *const groups[] = {voters, learners};
  s->configuration.members_n = 0;
  for (size_t i = 0; i < 2; i++) {
    for (const char *node = groups[i]; *node != '\0'; node++) {
      struct coracle_raft_member *member = &s->configuration.members[s->configuration.members_n++];
      struct join_member info = {
          .memory_storage = !s->durable, .http = scene_http(*node), .udp = scene_udp(*node)};
      info.name[0] = *node;
      *member = (struct coracle_raft_member){.id = *node == s->self ? join_id(s->join) : scene_id(*node),
                                             .voter = i == 0};
      join_member_encode(&info, member);
    }
  }
  set_peers(s);
  s->situation.established = strlen(voters) > 1;
  s->situation.raft.configuration_committed = true;
  s->situation.raft.configuration_index++;
}

void scene_adopt(struct scene *s, char cluster, char leader, uint64_t term) {
  scene_hear(s, JOIN_CREDENTIALS,
             (struct voice){.node = leader, .cluster = cluster, .term = term, .leader = true});
  assert_true(s->situation.member);
}

void scene_follow(struct scene *s, char leader, uint64_t term) {
  struct coracle_raft_status *raft = &s->situation.raft;
  raft->role = CORACLE_RAFT_FOLLOWER;
  raft->term = term;
  raft->leader = scene_id(leader);
  raft->hears_leader = true;
  raft->leader_since_ms = 0;
  raft->committed_own_term = false;
}

void scene_lead(struct scene *s, uint64_t term) {
  struct coracle_raft_status *raft = &s->situation.raft;
  raft->role = CORACLE_RAFT_LEADER;
  raft->term = term;
  raft->leader = join_id(s->join);
  raft->hears_leader = true;
  raft->leader_since_ms = s->now_ms;
  raft->committed_own_term = raft->configuration_committed = true;
}

void scene_lose_leader(struct scene *s) {
  s->situation.raft.role = CORACLE_RAFT_FOLLOWER;
  s->situation.raft.leader = 0;
  s->situation.raft.hears_leader = false;
  s->situation.raft.committed_own_term = false;
}

void scene_ask(struct scene *s, uint64_t term) {
  scene_lose_leader(s);
  s->situation.raft.role = CORACLE_RAFT_PRE_CANDIDATE;
  s->situation.raft.term = term;
}

struct coracle_raft_peer_status *scene_peer(struct scene *s, char node) {
  for (size_t i = 0; i < s->situation.raft.peers_n; i++)
    if (s->situation.raft.peers[i].id == scene_id(node)) return &s->situation.raft.peers[i];
  fail_msg("%c is no member", node);
  return NULL;
}

void scene_link(struct scene *s, char node, bool open) {
  scene_peer(s, node)->link = open;
}

/* ---- What is heard ---- */

void scene_hear(struct scene *s, enum join_message_type type, struct voice voice) {
  struct join_message message = {.type = type};
  struct join_datagram datagram = {.source = scene_udp(voice.node),
                                   .from = scene_id(voice.node),
                                   .start = START,
                                   .term = voice.term,
                                   .message = &message};
  if (type == JOIN_SAVED) message.round = voice.round != 0 ? voice.round : START;
  if (voice.cluster == '=')
    memcpy(datagram.cluster, join_cluster(s->join), sizeof datagram.cluster);
  else
    memset(datagram.cluster, voice.cluster, sizeof datagram.cluster);
  message.card = (struct join_card){.established = voice.established,
                                    .leader = voice.leader,
                                    .memory_storage = voice.memory_storage,
                                    .http = scene_http(voice.node)};
  message.card.was_member = voice.was_member;
  if (type == JOIN_PROBE || type == JOIN_PROBED) {
    message.round = voice.round != 0 ? voice.round : s->round;
    message.peers = voice.peers != NULL ? *voice.peers : s->peers;
  }
  if (voice.http_port != 0) message.card.http.port = voice.http_port;
  snprintf(message.card.name, sizeof message.card.name, "%s",
           voice.name != NULL ? voice.name : (char[]){(char)voice.node, '\0'});
  message.has_token = type == JOIN_CREDENTIALS && !voice.announces;
  if (message.has_token) memset(message.token, (int)scene_id(voice.node), sizeof message.token);
  if (type == JOIN_REFUSED) snprintf(message.text, sizeof message.text, "name_taken: it is");
  if (type == JOIN_NOT_YET) snprintf(message.text, sizeof message.text, "need 2 of 3 voters, reached 1");

  join_heard(s->join, datagram.from, &datagram.source, 1, ++s->counter, false, s->now_ms);
  join_receive(s->join, &s->situation, &datagram, s->now_ms);
  carry_out_all(s);
}
