/* Goal: the client sends what it was told to, to whom it was told to, gives back what came, and says why when
 * nothing did. Method: the client and the server are both turned by this test, on loopback, so no thread is
 * needed. */
#include "cli/http_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { TURN_MS = 10, TURNS_MAX = 2000, REQUEST_MAX = 8192 };

static struct http_client *client;
static struct http_client_reply reply;
static int listener = -1, connection = -1;
static char url[64];
static char request[REQUEST_MAX]; /* what the server has received */
static size_t request_n;

static int open_server(void **state) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t n = sizeof address;
  (void)state;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (bind(listener, (struct sockaddr *)&address, n) != 0 || listen(listener, 8) != 0) return -1;
  if (getsockname(listener, (struct sockaddr *)&address, &n) != 0) return -1;
  snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/collections/boats", ntohs(address.sin_port));
  client = http_client_new();
  return client != NULL ? 0 : -1;
}

static void hang_up(void) {
  if (connection >= 0) close(connection);
  connection = -1;
}

static int close_server(void **state) {
  (void)state;
  hang_up();
  if (listener >= 0) close(listener);
  listener = -1;
  http_client_reply_close(&reply);
  http_client_free(client);
  return 0;
}

static void begin(const char *method, const char *json) {
  static struct http_client_call call;
  call = (struct http_client_call){.method = method, .url = url, .json = json, .timeout_ms = 20000};
  request_n = 0;
  http_client_start(client, &call, &reply);
}

/* Lets the client and the server go on until the server has received a whole request that ends so. */
static void receive(const char *ending) {
  for (int i = 0; i < TURNS_MAX; i++) {
    assert_false(http_client_turn(client, &listener, 1, TURN_MS));
    if (connection < 0) connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (connection < 0) continue;
    ssize_t n = recv(connection, request + request_n, REQUEST_MAX - 1 - request_n, 0);
    if (n > 0) request_n += (size_t)n;
    request[request_n] = '\0';
    size_t ending_n = strlen(ending);
    if (request_n >= ending_n && strcmp(request + request_n - ending_n, ending) == 0) return;
  }
  fail_msg("no request that ends so: %s", request);
}

static void finish(void) {
  for (int i = 0; i < TURNS_MAX; i++)
    if (http_client_turn(client, NULL, 0, TURN_MS)) return;
  fail_msg("no reply");
}

static void answer(const char *bytes) {
  assert_int_equal(send(connection, bytes, strlen(bytes), 0), strlen(bytes));
  finish();
}

static void assert_body(const char *expected) {
  assert_true(slice_is(slice_of_bytes(&reply.body), expected));
}

static void a_write_and_its_answer(void **state) {
  (void)state;
  begin("PUT", "{\"seats\":2}");
  receive("\r\n\r\n{\"seats\":2}");
  assert_true(strncmp(request, "PUT /v1/collections/boats HTTP/1.1\r\n", 36) == 0);
  assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
  assert_non_null(strstr(request, "\r\nContent-Length: 11\r\n"));
  answer("HTTP/1.1 201 Created\r\netag: \"17\"\r\nLocation:/v1/x \r\ncoracle-revision: 18\r\nContent-Length: "
         "3\r\n\r\n{ }");
  assert_int_equal(reply.status, 201);
  assert_string_equal(reply.reason, "Created");
  assert_string_equal(reply.etag, "\"17\"");
  assert_string_equal(reply.location, "/v1/x");
  assert_int_equal(reply.revision, 18);
  assert_body("{ }");
}

/* A redirect, because the demo wants to show it. */
static void a_redirect_is_an_answer(void **state) {
  (void)state;
  begin("POST", "{}");
  receive("\r\n\r\n{}");
  answer("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n");
  assert_int_equal(reply.status, 307);
  assert_string_equal(reply.location, "http://127.0.0.1:1/x");
}

static void a_connection_is_kept(void **state) {
  (void)state;
  begin("GET", NULL);
  receive("\r\n\r\n");
  answer("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 1\r\n\r\nx");
  begin("DELETE", NULL);
  receive("\r\n\r\n"); /* on the same connection: no other is accepted */
  assert_true(strncmp(request, "DELETE ", 7) == 0);
  assert_null(strstr(request, "Content-Type"));
  answer("HTTP/1.1 204 No Content\r\n\r\n");
  assert_int_equal(reply.status, 204);
  assert_string_equal(reply.etag, ""); /* nothing is left of the reply before */
  assert_int_equal(reply.revision, 0);
  assert_body("");
}

static void a_head_has_no_body(void **state) {
  (void)state;
  begin("HEAD", NULL);
  receive("\r\n\r\n");
  assert_true(strncmp(request, "HEAD ", 5) == 0);
  answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
  assert_int_equal(reply.status, 200);
}

static void a_refused_connection_is_told(void **state) {
  (void)state;
  close(listener);
  listener = -1;
  begin("GET", NULL);
  finish();
  assert_int_equal(reply.status, 0);
  assert_non_null(strstr(reply.error, "connect"));
}

static void a_cut_answer_is_none(void **state) {
  (void)state;
  begin("GET", NULL);
  receive("\r\n\r\n");
  const char *half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
  assert_int_equal(send(connection, half, strlen(half), 0), strlen(half));
  hang_up();
  finish();
  assert_int_equal(reply.status, 0);
  assert_true(reply.error[0] != '\0');
}

static void silence_ends_at_the_timeout(void **state) {
  (void)state;
  const struct http_client_call call = {.method = "GET", .url = url, .timeout_ms = 50};
  http_client_start(client, &call, &reply);
  finish();
  assert_int_equal(reply.status, 0);
  assert_non_null(strstr(reply.error, "imed out"));
}

static void the_next_request_replaces_one_under_way(void **state) {
  (void)state;
  begin("GET", NULL);
  receive("\r\n\r\n");
  hang_up();
  begin("PUT", "{}");
  receive("\r\n\r\n{}");
  answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  assert_int_equal(reply.status, 200);
}

static void no_proxy_comes_between(void **state) {
  (void)state;
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  begin("GET", NULL);
  receive("\r\n\r\n");
  unsetenv("http_proxy");
  answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  assert_int_equal(reply.status, 200);
}

static void other_descriptors_wake_it(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  begin("GET", NULL);
  receive("\r\n\r\n");
  assert_int_equal(write(ends[1], "x", 1), 1);
  /* With nothing to wake it, this would wait for the end of the request, its timeout. */
  assert_false(http_client_turn(client, ends, 1, 600000));
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_server, close_server)
  const struct CMUnitTest tests[] = {
      TEST(a_write_and_its_answer),       TEST(a_redirect_is_an_answer),
      TEST(a_connection_is_kept),         TEST(a_head_has_no_body),
      TEST(a_refused_connection_is_told), TEST(a_cut_answer_is_none),
      TEST(silence_ends_at_the_timeout),  TEST(the_next_request_replaces_one_under_way),
      TEST(no_proxy_comes_between),       TEST(other_descriptors_wake_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
