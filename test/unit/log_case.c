#include "log_case.h"

#include <assert.h>

static const struct stamp stamp = {.id = 0xc0ac1e, .cluster = "a cluster", .generation = 2};

void log_case_begin(struct log_case *c, uint64_t seed) {
  *c = (struct log_case){.disk = fake_files_new(seed)};
  c->options = (struct log_options){
      .stamp = stamp, .segment_bytes = LOG_CASE_SEGMENT_BYTES, .salt_seed = seed ^ 0x5a17};
  const struct files *files = fake_files_table(c->disk);
  ok(files->make_directory(files->context, "log"));
  ok(files->sync_directory(files->context, ""));
}

void log_case_close(struct log_case *c) {
  if (c->log != NULL) log_found_close(&c->found);
  log_free(c->log);
  c->log = NULL;
}

void log_case_end(struct log_case *c) {
  log_case_close(c);
  assert_int_equal(fake_files_handles(c->disk), 0);
  fake_files_free(c->disk);
}

int log_case_open(struct log_case *c) {
  log_case_close(c);
  memset(&c->fault, 0, sizeof c->fault);
  const int error = log_open(fake_files_table(c->disk), &c->options, c->model.snapshot_index,
                             c->model.snapshot_term, &c->log, &c->found, &c->fault);
  if (error == 0) return 0;
  assert_true(c->fault.text[0] != '\0');
  assert_null(c->log);
  assert_null(c->found.entries);
  return error;
}

/* ---- Entries ---- */

static size_t data_of(const struct log_case *c, uint64_t index, uint64_t term, uint8_t data[1024]) {
  struct random random = {index * 1000003 + term};
  const size_t n = c->data_bytes > 0 ? c->data_bytes : (size_t)(index * 37 % 211);
  for (size_t i = 0; i < n; i++) data[i] = (uint8_t)random_next(&random);
  return n;
}

static bool is_entry_right(const struct log_case *c, const struct coracle_raft_entry *entry, uint64_t index,
                           uint64_t term) {
  uint8_t data[1024];
  const size_t n = data_of(c, index, term, data);
  return entry->index == index && entry->term == term && entry->type == CORACLE_RAFT_COMMAND &&
         entry->bytes == n && memcmp(entry->data, data, n) == 0;
}

bool log_case_agrees(const struct log_case *c, const struct log_model *model) {
  const struct log_found *found = &c->found;
  const uint64_t needed = model->snapshot_index > model->base ? model->snapshot_index : model->base;
  const uint64_t first = found->entries_n > 0 ? found->entries[0]->index : model->last + 1;
  if (first > needed + 1 || first <= model->base || first + found->entries_n != model->last + 1) return false;
  for (size_t i = 0; i < found->entries_n; i++)
    if (!is_entry_right(c, found->entries[i], first + i, model->terms[first + i])) return false;
  return true;
}

void log_case_expect(struct log_case *c) {
  const int error = log_case_open(c);
  if (error != 0) print_error("%s\n", c->fault.text);
  assert_int_equal(error, 0);
  assert_true(log_case_agrees(c, &c->model));
}

void log_case_expect_damage(struct log_case *c, const char *words) {
  assert_int_equal(log_case_open(c), CORACLE_EDAMAGED);
  if (strstr(c->fault.text, words) == NULL) print_error("%s\n", c->fault.text);
  assert_non_null(strstr(c->fault.text, words));
}

/* ---- The model ---- */

void log_model_add(struct log_model *model, uint64_t entries_n, uint64_t term) {
  assert_true(model->last + entries_n < LOG_CASE_ENTRIES_MAX);
  for (uint64_t i = 0; i < entries_n; i++) model->terms[++model->last] = term;
}

void log_model_truncate(struct log_model *model, uint64_t index) {
  model->last = index - 1;
}

void log_case_place_snapshot(struct log_case *c, uint64_t index, uint64_t term, bool keep) {
  c->model.snapshot_index = index;
  c->model.snapshot_term = term;
  if (!keep) c->model.base = c->model.last = index;
}

/* ---- Appending ---- */

static void put_entries(const struct log_case *c, struct bytes *records, uint64_t from, uint64_t n,
                        uint64_t term) {
  uint8_t data[1024];
  for (uint64_t index = from; index < from + n; index++) {
    const size_t bytes = data_of(c, index, term, data);
    log_record_put(records, &(struct log_record){.type = LOG_ENTRY,
                                                 .index = index,
                                                 .term = term,
                                                 .entry_type = CORACLE_RAFT_COMMAND,
                                                 .data = {(const char *)data, bytes}});
  }
}

static int append(struct log_case *c, struct bytes *records, uint64_t last) {
  const struct log_append what = {records->data, records->n, last};
  const int error = log_append(c->log, &what, &c->fault);
  bytes_close(records);
  if (error == 0) c->options.number_min = log_number(c->log);
  return error;
}

int log_case_add(struct log_case *c, uint64_t entries_n, uint64_t term) {
  return log_case_replace(c, c->model.last + 1, entries_n, term);
}

int log_case_replace(struct log_case *c, uint64_t index, uint64_t entries_n, uint64_t term) {
  struct bytes records = {0};
  const uint64_t last = index + entries_n - 1;
  if (index <= c->model.last)
    log_record_put(&records, &(struct log_record){.type = LOG_TRUNCATE, .index = index});
  put_entries(c, &records, index, entries_n, term);
  const int error = append(c, &records, last);
  if (error != 0) return error;
  log_model_truncate(&c->model, index);
  log_model_add(&c->model, entries_n, term);
  return 0;
}

int log_case_snapshot(struct log_case *c, bool keep) {
  struct bytes records = {0};
  log_record_put(&records, &(struct log_record){.type = LOG_SNAPSHOT,
                                                .index = c->model.snapshot_index,
                                                .term = c->model.snapshot_term,
                                                .keep = keep});
  return append(c, &records, c->model.last);
}

/* ---- Segments ---- */

const char *log_case_segment(uint64_t number) {
  static char name[FILES_NAME_BYTES_MAX];
  log_name(number, name);
  return name;
}

void log_case_sample(struct log_case *c) {
  for (uint64_t i = 1; log_number(c->log) < 4; i++) {
    ok(log_case_add(c, 1 + i % 4, i));
    if (i % 5 == 0) ok(log_case_replace(c, c->model.last - 2, 2, i));
  }
  for (uint64_t i = 0; i < 5; i++) ok(log_case_add(c, 1, 1000));
  log_case_close(c);
}
