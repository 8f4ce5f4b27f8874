/* Goal: responses leave as the bytes that RFC 9110 and 9112 ask for, and text that goes into them cannot
 * break out. */
#include "http/response.h"

#include "golden.h"

static void assert_out(struct bytes *out, const char *expected) {
  bytes_append(out, "", 1);
  assert_string_equal((const char *)out->data, expected);
  bytes_close(out);
}

static void a_response_has_its_length(void **state) {
  (void)state;
  struct bytes out = {0};
  http_response_begin(&out, 200);
  http_response_header(&out, "ETag", slice_of("\"17\""));
  http_response_header_u64(&out, "Coracle-Revision", UINT64_MAX);
  http_response_end(&out, "application/json", slice_of("{\"a\":1}"), true, false);
  assert_out(&out, "HTTP/1.1 200 OK\r\n"
                   "ETag: \"17\"\r\n"
                   "Coracle-Revision: 18446744073709551615\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length: 7\r\n"
                   "\r\n"
                   "{\"a\":1}");
}

static void an_empty_body_has_a_length_too(void **state) {
  (void)state;
  struct bytes out = {0};
  http_response_begin(&out, 404);
  http_response_end(&out, NULL, (struct slice){0}, false, false);
  assert_out(&out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static void head_gets_the_length_without_the_body(void **state) {
  (void)state;
  struct bytes out = {0};
  http_response_begin(&out, 200);
  http_response_end(&out, "text/plain", slice_of("four"), true, true);
  assert_out(&out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n");
}

/* 1xx, 204 and 304 have no body and no length, whatever stands before them in the buffer. */
static void some_responses_have_no_length(void **state) {
  (void)state;
  struct bytes out = {0};
  http_response_begin(&out, 200);
  http_response_end(&out, NULL, slice_of("\r\nHTTP/1.1 200 OK\r\n"), true, false);
  http_response_begin(&out, 204);
  http_response_end(&out, NULL, (struct slice){0}, true, false);
  http_response_begin(&out, 304);
  http_response_header(&out, "ETag", slice_of("\"HTTP/1.1 200 OK\""));
  http_response_end(&out, NULL, (struct slice){0}, true, true);
  http_response_begin(&out, 101);
  http_response_header(&out, "Upgrade", slice_of("x"));
  http_response_end(&out, NULL, (struct slice){0}, true, false);
  http_response_begin(&out, 100);
  http_response_end(&out, NULL, (struct slice){0}, true, false);
  http_response_begin(&out, 200);
  http_response_end(&out, NULL, (struct slice){0}, true, false);
  assert_out(&out, "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n\r\nHTTP/1.1 200 OK\r\n"
                   "HTTP/1.1 204 No Content\r\n\r\n"
                   "HTTP/1.1 304 Not Modified\r\nETag: \"HTTP/1.1 200 OK\"\r\n\r\n"
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
                   "HTTP/1.1 100 Continue\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void statuses_have_reasons(void **state) {
  (void)state;
  assert_string_equal(http_reason(200), "OK");
  assert_string_equal(http_reason(412), "Precondition Failed");
  assert_string_equal(http_reason(431), "Request Header Fields Too Large");
  assert_string_equal(http_reason(507), "Insufficient Storage");
  assert_string_equal(http_reason(299), "Unknown");
}

static void assert_json(struct slice text, const char *expected) {
  struct bytes out = {0};
  uint8_t *copy = exact_copy(text.at, text.n);
  json_append_string(&out, (struct slice){(const char *)copy, text.n});
  free(copy);
  assert_out(&out, expected);
}

#define ASSERT_JSON(literal, expected) assert_json((struct slice){literal, sizeof(literal) - 1}, expected)
#define REPLACED "\xef\xbf\xbd"

static void json_strings_are_escaped(void **state) {
  (void)state;
  ASSERT_JSON("", "\"\"");
  ASSERT_JSON("plain", "\"plain\"");
  ASSERT_JSON("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
  ASSERT_JSON("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
  ASSERT_JSON("\0\x01\x1f\x7f", "\"\\u0000\\u0001\\u001F\x7f\"");
  ASSERT_JSON("\xc3\xa4\xe2\x82\xac\xf0\x9f\x9a\xa3", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x9a\xa3\"");
  ASSERT_JSON("\xc2\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", /* the ends of the ranges */
              "\"\xc2\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"");
}

/* One replacement for each longest piece that could have begun a character, as the Unicode standard shows it.
 */
static void what_is_not_utf8_is_replaced(void **state) {
  (void)state;
  ASSERT_JSON("a\x80z", "\"a" REPLACED "z\"");
  ASSERT_JSON("\xff\xfe", "\"" REPLACED REPLACED "\"");
  ASSERT_JSON("\xc3", "\"" REPLACED "\"");                           /* cut off */
  ASSERT_JSON("\xe2\x82", "\"" REPLACED "\"");                       /* cut off */
  ASSERT_JSON("\xe2\x82z", "\"" REPLACED "z\"");                     /* broken off */
  ASSERT_JSON("\xf0\x9f\x9a\"", "\"" REPLACED "\\\"\"");             /* the quote is not swallowed */
  ASSERT_JSON("\xc0\xaf", "\"" REPLACED REPLACED "\"");              /* overlong */
  ASSERT_JSON("\xe0\x80\xaf", "\"" REPLACED REPLACED REPLACED "\""); /* overlong */
  ASSERT_JSON("\xed\xa0\x80", "\"" REPLACED REPLACED REPLACED "\""); /* a surrogate */
  ASSERT_JSON("\xf4\x90\x80\x80", "\"" REPLACED REPLACED REPLACED REPLACED "\""); /* beyond U+10FFFF */
}

static void paths_are_percent_encoded(void **state) {
  (void)state;
  struct bytes out = {0};
  static const char raw[] = "AZaz09-._~ /?#%+&=:@\"\\\0\xc3\xa4\xff";
  percent_encode(&out, (struct slice){raw, sizeof raw - 1});
  assert_out(&out, "AZaz09-._~%20%2F%3F%23%25%2B%26%3D%3A%40%22%5C%00%C3%A4%FF");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_response_has_its_length),
      cmocka_unit_test(an_empty_body_has_a_length_too),
      cmocka_unit_test(head_gets_the_length_without_the_body),
      cmocka_unit_test(some_responses_have_no_length),
      cmocka_unit_test(statuses_have_reasons),
      cmocka_unit_test(json_strings_are_escaped),
      cmocka_unit_test(what_is_not_utf8_is_replaced),
      cmocka_unit_test(paths_are_percent_encoded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
