/* Goal: the linearizability checker passes what one copy of a document could have answered, and nothing else.
 * Method: short histories in words, each known to be good or bad, and what the report says of the bad ones.
 *
 * A history is events between semicolons: a client, then what it asks or what it is answered.
 *
 *     a put 1 ; b get ; a ok 5 ; b read 1 5
 *
 * put V, create V, patch V, delete, drop, get ask; `if R`, `if *` and `none` are If-Match and If-None-Match:
 * *. Answers: `ok` and `ok R`, `read V R`, `404`, `409` and `412` with nothing, with `V R` or with `absent`,
 * `unknown`, `refused`. A client `a@x` asks for document x; without one it is d. */
#include "base/bytes.h"
#include "linearize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CLIENTS = 26, WORDS_MAX = 8, STEP_US = 1000 };

/* ---- The words ---- */

struct scene {
  struct client_history *history;
  size_t waiting[CLIENTS]; /* by client: its operation */
  uint64_t now_us;
};

static uint64_t number(const char *word) {
  char *end;
  uint64_t n = strtoull(word, &end, 10);
  if (*word == '\0' || *end != '\0') fail_msg("not a number: %s", word);
  return n;
}

static bool ask(struct scene *s, size_t client, const char *document, char **words, size_t n) {
  struct client_operation o = {.document = document};
  size_t i = 1;
  if (strcmp(words[0], "get") == 0) {
    o.method = CLIENT_GET;
  } else if (strcmp(words[0], "delete") == 0 || strcmp(words[0], "drop") == 0) {
    o.method = words[0][1] == 'e' ? CLIENT_DELETE : CLIENT_DROP;
  } else if (strcmp(words[0], "put") == 0 || strcmp(words[0], "create") == 0 ||
             strcmp(words[0], "patch") == 0) {
    o.method = words[0][0] == 'c' ? CLIENT_CREATE : words[0][1] == 'a' ? CLIENT_PATCH : CLIENT_PUT;
    o.value = number(words[i++]);
  } else {
    return false;
  }
  for (; i < n; i++) {
    if (strcmp(words[i], "none") == 0)
      o.if_none_match_any = true;
    else if (strcmp(words[++i], "*") == 0)
      o.if_match_any = true;
    else
      o.if_match = number(words[i]);
  }
  s->waiting[client] = client_history_invoke(s->history, client, s->now_us, &o);
  return true;
}

static void be_answered(struct scene *s, size_t client, char **words, size_t n) {
  static const struct {
    const char *word;
    enum client_outcome outcome;
  } outcomes[] = {{"ok", CLIENT_OK},           {"read", CLIENT_OK},
                  {"404", CLIENT_NOT_FOUND},   {"409", CLIENT_CONFLICT},
                  {"unknown", CLIENT_UNKNOWN}, {"412", CLIENT_PRECONDITION_FAILED},
                  {"refused", CLIENT_REFUSED}};
  struct client_result r = {0};
  size_t i = 0;
  while (i < sizeof outcomes / sizeof *outcomes && strcmp(outcomes[i].word, words[0]) != 0) i++;
  if (i == sizeof outcomes / sizeof *outcomes) fail_msg("no such word: %s", words[0]);
  r.outcome = outcomes[i].outcome;
  if (n == 2 && strcmp(words[1], "absent") == 0) {
    r.absent = true;
  } else if (n == 2) {
    r.revision = number(words[1]);
  } else if (n == 3) {
    r.value = number(words[1]);
    r.revision = number(words[2]);
  }
  client_history_return(s->history, s->waiting[client], s->now_us, &r);
}

static void happen(struct scene *s, char *event) {
  char *words[WORDS_MAX], *rest;
  size_t n = 0;
  for (char *word = strtok_r(event, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    assert_true(n < WORDS_MAX);
    words[n++] = word;
  }
  assert_true(n >= 2);
  size_t client = (size_t)(words[0][0] - 'a');
  const char *document = words[0][1] == '@' ? words[0] + 2 : "d";
  assert_true(client < CLIENTS);
  s->now_us += STEP_US;
  if (!ask(s, client, document, words + 1, n - 1)) be_answered(s, client, words + 1, n - 1);
}

static struct client_history *history_of(const char *text) {
  struct scene s = {.history = client_history_new()};
  char *copy = strdup(text), *rest;
  for (char *event = strtok_r(copy, ";", &rest); event; event = strtok_r(NULL, ";", &rest)) happen(&s, event);
  free(copy);
  return s.history;
}

static enum client_verdict verdict_of(const char *text) {
  struct client_report report;
  struct client_history *h = history_of(text);
  client_history_check(h, CLIENT_CONFIGURATIONS_MAX, &report);
  enum client_verdict verdict = report.verdict;
  assert_int_equal(report.text != NULL, verdict != CLIENT_LINEARIZABLE);
  client_report_close(&report);
  client_history_free(h);
  return verdict;
}

struct example {
  const char *what, *history;
};

static void check_examples(const struct example *examples, size_t n, enum client_verdict expected) {
  for (size_t i = 0; i < n; i++) {
    enum client_verdict verdict = verdict_of(examples[i].history);
    if (verdict != expected)
      fail_msg("%s: verdict %d of: %s", examples[i].what, verdict, examples[i].history);
  }
}

/* ---- Good ones ---- */

static void test_known_good(void **state) {
  (void)state;
  static const struct example good[] = {
      {"nothing", ""},
      {"one after the other", "a put 1; a ok 5; b get; b read 1 5; a put 2; a ok 6; b get; b read 2 6"},
      {"absent at first", "a get; a 404; b delete; b 404"},
      {"a read beside a write sees the old", "a put 1; a ok 5; a put 2; b get; b read 1 5; a ok 6"},
      {"a read beside a write sees the new", "a put 1; a ok 5; a put 2; b get; b read 2 6; a ok 6"},
      {"old, then new, beside one write",
       "a put 1; a ok 5; a put 2; b get; b read 1 5; c get; c read 2 6; a ok 6"},
      {"writes beside each other, in the order of revisions, not of answers",
       "a put 1; b put 2; b ok 5; a ok 6; c get; c read 1 6"},
      {"begun first, ordered last", "a put 1; b put 2; c put 3; c ok 4; b ok 5; a ok 6; c get; c read 1 6"},
      {"Herlihy and Wing's register: a slow read beside two writes",
       "a put 1; a ok 5; b get; a put 2; a ok 6; b read 2 6; a put 3; b get; b read 2 6; a ok 7"},
      {"deleted and made again",
       "a put 1; a ok 5; a delete; a ok 6; b get; b 404; b create 2; b ok 7; a get; a read 2 7"},
      {"a deletion need not tell its revision", "a put 1; a ok 5; a delete; a ok; a put 2; a ok 7"},
      {"a deletion whose revision somebody named by chance",
       "a put 1; a ok 5; a delete; a ok; a put 2; a ok 7; b put 3 if 6; b 412 2 7"},
      {"create finds one", "a put 1; a ok 5; b create 2; b 409 1 5; b create 3; b 409"},
      {"conditions that hold",
       "a put 1 none; a ok 5; a put 2 if 5; a ok 6; a put 3 if *; a ok 7; a delete if 7; a ok 8"},
      {"conditions that fail",
       "a put 1 if *; a 412 absent; a put 2 if 9; a 412; a put 3; a ok 5; a put 4 none;"
       "a 412 3 5; a delete if 4; a 412 3 5; a put 5 if 4; a 412"},
      {"one of two conditional writes", "a put 1; a ok 5; a put 2 if 5; b put 3 if 5; b ok 6; a 412 3 6"},
      {"delete under a failed condition comes before 404",
       "a delete if 3; a 412 absent; a delete none; a 404"},
      {"patches", "a patch 1; a 404; a put 2; a ok 5; a patch 3; a ok 6; a get; a read 3 6; a patch 4 if 5;"
                  "a 412 3 6; a patch 5 if 6; a ok 7"},
      {"a patch under a failed condition comes before 404", "a patch 1 if *; a 412 absent"},
      {"drops", "a drop; a ok; a put 1; a ok 5; b drop; b ok; a get; a 404; b drop; b ok; a put 2; a ok 7"},
      {"an unknown drop happens late",
       "b drop; b unknown; a put 1; a ok 5; a get; a read 1 5; a get; a 404; a put 2; a ok 8"},
      {"an unknown drop of nothing",
       "b drop; b unknown; a get; a 404; a put 1; a ok 5; a get; a read 1 5; a put 2; a ok 6"},
      {"an unknown patch happens late",
       "b patch 2; b unknown; a get; a 404; a put 1; a ok 5; a get; a read 2 6; a get; a read 2 6"},
      {"an unknown write never happens",
       "a put 1; a ok 5; b put 2; b unknown; a get; a read 1 5; a get; a read 1 5"},
      {"an unknown write happens",
       "a put 1; a ok 5; b put 2; b unknown; a get; a read 2 6; a get; a read 2 6"},
      {"an unknown write happens late",
       "b put 2; b unknown; a put 1; a ok 5; a get; a read 1 5; a get; a read 2 9; a put 3 if 9; a ok 10"},
      {"an unknown write that nobody answers", "b put 2; a get; a 404; a get; a read 2 5"},
      {"an unknown write is overwritten unseen", "b put 2; b unknown; a get; a 404; a put 1; a ok 7"},
      {"an unknown write is seen by a condition alone",
       "b put 2; b unknown; a get; a 404; a create 3; a 409"},
      {"an unknown write whose revision a condition names",
       "b put 2; b unknown; a put 1 none; a 412; a put 3 if 6; a ok 7"},
      {"two unknown writes, of which one has the revision that was named",
       "b put 2; b unknown; c put 3; c unknown; a put 1 none; a 412; a put 4 if 6; a ok 7"},
      {"an unknown deletion happens", "a put 1; a ok 5; b delete; b unknown; a get; a 404; a put 2; a ok 7"},
      {"an unknown deletion happens late",
       "a put 1; a ok 5; b delete; b unknown; a get; a read 1 5; a get; a 404; a put 2; a ok 8"},
      {"two unknown deletions", "a put 1; a ok 5; b delete; b unknown; c delete; c unknown; a get; a 404;"
                                "a put 2; a ok 8; a get; a 404"},
      {"an unknown conditional write is seen",
       "a put 1; a ok 5; b put 2 if 5; b unknown; a put 3 if 5; a 412 2 6; a put 4 if 6; a ok 7"},
      {"an unknown read says nothing", "a put 1; a ok 5; b get; b unknown; b get; b refused"},
      {"a refused write says nothing", "a put 1; a ok 5; b put 2; b refused; a get; a read 1 5"},
      {"a refused value is written again", "a put 1; a refused; a put 1; a ok 5; a get; a read 1 5"},
      {"documents by themselves",
       "a@x put 1; a ok 5; b@y put 1; b ok 6; a@y get; a read 1 6; b@x get; b read 1 5; c@z get; c 404"},
      {"a write began before the newer revision was seen",
       "a@x put 1; b@y put 1; b ok 9; c@y get; c read 1 9; a ok 5"},
  };
  check_examples(good, sizeof good / sizeof *good, CLIENT_LINEARIZABLE);
}

/* ---- Bad ones ---- */

static void test_known_bad(void **state) {
  (void)state;
  static const struct example bad[] = {
      {"stale read", "a put 1; a ok 5; a put 2; a ok 6; b get; b read 1 5"},
      {"stale read after another client's write", "a put 1; a ok 5; b put 2; b ok 6; a get; a read 1 5"},
      {"stale 404", "a put 1; a ok 5; b get; b 404"},
      {"new, then old, beside one write",
       "a put 1; a ok 5; a put 2; b get; b read 2 6; c get; c read 1 5; a ok 6"},
      {"two reads that see two writes in two orders",
       "a put 1; b put 2; c get; c read 1 5; d get; d read 2 6; c get; c read 1 5; a ok 5; b ok 6"},
      {"an acknowledged write is lost", "a put 1; a ok 5; b get; b 404; b put 2; b ok 6"},
      {"lost update: two conditional writes on one revision",
       "a put 1; a ok 5; a put 2 if 5; b put 3 if 5; a ok 6; b ok 7"},
      {"two successful creates", "a create 1; b create 2; a ok 5; b ok 6"},
      {"two successful deletions of one document", "a put 1; a ok 5; a delete; b delete; a ok 6; b ok 7"},
      {"a value that nobody wrote", "a put 1; a ok 5; b get; b read 7 5"},
      {"a value before it is written", "b get; b read 1 5; a put 1; a ok 5"},
      {"the value of a refused write", "a put 1; a refused; b get; b read 1 5"},
      {"the value of a failed condition", "a put 1 if 3; a 412 absent; b get; b read 1 5"},
      {"the value of another document", "a@x put 1; a ok 5; b@y get; b read 1 5"},
      {"a write takes effect twice",
       "a put 1; a ok 5; b put 2; b ok 6; c get; c read 2 6; c get; c read 1 5; c get; c read 1 5"},
      {"a write takes effect twice, under two revisions",
       "a put 1; a ok 5; b put 2; b ok 6; c get; c read 1 7"},
      {"an unknown write takes effect twice",
       "a put 1; a unknown; b get; b read 1 5; b put 2; b ok 6; b get; b read 1 7"},
      {"an unknown write is seen, then unseen",
       "b put 1; b ok 5; a put 2; a unknown; c get; c read 2 6; c get; c read 1 5"},
      {"an unknown write is seen, then there is nothing",
       "a put 2; a unknown; c get; c read 2 6; c get; c 404"},
      {"an unknown write is seen before it was sent", "c get; c read 2 6; a put 2; a unknown"},
      {"an unknown write has an older revision than what it replaced",
       "a put 1; a unknown; b put 2; b ok 6; c get; c read 2 6; c get; c read 1 5"},
      {"an unknown conditional write whose condition never held",
       "a put 1; a ok 5; b put 2 if 4; b unknown; a get; a read 2 6"},
      {"an unknown deletion is not enough for two absences",
       "a put 1; a ok 5; b delete; b unknown; a get; a 404; a put 2; a ok 8; a get; a 404"},
      {"an unknown deletion happens, and what it deleted is back",
       "a put 1; a ok 5; b delete; b unknown; a get; a 404; a get; a read 1 5"},
      {"a resurrected document", "a put 1; a ok 5; a delete; a ok 6; b get; b read 1 5"},
      {"a resurrected document, by its condition", "a put 1; a ok 5; a delete; a ok; b put 2 if 5; b ok 7"},
      {"revisions go back", "a put 1; a ok 6; b put 2; b ok 5"},
      {"revisions go back over a deletion", "a put 1; a ok 5; a delete; a ok 9; a put 2; a ok 8"},
      {"two writes with one revision", "a put 1; b put 2; a ok 5; b ok 5"},
      {"no revision left for a deletion", "a put 1; a ok 5; a delete; a ok; a put 2; a ok 6"},
      {"one value under two revisions", "a put 1; a ok 5; b get; b read 1 6"},
      {"a conflict with nothing", "a create 1; a 409"},
      {"a condition fails that held", "a put 1; a ok 5; a put 2 if 5; a 412 1 5"},
      {"a condition fails, and the answer says nothing", "a put 1; a ok 5; a put 2 if 5; a 412"},
      {"a failed condition shows an old document",
       "a put 1; a ok 5; a put 2; a ok 6; b put 3 if 4; b 412 1 5"},
      {"a failed condition shows none where there is one", "a put 1; a ok 5; b put 3 if 4; b 412 absent"},
      {"a conflict shows an old document", "a put 1; a ok 5; a put 2; a ok 6; b create 3; b 409 1 5"},
      {"deletion finds nothing where there is something", "a put 1; a ok 5; b delete; b 404"},
      {"a patch of nothing", "a patch 1; a ok 5"},
      {"a drop leaves something", "a put 1; a ok 5; b drop; b ok; a get; a read 1 5"},
      {"an unknown drop happens twice",
       "b drop; b unknown; a put 1; a ok 5; a get; a 404; a put 2; a ok 8; a get; a 404"},
      {"no revision left for a drop", "a put 1; a ok 5; b drop; b ok; a put 2; a ok 6"},
      {"an unknown patch of nothing", "a patch 1; a unknown; b get; b read 1 5"},
      {"a patch finds nothing where there is something", "a put 1; a ok 5; b patch 2; b 404"},
      {"one hidden write cannot have both revisions",
       "b put 2; b unknown; a put 1 none; a 412; a put 3 if 6; a unknown; a put 4 if 7; a ok 9; a put 5 if 8;"
       "a ok 10"},
      {"order of clients in real time", "a put 1; b put 2; a ok 6; c put 3; c ok 5; b ok 7"},
      {"a newer revision of another document had been seen", "a@x put 1; a ok 9; b@y put 1; b ok 8"},
      {"the revision of another document had been seen", "a@x put 1; a ok 9; b@y put 1; b ok 9"},
      {"a newer revision of another document had been read",
       "a@x put 1; b@x get; b read 1 9; c@y put 1; c ok 8; a ok 9"},
      {"bad in the last of many documents",
       "a@x put 1; a ok 1; a@y put 1; a ok 2; a@z put 1; a ok 3; a@x get; a read 1 1; a@z get; a 404"},
  };
  check_examples(bad, sizeof bad / sizeof *bad, CLIENT_VIOLATION);
}

/* ---- The report ---- */

static void assert_says(const char *history, const char *expected) {
  struct client_report report;
  struct client_history *h = history_of(history);
  client_history_check(h, CLIENT_CONFIGURATIONS_MAX, &report);
  assert_non_null(report.text);
  assert_string_equal(report.text, expected);
  client_report_close(&report);
  client_history_free(h);
}

static void test_only_what_shows_it_is_told(void **state) {
  (void)state;
  assert_says("c put 3; c ok 3; a put 1; a ok 5; c get; c read 1 5; d get; a put 2; a ok 6; d read 2 6;"
              "b get; b read 1 5; c put 7; c ok 8; c get; c read 7 8",
              "No order of the operations explains their answers:\n"
              "  0.008000 to 0.009000 s, client 0: PUT d value 2 -> ok, revision 6\n"
              "  0.011000 to 0.012000 s, client 1: GET d -> ok, value 1, revision 5\n");
  assert_says("a put 1; a ok 5; b get; b read 9 5; a put 2; a ok 6",
              "Value 9 was read, and nobody wrote it:\n"
              "  0.003000 to 0.004000 s, client 1: GET d -> ok, value 9, revision 5\n");
  assert_says("a put 1; a refused; b get; b read 1 5",
              "Value 1 was read, and its write was answered as one without effect:\n"
              "  0.003000 to 0.004000 s, client 1: GET d -> ok, value 1, revision 5\n");
  assert_says("a@x put 1; a ok 9; b@y put 1; b ok 8",
              "Revision 9 had been seen before this write began, which got revision 8:\n"
              "  0.001000 to 0.002000 s, client 0: PUT x value 1 -> ok, revision 9\n"
              "  0.003000 to 0.004000 s, client 1: PUT y value 1 -> ok, revision 8\n");
  assert_says("a put 1; a ok 5; a put 2 if 5; b delete if 5; a ok 6; b ok; c get; c unknown",
              "No order of the operations explains their answers:\n"
              "  0.003000 to 0.005000 s, client 0: PUT d value 2 if-match 5 -> ok, revision 6\n"
              "  0.004000 to 0.006000 s, client 1: DELETE d if-match 5 -> ok\n");
}

static void test_report_counts(void **state) {
  (void)state;
  struct client_report report;
  struct client_history *h =
      history_of("a@x put 1; a unknown; b@y put 1; b ok 5; b@y get; b unknown; c@y delete;"
                 "d@y put 2; d refused");
  client_history_check(h, CLIENT_CONFIGURATIONS_MAX, &report);
  assert_int_equal(report.verdict, CLIENT_LINEARIZABLE);
  assert_int_equal(report.operations, 5);
  assert_int_equal(report.unknown, 2);
  assert_int_equal(report.documents, 2);
  assert_int_equal(report.undecided, 0);
  assert_true(report.configurations > 0);
  assert_null(report.document);
  client_report_close(&report);
  client_history_free(h);
}

/* ---- The limit ---- */

static void test_beyond_the_limit_is_undecided(void **state) {
  (void)state;
  struct client_report report;
  struct client_history *h = history_of("a@x put 1; a ok 1; a@x get; a read 1 1;"
                                        "a put 1; a ok 5; a put 2; a ok 6; a get; a read 2 6");
  client_history_check(h, 2, &report);
  assert_int_equal(report.verdict, CLIENT_UNDECIDED);
  assert_string_equal(report.document, "d");
  assert_int_equal(report.undecided, 1);
  assert_non_null(report.text);
  client_report_close(&report);

  /* A violation of another document counts more. */
  struct client_operation get = {.method = CLIENT_GET, .document = "z"};
  size_t op = client_history_invoke(h, 1, 20000, &get);
  client_history_return(h, op, 20000,
                        &(struct client_result){.outcome = CLIENT_OK, .value = 4, .revision = 4});
  client_history_check(h, 2, &report);
  assert_int_equal(report.verdict, CLIENT_VIOLATION);
  assert_string_equal(report.document, "z");
  assert_int_equal(report.undecided, 1);
  client_report_close(&report);
  client_history_free(h);
}

/* Hundreds of lost writes and deletions must not make the search explode, good or bad. */
static void test_many_unknown_are_cheap(void **state) {
  (void)state;
  for (int bad = 0; bad < 2; bad++) {
    struct bytes text = {0};
    for (int i = 0; i < 300; i++) {
      bytes_printf(&text, "a put %d; a unknown; b delete; b unknown;", 1000 + i);
      bytes_printf(&text, "c put %d; d put %d; d ok %d; c ok %d; e get; e read %d %d;", 2 * i + 1, 2 * i + 2,
                   10 * i + 1, 10 * i + 2, 2 * i + 1, 10 * i + 2);
    }
    bytes_append_string(&text, bad ? "e get; e read 2 1" : "e get; e 404; e create 9999; e 409");
    bytes_append(&text, "", 1);
    struct client_history *h = history_of((const char *)text.data);
    struct client_report report;
    client_history_check(h, 100000, &report);
    assert_int_equal(report.verdict, bad ? CLIENT_VIOLATION : CLIENT_LINEARIZABLE);
    client_report_close(&report);
    client_history_free(h);
    bytes_close(&text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_good),
      cmocka_unit_test(test_known_bad),
      cmocka_unit_test(test_only_what_shows_it_is_told),
      cmocka_unit_test(test_report_counts),
      cmocka_unit_test(test_beyond_the_limit_is_undecided),
      cmocka_unit_test(test_many_unknown_are_cheap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
