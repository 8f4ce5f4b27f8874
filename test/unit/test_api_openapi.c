/* GET /openapi.json: the file in docs/, byte for byte, from every node at any time. Whether what it says is
 * true is tested in other places: test/house holds it against the routes and the problems, test/clients
 * against answers. */
#include <stdio.h>

#include "api_client.h"
#include "coracle/version.h"

static struct bytes file_read(const char *path) {
  struct bytes text = {0};
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  for (size_t n = 1; n > 0; text.n += n) n = fread(bytes_reserve(&text, 4096), 1, 4096, file);
  assert_int_equal(ferror(file), 0);
  fclose(file);
  return text;
}

static void it_is_the_file_on_every_node(void **state) {
  (void)state;
  struct bytes file = file_read(OPENAPI_FILE);
  char length[32];
  snprintf(length, sizeof length, "%zu", file.n);
  for (enum client_view view = LEADER; view <= LEADERLESS; view++) {
    struct client c;
    client_open(&c, view, API_REDIRECT);
    ask(&c, "GET", "/openapi.json", NULL, NULL);
    assert_int_equal(c.status, 200);
    assert_header(&c, "Content-Type", "application/json");
    assert_header(&c, "Content-Length", length);
    assert_true(slice_equal(slice_of(c.body), slice_of_bytes(&file)));
    ask(&c, "HEAD", "/openapi.json", NULL, NULL);
    assert_int_equal(c.status, 200);
    assert_header(&c, "Content-Length", length);
    assert_string_equal(c.body, "");
    client_close(&c);
  }
  bytes_close(&file);
}

static void it_is_this_version(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  ask(&c, "GET", "/openapi.json", NULL, NULL);
  json_t *root = body_json(&c), *info = json_object_get(root, "info");
  assert_int_equal(strncmp(json_string_value(json_object_get(root, "openapi")), "3.1.", 4), 0);
  assert_string_equal(json_string_value(json_object_get(info, "version")), CORACLE_VERSION);
  assert_header(&c, "Server", "coracle/" CORACLE_VERSION);
  json_decref(root);
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_the_file_on_every_node),
      cmocka_unit_test(it_is_this_version),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
