/* Goal: what is not the log's is told from what is: files that are no segments, segments of other nodes,
 * clusters and generations. Those that are left over from an earlier identity, or from one that was never
 * taken, are removed. Method: logs of several segments in memory, opened with other stamps, and beside other
 * files. */
#include "log_case.h"

static struct log_case c;
static struct fake_files *whole; /* what is harmed copies of */

static int set_up(void **state) {
  (void)state;
  log_case_begin(&c, 1);
  return log_case_open(&c);
}

static int tear_down(void **state) {
  (void)state;
  log_case_end(&c);
  return 0;
}

static void make_sample(void) {
  log_case_sample(&c);
  whole = c.disk;
}

static void harm_anew(void) {
  c.disk = fake_files_copy(whole, 1);
}

static void done(void) {
  log_case_close(&c);
  fake_files_free(c.disk);
  c.disk = whole;
}

/* ---- What is no segment ---- */

static void test_other_names(void **state) {
  (void)state;
  static const char *const names[] = {
      "log/core",   "log/000000000000001",  "log/00000000000000001", "log/000000000000000A",
      "log/spare2", "log/0000000000000000", "log/.0000000000000001", "log/0000000000000001~",
  };
  ok(log_case_add(&c, 3, 1));
  log_case_close(&c);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    fake_files_put(c.disk, names[i], "x", 1);
    log_case_expect_damage(&c, names[i]);
    fake_files_take(c.disk, names[i]);
  }
  fake_files_put(c.disk, "log/spare", "x", 1);
  log_case_expect(&c);
  const struct files *files = fake_files_table(c.disk);
  ok(files->make_directory(files->context, log_case_segment(2)));
  log_case_expect_damage(&c, "no regular file");
}

/* ---- Generations and identities ---- */

static void test_foreign(void **state) {
  (void)state;
  make_sample();
  const struct stamp stamp = c.options.stamp;
  c.options.stamp.id++;
  log_case_expect_damage(&c, "belongs to node 0000000000c0ac1e of cluster 6120636c7573746572");
  c.options.stamp = stamp;
  c.options.stamp.cluster[15]++;
  log_case_expect_damage(&c, "files of two");
  c.options.stamp = stamp;
  c.options.stamp.generation--;
  log_case_expect_damage(&c, "generation 2");
  c.options.stamp = stamp;
  log_case_expect(&c);
}

static void begin_generation(void) {
  c.options.stamp.generation++;
  c.options.stamp.id += 5;
  c.options.number_min = 0;
  c.model = (struct log_model){0};
}

static void test_earlier_generation(void **state) {
  (void)state;
  make_sample();
  begin_generation();
  for (unsigned harm = 0; harm < 3; harm++) {
    harm_anew();
    if (harm == 1) fake_files_flip(c.disk, log_case_segment(2), 700, 1);
    if (harm == 2) fake_files_take(c.disk, log_case_segment(2));
    c.model = (struct log_model){0};
    c.options.number_min = 0;
    log_case_expect(&c);
    assert_int_equal(log_number(c.log), 0);
    for (uint64_t i = 1; i <= 4; i++) assert_false(fake_files_exists(c.disk, log_case_segment(i)));
    ok(log_case_add(&c, 2, 1));
    assert_int_equal(log_number(c.log), 5); /* numbers go on */
    log_case_expect(&c);
    done();
  }
  /* Beside some of the new one's: a crash before their removal. Whatever their numbers are, its own go on. */
  harm_anew();
  c.options.number_min = 0;
  c.model = (struct log_model){0};
  ok(log_case_open(&c));
  ok(log_case_add(&c, 2, 1));
  log_case_close(&c);
  for (uint64_t i = 2; i <= 9; i += i == 4 ? 5 : 2) {
    struct bytes content = {0};
    char name[FILES_NAME_BYTES_MAX];
    log_name(i < 9 ? i : 1, name);
    assert_true(fake_files_content(whole, name, &content));
    fake_files_put(c.disk, log_case_segment(i), content.data, content.n);
    bytes_close(&content);
  }
  log_case_expect(&c);
  assert_false(fake_files_exists(c.disk, log_case_segment(2)));
  while (log_number(c.log) == 5) ok(log_case_add(&c, 2, 1));
  assert_int_equal(log_number(c.log), 6);
  log_case_expect(&c);
  done();
}

/* A segment for an identity that the meta files were never written with: the last of all, and only one. */
static void test_generation_to_come(void **state) {
  (void)state;
  make_sample();
  struct stamp next = c.options.stamp;
  next.generation++;
  next.id++;
  harm_anew();
  ok(log_case_open(&c));
  struct log *log = log_begin(c.log, &next);
  struct bytes records = {0};
  log_record_put(&records, &(struct log_record){.type = LOG_ENTRY, .index = 1, .term = 1, .entry_type = 1});
  ok(log_append(log, &(struct log_append){records.data, records.n, 1}, &c.fault));
  assert_int_equal(log_number(log), 5);
  bytes_close(&records);
  log_free(log);
  log_case_close(&c);
  struct fake_files *both = fake_files_copy(c.disk, 1);
  fake_files_cut_power(c.disk, FAKE_LOSE_ALL);
  log_case_expect(&c); /* it never came */
  assert_false(fake_files_exists(c.disk, log_case_segment(5)));
  while (log_number(c.log) == 4) ok(log_case_add(&c, 2, 1000));
  assert_int_equal(log_number(c.log), 5);
  log_case_expect(&c);
  done();
  c.disk = both; /* it did */
  const struct log_case before = c;
  c.options.stamp = next;
  c.options.number_min = 5;
  ok(log_case_open(&c));
  assert_int_equal(c.found.entries_n, 1);
  for (uint64_t i = 1; i <= 4; i++) assert_false(fake_files_exists(c.disk, log_case_segment(i)));
  log_case_close(&c);
  fake_files_free(c.disk);
  c = before;
  c.disk = whole;
}

/* Whose a bad header is cannot be told. Where the log begins after it, nobody needs to know. */
static void test_bad_header_of_unknown_generation(void **state) {
  (void)state;
  make_sample();
  begin_generation();
  harm_anew();
  fake_files_flip(c.disk, log_case_segment(4), 9, 1);
  log_case_expect_damage(&c, log_case_segment(4));
  fake_files_flip(c.disk, log_case_segment(4), 9, 1);
  log_case_expect(&c);
  ok(log_case_add(&c, 2, 1));
  log_case_close(&c);
  fake_files_put(c.disk, log_case_segment(4), "what is this?", 13);
  log_case_expect(&c);
  assert_false(fake_files_exists(c.disk, log_case_segment(4)));
  done();
}

static void test_clear(void **state) {
  (void)state;
  make_sample();
  harm_anew();
  const struct files *files = fake_files_table(c.disk);
  fake_files_put(c.disk, "log/spare", "x", 1);
  ok(log_clear(files, c.options.stamp.generation, &c.fault));
  assert_false(fake_files_exists(c.disk, "log/spare"));
  log_case_expect(&c);
  log_case_close(&c);
  ok(log_clear(files, c.options.stamp.generation + 1, &c.fault));
  for (uint64_t i = 1; i <= 4; i++) assert_false(fake_files_exists(c.disk, log_case_segment(i)));
  done();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_other_names, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_foreign, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_earlier_generation, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_generation_to_come, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bad_header_of_unknown_generation, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_clear, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
