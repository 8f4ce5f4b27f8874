/* What the files of `coracle inspect` share. */
#ifndef CORACLE_OFFLINE_INSPECT_CORE_H
#define CORACLE_OFFLINE_INSPECT_CORE_H

#include "offline/inspect.h"
#include "offline/survey.h"

struct inspection {
  const struct inspect_options *options;
  const struct files *files;
  const struct survey *survey;
  bool in_use;
};

/* What a start would do, one sentence without a full stop. */
void inspect_start(const struct inspection *, struct bytes *out);
/* What a member is called; hexadecimal digits of its data where nobody can say. */
void inspect_name(const struct inspection *, const struct coracle_raft_member *, struct bytes *out);

/* To a terminal, perhaps: control characters, which names of files may have, are shown as '?'. */
void inspect_print(struct slice, FILE *out);

void inspect_text(const struct inspection *, FILE *out);
void inspect_json(const struct inspection *, FILE *out);

/* ---- The log ---- */

void inspect_log(const struct inspection *, FILE *out);

/* How both kinds of output call things. */
const char *inspect_condition(const struct command *); /* "if-revision" */
const char *inspect_operation(const struct command *); /* "put" */
bool inspect_asks_for_revision(const struct command *);

void inspect_record_text(const struct inspection *, const struct log_record *, FILE *out);
void inspect_record_json(const struct inspection *, const struct log_record *, FILE *out);

#endif
