/* Goal: whatever a data directory holds, inspecting it ends well, changes nothing, tells what a start would
 * do, and calls sound what a start takes as it is, and nothing else.
 *
 * A sound directory is damaged in every way that bytes and names can be; what inspecting says of it is held
 * against disk_open() on a copy, and what it prints is read again as JSON. */
#include "offline/inspect.h"

#include "base/memory.h"
#include "disk/meta.h"
#include "offline/survey.h"
#include "offline_scene.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- What is said ---- */

static char *printed(const struct files *files, const struct inspect_options *options,
                     enum inspect_status *status) {
  char *text, *complaints;
  size_t n;
  FILE *out = open_memstream(&text, &n), *err = open_memstream(&complaints, &n);
  *status = inspect_files(files, options, false, scene_key, out, err);
  fclose(out);
  fclose(err);
  free(complaints);
  return text;
}

static json_t *as_json(const struct files *files, enum inspect_status *status) {
  const struct inspect_options options = {.path = "DATA", .json = true, .to = UINT64_MAX};
  char *text = printed(files, &options, status);
  json_error_t error;
  json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (json == NULL) fail_msg("%s: %s", error.text, text);
  free(text);
  return json;
}

static bool is_true(const json_t *json, const char *key) {
  return json_is_true(json_object_get(json, key));
}

/* Other bytes are not printed as they are. */
static bool is_ascii(const char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char)*text >= 0x80) return false;
  return true;
}

/* A start on a copy. */
static int start(const struct fake_files *files, struct disk_fault *fault) {
  struct fake_files *copy = fake_files_copy(files, 1);
  const struct disk_options options = scene_options();
  struct disk *disk;
  struct disk_found found;
  const int error = disk_open(fake_files_table(copy), &options, &disk, &found, fault);
  if (error == 0) {
    disk_found_close(&found);
    disk_free(disk);
  }
  fake_files_free(copy);
  return error;
}

/* Refuses what a start refuses, with its words; all three ways of printing end well. */
static enum inspect_status inspect_all_ways(struct fake_files *files) {
  const struct inspect_options text = {.path = "DATA", .to = UINT64_MAX};
  const struct inspect_options log = {.path = "DATA", .log = true, .to = UINT64_MAX};
  const struct inspect_options json_log = {.path = "DATA", .log = true, .json = true, .to = UINT64_MAX};
  const uint64_t changes = fake_files_count(files, FAKE_CHANGES);
  enum inspect_status status, other;
  struct disk_fault fault = {0};
  json_t *json = as_json(fake_files_table(files), &status);
  free(printed(fake_files_table(files), &text, &other));
  assert_int_equal(other, status);
  free(printed(fake_files_table(files), &log, &other));
  assert_int_equal(other, status);
  free(printed(fake_files_table(files), &json_log, &other));
  assert_int_equal(other, status);
  assert_int_equal(fake_files_count(files, FAKE_CHANGES), changes);
  assert_int_equal(fake_files_handles(files), 0);

  const json_t *next = json_object_get(json, "next_start");
  const int error = start(files, &fault);
  const char *sentence = json_string_value(json_object_get(next, "sentence"));
  if (error != 0) {
    assert_true(is_true(next, "refused"));
    if (is_ascii(fault.text)) assert_non_null(strstr(sentence, fault.text));
    assert_int_equal(status, INSPECT_DAMAGED);
  }
  assert_int_equal(is_true(json, "sound"), status == INSPECT_SOUND);
  assert_int_equal(json_array_size(json_object_get(json, "damage")) == 0, status == INSPECT_SOUND);
  json_decref(json);
  return status;
}

/* ---- Sound ones ---- */

static void test_all_is_told(void **state) {
  (void)state;
  struct scene scene = scene_new(SCENE_BOTH, 1);
  enum inspect_status status;
  json_t *json = as_json(scene.table, &status);
  assert_int_equal(status, INSPECT_SOUND);
  assert_string_equal(json_string_value(json_object_get(json, "node")), "0000000000001111");
  assert_int_equal(json_integer_value(json_object_get(json, "term")), (json_int_t)scene.term);
  assert_string_equal(json_string_value(json_object_get(json, "voted_for")), "0000000000002222");
  const json_t *next = json_object_get(json, "next_start");
  assert_int_equal(json_integer_value(json_object_get(next, "last_index")), (json_int_t)scene.last_index);
  const json_t *segments = json_object_get(json, "segments");
  const json_t *last = json_array_get(segments, json_array_size(segments) - 1);
  assert_int_equal(json_integer_value(json_object_get(last, "last_index")), (json_int_t)scene.last_index);
  const json_t *snapshot = json_array_get(json_object_get(json, "snapshots"), 0);
  assert_int_equal(json_array_size(json_object_get(snapshot, "members")), 3);
  assert_true(json_integer_value(json_object_get(snapshot, "documents")) > 0);
  json_decref(json);
  scene_close(&scene);
}

static void test_shapes_are_sound(void **state) {
  (void)state;
  for (int shape = 0; shape < SCENE_SHAPES_N; shape++) {
    struct scene scene = scene_new((enum scene_shape)shape, 2);
    assert_int_equal(inspect_all_ways(scene.files), INSPECT_SOUND);
    scene_close(&scene);
  }
}

static void test_nothing_at_all_is_sound(void **state) {
  (void)state;
  struct fake_files *files = fake_files_new(3);
  assert_int_equal(inspect_all_ways(files), INSPECT_SOUND);
  fake_files_free(files);
}

/* ---- Damage ---- */

struct name_list {
  char **at;
  size_t n;
};

static void free_names(struct name_list *names) {
  for (size_t i = 0; i < names->n; i++) free(names->at[i]);
  free(names->at);
}

static uint64_t bytes_of(const struct fake_files *files, const char *name) {
  struct bytes bytes = {0};
  assert_true(fake_files_content(files, name, &bytes));
  const uint64_t n = bytes.n;
  bytes_close(&bytes);
  return n;
}

static void test_damaged_bytes(void **state) {
  enum { STEP = 23 };
  (void)state;
  struct scene scene = scene_new(SCENE_BOTH, 4);
  struct name_list names;
  uint64_t damaged = 0, all = 0;
  names.at = fake_files_names(scene.files, &names.n);
  for (size_t i = 0; i < names.n; i++) {
    const uint64_t n = bytes_of(scene.files, names.at[i]);
    for (uint64_t offset = i % STEP; offset < n; offset += STEP) {
      const uint8_t mask = (uint8_t)(1u << (offset % 8));
      fake_files_flip(scene.files, names.at[i], offset, mask);
      damaged += inspect_all_ways(scene.files) == INSPECT_DAMAGED;
      all++;
      fake_files_flip(scene.files, names.at[i], offset, mask);
    }
  }
  assert_true(damaged > all / 4);
  assert_int_equal(inspect_all_ways(scene.files), INSPECT_SOUND);
  free_names(&names);
  scene_close(&scene);
}

static void test_files_cut_short_missing_doubled(void **state) {
  enum { STEP = 397 };
  (void)state;
  struct scene scene = scene_new(SCENE_BOTH, 5);
  struct name_list names;
  names.at = fake_files_names(scene.files, &names.n);
  for (size_t i = 0; i < names.n; i++) {
    struct bytes bytes = {0};
    assert_true(fake_files_content(scene.files, names.at[i], &bytes));
    for (size_t n = 0; n < bytes.n; n += STEP) {
      fake_files_put(scene.files, names.at[i], bytes.data, n);
      inspect_all_ways(scene.files);
    }
    fake_files_take(scene.files, names.at[i]);
    inspect_all_ways(scene.files);
    fake_files_put(scene.files, names.at[i], bytes.data, bytes.n);
    assert_int_equal(inspect_all_ways(scene.files), INSPECT_SOUND);
    for (size_t k = 0; k < names.n; k++) { /* in another's place */
      struct bytes other = {0};
      assert_true(fake_files_content(scene.files, names.at[k], &other));
      fake_files_put(scene.files, names.at[k], bytes.data, bytes.n);
      inspect_all_ways(scene.files);
      fake_files_put(scene.files, names.at[k], other.data, other.n);
      bytes_close(&other);
    }
    bytes_close(&bytes);
  }
  free_names(&names);
  scene_close(&scene);
}

static void test_strange_names(void **state) {
  static const char *const strange[] = {
      "stranger",  "log/stranger",      "snapshot/stranger",         "meta-new",
      "meta-3",    "\xff\xfe",          "log/000000000000000g",      "log/ffffffffffffffff",
      "log/\xc3(", "snapshot/incoming", "snapshot/ffffffffffffffff", "snapshot/0000000000000000",
  };
  (void)state;
  struct scene scene = scene_new(SCENE_BOTH, 6);
  for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
    fake_files_put(scene.files, strange[i], "what is this?", 13);
    inspect_all_ways(scene.files);
    fake_files_take(scene.files, strange[i]);
  }
  assert_int_equal(inspect_all_ways(scene.files), INSPECT_SOUND);
  scene_close(&scene);
}

/* All of it, not the first of it only. */
static void test_every_damaged_file_is_named(void **state) {
  (void)state;
  struct scene scene = scene_new(SCENE_BOTH, 7);
  struct name_list names;
  enum inspect_status status;
  size_t flipped = 0;
  names.at = fake_files_names(scene.files, &names.n);
  for (size_t i = 0; i < names.n; i++) {
    if (strcmp(names.at[i], "log/spare") == 0) continue;
    fake_files_flip(scene.files, names.at[i], 20, 4);
    flipped++;
  }
  json_t *json = as_json(scene.table, &status);
  const json_t *damage = json_object_get(json, "damage");
  assert_int_equal(status, INSPECT_DAMAGED);
  assert_true(flipped > 4 && json_array_size(damage) >= flipped);
  for (size_t i = 0; i < names.n; i++) {
    bool named = strcmp(names.at[i], "log/spare") == 0;
    for (size_t k = 0; k < json_array_size(damage); k++)
      named = named || strstr(json_string_value(json_array_get(damage, k)), names.at[i]) != NULL;
    if (!named) fail_msg("%s is not named", names.at[i]);
  }
  json_decref(json);
  free_names(&names);
  scene_close(&scene);
}

/* A disk that cannot be read is told of like damage; where nothing can be listed, that it is impossible. */
static void test_errors_of_the_disk(void **state) {
  (void)state;
  struct scene scene = scene_new(SCENE_BOTH, 8);
  const struct inspect_options options = {.path = "DATA", .to = UINT64_MAX};
  for (uint64_t at = 0;; at++) {
    struct fake_files *files = fake_files_copy(scene.files, at);
    enum inspect_status status;
    fake_files_fail(files, FAKE_ALL, at, -EIO);
    free(printed(fake_files_table(files), &options, &status));
    const bool was_reached = fake_files_failed(files) > 0;
    if (at == 0) assert_int_equal(status, INSPECT_IMPOSSIBLE);
    assert_int_equal(fake_files_handles(files), 0);
    fake_files_free(files);
    if (!was_reached) break;
  }
  scene_close(&scene);
}

/* ---- The log ---- */

static void test_the_log_is_chosen_by_index(void **state) {
  (void)state;
  struct scene scene = scene_new(SCENE_LOG, 9);
  const struct inspect_options options = {.path = "DATA", .log = true, .from = 1, .to = 3};
  enum inspect_status status;
  char *text = printed(scene.table, &options, &status);
  assert_int_equal(strncmp(text,
                           "1  term 5  configuration 61 (0000000000001111), 62 (0000000000002222), "
                           "63 (0000000000003333)\n2  term 5  no-op\n3  term 5  ",
                           120),
                   0);
  size_t lines = 0;
  for (const char *at = text; *at != '\0'; at++) lines += *at == '\n';
  assert_int_equal(lines, 3);
  free(text);
  scene_close(&scene);
}

/* The command, as the last entry of a log, in both kinds of output. `expected` is what follows index and
 * term. */
static void assert_told(const struct command *command, const char *expected_text, const char *expected_json) {
  struct scene scene = scene_new(SCENE_LOG, 10);
  scene_write(&scene, command);
  for (int json = 0; json < 2; json++) {
    const struct inspect_options options = {
        .path = "DATA", .log = true, .json = json == 1, .from = scene.last_index, .to = UINT64_MAX};
    enum inspect_status status;
    char *text = printed(scene.table, &options, &status), before[64];
    snprintf(before, sizeof before,
             json == 1 ? "{\"index\":%d,\"term\":5,\"type\":\"command\"," : "%d  term 5  ",
             (int)scene.last_index);
    assert_int_equal(strncmp(text, before, strlen(before)), 0);
    text[strlen(text) - 1] = '\0'; /* the end of the line */
    assert_string_equal(text + strlen(before), json == 1 ? expected_json : expected_text);
    free(text);
  }
  scene_close(&scene);
}

static void test_commands_are_told(void **state) {
  (void)state;
  const struct command_once once = {.key = {0xab, [15] = 0xcd}, .request = {1}, .note = {2}};
  const struct command put = {.type = COMMAND_PUT,
                              .condition = COMMAND_IF_BASE,
                              .revision = 7,
                              .collection = slice_of("c"),
                              .id = slice_of("d"),
                              .body = slice_of("{}")};
  const struct command remove = {.type = COMMAND_DELETE, .collection = slice_of("c"), .id = slice_of("e")};
  const struct command operations[] = {put, remove};
  struct command several = {.type = COMMAND_TRANSACTION, .operations = operations, .operations_n = 2};
  struct command drop = {.type = COMMAND_DROP, .collection = slice_of("c"), .once = &once};
#define PUT                                                                                                  \
  "{\"operation\":\"put\",\"collection\":\"c\",\"id\":\"d\",\"condition\":\"if-base\",\"revision\":7,"       \
  "\"body_bytes\":2}"
#define DELETE "{\"operation\":\"delete\",\"collection\":\"c\",\"id\":\"e\",\"condition\":\"always\"}"
#define ONCE                                                                                                 \
  "\"once\":{\"key\":\"ab0000000000000000000000000000cd\",\"request\":\"01000000000000000000000000000000\"," \
  "\"note\":\"02000000000000000000000000000000\"}"
  assert_told(&put, "put          c/d if-base 7, 2 bytes", &PUT[1]);
  assert_told(&remove, "delete       c/e", &DELETE[1]);
  assert_told(&several, "transaction  2 operations: put c/d if-base 7, 2 bytes; delete c/e",
              "\"operation\":\"transaction\",\"operations\":[" PUT "," DELETE "]}");
  several.type = COMMAND_BATCH;
  several.operations_n = 1;
  several.once = &once;
  assert_told(
      &several,
      "batch        1 operation: put c/d if-base 7, 2 bytes, once, key ab0000000000000000000000000000cd",
      "\"operation\":\"batch\",\"operations\":[" PUT "]," ONCE "}");
  assert_told(&drop, "drop         c, once, key ab0000000000000000000000000000cd",
              "\"operation\":\"drop\",\"collection\":\"c\"," ONCE "}");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_is_told),
      cmocka_unit_test(test_shapes_are_sound),
      cmocka_unit_test(test_nothing_at_all_is_sound),
      cmocka_unit_test(test_damaged_bytes),
      cmocka_unit_test(test_files_cut_short_missing_doubled),
      cmocka_unit_test(test_strange_names),
      cmocka_unit_test(test_every_damaged_file_is_named),
      cmocka_unit_test(test_errors_of_the_disk),
      cmocka_unit_test(test_the_log_is_chosen_by_index),
      cmocka_unit_test(test_commands_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
