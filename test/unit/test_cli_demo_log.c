/* Goal: the demo shows its nodes' lines in the order in which things happened, the ones that matter, and
 * nothing that could harm a terminal; and it remembers the last lines of each node. Method: bytes in, as
 * pipes give them, and a clock that is a number. */
#include "cli/demo_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct demo_log demo_log; /* fresh for each test */

static int open_log(void **state) {
  (void)state;
  demo_log = (struct demo_log){0};
  return 0;
}

static int close_log(void **state) {
  (void)state;
  demo_log_close(&demo_log);
  return 0;
}

static void feed(size_t node, const char *bytes, uint64_t now_ms) {
  const char *names[] = {"a", "b", "c"};
  demo_log_feed(&demo_log, node, names[node], bytes, strlen(bytes), now_ms);
}

static void assert_next(uint64_t now_ms, const char *text) {
  struct demo_line *line = demo_log_next(&demo_log, now_ms);
  assert_non_null(line);
  assert_string_equal(line->text, text);
  demo_line_free(line);
}

static void assert_none(uint64_t now_ms) {
  assert_null(demo_log_next(&demo_log, now_ms));
}

static void a_line_is_taken_apart(void **state) {
  (void)state;
  feed(1, "2026-11-23T06:10:39.123Z INFO  b: step 4: sent ACCEPT to 127.0.0.1:8000\n", 0);
  struct demo_line *line = demo_log_next(&demo_log, DEMO_NEWS_HOLD_MS);
  assert_non_null(line);
  assert_int_equal(line->node, 1);
  assert_int_equal(line->step, 4);
  assert_false(line->alarming);
  assert_string_equal(line->time, "2026-11-23T06:10:39.123Z");
  assert_string_equal(line->text, "step 4: sent ACCEPT to 127.0.0.1:8000");
  demo_line_free(line);
}

static void a_line_in_pieces_is_one_line(void **state) {
  (void)state;
  const char *whole = "2026-11-23T06:10:39.123Z INFO  a: step 1: trying\n";
  for (const char *at = whole; *at != '\0'; at++) demo_log_feed(&demo_log, 0, "a", at, 1, 0);
  assert_next(DEMO_NEWS_HOLD_MS, "step 1: trying");
  assert_none(DEMO_NEWS_HOLD_MS);
}

static void only_news_is_shown(void **state) {
  (void)state;
  feed(0, "2026-11-23T06:10:39.101Z INFO  a: listening on 127.0.0.1:8001\n", 0);
  feed(0, "2026-11-23T06:10:39.102Z DEBUG a: heartbeat\n", 0);
  feed(0, "2026-11-23T06:10:39.103Z INFO  a: membership: b is a learner\n", 0);
  feed(0, "2026-11-23T06:10:39.103Z INFO  a: leading term 7\n", 0);
  feed(0, "2026-11-23T06:10:39.104Z WARN  a: the disk is slow\n", 0);
  feed(0, "2026-11-23T06:10:39.105Z ERROR a: the disk is gone\n", 0);
  feed(0, "a program's own words\n", 0);
  feed(0, "2026-11-23T06:10:39.106Z INFO  a: step 9: there is none\n", 0);
  feed(0, "\n", 0);
  assert_next(DEMO_NEWS_HOLD_MS, "membership: b is a learner");
  assert_next(DEMO_NEWS_HOLD_MS, "leading term 7");
  assert_next(DEMO_NEWS_HOLD_MS, "the disk is slow");
  assert_next(DEMO_NEWS_HOLD_MS, "the disk is gone");
  assert_next(DEMO_NEWS_HOLD_MS, "a program's own words");
  assert_none(DEMO_NEWS_HOLD_MS);
}

static void lines_come_out_by_time_and_step(void **state) {
  (void)state;
  feed(0, "2026-11-23T06:10:39.125Z INFO  a: step 5: answered b\n", 10);
  feed(1, "2026-11-23T06:10:39.124Z INFO  b: step 3: taken\n", 10);
  feed(1, "2026-11-23T06:10:39.125Z INFO  b: step 4: sent\n", 10);
  feed(2, "2026-11-23T06:10:39.123Z INFO  c: step 3: taken too\n", 12);
  assert_none(10 + DEMO_NEWS_HOLD_MS - 1);
  assert_int_equal(demo_log_wait_ms(&demo_log, 10), DEMO_NEWS_HOLD_MS);
  /* The last one in is the first one out: the lines that it stands before have waited long enough for it. */
  assert_next(10 + DEMO_NEWS_HOLD_MS, "step 3: taken too");
  assert_next(10 + DEMO_NEWS_HOLD_MS, "step 3: taken");
  assert_next(10 + DEMO_NEWS_HOLD_MS, "step 4: sent");
  assert_next(10 + DEMO_NEWS_HOLD_MS, "step 5: answered b");
  assert_none(10 + DEMO_NEWS_HOLD_MS);
  assert_int_equal(demo_log_wait_ms(&demo_log, 10), -1);
}

static void a_node_keeps_its_order(void **state) {
  (void)state;
  feed(0, "2026-11-23T06:10:39.125Z INFO  a: step 3: taken\n", 0);
  feed(0, "2026-11-23T06:10:39.125Z INFO  a: step 2: won\n", 0);
  feed(0, "2026-11-23T06:10:39.125Z INFO  a: leading term 2\n", 0);
  feed(1, "2026-11-23T06:10:39.125Z INFO  b: following a in term 2\n", 0);
  assert_next(DEMO_NEWS_HOLD_MS, "step 3: taken");
  assert_next(DEMO_NEWS_HOLD_MS, "step 2: won");
  assert_next(DEMO_NEWS_HOLD_MS, "leading term 2");
  assert_next(DEMO_NEWS_HOLD_MS, "following a in term 2");
}

static void lines_of_one_step_are_taken_at_once(void **state) {
  (void)state;
  feed(0, "2026-11-23T06:10:39.124Z INFO  a: step 1: trying\n", 0);
  feed(0, "2026-11-23T06:10:39.125Z INFO  a: step 2: won\n", 0);
  feed(1, "2026-11-23T06:10:39.126Z INFO  b: step 1: trying too\n", 0);
  struct demo_line *line = demo_log_take_step(&demo_log, 1);
  assert_non_null(line);
  assert_string_equal(line->text, "step 1: trying");
  demo_line_free(line);
  line = demo_log_take_step(&demo_log, 1);
  assert_non_null(line);
  assert_string_equal(line->text, "step 1: trying too");
  demo_line_free(line);
  assert_null(demo_log_take_step(&demo_log, 1));
  assert_null(demo_log_take_step(&demo_log, 0));
  assert_next(DEMO_NEWS_HOLD_MS, "step 2: won");
}

static void a_terminal_is_safe(void **state) {
  (void)state;
  feed(0, "2026-11-23T06:10:39.125Z WARN  a: \033[2Jgone\r\n", 0);
  assert_next(DEMO_NEWS_HOLD_MS, " [2Jgone ");
}

static void a_long_line_is_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < 3 * DEMO_LINE_BYTES_MAX; i++) feed(0, "x", 0);
  feed(0, "\nshort\n", 0);
  struct demo_line *line = demo_log_next(&demo_log, DEMO_NEWS_HOLD_MS);
  assert_non_null(line);
  assert_int_equal(strlen(line->text), DEMO_LINE_BYTES_MAX);
  demo_line_free(line);
  assert_next(DEMO_NEWS_HOLD_MS, "short");
  assert_none(DEMO_NEWS_HOLD_MS);
}

static void news_are_bounded(void **state) {
  (void)state;
  char text[80];
  for (int i = 0; i < DEMO_NEWS_MAX + 5; i++) {
    snprintf(text, sizeof text, "2026-11-23T06:10:39.125Z INFO  a: step 1: %d\n", i);
    feed(0, text, 0);
  }
  assert_int_equal(demo_log.dropped, 5);
  assert_next(DEMO_NEWS_HOLD_MS, "step 1: 5");
}

static void the_last_lines_are_remembered(void **state) {
  (void)state;
  char text[80];
  assert_null(demo_log_tail(&demo_log, 0, 0));
  feed(0, "first\n", 0);
  assert_string_equal(demo_log_tail(&demo_log, 0, 0), "first");
  assert_null(demo_log_tail(&demo_log, 0, 1));
  for (int i = 0; i < DEMO_TAIL_LINES; i++) {
    snprintf(text, sizeof text, "line %d\n", i);
    feed(0, text, 0);
  }
  assert_string_equal(demo_log_tail(&demo_log, 0, 0), "line 0");
  snprintf(text, sizeof text, "line %d", DEMO_TAIL_LINES - 1);
  assert_string_equal(demo_log_tail(&demo_log, 0, DEMO_TAIL_LINES - 1), text);
  assert_null(demo_log_tail(&demo_log, 0, DEMO_TAIL_LINES));
  assert_null(demo_log_tail(&demo_log, 1, 0));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)
  const struct CMUnitTest tests[] = {
      TEST(a_line_is_taken_apart),  TEST(a_line_in_pieces_is_one_line),
      TEST(only_news_is_shown),     TEST(lines_come_out_by_time_and_step),
      TEST(a_node_keeps_its_order), TEST(lines_of_one_step_are_taken_at_once),
      TEST(a_terminal_is_safe),     TEST(a_long_line_is_cut),
      TEST(news_are_bounded),       TEST(the_last_lines_are_remembered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
