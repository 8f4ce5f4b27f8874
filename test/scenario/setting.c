/* The commands that make servers. */
#include "scenario.h"

#include <stdlib.h>

enum { GIVEN_ENTRIES_MAX = WORDS_MAX };

static struct cluster *cluster_of_scenario(struct scenario *s) {
  if (s->cluster == NULL) {
    s->cluster = cluster_new(&s->options);
    s->cluster->links_by_hand = false;
  }
  s->cluster->watch = trace_step;
  s->cluster->watcher = s;
  return s->cluster;
}

/* with NAME NUMBER [NAME NUMBER ...] */
bool scenario_with(struct scenario *s, const struct words *words) {
  const struct {
    const char *name;
    uint32_t *number;
  } options[] = {
      {"append-bytes", &s->options.append_bytes_max},
      {"inflight-bytes", &s->options.inflight_bytes_max},
      {"uncommitted-bytes", &s->options.uncommitted_bytes_max},
      {"trailing-bytes", &s->options.trailing_bytes},
      {"chunk-bytes", &s->options.chunk_bytes_max},
      {"image-bytes", &s->options.image_bytes_max},
  };
  if (s->cluster != NULL) return scenario_wrong(s, "`with` comes before the first server");
  for (size_t i = 1; i < words->n; i += 2) {
    uint64_t number;
    if (!word_number(s, words, i + 1, &number)) return false;
    if (word_is(words, i, "seed")) {
      s->options.seed = number;
      continue;
    }
    size_t k = 0;
    while (k < sizeof options / sizeof options[0] && !word_is(words, i, options[k].name)) k++;
    if (k == sizeof options / sizeof options[0])
      return scenario_wrong(s, "there is no option %s", words->at[i]);
    *options[k].number = (uint32_t)number;
  }
  return true;
}

bool scenario_found(struct scenario *s, const struct words *words) {
  (void)words;
  cluster_found(cluster_of_scenario(s));
  return true;
}

/* add [COUNT] */
bool scenario_add(struct scenario *s, const struct words *words) {
  uint64_t count = 1;
  if (words->n > 1 && !word_number(s, words, 1, &count)) return false;
  struct cluster *c = cluster_of_scenario(s);
  if (c->servers_n + count > SERVERS_MAX) return scenario_wrong(s, "too many servers");
  while (count-- > 0) cluster_add(c);
  return true;
}

/* cluster COUNT */
bool scenario_cluster(struct scenario *s, const struct words *words) {
  uint64_t count;
  if (s->cluster != NULL) return scenario_wrong(s, "there are servers already");
  if (!word_number(s, words, 1, &count)) return false;
  if (count == 0 || count > CORACLE_RAFT_MEMBERS_MAX) return scenario_wrong(s, "not so many");
  s->cluster = cluster_with(count, &s->options);
  cluster_of_scenario(s);
  trace_log(s, 1);
  return true;
}

static void put_on_disk(struct server *server, uint64_t term, uint64_t vote,
                        struct coracle_raft_entry **entries, size_t n) {
  server->durable_term = term;
  server->durable_vote = vote;
  server->durable = malloc(GIVEN_ENTRIES_MAX * sizeof(struct coracle_raft_entry *));
  assert_non_null(server->durable);
  server->durable_capacity = GIVEN_ENTRIES_MAX;
  server->durable_n = n;
  for (size_t i = 0; i < n; i++) server->durable[i] = entries[i];
}

/* It starts with that, as if it had crashed once. */
static void start_given(struct scenario *s, uint64_t term, uint64_t vote, struct coracle_raft_entry **entries,
                        size_t n) {
  struct cluster *c = cluster_of_scenario(s);
  c->watch = NULL;
  uint64_t id = cluster_add(c);
  cluster_crash(c, id);
  put_on_disk(cluster_server(c, id), term, vote, entries, n);
  cluster_restart(c, id);
  c->watch = trace_step;
}

/* given ID term TERM [vote ID] log ENTRIES */
bool scenario_given(struct scenario *s, const struct words *words) {
  uint64_t id, term, vote = 0;
  struct coracle_raft_entry *entries[GIVEN_ENTRIES_MAX];
  size_t n = 0, i = 4;
  if (!word_number(s, words, 1, &id)) return false;
  if (id != (s->cluster ? s->cluster->servers_n : 0) + 1) return scenario_wrong(s, "ids are given in order");
  if (!word_is(words, 2, "term") || !word_number(s, words, 3, &term))
    return scenario_wrong(s, "term TERM is missing");
  if (word_is(words, i, "vote")) {
    if (!word_number(s, words, i + 1, &vote)) return false;
    i += 2;
  }
  if (!word_is(words, i, "log")) return scenario_wrong(s, "log ENTRIES is missing");
  bool ok = words_entries(s, words, i + 1, entries, &n);
  for (size_t k = 0; k < n && ok; k++) {
    if (entries[k]->index != k + 1)
      ok = scenario_wrong(s, "entry %d is missing", (int)k + 1);
    else if (entries[k]->term > term)
      ok = scenario_wrong(s, "an entry of a term to come");
  }
  if (ok)
    start_given(s, term, vote, entries, n);
  else
    while (n > 0) coracle_raft_entry_unref(entries[--n]);
  return ok;
}
