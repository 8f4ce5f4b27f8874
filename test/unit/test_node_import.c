/* Goal: what a whole node does with a body that streams: it is read as fast as it is used and answered
 * meanwhile, in bounded memory; what nobody wants of it is no request; and whoever sends nothing, reads
 * nothing, breaks off or lies about its length ends it. */
#include "node_talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/core.h"

#include <stdio.h>

/* ---- Bodies that stream ---- */

/* The answers to what was sent come before the rest is. */
static void an_import_answers_while_it_reads(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    struct world *w = formed(seed, 3);
    struct talk t;
    talk_open(&t, w, world_leader(w));
    say(&t, IMPORT(CODING));
    for (int i = 0; i < 20; i++) {
      char line[64], answer[32];
      snprintf(line, sizeof line, "{\"id\":\"k%d\"}\n", i);
      snprintf(answer, sizeof answer, "\"line\":%d,", i + 1);
      say_chunk(&t, line, strlen(line));
      WORLD_UNTIL(w, wire_has(t.wire, answer), 200);
      assert_int_equal(heard(&t), 0);
    }
    say(&t, LAST_CHUNK "GET /v1/collections/c/k19 HTTP/1.1\r\nHost: x\r\n\r\n");
    WORLD_UNTIL(w, heard(&t) == 2, 200);
    assert_int_equal(t.last.status, 200);
    assert_true(slice_is(slice_of_bytes(&t.last.body), "{\"id\":\"k19\"}"));
    talk_close(&t);
    world_free(w);
  }
}

static void an_import_waits_for_the_writes_before_it(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w);
  struct talk t;
  talk_open(&t, w, leader);
  for (int i = 0; i < 3; i++)
    if (i != leader) world_pause(w, i); /* so that nothing is committed */
  say(&t, "PUT /v1/collections/c/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
          "Content-Length: 2\r\n\r\n{}" IMPORT(
              "Content-Length: 11\r\n") "{\"id\":\"a\"}\nGET /v1/collections/c/a "
                                        "HTTP/1.1\r\nHost: x\r\n\r\n");
  world_run(w, 100);
  assert_int_equal(heard(&t), 0);
  for (int i = 0; i < 3; i++)
    if (i != leader) world_resume(w, i);
  WORLD_UNTIL(w, heard(&t) == 3, 1000);
  assert_true(wire_has(t.wire, "\"line\":1,\"status\":409"));
  assert_true(wire_has(t.wire, "ETag"));
  talk_close(&t);
  world_free(w);
}

static void a_client_that_waits_may_go_on_or_is_refused(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct talk t, refused;
  talk_open(&t, w, 0);
  say(&t, IMPORT("Expect: 100-continue\r\n" CODING));
  WORLD_UNTIL(w, wire_has(t.wire, "HTTP/1.1 100 Continue\r\n\r\n"), 100);
  assert_int_equal(t.wire->received.n, strlen("HTTP/1.1 100 Continue\r\n\r\n"));
  say_chunk(&t, "{}\n", 3);
  say(&t, LAST_CHUNK);
  WORLD_UNTIL(w, heard(&t) == 1, 100);
  assert_int_equal(t.last.status, 200);
  talk_close(&t);

  talk_open(&refused, w, 0);
  say(&refused, "PUT /v1/collections/c/a HTTP/1.1\r\nHost: x\r\nContent-Type: " NDJSON
                "\r\nExpect: 100-continue\r\n" CODING "\r\n");
  WORLD_UNTIL(w, heard(&refused) == 1, 100);
  assert_int_equal(refused.last.status, 415);
  assert_false(refused.last.keep_alive);
  WORLD_UNTIL(w, refused.wire->ended, 100);
  talk_close(&refused);
  world_free(w);
}

/* Refused at its head, while the body still comes: the answer is read, and nothing in the body is a request.
 */
static void a_body_that_nobody_wants_is_no_request(void **state) {
  (void)state;
  static const enum api_follower_writes modes[] = {API_REDIRECT, API_REJECT, API_FORWARD_WRITES};
  static const char *const requests[] = {"POST /v1/collections/c",     "PUT /v1/collections/c/a",
                                         "DELETE /v1/collections/c/a", "GET /v1/collections/c",
                                         "POST /v1/transactions",      "PATCH /v1/collections/c/a"};
  for (size_t mode = 0; mode < 3; mode++) {
    struct world *w =
        world_new(&(struct world_options){.seed = 1, .nodes = 3, .follower_writes = modes[mode]});
    world_start_all(w);
    WORLD_UNTIL(w, world_is_formed(w), 3000);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
      struct talk t;
      char head[256];
      const int node = (world_leader(w) + 1) % 3;
      talk_open(&t, w, node);
      snprintf(head, sizeof head, "%s HTTP/1.1\r\nHost: x\r\nContent-Type: " NDJSON "\r\n" CODING "\r\n",
               requests[i]);
      say(&t, head);
      for (int piece = 0; piece < 40; piece++) {
        static char text[50000];
        memset(text, '\n', sizeof text);
        memcpy(text, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 31);
        say_chunk(&t, text, sizeof text);
        world_run(w, 1);
      }
      WORLD_UNTIL(w, t.wire->ended, 5000);
      assert_int_equal(heard(&t), 1);
      assert_false(t.last.keep_alive);
      assert_true(t.last.status >= 300 || strncmp(requests[i], "GET", 3) == 0);
      talk_close(&t);
    }
    world_free(w);
  }
}

/* Before anything was answered it is 400; later the answer is cut off. */
static void a_body_with_broken_framing_ends_the_import(void **state) {
  (void)state;
  for (int answered = 0; answered < 2; answered++) {
    struct world *w = formed(1, 1);
    struct talk t;
    talk_open(&t, w, 0);
    say(&t, IMPORT(CODING));
    if (answered) say_chunk(&t, "{}\n", 3);
    if (answered) WORLD_UNTIL(w, wire_has(t.wire, "\"line\":1,"), 100);
    say(&t, "1\r\nxy\r\n" LAST_CHUNK "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    WORLD_UNTIL(w, t.wire->ended, 3000);
    assert_int_equal(heard(&t), answered ? 0 : 1);
    if (!answered) assert_int_equal(t.last.status, 400);
    assert_false(wire_has(t.wire, LAST_CHUNK));
    talk_close(&t);
    world_free(w);
  }
}

/* In the middle of the body the client closes its side, or has gone altogether. */
static void a_client_that_goes_ends_the_import(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w);
    struct talk t;
    talk_open(&t, w, leader);
    say(&t, IMPORT(CODING));
    for (int i = 0; i < 200; i++) say_chunk(&t, "{\"a\":1}\n", 8);
    for (uint64_t steps = world_dice(w, 100); steps > 0; steps--) world_step(w, world_now_ms(w) + 5);
    if (seed % 2 == 0)
      wire_end(w, t.wire);
    else
      wire_close(w, t.wire);
    WORLD_UNTIL(w, world_node(w, leader)->clients_n == 0, 4000);
    assert_false(wire_has(t.wire, LAST_CHUNK));
    world_run(w, 1000); /* what was in the log is answered, to nobody */
    assert_int_equal(world_status(w, leader, "GET", "/v1/collections/c", NULL) / 100, 2);
    talk_close(&t);
    world_free(w);
  }
}

/* Nothing is lost and little is kept while the log does not go on. */
static void a_body_is_not_read_faster_than_it_is_used(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w);
  struct talk t;
  struct costs most = {0};
  static char text[50000];
  memset(text, '\n', sizeof text);
  memcpy(text, "{}", 2);
  talk_open(&t, w, leader);
  say(&t, IMPORT(CODING));
  for (int i = 0; i < 3; i++)
    if (i != leader) world_pause(w, i);
  for (int i = 0; i < 100; i++) say_chunk(&t, text, sizeof text);
  for (int ms = 0; ms < 300; ms++) {
    world_run(w, 1);
    note_costs(w, leader, &most);
  }
  assert_true(most.body < DOCUMENT_BYTES_MAX + 64 * 1024 + STREAMED_PIECE_BYTES);
  assert_true(most.in < 1024 * 1024); /* most of it in the turn in which it was told to read no more */
  for (int i = 0; i < 3; i++)
    if (i != leader) world_resume(w, i);
  say(&t, LAST_CHUNK);
  WORLD_UNTIL(w, heard(&t) == 1, 5000);
  assert_int_equal(lines_of(&t.last.body), 100);
  talk_close(&t);
  world_free(w);
}

/* A simple client sends everything before it reads anything. */
static void an_import_may_be_sent_before_its_answers_are_read(void **state) {
  (void)state;
  enum { LINES = 60000 };
  struct world *w = formed(1, 1);
  struct talk t;
  struct costs most = {0};
  struct bytes text = {0};
  talk_open(&t, w, 0);
  world_run(w, 10);
  wire_read(w, t.wire, false);
  say(&t, IMPORT(CODING));
  for (int i = 0; i < LINES; i++) bytes_append_string(&text, "{\"a\":1}\n");
  say_chunk(&t, (const char *)text.data, text.n);
  say(&t, LAST_CHUNK);
  const struct node *node = world_node(w, 0);
  const struct node_stream *stream = CONTAINER_OF(list_first(&node->streams), struct node_stream, link);
  WORLD_UNTIL(w, stream->receiving != NULL, 1000);
  while (stream->receiving != NULL) {
    WORLD_CHECK(w, world_step(w, world_now_ms(w) + 1000));
    note_costs(w, 0, &most);
  }
  assert_true(most.out > 10 * UNDRAINED_BYTES_MAX);
  assert_true(most.out < IMPORT_UNDRAINED_BYTES_MAX + 2 * ANSWER_KEPT_BYTES);
  world_run(w, 1000);
  wire_read(w, t.wire, true);
  WORLD_UNTIL(w, heard(&t) == 1, 20000);
  assert_int_equal(lines_of(&t.last.body), LINES);
  bytes_close(&text);
  talk_close(&t);
  world_free(w);
}

/* ... and take longer about it than anybody else may go without reading. */
static void who_sends_for_long_need_not_read_meanwhile(void **state) {
  (void)state;
  enum { SECONDS = 2 * DRAIN_DEADLINE_MS / 1000, LINES = 100 };
  struct world *w = formed(1, 1);
  struct talk t;
  static char text[LINES * 30];
  memset(text, ' ', sizeof text);
  for (int i = 0; i < LINES; i++) {
    memcpy(text + i * 30, "{}", 2);
    text[i * 30 + 29] = '\n';
  }
  talk_open(&t, w, 0);
  world_run(w, 10);
  wire_read(w, t.wire, false);
  say(&t, IMPORT(CODING));
  for (int i = 0; i < SECONDS; i++) {
    say_chunk(&t, text, sizeof text);
    world_run(w, 1000);
  }
  say(&t, LAST_CHUNK);
  world_run(w, 10);
  const struct node *node = world_node(w, 0);
  assert_int_equal(node->clients_n, 1);
  assert_true(costs_of(w, 0).out > 100000);
  wire_read(w, t.wire, true);
  WORLD_UNTIL(w, heard(&t) == 1, 5000);
  assert_int_equal(lines_of(&t.last.body), SECONDS * LINES);
  talk_close(&t);
  world_free(w);
}

/* ... but not without end: then the body is not read, and whoever still reads nothing is cut off. */
static void what_is_answered_to_nobody_is_bounded(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct talk t;
  struct costs most = {0};
  struct bytes text = {0};
  talk_open(&t, w, 0);
  world_run(w, 10);
  wire_read(w, t.wire, false);
  say(&t, IMPORT(CODING));
  for (int i = 0; i < 250000; i++) bytes_append_string(&text, "{}\n");
  say_chunk(&t, (const char *)text.data, text.n);
  const struct node *node = world_node(w, 0);
  const struct node_stream *stream = CONTAINER_OF(list_first(&node->streams), struct node_stream, link);
  WORLD_UNTIL(w, stream->receiving != NULL, 1000);
  for (int i = 0; i < 20000 && !stream->paused; i++) {
    world_run(w, 1);
    note_costs(w, 0, &most);
  }
  world_run(w, 1000);
  note_costs(w, 0, &most);
  assert_true(stream->paused);
  assert_true(most.out > IMPORT_UNDRAINED_BYTES_MAX);
  assert_true(most.out < IMPORT_UNDRAINED_BYTES_MAX + 4 * ANSWER_KEPT_BYTES);
  assert_true(most.body < DOCUMENT_BYTES_MAX + 64 * 1024 + STREAMED_PIECE_BYTES);
  assert_true(most.in < 1024 * 1024);
  world_run(w, DRAIN_DEADLINE_MS + 8000);
  assert_int_equal(node->clients_n, 0);
  bytes_close(&text);
  talk_close(&t);
  world_free(w);
}

/* The leader is lost while it imports: the client is told what is known of each line. */
static void an_import_outlives_its_leader(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 5; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w);
    struct talk t;
    talk_open(&t, w, leader);
    say(&t, IMPORT(CODING));
    for (int i = 0; i < 3; i++)
      if (i != leader) world_pause(w, i);
    for (int i = 0; i < 300; i++) say_chunk(&t, "{\"a\":1}\n", 8);
    say(&t, LAST_CHUNK);
    WORLD_UNTIL(w, heard(&t) == 1, 20000);
    assert_int_equal(t.last.status, 200);
    assert_int_equal(lines_of(&t.last.body), 300);
    talk_close(&t);
    world_free(w);
  }
}

/* ---- Deadlines ---- */

/* Sends so many bytes of a body every second, and returns when the connection ended, or 0. */
static uint64_t drip(struct world *w, size_t bytes, unsigned seconds) {
  struct talk t;
  static char text[64 * 1024];
  memset(text, '\n', sizeof text);
  talk_open(&t, w, 0);
  world_run(w, 10);
  const uint64_t from_ms = world_now_ms(w);
  say(&t, IMPORT(CODING));
  for (unsigned i = 0; i < seconds && !t.wire->ended; i++) {
    say_chunk(&t, text, bytes);
    world_run(w, 1000);
  }
  const uint64_t ended_ms = t.wire->ended ? world_now_ms(w) - from_ms : 0;
  if (t.wire->ended) assert_int_equal(heard(&t), 1);
  if (t.wire->ended) assert_int_equal(t.last.status, 408);
  talk_close(&t);
  return ended_ms;
}

static void a_trickle_is_too_slow(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  assert_in_range(drip(w, 1, 100), STREAMED_DEADLINE_MS, STREAMED_DEADLINE_MS + 2000);
  assert_in_range(drip(w, 2000, 100), STREAMED_DEADLINE_MS, STREAMED_DEADLINE_MS + 2000);
  assert_int_equal(drip(w, 2500, 200), 0);
  world_free(w);
}

/* While this node does not read, because of what it has written, nobody is slow in sending. */
static void a_pause_is_not_the_sender_s_time(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct talk t;
  static char text[3000];
  for (size_t i = 0; i < sizeof text; i += 3) memcpy(text + i, "{}\n", 3);
  talk_open(&t, w, 0);
  world_run(w, 10);
  wire_read(w, t.wire, false);
  say(&t, IMPORT(CODING));
  const struct node *node = world_node(w, 0);
  const struct node_stream *stream = CONTAINER_OF(list_first(&node->streams), struct node_stream, link);
  for (int i = 0; i < 1000 && !stream->paused; i++) {
    say_chunk(&t, text, sizeof text);
    world_run(w, 5);
  }
  assert_true(stream->paused);
  world_run(w, DRAIN_DEADLINE_MS - 5000);
  wire_read(w, t.wire, true);
  world_run(w, STREAMED_DEADLINE_MS - 10000);
  assert_false(t.wire->ended);
  assert_false(stream->paused);
  say(&t, LAST_CHUNK);
  WORLD_UNTIL(w, heard(&t) == 1, 5000);
  assert_int_equal(t.last.status, 200);
  talk_close(&t);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_import_answers_while_it_reads),
      cmocka_unit_test(an_import_waits_for_the_writes_before_it),
      cmocka_unit_test(a_client_that_waits_may_go_on_or_is_refused),
      cmocka_unit_test(a_body_that_nobody_wants_is_no_request),
      cmocka_unit_test(a_body_with_broken_framing_ends_the_import),
      cmocka_unit_test(a_client_that_goes_ends_the_import),
      cmocka_unit_test(a_body_is_not_read_faster_than_it_is_used),
      cmocka_unit_test(an_import_may_be_sent_before_its_answers_are_read),
      cmocka_unit_test(who_sends_for_long_need_not_read_meanwhile),
      cmocka_unit_test(what_is_answered_to_nobody_is_bounded),
      cmocka_unit_test(a_trickle_is_too_slow),
      cmocka_unit_test(a_pause_is_not_the_sender_s_time),
      cmocka_unit_test(an_import_outlives_its_leader),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
