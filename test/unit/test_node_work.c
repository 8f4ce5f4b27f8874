/* Goal: what a whole node does with requests that take longer than a turn: they are worked at in slices,
 * fairly, for a bounded time in each turn and in bounded memory; whoever reads nothing or has gone costs
 * nobody else anything; and nothing of them is left over when the node stops or starts afresh. */
#include "node_talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/core.h"

/* ---- Answers that stream ---- */

enum { EXPORT_BYTES_MAX = UNDRAINED_BYTES_MAX + API_STREAM_BYTES + 2 * ANSWER_KEPT_BYTES };

static void an_export_costs_little_memory(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct talk t;
  struct costs most = {0};
  import(w, 3000, 2000);
  talk_open(&t, w, 0);
  say(&t, EXPORT(""));
  while (heard(&t) == 0) {
    WORLD_CHECK(w, world_step(w, world_now_ms(w) + 1000));
    note_costs(w, 0, &most);
  }
  assert_int_equal(t.last.status, 200);
  assert_int_equal(lines_of(&t.last.body), 3000);
  assert_true(most.out < EXPORT_BYTES_MAX);
  assert_true(most.out > API_STREAM_BYTES); /* it has been looked at */
  talk_close(&t);
  world_free(w);
}

/* It stops for one that reads nothing, goes on when it reads again, and ends when it does not. */
static void an_export_waits_for_its_reader_but_not_for_ever(void **state) {
  (void)state;
  for (int reads_again = 0; reads_again < 2; reads_again++) {
    struct world *w = formed(1, 1);
    struct talk t;
    struct costs most = {0};
    import(w, 2000, 2000);
    talk_open(&t, w, 0);
    world_run(w, 10);
    wire_read(w, t.wire, false);
    say(&t, EXPORT(""));
    for (int i = 0; i < (DRAIN_DEADLINE_MS - 2000) / 100; i++) {
      world_run(w, 100);
      note_costs(w, 0, &most);
    }
    assert_true(most.out < EXPORT_BYTES_MAX);
    assert_int_equal(world_node(w, 0)->clients_n, 1);
    assert_int_equal(world_status(w, 0, "GET", "/livez", NULL), 200);
    if (reads_again) {
      wire_read(w, t.wire, true);
      WORLD_UNTIL(w, heard(&t) == 1, 5000);
      assert_int_equal(lines_of(&t.last.body), 2000);
    } else {
      world_run(w, 4000 + 5000);
      assert_int_equal(world_node(w, 0)->clients_n, 0);
    }
    talk_close(&t);
    world_free(w);
  }
}

/* Minutes on end: no export is an idle connection, nor is one right after it. */
static void a_long_export_is_not_idle(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct talk t;
  import(w, 3000, 3000);
  talk_open(&t, w, 0);
  say(&t, EXPORT(""));
  for (int i = 1; i <= 8; i++) {
    WORLD_UNTIL(w, t.wire->received.n > (size_t)i * 1000000, 1000);
    wire_read(w, t.wire, false);
    world_run(w, DRAIN_DEADLINE_MS - 5000);
    wire_read(w, t.wire, true);
  }
  WORLD_UNTIL(w, heard(&t) == 1, 5000);
  world_run(w, 5000);
  say(&t, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  WORLD_UNTIL(w, heard(&t) == 2, 100);
  talk_close(&t);
  world_free(w);
}

static void requests_behind_an_export_keep_their_order(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  struct talk t;
  import(w, 500, 1000);
  talk_open(&t, w, world_leader(w));
  say(&t, EXPORT("") "GET /v1/collections/c/new HTTP/1.1\r\nHost: x\r\n\r\n"
                     "PUT /v1/collections/c/new HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     "Content-Length: 2\r\n\r\n{}" EXPORT("Connection: close\r\n"));
  static const int statuses[] = {200, 404, 201, 200};
  static const size_t lines[] = {500, 0, 0, 501};
  for (size_t i = 0; i < 4; i++) {
    size_t before = heard(&t);
    if (before > i) continue; /* several came at once: the last one is looked at */
    WORLD_UNTIL(w, heard(&t) > i, 2000);
    if (t.answers_n != i + 1) continue;
    assert_int_equal(t.last.status, statuses[i]);
    if (lines[i] > 0) assert_int_equal(lines_of(&t.last.body), lines[i]);
  }
  assert_int_equal(t.answers_n, 4);
  assert_int_equal(lines_of(&t.last.body), 501);
  WORLD_UNTIL(w, t.wire->ended, 100);
  talk_close(&t);
  world_free(w);
}

/* A client of HTTP/1.0 gets the documents as they are, and the end. */
static void http_1_0_gets_no_chunks(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  import(w, 200, 1000);
  struct wire *wire = world_connect(w, 0);
  wire_send_text(w, wire, "GET /v1/collections/c HTTP/1.0\r\nAccept: " NDJSON "\r\n\r\n");
  WORLD_UNTIL(w, wire->ended, 1000);
  assert_true(wire_has(wire, "Connection: close\r\n"));
  assert_false(wire_has(wire, "chunked"));
  assert_int_equal(lines_of(&wire->received) - 200,
                   lines_of(&(struct bytes){
                       .data = wire->received.data,
                       .n = (size_t)((uint8_t *)memmem(wire->received.data, wire->received.n, "\r\n\r\n", 4) -
                                     wire->received.data) +
                            4}));
  wire_close(w, wire);
  world_free(w);
}

/* Several at once get equal shares, and others are served between their slices. */
static void exports_share_and_leave_room_for_others(void **state) {
  (void)state;
  enum { EXPORTS = 4 };
  struct world *w = formed(1, 1);
  struct talk talks[EXPORTS];
  import(w, 3000, 3000);
  for (int i = 0; i < EXPORTS; i++) {
    talk_open(&talks[i], w, 0);
    say(&talks[i], EXPORT(""));
  }
  size_t compared = 0;
  uint64_t longest_ms = 0;
  while (heard(&talks[0]) + heard(&talks[1]) + heard(&talks[2]) + heard(&talks[3]) == 0) {
    const uint64_t from_ms = world_now_ms(w);
    assert_int_equal(world_status(w, 0, "PUT", "/v1/collections/other/a", "{}") / 100, 2);
    if (world_now_ms(w) - from_ms > longest_ms) longest_ms = world_now_ms(w) - from_ms;
    size_t least = SIZE_MAX, most = 0;
    for (int i = 0; i < EXPORTS; i++) {
      const size_t n = talks[i].wire->received.n;
      if (n < least) least = n;
      if (n > most) most = n;
    }
    if (least < 1000000) continue;
    assert_true(most < 2 * least);
    compared++;
  }
  assert_true(compared > 0);
  assert_true(longest_ms <= 50);
  for (int i = 0; i < EXPORTS; i++) {
    WORLD_UNTIL(w, heard(&talks[i]) == 1, 2000);
    assert_int_equal(lines_of(&talks[i].last.body), 3000);
    talk_close(&talks[i]);
  }
  world_free(w);
}

/* Each turn gives all works together so many units; a call of api_work() may go a little over its slice. */
static void a_turn_is_bounded(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct talk t;
  import(w, 3000, 3000);
  talk_open(&t, w, 0);
  say(&t, EXPORT(""));
  size_t before = 0, most = 0, steps = 0;
  for (; heard(&t) == 0; steps++) {
    WORLD_CHECK(w, world_step(w, world_now_ms(w) + 1000));
    const struct costs now = costs_of(w, 0);
    if (now.out > before && now.out - before > most) most = now.out - before;
    before = now.out;
  }
  assert_true(most <= EXPORT_BYTES_MAX);
  assert_true(steps > 9000000 / EXPORT_BYTES_MAX);
  talk_close(&t);
  world_free(w);
}

/* ---- The end ---- */

static void begin_some(struct world *w, int node, struct talk talks[3]) {
  for (int i = 0; i < 3; i++) talk_open(&talks[i], w, node);
  world_run(w, 10);
  wire_read(w, talks[0].wire, false);
  say(&talks[0], EXPORT(""));
  say(&talks[1], IMPORT(CODING));
  say_chunk(&talks[1], "{}\n", 3);
  say(&talks[2], IMPORT(CODING));
  say_chunk(&talks[2], "{", 1);
  WORLD_UNTIL(w, wire_has(talks[1].wire, "\"line\":1,"), 1000);
}

static void a_node_that_stops_ends_them(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w);
  struct talk talks[3];
  import(w, 1000, 1000);
  begin_some(w, leader, talks);
  const uint64_t from_ms = world_now_ms(w);
  world_terminate(w, leader);
  WORLD_UNTIL(w, !world_is_running(w, leader), STOP_MS + 10);
  world_run(w, 10);
  assert_true(world_now_ms(w) - from_ms <= STOP_MS + 20);
  wire_read(w, talks[0].wire, true);
  world_run(w, 10);
  for (int i = 0; i < 3; i++) assert_true(talks[i].wire->ended);
  assert_int_equal(heard(&talks[0]) + heard(&talks[1]), 0);
  assert_int_equal(heard(&talks[2]), 1); /* nothing of it had been answered */
  assert_int_equal(talks[2].last.status, 503);
  for (int i = 0; i < 3; i++) talk_close(&talks[i]);
  world_free(w);
}

static void a_node_that_ends_at_once_keeps_nothing(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w);
  struct talk talks[3];
  import(w, 1000, 1000);
  begin_some(w, leader, talks);
  world_kill(w, leader);
  world_run(w, 10);
  for (int i = 0; i < 3; i++) talk_close(&talks[i]);
  world_free(w);
}

/* Out of reach of its old cluster the leader, begun anew, has founded another, which it gives up when it
 * hears of the old one: with a request in its hands. */
static void a_node_that_starts_afresh_ends_them(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int node = world_leader(w);
  struct talk t;
  for (int i = 0; i < 3; i++) {
    if (i == node) continue;
    world_block(w, i, node, true, true);
    world_block(w, node, i, true, true);
  }
  world_kill(w, node);
  world_start(w, node);
  WORLD_UNTIL(w, world_has_logged(w, node, "founded cluster") && world_http_is_open(w, node), 1000);
  talk_open(&t, w, node);
  say(&t, IMPORT(CODING));
  say_chunk(&t, "{", 1);
  world_run(w, 10);
  assert_int_equal(world_node(w, node)->clients_n, 1);
  world_unblock_all(w);
  WORLD_UNTIL(w, t.wire->ended, 5000);
  assert_int_equal(heard(&t), 1);
  assert_int_equal(t.last.status, 503);
  WORLD_UNTIL(w, world_is_formed(w), 5000);
  talk_close(&t);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_export_costs_little_memory),
      cmocka_unit_test(an_export_waits_for_its_reader_but_not_for_ever),
      cmocka_unit_test(a_long_export_is_not_idle),
      cmocka_unit_test(requests_behind_an_export_keep_their_order),
      cmocka_unit_test(http_1_0_gets_no_chunks),
      cmocka_unit_test(exports_share_and_leave_room_for_others),
      cmocka_unit_test(a_turn_is_bounded),
      cmocka_unit_test(a_node_that_stops_ends_them),
      cmocka_unit_test(a_node_that_ends_at_once_keeps_nothing),
      cmocka_unit_test(a_node_that_starts_afresh_ends_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
