/* The options of a subcommand from one table: the command line, the environment and the help text.
 *
 *     coracle serve --http 127.0.0.1:8001 --heartbeat-ms=20     (either spelling)
 *     CORACLE_HTTP=127.0.0.1:8001 coracle serve                 (the command line wins)
 *
 * options_read() is the whole of it. A bad option is one line that names the option, the value and what is
 * allowed. */
#ifndef CORACLE_CLI_OPTIONS_H
#define CORACLE_CLI_OPTIONS_H

#include "base/bytes.h"

/* What a value is, and the type of the field that it goes to. */
enum option_kind {
  OPTION_FLAG,      /* bool; takes no value on the command line, 1 or 0 in the environment */
  OPTION_NUMBER,    /* uint64_t, min to max */
  OPTION_TEXT,      /* const char *, min to max bytes; points into argv or the environment */
  OPTION_NAME,      /* the same, of letters, digits, '-', '_' and '.' only */
  OPTION_ADDRESS,   /* struct address, its port min to max */
  OPTION_HOST,      /* the same, and without a port its port is 0 */
  OPTION_ADDRESSES, /* struct address_list: with commas between them, each once, their ports min to max */
  OPTION_CHOICE,    /* an enum whose constants count from 0 in the order of `choices` */
};

struct option {
  const char *name; /* without the dashes */
  enum option_kind kind;
  size_t offset;            /* of the field in the caller's struct */
  const char *value;        /* in the help: HOST:PORT, MS; of FLAG and CHOICE none */
  const char *initial;      /* the default, as text; NULL: the field is left as it is */
  const char *initial_help; /* how the help tells the default when `initial` is NULL */
  uint64_t min, max;        /* see option_kind */
  const char *choices;      /* CHOICE: "redirect|reject" */
  const char *allowed;      /* TEXT: what it may be, beside its length, which goes without saying then */
  const char *help;         /* one or two sentences */
  /* A further rule for a value that parsed: NULL when it is fine, else what is wrong: "is not ...". */
  const char *(*refuse)(const void *field);
};

struct option_command {
  const char *name;    /* "serve" */
  const char *summary; /* one or two sentences */
  const struct option *options;
  size_t options_n;
  /* What must be given without a name, anywhere among the options, and the const char * that it goes to.
   * NULL: nothing may. */
  const char *argument; /* "DATA" */
  size_t argument_offset;
  /* A rule between options: true when it holds, else `why` gets what stands behind "coracle serve: ". */
  bool (*check)(const void *values, struct bytes *why);
};

enum options_outcome {
  OPTIONS_OK,
  OPTIONS_HELP, /* --help was asked for */
  OPTIONS_BAD,
};

/* Fills the caller's struct: defaults, then the environment, then argv[1..argc); argv[0] is the subcommand.
 * When the outcome is BAD, one line without a newline was appended to `error`, and the struct is not to be
 * used. */
enum options_outcome options_parse(const struct option_command *, int argc, char **argv, void *values,
                                   struct bytes *error);

/* Appends the help text: what the command does and, for each option, its meaning, default, range and
 * environment variable. */
void options_help(const struct option_command *, struct bytes *out);

enum { OPTIONS_GO_ON = -1 };

/* options_parse() as a program needs it: prints the help to stdout or the error to stderr. OPTIONS_GO_ON, or
 * the status to exit with: 0 after help, 2 after an error. */
int options_read(const struct option_command *, int argc, char **argv, void *values);

/* The word of words[0..n) that `word` is likely a misspelling of, or NULL. */
const char *options_nearest(const char *word, const char *const *words, size_t n);

/* Appends somebody's bytes to a line of text: printable, not too long, '' when there are none. */
void options_show(const char *value, struct bytes *out);

#endif
