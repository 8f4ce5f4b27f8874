/* Goal: an option means the same from the command line, the environment and the table's default; whatever is
 * wrong with one is told in exactly one line that names the option, the value and what is allowed. Method: a
 * small table of one option of each kind is parsed from made-up command lines. */
#include "cli/options.h"

#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum colour { RED, GREEN, BLUE };

struct values {
  struct address http;
  struct address reached;
  struct address_list others;
  uint64_t beat_ms;
  uint64_t timeout_ms;
  const char *name;
  const char *data_dir;
  const char *motto;
  enum colour colour;
  bool once;
};

static const char *refuse_wildcard(const void *field) {
  return address_is_wildcard(field) ? "is a wildcard" : NULL;
}

#define FIELD(field) offsetof(struct values, field)

static const struct option table[] = {
    {.name = "http",
     .kind = OPTION_ADDRESS,
     .offset = FIELD(http),
     .value = "HOST:PORT",
     .initial = "127.0.0.1:8001",
     .min = 1,
     .max = 65535,
     .refuse = refuse_wildcard,
     .help = "Where."},
    {.name = "reached",
     .kind = OPTION_HOST,
     .offset = FIELD(reached),
     .value = "HOST[:PORT]",
     .max = 65535,
     .help = "From where."},
    {.name = "others",
     .kind = OPTION_ADDRESSES,
     .offset = FIELD(others),
     .value = "HOST:PORT,...",
     .min = 1,
     .max = 65535,
     .help = "With whom."},
    {.name = "beat-ms",
     .kind = OPTION_NUMBER,
     .offset = FIELD(beat_ms),
     .value = "MS",
     .initial = "50",
     .min = 1,
     .max = 10000,
     .help = "How often."},
    {.name = "timeout-ms",
     .kind = OPTION_NUMBER,
     .offset = FIELD(timeout_ms),
     .value = "MS",
     .initial = "500",
     .min = 10,
     .max = 600000,
     .help = "How long."},
    {.name = "name",
     .kind = OPTION_NAME,
     .offset = FIELD(name),
     .value = "NAME",
     .initial_help = "the host's",
     .min = 1,
     .max = 8,
     .help = "Who."},
    {.name = "data-dir",
     .kind = OPTION_TEXT,
     .offset = FIELD(data_dir),
     .value = "PATH",
     .min = 1,
     .max = 100,
     .help = "Which folder."},
    {.name = "motto",
     .kind = OPTION_TEXT,
     .offset = FIELD(motto),
     .value = "WORDS",
     .min = 1,
     .max = 9,
     .allowed = "words, such as 'slow'",
     .help = "What for."},
    {.name = "colour",
     .kind = OPTION_CHOICE,
     .offset = FIELD(colour),
     .choices = "red|green|blue",
     .initial = "green",
     .help = "Which colour."},
    {.name = "once", .kind = OPTION_FLAG, .offset = FIELD(once), .help = "No more than once."},
};

static bool check(const void *values, struct bytes *why) {
  const struct values *v = values;
  if (v->beat_ms < v->timeout_ms) return true;
  bytes_append_string(why, "beat not below timeout");
  return false;
}

static const struct option_command command = {
    .name = "try",
    .summary = "Tries options.",
    .options = table,
    .options_n = sizeof table / sizeof table[0],
    .check = check,
};

enum { ARGUMENTS_MAX = 16 };

/* Parses "--a b --c=d" split at single spaces; the pieces live in `line`. */
static enum options_outcome parse(char *line, struct values *values, struct bytes *error) {
  char *argv[ARGUMENTS_MAX] = {"try"};
  int argc = 1;
  for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
    assert_true(argc < ARGUMENTS_MAX);
    argv[argc++] = word;
  }
  *values = (struct values){0};
  return options_parse(&command, argc, argv, values, error);
}

static void expect_error(const char *line, const char *expected) {
  struct values values;
  struct bytes error = {0};
  char copy[256];
  snprintf(copy, sizeof copy, "%s", line);
  assert_int_equal(parse(copy, &values, &error), OPTIONS_BAD);
  bytes_append(&error, "", 1);
  assert_string_equal((const char *)error.data, expected);
  bytes_close(&error);
}

static void expect_ok(char *line, struct values *values) {
  struct bytes error = {0};
  assert_int_equal(parse(line, values, &error), OPTIONS_OK);
  assert_int_equal(error.n, 0);
  bytes_close(&error);
}

static void test_defaults(void **state) {
  (void)state;
  struct values values;
  char line[] = "";
  char address[ADDRESS_TEXT_MAX];
  expect_ok(line, &values);
  assert_string_equal(address_format(&values.http, address), "127.0.0.1:8001");
  assert_int_equal(values.beat_ms, 50);
  assert_int_equal(values.colour, GREEN);
  assert_null(values.name);
  assert_false(values.once);
}

static void test_both_spellings(void **state) {
  (void)state;
  struct values values;
  char line[] = "--http [::1]:9 --beat-ms=20 --name=a-1_.Z --data-dir /x=y --colour blue --once";
  char address[ADDRESS_TEXT_MAX];
  expect_ok(line, &values);
  assert_string_equal(address_format(&values.http, address), "[::1]:9");
  assert_int_equal(values.beat_ms, 20);
  assert_string_equal(values.name, "a-1_.Z");
  assert_string_equal(values.data_dir, "/x=y");
  assert_int_equal(values.colour, BLUE);
  assert_true(values.once);
}

static void test_a_host_may_have_a_port(void **state) {
  (void)state;
  static const struct {
    const char *line, *expected;
  } cases[] = {
      {"--reached 192.0.2.1", "192.0.2.1:0"},         {"--reached 192.0.2.1:9", "192.0.2.1:9"},
      {"--reached [2001:db8::1]", "[2001:db8::1]:0"}, {"--reached [2001:db8::1]:9", "[2001:db8::1]:9"},
      {"--reached localhost", "127.0.0.1:0"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct values values;
    char line[64], address[ADDRESS_TEXT_MAX];
    snprintf(line, sizeof line, "%s", cases[i].line);
    expect_ok(line, &values);
    assert_string_equal(address_format(&values.reached, address), cases[i].expected);
  }
#define HOST                                                                                                 \
  " is not an IP address, with a port or without, such as 192.0.2.1, [2001:db8::1] or 192.0.2.1:8001"
  expect_error("--reached ::1", "coracle try: --reached ::1" HOST);
  expect_error("--reached 192.0.2.1:x", "coracle try: --reached 192.0.2.1:x" HOST);
  expect_error("--reached=", "coracle try: --reached ''" HOST);
  expect_error("--reached fe80::1%lo",
               "coracle try: --reached fe80::1%lo has a scope (%...), which means nothing "
               "to other nodes: give an address without");
}

/* What is wrong with one of many is said of that one. */
static void test_a_list_of_addresses(void **state) {
  (void)state;
  struct values values;
  char text[ADDRESS_TEXT_MAX], line[] = "--others 127.0.0.2:2,[::1]:1,127.0.0.1:3",
                               one[] = "--others 127.0.0.1:1";
  expect_ok(line, &values);
  assert_int_equal(values.others.n, 3);
  assert_string_equal(address_format(&values.others.at[0], text), "127.0.0.2:2");
  assert_string_equal(address_format(&values.others.at[1], text), "[::1]:1");
  assert_string_equal(address_format(&values.others.at[2], text), "127.0.0.1:3");
  expect_ok(one, &values);
  assert_int_equal(values.others.n, 1);

#define ONE " is not an IP address with a port from 1 to 65535"
  expect_error("--others 127.0.0.1:1,here", "coracle try: --others 127.0.0.1:1,here: here" ONE);
  expect_error("--others 127.0.0.1:0", "coracle try: --others 127.0.0.1:0: 127.0.0.1:0" ONE);
  expect_error("--others 127.0.0.1:1,", "coracle try: --others 127.0.0.1:1,: ''" ONE);
  expect_error("--others ,127.0.0.1:1", "coracle try: --others ,127.0.0.1:1: ''" ONE);
  expect_error("--others=", "coracle try: --others '': ''" ONE);
  expect_error("--others 127.0.0.1:1,127.0.0.1:2,127.0.0.1:1",
               "coracle try: --others 127.0.0.1:1,127.0.0.1:2,127.0.0.1:1: 127.0.0.1:1 is there twice");
  expect_error(
      "--others [fe80::1%lo]:1",
      "coracle try: --others [fe80::1%lo]:1: [fe80::1%lo]:1 has a scope (%...), which means nothing to "
      "other nodes: give an address without");
  expect_error(
      "--others 127.0.0.1:1,127.0.0.1:2,127.0.0.1:3,127.0.0.1:4,127.0.0.1:5,127.0.0.1:6,127.0.0.1:7,"
      "127.0.0.1:8,127.0.0.1:9,127.0.0.1:10,127.0.0.1:11,127.0.0.1:12,127.0.0.1:13,127.0.0.1:14,"
      "127.0.0.1:15,127.0.0.1:16,127.0.0.1:17",
      "coracle try: --others 127.0.0.1:1,127.0.0.1:2,127.0.0.1:3,127.0.0.1:4,127.0.0.1:5,127.0.0.1:6,"
      "127.0.0.... has more than 16 addresses");
}

static void test_limits_are_allowed_and_what_is_beyond_is_not(void **state) {
  (void)state;
  struct values values;
  char least[] = "--beat-ms 1 --timeout-ms 600000 --http 127.0.0.1:1 --name a";
  char most[] = "--beat-ms 10000 --timeout-ms 10001 --http 127.0.0.1:65535 --name abcdefgh";
  expect_ok(least, &values);
  expect_ok(most, &values);

#define BEAT " is not a number from 1 to 10000"
#define HTTP " is not an IP address and a port from 1 to 65535, such as 127.0.0.1:8000 or [::1]:8000"
#define NAME " is not 1 to 8 letters, digits, '-', '_' and '.'"
  static const struct {
    const char *line, *expected;
  } cases[] = {
      {"--beat-ms 0", "coracle try: --beat-ms 0" BEAT},
      {"--beat-ms 10001", "coracle try: --beat-ms 10001" BEAT},
      {"--beat-ms -1", "coracle try: --beat-ms -1" BEAT},
      {"--beat-ms +1", "coracle try: --beat-ms +1" BEAT},
      {"--beat-ms 80x", "coracle try: --beat-ms 80x" BEAT},
      {"--beat-ms=", "coracle try: --beat-ms ''" BEAT},
      {"--beat-ms 18446744073709551617", "coracle try: --beat-ms 18446744073709551617" BEAT},
      {"--http 127.0.0.1:0", "coracle try: --http 127.0.0.1:0" HTTP},
      {"--http 127.0.0.1:65536", "coracle try: --http 127.0.0.1:65536" HTTP},
      {"--http 127.0.0.1:-1", "coracle try: --http 127.0.0.1:-1" HTTP},
      {"--http 127.0.0.1:80x", "coracle try: --http 127.0.0.1:80x" HTTP},
      {"--http 127.0.0.1", "coracle try: --http 127.0.0.1" HTTP},
      {"--http example.org:80", "coracle try: --http example.org:80" HTTP},
      {"--http 0.0.0.0:80", "coracle try: --http 0.0.0.0:80 is a wildcard"},
      {"--name abcdefghi", "coracle try: --name abcdefghi" NAME},
      {"--name a/b", "coracle try: --name a/b" NAME},
      {"--name a\nb", "coracle try: --name a?b" NAME},
      {"--colour gree", "coracle try: --colour gree is not one of red|green|blue"},
      {"--colour red|green", "coracle try: --colour red|green is not one of red|green|blue"},
      {"--data-dir=", "coracle try: --data-dir '' is not 1 to 100 bytes"},
      {"--motto=", "coracle try: --motto '' is not words, such as 'slow'"},
      {"--motto fast,slow!", "coracle try: --motto fast,slow! is not words, such as 'slow'"},
      {"--beat-ms 500", "coracle try: beat not below timeout"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_error(cases[i].line, cases[i].expected);
}

static void test_bad_command_lines(void **state) {
  (void)state;
  expect_error("--beat", "coracle try: unknown option --beat; did you mean --beat-ms?");
  expect_error("--coluor=red", "coracle try: unknown option --coluor; did you mean --colour?");
  expect_error("--frobnicate 1", "coracle try: unknown option --frobnicate; 'coracle try --help' lists them");
  expect_error("-n a", "coracle try: unknown option -n; 'coracle try --help' lists them");
  expect_error("--", "coracle try: unknown option --; 'coracle try --help' lists them");
  expect_error("serve", "coracle try: unexpected argument serve; options are written --NAME VALUE");
  expect_error("--once yes", "coracle try: unexpected argument yes; options are written --NAME VALUE");
  expect_error("--once=1", "coracle try: --once takes no value");
  expect_error("--name", "coracle try: --name needs a value: 1 to 8 letters, digits, '-', '_' and '.'");
  expect_error("--beat-ms --once", "coracle try: --beat-ms needs a value: a number from 1 to 10000");
  expect_error("--name a --name a", "coracle try: --name is given twice");
  expect_error("--once --once", "coracle try: --once is given twice");
}

static void test_a_long_value_is_cut_in_the_error(void **state) {
  (void)state;
  char line[220] = "--colour ", expected[220];
  size_t n = strlen(line);
  memset(line + n, 'x', 200);
  snprintf(expected, sizeof expected, "coracle try: %.*s... is not one of red|green|blue", (int)n + 80, line);
  expect_error(line, expected);
}

static void test_environment(void **state) {
  (void)state;
  struct values values;
  char nothing[] = "", given[] = "--beat-ms 30";
  setenv("CORACLE_BEAT_MS", "40", 1);
  setenv("CORACLE_DATA_DIR", "/x", 1);
  setenv("CORACLE_ONCE", "1", 1);
  setenv("CORACLE_COLOUR", "", 1); /* empty: as if it were not set */
  expect_ok(nothing, &values);
  assert_int_equal(values.beat_ms, 40);
  assert_string_equal(values.data_dir, "/x");
  assert_true(values.once);
  assert_int_equal(values.colour, GREEN);

  setenv("CORACLE_BEAT_MS", "40s", 1);
  expect_error("", "coracle try: CORACLE_BEAT_MS=40s is not a number from 1 to 10000");
  expect_ok(given, &values); /* the command line wins */
  assert_int_equal(values.beat_ms, 30);

  unsetenv("CORACLE_BEAT_MS");
  setenv("CORACLE_ONCE", "yes", 1);
  expect_error("", "coracle try: CORACLE_ONCE=yes is not 1 or 0");
  unsetenv("CORACLE_DATA_DIR");
  unsetenv("CORACLE_ONCE");
  unsetenv("CORACLE_COLOUR");
}

/* Every option is told with its default, range and variable, in lines that fit a terminal. */
static void test_help(void **state) {
  (void)state;
  struct values values;
  struct bytes text = {0};
  char line[] = "--beat-ms 5 --help";
  assert_int_equal(parse(line, &values, &text), OPTIONS_HELP);
  assert_int_equal(text.n, 0);
  options_help(&command, &text);
  bytes_append(&text, "", 1);
  const char *help = (const char *)text.data;
  assert_non_null(strstr(help, "usage: coracle try"));
  assert_non_null(
      strstr(help, "\n  --beat-ms MS\n      How often. Default: 50. Allowed: a number from 1 to 10000. "));
  assert_non_null(strstr(help, "\n  --name NAME\n      Who. Default: the host's."));
  assert_non_null(strstr(help, "\n  --motto WORDS\n      What for. Allowed: words, such as 'slow'. Environment: "));
  assert_non_null(strstr(help, "\n  --colour red|green|blue\n      Which colour. Default: green."));
  assert_non_null(strstr(help, "\n  --once\n      No more than once. Environment: CORACLE_ONCE.\n"));
  assert_non_null(strstr(help, "CORACLE_BEAT_MS."));
  for (const char *at = help; *at != '\0'; at += strcspn(at, "\n") + 1) assert_true(strcspn(at, "\n") <= 80);
  bytes_close(&text);
}

/* A command may have one argument without a name, wherever it stands. */
static void test_an_argument(void **state) {
  (void)state;
  const struct option_command with = {.name = "look",
                                      .summary = "Looks.",
                                      .options = table,
                                      .options_n = sizeof table / sizeof table[0],
                                      .argument = "DATA",
                                      .argument_offset = FIELD(data_dir)};
  static const struct {
    const char *words[4];
    const char *error; /* NULL: it is taken */
  } lines[] = {
      {{"here"}, NULL},
      {{"--once", "here"}, NULL},
      {{"here", "--name", "x"}, NULL},
      {{"--once"}, "coracle look: DATA is missing; 'coracle look --help' tells what it is"},
      {{"here", "there"}, "coracle look: unexpected argument there; options are written --NAME VALUE"},
      {{""}, "coracle look: unexpected argument ''; options are written --NAME VALUE"},
      {{"here", "-"}, "coracle look: unexpected argument -; options are written --NAME VALUE"},
  };
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    struct values values = {0};
    struct bytes error = {0};
    char words[4][32];
    char *argv[ARGUMENTS_MAX] = {"look"};
    int argc = 1;
    for (size_t k = 0; k < 4 && lines[i].words[k] != NULL; k++) {
      snprintf(words[k], sizeof words[k], "%s", lines[i].words[k]);
      argv[argc++] = words[k];
    }
    const enum options_outcome outcome = options_parse(&with, argc, argv, &values, &error);
    bytes_append(&error, "", 1);
    assert_int_equal(outcome, lines[i].error == NULL ? OPTIONS_OK : OPTIONS_BAD);
    if (lines[i].error == NULL)
      assert_string_equal(values.data_dir, "here");
    else
      assert_string_equal((const char *)error.data, lines[i].error);
    bytes_close(&error);
  }
  struct bytes help = {0};
  options_help(&with, &help);
  assert_memory_equal(help.data, "usage: coracle look DATA [--OPTION VALUE]...\n", 45);
  bytes_close(&help);
}

static void test_nearest(void **state) {
  (void)state;
  static const char *const words[] = {"serve", "demo", "version", "help"};
  assert_string_equal(options_nearest("sevre", words, 4), "serve");
  assert_string_equal(options_nearest("ver", words, 4), "version");
  assert_string_equal(options_nearest("demos", words, 4), "demo");
  assert_null(options_nearest("", words, 4));
  assert_null(options_nearest("x", words, 4));
  assert_null(options_nearest("members", words, 4));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults),
      cmocka_unit_test(test_both_spellings),
      cmocka_unit_test(test_a_host_may_have_a_port),
      cmocka_unit_test(test_a_list_of_addresses),
      cmocka_unit_test(test_limits_are_allowed_and_what_is_beyond_is_not),
      cmocka_unit_test(test_bad_command_lines),
      cmocka_unit_test(test_a_long_value_is_cut_in_the_error),
      cmocka_unit_test(test_environment),
      cmocka_unit_test(test_help),
      cmocka_unit_test(test_an_argument),
      cmocka_unit_test(test_nearest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
