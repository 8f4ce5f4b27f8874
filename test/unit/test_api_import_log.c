/* Goal: what the log, a limit or a lost lead does to a batch of lines is said of each of them, and nothing is
 * tried after that which the client could not know of; and clients that go leave nothing behind. */
#include "api_lines.h"

/* ---- The log ---- */

static struct bytes many_lines(int count) {
  struct bytes lines = {0};
  for (int i = 0; i < count; i++) bytes_printf(&lines, "{\"id\":\"%04d\"}\n", i);
  return lines;
}

/* Of those from `first` on. */
static void assert_results(const struct client *c, size_t first, size_t n, int status, const char *code) {
  json_t *results = results_of(c);
  assert_true(first + n <= json_array_size(results));
  for (size_t i = first; i < first + n; i++) {
    assert_int_equal(integer(results, i, "line"), i + 1);
    if (integer(results, i, "status") != status || strcmp(string(results, i, "code"), code) != 0)
      fail_msg("line %zu: %d %s", i + 1, integer(results, i, "status"), string(results, i, "code"));
  }
  json_decref(results);
}

/* The second batch of 256 lines has another verdict. */
static void import_with_verdict(struct client *c, enum replica_verdict verdict) {
  struct bytes lines = many_lines(1000);
  client_open(c, LEADER, API_REDIRECT);
  ask_begin(c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
  for (int batches = 0; c->next != API_RESPONDED;) {
    c->verdict = batches == 1 ? verdict : REPLICA_APPLIED;
    if (c->next == API_WAITING) batches++;
    assert_true(ask_on(c));
  }
  ask_end(c);
  assert_int_equal(c->status, 200);
  bytes_close(&lines);
}

static void a_batch_of_unknown_outcome_ends_it(void **state) {
  (void)state;
  struct client c;
  import_with_verdict(&c, REPLICA_UNKNOWN);
  assert_results(&c, 0, 256, 201, "");
  assert_results(&c, 256, 256, 504, "outcome_unknown");
  assert_results(&c, 512, 488, 503, "not_leader");
  assert_int_equal(store_documents(replica_store(c.replica)), 256);
  client_close(&c);
}

static void without_the_lead_no_more_is_tried(void **state) {
  (void)state;
  struct client c;
  import_with_verdict(&c, REPLICA_NOT_LEADER);
  assert_results(&c, 0, 256, 201, "");
  assert_results(&c, 256, 744, 503, "not_leader");
  assert_int_equal(store_documents(replica_store(c.replica)), 256);
  client_close(&c);
}

static void what_was_too_much_may_be_sent_again(void **state) {
  (void)state;
  struct client c;
  import_with_verdict(&c, REPLICA_BUSY);
  assert_results(&c, 0, 256, 201, "");
  assert_results(&c, 256, 256, 503, "busy");
  assert_results(&c, 512, 488, 201, "");
  client_close(&c);
}

/* What happens between slices: in the first there is nothing yet. One that leads again has not heard of it.
 */
static void depose(struct client *c) {
  c->view.role = CORACLE_RAFT_LEADER;
  c->view.leader = c->members;
  if (c->slices != 2) return;
  c->view.role = CORACLE_RAFT_FOLLOWER;
  c->view.leader = NULL;
  c->view.no_leader_reason = "need 2 of 3 voters, reached 1";
}

static void stop_writes(struct client *c) {
  c->view.writes_stopped = c->slices == 2 ? "The leader is giving up its place." : NULL;
}

static void fill_disk(struct client *c) {
  c->view.disk_full = c->slices == 2 ? "There is no room on the disk of b." : NULL;
}

static void elect_anew(struct client *c) {
  c->view.committed_own_term = c->slices != 2;
}

/* What is known before anything is proposed. */
static void a_leader_that_takes_none_says_so(void **state) {
  (void)state;
  static const struct {
    void (*between)(struct client *);
    int status;
    const char *code;
    int next_status; /* of the third batch */
    const char *next_code;
  } cases[] = {{depose, 503, "no_leader", 503, "not_leader"},
               {stop_writes, 503, "writes_stopped", 201, ""},
               {fill_disk, 507, "disk_full", 507, "disk_full"}, /* seen with each line: in the same slice */
               {elect_anew, 503, "not_ready", 201, ""}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct client c;
    struct bytes lines = many_lines(768);
    client_open(&c, LEADER, API_REDIRECT);
    c.between = cases[i].between; /* each slice ends with a batch */
    ask_bytes(&c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
    assert_results(&c, 0, 256, 201, "");
    assert_results(&c, 256, 256, cases[i].status, cases[i].code);
    assert_results(&c, 512, 256, cases[i].next_status, cases[i].next_code);
    bytes_close(&lines);
    client_close(&c);
  }
}

static void each_line_needs_room(void **state) {
  (void)state;
  struct client c;
  client_open_limited(&c, 150);
  import(&c, "", "",
         "{\"id\":\"a\",\"x\":\"--------------------------------------------------\"}\n"
         "{\"id\":\"b\",\"x\":\"--------------------------------------------------"
         "--------------------------------------------------\"}\n"
         "{\"id\":\"c\"}\n");
  assert_results(&c, 0, 1, 201, "");
  assert_results(&c, 1, 1, 507, "store_full");
  assert_results(&c, 2, 1, 201, "");
  assert_null(stored(&c, "b"));
  client_close(&c);
}

/* What a batch needs is counted once. */
static void all_batches_find_the_room_there_is(void **state) {
  (void)state;
  struct client c;
  struct bytes lines = many_lines(1000);
  client_open_limited(&c, 1000 * (strlen("items") + strlen("0000") + strlen("{\"id\":\"0000\"}")));
  ask_bytes(&c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
  assert_results(&c, 0, 1000, 201, "");
  ask(&c, "POST", ITEMS, JSON, "{}");
  assert_problem(&c, 507, "store_full");
  bytes_close(&lines);
  client_close(&c);
}

/* ---- The client goes ---- */

static void a_client_that_goes_ends_it(void **state) {
  (void)state;
  struct client c;
  struct replica_result result;
  struct bytes nobody = {0};
  client_open(&c, LEADER, API_REDIRECT);
  c.piece_bytes = 20;
  ask_begin(&c, "POST", ITEMS, NDJSON, slice_of("{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n"));
  while (c.next != API_WAITING) assert_true(ask_on(&c));
  assert_false(api_cancel(c.replica, &c.call)); /* it is in the log */
  assert_true(fake_replica_finish(c.replica, REPLICA_APPLIED, &result));
  assert_int_equal(api_complete(c.api, &c.view, c.replica, &c.call, &c, &result, &nobody), API_RESPONDED);
  assert_int_equal(nobody.n, 0);
  ask_end(&c);
  assert_non_null(stored(&c, "a"));
  ask_begin(&c, "POST", ITEMS, NDJSON, slice_of("{\"id\":\"d\"}\n{\"id\":\"e\"}\n{\"id\":\"f\"}\n"));
  assert_true(ask_on(&c));
  assert_int_equal(c.next, API_STARVED);
  assert_true(api_cancel(c.replica, &c.call));
  c.answer.n = 0;
  ask_end(&c);
  assert_null(stored(&c, "d"));
  bytes_close(&nobody);
  client_close(&c);
}

static void only_so_many_at_a_time(void **state) {
  (void)state;
  enum { IMPORTS_MAX = 16 };
  struct client c;
  struct api_call calls[IMPORTS_MAX];
  client_open(&c, LEADER, API_REDIRECT);
  for (int i = 0; i < IMPORTS_MAX; i++) {
    ask_begin(&c, "POST", ITEMS, NDJSON, slice_of("{}\n"));
    assert_int_equal(c.next, API_WORKING);
    calls[i] = c.call;
    c.call = (struct api_call){0};
    ask_end(&c);
  }
  import(&c, "", "", "{}\n");
  assert_problem(&c, 503, "busy");
  assert_header(&c, "Connection", "close");
  for (int i = 0; i < IMPORTS_MAX; i++) {
    assert_true(api_cancel(c.replica, &calls[i]));
    api_call_close(&calls[i]);
    import(&c, "", "", "{}\n");
    assert_int_equal(c.status, 200);
  }
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_batch_of_unknown_outcome_ends_it),
      cmocka_unit_test(without_the_lead_no_more_is_tried),
      cmocka_unit_test(what_was_too_much_may_be_sent_again),
      cmocka_unit_test(a_leader_that_takes_none_says_so),
      cmocka_unit_test(each_line_needs_room),
      cmocka_unit_test(all_batches_find_the_room_there_is),
      cmocka_unit_test(a_client_that_goes_ends_it),
      cmocka_unit_test(only_so_many_at_a_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
