#include "cli/options.h"

#include "base/address.h"
#include "base/memory.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  OPTIONS_MAX = 32,     /* in one table */
  NAME_BYTES_MAX = 40,  /* of an option */
  SHOWN_BYTES_MAX = 80, /* of a bad value in an error */
  HELP_COLUMNS = 80,
  HELP_INDENT = 6,
  ENVIRONMENT_BYTES_MAX = sizeof "CORACLE_" + NAME_BYTES_MAX,
};

/* Where a value came from, for the error message. */
struct origin {
  const char *option;      /* without the dashes */
  const char *environment; /* the variable's name, or NULL: the command line */
};

/* ---- Values ---- */

/* An error is one line, whatever bytes the value has. */
void options_show(const char *value, struct bytes *out) {
  size_t n = strlen(value);
  if (n == 0) bytes_append_string(out, "''");
  for (size_t i = 0; i < n && i < SHOWN_BYTES_MAX; i++)
    bytes_append(out, isprint((unsigned char)value[i]) ? &value[i] : "?", 1);
  if (n > SHOWN_BYTES_MAX) bytes_append_string(out, "...");
}

static void append_value_name(struct bytes *out, const struct option *option) {
  bytes_append_string(out, option->kind == OPTION_CHOICE ? option->choices : option->value);
}

/* "a number from 1 to 10000" */
static void append_allowed(struct bytes *out, const struct option *option) {
  switch (option->kind) {
  case OPTION_FLAG:
    bytes_append_string(out, "1 or 0");
    break;
  case OPTION_NUMBER:
    bytes_printf(out, "a number from %" PRIu64 " to %" PRIu64, option->min, option->max);
    break;
  case OPTION_TEXT:
    if (option->allowed != NULL)
      bytes_append_string(out, option->allowed);
    else
      bytes_printf(out, "%" PRIu64 " to %" PRIu64 " bytes", option->min, option->max);
    break;
  case OPTION_NAME:
    bytes_printf(out, "%" PRIu64 " to %" PRIu64 " letters, digits, '-', '_' and '.'", option->min,
                 option->max);
    break;
  case OPTION_ADDRESS:
    bytes_printf(out, "an IP address and a port from %" PRIu64 " to %" PRIu64, option->min, option->max);
    bytes_append_string(out, ", such as 127.0.0.1:8000 or [::1]:8000");
    break;
  case OPTION_HOST:
    bytes_append_string(out, "an IP address, with a port or without, such as 192.0.2.1, [2001:db8::1] or "
                             "192.0.2.1:8001");
    break;
  case OPTION_ADDRESSES:
    bytes_printf(out, "1 to %d IP addresses with ports from %" PRIu64 " to %" PRIu64, (int)ADDRESS_LIST_MAX,
                 option->min, option->max);
    bytes_append_string(out, ", such as 192.0.2.1:8000,192.0.2.2:8000");
    break;
  case OPTION_CHOICE:
    bytes_append_string(out, "one of ");
    bytes_append_string(out, option->choices);
    break;
  }
}

static bool is_name(struct slice s) {
  for (size_t i = 0; i < s.n; i++)
    if (!isalnum((unsigned char)s.at[i]) && strchr("-_.", s.at[i]) == NULL) return false;
  return true;
}

/* The position of `value` in "a|b|c", or -1. */
static int choice_index(const char *choices, struct slice value) {
  for (int i = 0;; i++) {
    size_t n = strcspn(choices, "|");
    if (slice_equal((struct slice){choices, n}, value)) return i;
    if (choices[n] == '\0') return -1;
    choices += n + 1;
  }
}

static bool store_address(const struct option *option, const char *text, struct address *field,
                          struct bytes *why) {
  struct address address;
  if (strchr(text, '%') != NULL) {
    bytes_append_string(why,
                        " has a scope (%...), which means nothing to other nodes: give an address without");
    return false;
  }
  if (address_parse(text, &address) != 0 || address.port < option->min || address.port > option->max)
    return false;
  *field = address;
  return true;
}

static bool store_host(const struct option *option, const char *text, struct address *field,
                       struct bytes *why) {
  struct bytes with_port = {0};
  bytes_printf(&with_port, "%s:0", text);
  bytes_append(&with_port, "", 1);
  const bool stored = store_address(option, text, field, why) ||
                      (why->n == 0 && store_address(option, (const char *)with_port.data, field, why));
  bytes_close(&with_port);
  return stored;
}

/* One of the list; what is wrong is said of it, not of the whole. */
static bool add_address(const struct option *option, const char *text, struct address_list *list,
                        struct bytes *why) {
  struct address address;
  if (list->n == ADDRESS_LIST_MAX) {
    bytes_printf(why, " has more than %d addresses", (int)ADDRESS_LIST_MAX);
    return false;
  }
  const bool parsed = store_address(option, text, &address, why);
  if (parsed && !address_list_has(list, &address)) {
    list->at[list->n++] = address;
    return true;
  }
  struct bytes what = {0};
  bytes_append_string(&what, ": ");
  options_show(text, &what);
  if (parsed)
    bytes_append_string(&what, " is there twice");
  else if (why->n == 0)
    bytes_printf(&what, " is not an IP address with a port from %" PRIu64 " to %" PRIu64, option->min,
                 option->max);
  bytes_append(&what, why->data, why->n);
  why->n = 0;
  bytes_append(why, what.data, what.n);
  bytes_close(&what);
  return false;
}

static bool store_addresses(const struct option *option, const char *text, struct address_list *field,
                            struct bytes *why) {
  struct address_list list = {0};
  bool added = true;
  for (const char *at = text; added; at++) {
    const size_t n = strcspn(at, ",");
    char *one = memory_strndup(at, n);
    added = add_address(option, one, &list, why);
    free(one);
    at += n;
    if (*at == '\0') break;
  }
  if (added) *field = list;
  return added;
}

/* `why` may get what is wrong, to stand behind the value, where that is more than being not what is allowed.
 */
static bool store_value(const struct option *option, const char *text, void *field, struct bytes *why) {
  struct slice value = slice_of(text);
  bool fits = value.n >= option->min && value.n <= option->max;
  switch (option->kind) {
  case OPTION_FLAG:
    *(bool *)field = slice_is(value, "1");
    return slice_is(value, "1") || slice_is(value, "0");
  case OPTION_NUMBER: {
    uint64_t number;
    if (!slice_to_u64(value, &number) || number < option->min || number > option->max) return false;
    *(uint64_t *)field = number;
    return true;
  }
  case OPTION_TEXT:
  case OPTION_NAME:
    *(const char **)field = text;
    return fits && (option->kind == OPTION_TEXT || is_name(value));
  case OPTION_ADDRESS:
    return store_address(option, text, field, why);
  case OPTION_HOST:
    return store_host(option, text, field, why);
  case OPTION_ADDRESSES:
    return store_addresses(option, text, field, why);
  case OPTION_CHOICE: {
    int index = choice_index(option->choices, value);
    if (index < 0) return false;
    *(unsigned *)field = (unsigned)index; /* what GCC and Clang make of an enum without negative constants */
    return true;
  }
  }
  return false;
}

static bool set_option(const struct option *option, const char *value, struct origin origin, void *values,
                       struct bytes *error) {
  void *field = (char *)values + option->offset;
  struct bytes why = {0};
  bool parsed = store_value(option, value, field, &why);
  const char *refused = parsed && option->refuse != NULL ? option->refuse(field) : NULL;
  if (parsed && refused == NULL) return true;

  if (origin.environment != NULL)
    bytes_printf(error, "%s=", origin.environment);
  else
    bytes_printf(error, "--%s ", origin.option);
  options_show(value, error);
  if (parsed) {
    bytes_printf(error, " %s", refused);
  } else if (why.n > 0) {
    bytes_append(error, why.data, why.n);
  } else {
    bytes_append_string(error, " is not ");
    append_allowed(error, option);
  }
  bytes_close(&why);
  return false;
}

/* ---- Names ---- */

static unsigned min3(unsigned a, unsigned b, unsigned c) {
  unsigned least = a < b ? a : b;
  return least < c ? least : c;
}

/* How many letters must be added, dropped or changed to make one of the other (Levenshtein's distance). */
static unsigned edits_between(const char *a, const char *b) {
  unsigned row[NAME_BYTES_MAX + 1];
  size_t a_n = strlen(a), b_n = strlen(b);
  assert(b_n <= NAME_BYTES_MAX);
  for (unsigned j = 0; j <= b_n; j++) row[j] = j;
  for (size_t i = 1; i <= a_n; i++) {
    unsigned diagonal = row[0];
    row[0] = (unsigned)i;
    for (size_t j = 1; j <= b_n; j++) {
      unsigned above = row[j];
      row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
      diagonal = above;
    }
  }
  return row[b_n];
}

const char *options_nearest(const char *word, const char *const *words, size_t n) {
  size_t word_n = strlen(word);
  const char *nearest = NULL;
  unsigned edits_least = UINT32_MAX;
  if (word_n == 0 || word_n > NAME_BYTES_MAX) return NULL;
  for (size_t i = 0; i < n; i++) {
    /* "heartbeat" is four letters away from "heartbeat-ms", and yet nothing else can be meant. */
    bool abbreviates = word_n >= 3 && strncmp(word, words[i], word_n) == 0;
    unsigned edits = abbreviates ? 0 : edits_between(word, words[i]);
    if (edits < edits_least && edits <= 1 + word_n / 4) {
      edits_least = edits;
      nearest = words[i];
    }
  }
  return nearest;
}

static const struct option *find_option(const struct option_command *command, struct slice name) {
  for (size_t i = 0; i < command->options_n; i++)
    if (slice_is(name, command->options[i].name)) return &command->options[i];
  return NULL;
}

/* Its value is not shown: it may be a secret, meant for a file. */
static void unknown_option(const struct option_command *command, struct slice name, const char *argument,
                           struct bytes *error) {
  const char *words[OPTIONS_MAX];
  char word[NAME_BYTES_MAX + 1];
  char *shown = memory_strndup(argument, strcspn(argument, "="));
  const char *nearest = NULL;
  for (size_t i = 0; i < command->options_n; i++) words[i] = command->options[i].name;
  if (name.n < sizeof word) {
    snprintf(word, sizeof word, "%.*s", (int)name.n, name.at);
    nearest = options_nearest(word, words, command->options_n);
  }
  bytes_append_string(error, "unknown option ");
  options_show(shown, error);
  free(shown);
  if (nearest != NULL)
    bytes_printf(error, "; did you mean --%s?", nearest);
  else
    bytes_printf(error, "; 'coracle %s --help' lists them", command->name);
}

/* heartbeat-ms: CORACLE_HEARTBEAT_MS */
static void environment_name(const struct option *option, char name[ENVIRONMENT_BYTES_MAX]) {
  char *end = stpcpy(name, "CORACLE_");
  assert(strlen(option->name) <= NAME_BYTES_MAX);
  for (const char *at = option->name; *at != '\0'; at++)
    *end++ = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
  *end = '\0';
}

/* ---- The command line ---- */

static void set_defaults(const struct option_command *command, void *values) {
  for (size_t i = 0; i < command->options_n; i++) {
    const struct option *option = &command->options[i];
    if (option->initial == NULL) continue;
    struct bytes why = {0};
    bool valid = store_value(option, option->initial, (char *)values + option->offset, &why);
    assert(valid && "a table's default must be within its own range");
    (void)valid;
  }
}

/* A variable that is set and empty counts as not set. */
static bool read_environment(const struct option_command *command, const bool *given, void *values,
                             struct bytes *error) {
  for (size_t i = 0; i < command->options_n; i++) {
    const struct option *option = &command->options[i];
    char variable[ENVIRONMENT_BYTES_MAX];
    environment_name(option, variable);
    const char *value = getenv(variable);
    if (given[i] || value == NULL || *value == '\0') continue;
    if (!set_option(option, value, (struct origin){option->name, variable}, values, error)) return false;
  }
  return true;
}

/* The command's argument, once; it is not empty. */
static bool takes_argument(const struct option_command *command, const char *argument, void *values) {
  if (command->argument == NULL || *argument == '\0' || *argument == '-') return false;
  const char **field = (const char **)((char *)values + command->argument_offset);
  if (*field != NULL) return false;
  *field = argument;
  return true;
}

static bool has_argument(const struct option_command *command, const void *values, struct bytes *error) {
  if (command->argument == NULL) return true;
  if (*(const char *const *)((const char *)values + command->argument_offset) != NULL) return true;
  bytes_printf(error, "%s is missing; 'coracle %s --help' tells what it is", command->argument,
               command->name);
  return false;
}

/* Reads one option at argv[*at] and moves *at behind it. */
static bool read_argument(const struct option_command *command, int argc, char **argv, int *at, bool *given,
                          void *values, struct bytes *error) {
  const char *argument = argv[(*at)++];
  if (takes_argument(command, argument, values)) return true;
  if (argument[0] != '-' || argument[1] == '\0') {
    bytes_append_string(error, "unexpected argument ");
    options_show(argument, error);
    bytes_append_string(error, "; options are written --NAME VALUE");
    return false;
  }

  size_t dashes = argument[1] == '-' ? 2 : 1;
  struct slice name = {argument + dashes, strcspn(argument + dashes, "=")};
  const struct option *option = dashes == 2 ? find_option(command, name) : NULL;
  if (option == NULL) {
    unknown_option(command, name, argument, error);
    return false;
  }
  if (given[option - command->options]) {
    bytes_printf(error, "--%s is given twice", option->name);
    return false;
  }
  given[option - command->options] = true;

  const char *value = name.at[name.n] == '=' ? name.at + name.n + 1 : NULL;
  if (option->kind == OPTION_FLAG) {
    if (value != NULL) {
      bytes_printf(error, "--%s takes no value", option->name);
      return false;
    }
    value = "1";
  }
  /* No value begins with two dashes, unless it is written with '=': the next option does. */
  if (value == NULL && *at < argc && strncmp(argv[*at], "--", 2) != 0) value = argv[(*at)++];
  if (value == NULL) {
    bytes_printf(error, "--%s needs a value: ", option->name);
    append_allowed(error, option);
    return false;
  }
  return set_option(option, value, (struct origin){option->name, NULL}, values, error);
}

enum options_outcome options_parse(const struct option_command *command, int argc, char **argv, void *values,
                                   struct bytes *error) {
  bool given[OPTIONS_MAX] = {false};
  assert(command->options_n <= OPTIONS_MAX);
  bytes_printf(error, "coracle %s: ", command->name);
  set_defaults(command, values);
  for (int at = 1; at < argc;) {
    if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
      error->n = 0;
      return OPTIONS_HELP;
    }
    if (!read_argument(command, argc, argv, &at, given, values, error)) return OPTIONS_BAD;
  }
  if (!has_argument(command, values, error)) return OPTIONS_BAD;
  if (!read_environment(command, given, values, error)) return OPTIONS_BAD;
  if (command->check != NULL && !command->check(values, error)) return OPTIONS_BAD;
  error->n = 0;
  return OPTIONS_OK;
}

/* ---- Help ---- */

/* Appends the text word by word, in lines of HELP_COLUMNS behind `indent` spaces. */
static void append_wrapped(struct bytes *out, const char *text, int indent) {
  size_t column = 0;
  while (*text != '\0') {
    size_t n = strcspn(text, " ");
    if (column > 0 && column + 1 + n > HELP_COLUMNS) {
      bytes_append(out, "\n", 1);
      column = 0;
    }
    int spaces = column == 0 ? indent : 1;
    bytes_printf(out, "%*s%.*s", spaces, "", (int)n, text);
    column += (size_t)spaces + n;
    text += n + strspn(text + n, " ");
  }
  bytes_append(out, "\n", 1);
}

static void help_of_option(const struct option *option, struct bytes *out) {
  char variable[ENVIRONMENT_BYTES_MAX];
  struct bytes text = {0};

  bytes_printf(out, "\n  --%s", option->name);
  if (option->kind != OPTION_FLAG) {
    bytes_append(out, " ", 1);
    append_value_name(out, option);
  }
  bytes_append(out, "\n", 1);

  bytes_append_string(&text, option->help);
  const char *initial = option->initial != NULL ? option->initial : option->initial_help;
  if (initial != NULL) bytes_printf(&text, " Default: %s.", initial);
  if (option->kind != OPTION_FLAG && option->kind != OPTION_CHOICE) {
    bytes_append_string(&text, " Allowed: ");
    append_allowed(&text, option);
    bytes_append(&text, ".", 1);
  }
  environment_name(option, variable);
  bytes_printf(&text, " Environment: %s.", variable);
  bytes_append(&text, "", 1);
  append_wrapped(out, (const char *)text.data, HELP_INDENT);
  bytes_close(&text);
}

void options_help(const struct option_command *command, struct bytes *out) {
  bytes_printf(out, "usage: coracle %s%s%s [--OPTION VALUE]...\n\n", command->name,
               command->argument != NULL ? " " : "", command->argument != NULL ? command->argument : "");
  append_wrapped(out, command->summary, 0);
  for (size_t i = 0; i < command->options_n; i++) help_of_option(&command->options[i], out);
  bytes_append_string(out, "\n  --help\n      This text.\n");
}

int options_read(const struct option_command *command, int argc, char **argv, void *values) {
  struct bytes text = {0};
  int status = OPTIONS_GO_ON;
  switch (options_parse(command, argc, argv, values, &text)) {
  case OPTIONS_OK:
    break;
  case OPTIONS_HELP:
    options_help(command, &text);
    fwrite(text.data, 1, text.n, stdout);
    status = 0;
    break;
  case OPTIONS_BAD:
    fprintf(stderr, "%.*s\n", (int)text.n, (const char *)text.data);
    status = 2;
    break;
  }
  bytes_close(&text);
  return status;
}
