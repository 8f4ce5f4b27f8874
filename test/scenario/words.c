/* Reading and writing what scripts talk about. */
#include "scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool word_is(const struct words *words, size_t i, const char *word) {
  return i < words->n && strcmp(words->at[i], word) == 0;
}

static bool read_number(const char *text, size_t n, uint64_t *number) {
  return slice_to_u64((struct slice){text, n}, number);
}

bool word_number(struct scenario *s, const struct words *words, size_t i, uint64_t *number) {
  if (i >= words->n) return scenario_wrong(s, "a number is missing");
  if (read_number(words->at[i], strlen(words->at[i]), number)) return true;
  return scenario_wrong(s, "%s is not a number", words->at[i]);
}

static bool is_server(const struct scenario *s, uint64_t id) {
  return s->cluster != NULL && id > 0 && id <= s->cluster->servers_n;
}

bool word_server(struct scenario *s, const struct words *words, size_t i, uint64_t *id) {
  if (!word_number(s, words, i, id)) return false;
  return is_server(s, *id) || scenario_wrong(s, "there is no server %s", words->at[i]);
}

bool word_running(struct scenario *s, const struct words *words, size_t i, uint64_t *id) {
  if (!word_server(s, words, i, id)) return false;
  return cluster_server(s->cluster, *id)->raft != NULL ||
         scenario_wrong(s, "server %s is down", words->at[i]);
}

static bool read_side(struct scenario *s, const char *text, size_t n, uint64_t *id) {
  *id = 0;
  if (n == 1 && *text == '*') return true;
  if (!read_number(text, n, id) || !is_server(s, *id))
    return scenario_wrong(s, "%.*s is no server, and not *", (int)n, text);
  return true;
}

bool word_pair(struct scenario *s, const struct words *words, size_t i, uint64_t *from, uint64_t *to) {
  if (i >= words->n) return scenario_wrong(s, "FROM->TO is missing");
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  const char *arrow = strstr(words->at[i], "->");
  if (arrow == NULL) return scenario_wrong(s, "%s is not FROM->TO", words->at[i]);
  return read_side(s, words->at[i], (size_t)(arrow - words->at[i]), from) &&
         read_side(s, arrow + 2, strlen(arrow + 2), to);
}

static const char *const kinds[] = {
    [CORACLE_RAFT_VOTE_REQUEST] = "vote",
    [CORACLE_RAFT_VOTE_REPLY] = "vote-reply",
    [CORACLE_RAFT_HEARTBEAT] = "heartbeat",
    [CORACLE_RAFT_HEARTBEAT_REPLY] = "heartbeat-reply",
    [CORACLE_RAFT_APPEND] = "append",
    [CORACLE_RAFT_APPEND_REPLY] = "append-reply",
    [CORACLE_RAFT_READ_REQUEST] = "read",
    [CORACLE_RAFT_READ_REPLY] = "read-reply",
    [CORACLE_RAFT_TIMEOUT_NOW] = "timeout-now",
    [CORACLE_RAFT_SNAPSHOT] = "snapshot",
    [CORACLE_RAFT_SNAPSHOT_REPLY] = "snapshot-reply",
};

bool word_kind(struct scenario *s, const struct words *words, size_t i,
               enum coracle_raft_message_type *kind) {
  if (i >= words->n) return scenario_wrong(s, "a kind of message is missing");
  for (size_t k = 1; k < sizeof kinds / sizeof kinds[0]; k++) {
    *kind = (enum coracle_raft_message_type)k;
    if (word_is(words, i, kinds[k])) return true;
  }
  return scenario_wrong(s, "%s is no kind of message", words->at[i]);
}

bool word_position(struct scenario *s, const struct words *words, size_t i, uint64_t *index, uint64_t *term) {
  if (i >= words->n) return scenario_wrong(s, "INDEX.TERM is missing");
  const char *dot = strchr(words->at[i], '.');
  if (dot != NULL && read_number(words->at[i], (size_t)(dot - words->at[i]), index) &&
      read_number(dot + 1, strlen(dot + 1), term))
    return true;
  return scenario_wrong(s, "%s is not INDEX.TERM", words->at[i]);
}

/* ---- Entries ---- */

/* The words between { and }, which stick to the first and the last; moves *i behind them. */
static bool read_members(struct scenario *s, const struct words *words, size_t *i,
                         struct coracle_raft_configuration *configuration) {
  *configuration = (struct coracle_raft_configuration){0};
  for (bool closed = false; !closed; ++*i) {
    if (*i >= words->n) return scenario_wrong(s, "} is missing");
    const char *text = words->at[*i];
    text += *text == '{';
    const bool voter = *text != '+';
    text += !voter;
    size_t n = strcspn(text, "}");
    closed = text[n] == '}';
    if (configuration->members_n == CORACLE_RAFT_MEMBERS_MAX) return scenario_wrong(s, "too many members");
    struct coracle_raft_member *member = &configuration->members[configuration->members_n++];
    *member = (struct coracle_raft_member){.voter = voter};
    if (!read_number(text, n, &member->id)) return scenario_wrong(s, "%s is no member", words->at[*i]);
  }
  return true;
}

static struct coracle_raft_entry *command_entry(const char *name, size_t n) {
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, n);
  if (entry != NULL) memcpy(entry->data, name, n);
  return entry;
}

/* What an entry holds: `noop`, {members} or a command's name. */
static bool read_content(struct scenario *s, const struct words *words, size_t *i,
                         struct coracle_raft_entry **entry) {
  struct coracle_raft_configuration configuration;
  if (*i >= words->n) return scenario_wrong(s, "what the entry holds is missing");
  if (words->at[*i][0] == '{') {
    if (!read_members(s, words, i, &configuration)) return false;
    *entry = coracle_raft_configuration_entry(&configuration);
  } else {
    size_t n = strcspn(words->at[*i], ",");
    bool noop = n == 4 && memcmp(words->at[*i], "noop", 4) == 0;
    *entry = noop ? coracle_raft_entry_new(CORACLE_RAFT_NOOP, 0) : command_entry(words->at[*i], n);
    ++*i;
  }
  return *entry != NULL || scenario_wrong(s, "out of memory");
}

bool words_entries(struct scenario *s, const struct words *words, size_t i,
                   struct coracle_raft_entry **entries, size_t *n) {
  *n = 0;
  while (i < words->n) {
    uint64_t index, term;
    struct coracle_raft_entry *entry;
    if (!word_position(s, words, i++, &index, &term) || !read_content(s, words, &i, &entry)) return false;
    entry->index = index;
    entry->term = term;
    entries[(*n)++] = entry;
  }
  return true;
}

bool words_members(struct scenario *s, const struct words *words, size_t i,
                   struct coracle_raft_configuration *configuration) {
  return read_members(s, words, &i, configuration) &&
         (i == words->n || scenario_wrong(s, "there is more after }"));
}

void write_members(struct bytes *out, const struct coracle_raft_configuration *configuration) {
  bytes_append_string(out, "{");
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    const struct coracle_raft_member *member = &configuration->members[i];
    bytes_printf(out, "%s%s%" PRIu64, i > 0 ? " " : "", member->voter ? "" : "+", member->id);
  }
  bytes_append_string(out, "}");
}

void write_entry(struct bytes *out, const struct coracle_raft_entry *entry) {
  struct coracle_raft_configuration configuration;
  bytes_printf(out, "%" PRIu64 ".%" PRIu64 " ", entry->index, entry->term);
  switch ((enum coracle_raft_entry_type)entry->type) {
  case CORACLE_RAFT_NOOP:
    bytes_append_string(out, "noop");
    break;
  case CORACLE_RAFT_CONFIGURATION:
    assert_int_equal(coracle_raft_configuration_decode(entry->data, entry->bytes, &configuration), 0);
    write_members(out, &configuration);
    break;
  case CORACLE_RAFT_COMMAND:
    bytes_append(out, entry->data, entry->bytes);
    break;
  }
}
