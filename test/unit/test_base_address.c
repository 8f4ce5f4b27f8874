/* Goal: addresses are read from exactly the texts that address.h names, print as they were written, and in
 * bytes have one spelling only: two that are the same place compare equal. */
#include "base/address.h"

#include "golden.h"

static void texts_and_back(void **state) {
  (void)state;
  static const struct {
    const char *text;
    const char *printed;
    enum address_family family;
    bool loopback, wildcard;
  } rows[] = {
      {"127.0.0.1:8000", "127.0.0.1:8000", ADDRESS_IP4, true, false},
      {"localhost:8000", "127.0.0.1:8000", ADDRESS_IP4, true, false},
      {"127.255.0.9:1", "127.255.0.9:1", ADDRESS_IP4, true, false},
      {"0.0.0.0:0", "0.0.0.0:0", ADDRESS_IP4, false, true},
      {"192.168.255.1:65535", "192.168.255.1:65535", ADDRESS_IP4, false, false},
      {"255.255.255.255:00080", "255.255.255.255:80", ADDRESS_IP4, false, false},
      {"[::1]:8000", "[::1]:8000", ADDRESS_IP6, true, false},
      {"[::]:65535", "[::]:65535", ADDRESS_IP6, false, true},
      {"[2001:DB8:0:0:0:0:0:1]:9", "[2001:db8::1]:9", ADDRESS_IP6, false, false},
      {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", ADDRESS_IP6, false, false},
      {"[::ffff:127.0.0.1]:8000", "[::ffff:127.0.0.1]:8000", ADDRESS_IP6, false, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct address address, again;
    char text[ADDRESS_TEXT_MAX];
    if (address_parse(rows[i].text, &address) != 0) fail_msg("\"%s\" was refused", rows[i].text);
    assert_int_equal(address.family, rows[i].family);
    assert_int_equal(address_is_loopback(&address), rows[i].loopback);
    assert_int_equal(address_is_wildcard(&address), rows[i].wildcard);
    assert_ptr_equal(address_format(&address, text), text);
    assert_string_equal(text, rows[i].printed);
    assert_int_equal(address_parse(text, &again), 0);
    assert_true(address_equal(&address, &again));
  }
}

static void bad_texts(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",
      ":",
      ":80",
      "127.0.0.1",
      "127.0.0.1:",
      "8000",
      "localhost",
      "localhost:",
      "localhost :80",
      "127.0.0.1:65536",
      "127.0.0.1:99999",
      "127.0.0.1:000080",
      "127.0.0.1:100000",
      "127.0.0.1:18446744073709551696", /* 80 modulo 2 to the 64 */
      "127.0.0.1:-1",
      "127.0.0.1:+1",
      "127.0.0.1: 80",
      "127.0.0.1:80 ",
      "127.0.0.1:80x",
      "127.0.0.1:0x50",
      " 127.0.0.1:80",
      "127.0.0.1 :80",
      "127.1:80",
      "127.0.0.256:80",
      "127.0.0.1.1:80",
      "127.0.0.:80",
      "0x7f.0.0.1:80",
      "::1:80",
      "[::1]",
      "[::1]:",
      "[::1]80",
      "[::1:80",
      "::1]:80",
      "[]:80",
      "[:]:80",
      "[::1%lo]:80",
      "[fe80::1%1]:80",
      "[127.0.0.1]:80",
      "[[::1]]:80",
      "[::g]:80",
      "[1:2:3:4:5:6:7:8:9]:80",
      "example.com:80",
      "LOCALHOST:80",
      "http://127.0.0.1:80",
      "127.0.0.1:80:80",
      "127.0.0.1:80/",
      "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255 and more than fits]:80",
      "this is a name that is longer than any address that could ever be written down in a text:80",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *copy = (char *)exact_copy(bad[i], strlen(bad[i]) + 1);
    struct address address = {.family = ADDRESS_IP4, .ip = {1, 2, 3, 4}, .port = 5}, before = address;
    if (address_parse(copy, &address) != CORACLE_EMALFORMED) fail_msg("\"%s\" was taken", bad[i]);
    assert_true(address_equal(&address, &before));
    free(copy);
  }
}

static void hosts_of_every_length(void **state) {
  (void)state;
  for (size_t n = 0; n < 3 * ADDRESS_TEXT_MAX; n++) {
    struct bytes text = {0};
    struct address address;
    for (size_t i = 0; i < n; i++) bytes_append(&text, "1", 1);
    bytes_append(&text, ":80", sizeof ":80");
    assert_int_equal(address_parse((const char *)text.data, &address), CORACLE_EMALFORMED);
    bytes_close(&text);
  }
}

static struct address parsed(const char *text) {
  struct address address;
  assert_int_equal(address_parse(text, &address), 0);
  return address;
}

static void equality(void **state) {
  (void)state;
  struct address all[] = {{0},
                          parsed("127.0.0.1:80"),
                          parsed("127.0.0.1:81"),
                          parsed("127.0.0.2:80"),
                          parsed("[7f00:1::]:80"), /* the same bytes in another family */
                          parsed("[::ffff:127.0.0.1]:80")};
  for (size_t i = 0; i < 6; i++)
    for (size_t j = 0; j < 6; j++) assert_int_equal(address_equal(&all[i], &all[j]), i == j);
}

static void the_unknown_address_prints(void **state) {
  (void)state;
  struct address unknown = {0};
  char text[ADDRESS_TEXT_MAX];
  assert_string_equal(address_format(&unknown, text), "unknown:0");
  assert_false(address_is_loopback(&unknown));
}

static void layout_is_pinned(void **state) {
  (void)state;
  struct bytes b = {0};
  struct address ip4 = parsed("127.0.0.1:8000"), ip6 = parsed("[2001:db8::1]:65535"), unknown = {0};
  put_address(&b, &ip4);
  put_address(&b, &ip6);
  put_address(&b, &unknown);
  assert_golden(b.data, b.n,
                "04 7f000001000000000000000000000000 401f"
                "06 20010db8000000000000000000000001 ffff"
                "00 00000000000000000000000000000000 0000");

  struct reader r = reader_of(b.data, b.n);
  struct address back[] = {get_address(&r), get_address(&r), get_address(&r)};
  assert_true(reader_done(&r));
  assert_true(address_equal(&back[0], &ip4));
  assert_true(address_equal(&back[1], &ip6));
  assert_true(address_equal(&back[2], &unknown));
  bytes_close(&b);
}

static bool is_read(const uint8_t *bytes, size_t n) {
  uint8_t *copy = exact_copy(bytes, n);
  struct reader r = reader_of(copy, n);
  (void)get_address(&r);
  free(copy);
  return reader_ok(&r);
}

static void bad_bytes(void **state) {
  (void)state;
  for (int family = 0; family < 256; family++) {
    uint8_t bytes[19] = {(uint8_t)family};
    bool known = family == ADDRESS_NONE || family == ADDRESS_IP4 || family == ADDRESS_IP6;
    assert_int_equal(is_read(bytes, sizeof bytes), known);
    for (size_t n = 0; n < sizeof bytes; n++) assert_false(is_read(bytes, n));
    for (size_t i = 1; i <= 16; i++) { /* bytes of the IP that the family does not use */
      bytes[i] = 1;
      assert_int_equal(is_read(bytes, sizeof bytes),
                       family == ADDRESS_IP6 || (family == ADDRESS_IP4 && i <= 4));
      bytes[i] = 0;
    }
  }
}

/* The lowest of a list is the same for everybody who has it, however it was written down. */
static void order(void **state) {
  (void)state;
  static const char *const ascending[] = {"9.0.0.1:9",    "10.0.0.1:1", "10.0.0.1:2",   "10.0.0.2:1",
                                          "200.0.0.1:80", "[::1]:1",    "[2001::]:256", "[2001::1]:1"};
  enum { N = sizeof ascending / sizeof *ascending };
  struct address_list list = {0};
  struct address stranger;
  for (size_t i = 0; i < N; i++) { /* from both ends to the middle */
    assert_int_equal(address_parse(ascending[i % 2 == 0 ? N - 1 - i / 2 : i / 2], &list.at[list.n]), 0);
    list.n++;
  }
  address_list_sort(&list);
  for (size_t i = 0; i < N; i++) {
    char text[ADDRESS_TEXT_MAX];
    assert_string_equal(address_format(&list.at[i], text), ascending[i]);
    assert_true(address_list_has(&list, &list.at[i]));
    for (size_t k = 0; k < N; k++) {
      const int compared = address_compare(&list.at[i], &list.at[k]);
      assert_int_equal((compared > 0) - (compared < 0), (i > k) - (i < k));
    }
  }
  assert_int_equal(address_parse("10.0.0.1:3", &stranger), 0);
  assert_false(address_list_has(&list, &stranger));
}

static void kinds(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool link_local6, mapped4;
  } rows[] = {
      {"127.0.0.1:1", false, false},        {"[::1]:1", false, false},
      {"[fe80::1]:1", true, false},         {"[febf::1]:1", true, false},
      {"[fec0::1]:1", false, false},        {"[fe7f::1]:1", false, false},
      {"254.128.0.1:1", false, false},      {"[::ffff:1.2.3.4]:1", false, true},
      {"[::fffe:1.2.3.4]:1", false, false}, {"[::1.2.3.4]:1", false, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct address address;
    assert_int_equal(address_parse(rows[i].text, &address), 0);
    assert_int_equal(address_is_link_local6(&address), rows[i].link_local6);
    assert_int_equal(address_is_mapped4(&address), rows[i].mapped4);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(texts_and_back),
      cmocka_unit_test(bad_texts),
      cmocka_unit_test(hosts_of_every_length),
      cmocka_unit_test(equality),
      cmocka_unit_test(the_unknown_address_prints),
      cmocka_unit_test(layout_is_pinned),
      cmocka_unit_test(bad_bytes),
      cmocka_unit_test(order),
      cmocka_unit_test(kinds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
