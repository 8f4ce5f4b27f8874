#include "cli/demo_log.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

void demo_line_free(struct demo_line *line) {
  if (line != NULL) free(line->text);
  free(line);
}

void demo_log_close(struct demo_log *log) {
  for (size_t i = 0; i < log->news_n; i++) demo_line_free(log->news[i]);
  for (size_t node = 0; node < DEMO_NODES_MAX; node++) {
    for (size_t i = 0; i < DEMO_TAIL_LINES; i++) free(log->tails[node][i]);
    bytes_close(&log->partial[node]);
  }
  *log = (struct demo_log){0};
}

static bool starts_with(struct slice s, const char *prefix) {
  size_t n = strlen(prefix);
  return s.n >= n && memcmp(s.at, prefix, n) == 0;
}

static struct slice without(struct slice s, size_t n) {
  return (struct slice){s.at + n, s.n - n};
}

/* Takes the next word and the spaces after it off the front of `s`. */
static struct slice take_word(struct slice *s) {
  struct slice word = {s->at, 0};
  while (word.n < s->n && s->at[word.n] != ' ') word.n++;
  *s = without(*s, word.n);
  while (s->n > 0 && s->at[0] == ' ') *s = without(*s, 1);
  return word;
}

static bool is_timestamp(struct slice word) {
  return word.n == sizeof((struct demo_line *)0)->time - 1 && word.at[10] == 'T' &&
         word.at[word.n - 1] == 'Z';
}

static int step_of(struct slice text) {
  bool is_step = starts_with(text, "step ") && text.n > 6 && text.at[6] == ':';
  int step = is_step ? text.at[5] - '0' : 0;
  return step >= 1 && step <= DEMO_STEPS ? step : 0;
}

/* What is not a log line (a sanitizer's report, a loader's complaint) is its whole text, and alarming. */
static struct demo_line *parse(struct slice s, size_t node, const char *name, uint64_t now_ms) {
  struct demo_line *line = memory_zalloc(sizeof *line);
  struct slice rest = s, word = take_word(&rest);

  line->node = node;
  line->received_ms = now_ms;
  line->alarming = true;
  if (is_timestamp(word)) {
    memcpy(line->time, word.at, word.n);
    word = take_word(&rest);
    line->alarming = !slice_is_caseless(word, "INFO") && !slice_is_caseless(word, "DEBUG");
    if (starts_with(rest, name) && starts_with(without(rest, strlen(name)), ": "))
      rest = without(rest, strlen(name) + 2);
    s = rest;
  }
  line->step = step_of(s);
  line->text = memory_strndup(s.at, s.n);
  return line;
}

/* Who belongs to the cluster, and who leads it. */
static bool is_news(const struct demo_line *line) {
  static const char *const prefixes[] = {"membership: ", "leading term ", "no longer leading", "following ",
                                         "the leader's stream has ended"};
  if (line->step > 0 || line->alarming) return true;
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
    if (starts_with(slice_of(line->text), prefixes[i])) return true;
  return false;
}

/* Whether `line` is to be shown before one that was received before it. */
static bool overtakes(const struct demo_line *line, const struct demo_line *other) {
  /* A node's own lines are in order, and what carries no time has its place where it was received. */
  if (line->node == other->node || line->time[0] == '\0' || other->time[0] == '\0') return false;
  int by_time = strcmp(line->time, other->time);
  return by_time < 0 || (by_time == 0 && line->step > 0 && line->step < other->step);
}

static struct demo_line *take_at(struct demo_log *log, size_t i) {
  struct demo_line *line = log->news[i];
  log->news_n--;
  memmove(&log->news[i], &log->news[i + 1], (log->news_n - i) * sizeof log->news[0]);
  return line;
}

static void insert(struct demo_log *log, struct demo_line *line) {
  if (log->news_n == DEMO_NEWS_MAX) {
    demo_line_free(take_at(log, 0));
    log->dropped++;
  }
  size_t i = log->news_n;
  while (i > 0 && overtakes(line, log->news[i - 1])) i--;
  memmove(&log->news[i + 1], &log->news[i], (log->news_n - i) * sizeof log->news[0]);
  log->news[i] = line;
  log->news_n++;
}

static void remember(struct demo_log *log, size_t node, struct slice line) {
  char **slot = &log->tails[node][log->tails_next[node]];
  free(*slot);
  *slot = memory_strndup(line.at, line.n);
  log->tails_next[node] = (log->tails_next[node] + 1) % DEMO_TAIL_LINES;
}

static void take_line(struct demo_log *log, size_t node, const char *name, uint64_t now_ms) {
  struct slice s = slice_of_bytes(&log->partial[node]);
  if (s.n > 0) {
    struct demo_line *line = parse(s, node, name, now_ms);
    remember(log, node, s);
    if (is_news(line))
      insert(log, line);
    else
      demo_line_free(line);
  }
  log->partial[node].n = 0;
}

void demo_log_feed(struct demo_log *log, size_t node, const char *name, const char *data, size_t n,
                   uint64_t now_ms) {
  assert(node < DEMO_NODES_MAX);
  for (size_t i = 0; i < n; i++) {
    bool ends = data[i] == '\n';
    if (ends || log->partial[node].n == DEMO_LINE_BYTES_MAX) {
      if (!log->cutting[node]) take_line(log, node, name, now_ms);
      log->cutting[node] = !ends;
    }
    if (ends || log->cutting[node]) continue;
    /* A control character could do anything to a terminal. */
    char c = (unsigned char)data[i] < ' ' || data[i] == 127 ? ' ' : data[i];
    bytes_append(&log->partial[node], &c, 1);
  }
}

int demo_log_wait_ms(const struct demo_log *log, uint64_t now_ms) {
  int wait_ms = -1;
  for (size_t i = 0; i < log->news_n; i++) {
    uint64_t due_ms = log->news[i]->received_ms + DEMO_NEWS_HOLD_MS;
    int left_ms = due_ms > now_ms ? (int)(due_ms - now_ms) : 0;
    if (wait_ms < 0 || left_ms < wait_ms) wait_ms = left_ms;
  }
  return wait_ms;
}

/* As soon as one line has waited long enough, those to be shown before it go too. */
struct demo_line *demo_log_next(struct demo_log *log, uint64_t now_ms) {
  return demo_log_wait_ms(log, now_ms) == 0 ? take_at(log, 0) : NULL;
}

struct demo_line *demo_log_take_step(struct demo_log *log, int step) {
  for (size_t i = 0; i < log->news_n; i++)
    if (log->news[i]->step == step) return take_at(log, i);
  return NULL;
}

const char *demo_log_tail(const struct demo_log *log, size_t node, size_t i) {
  if (i >= DEMO_TAIL_LINES) return NULL;
  size_t empty = 0; /* before the ring has gone round, its free slots are the oldest */
  while (empty < DEMO_TAIL_LINES &&
         log->tails[node][(log->tails_next[node] + empty) % DEMO_TAIL_LINES] == NULL)
    empty++;
  if (empty + i >= DEMO_TAIL_LINES) return NULL;
  return log->tails[node][(log->tails_next[node] + empty + i) % DEMO_TAIL_LINES];
}
