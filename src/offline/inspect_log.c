/* The log as it stands in its segments, record by record: what was truncated again is there too, and so is
 * what a snapshot has made needless. */
#include "offline/inspect_core.h"

#include "store/command.h"

#include <inttypes.h>

const char *inspect_operation(const struct command *command) {
  switch (command->type) {
  case COMMAND_PUT:
    return "put";
  case COMMAND_DELETE:
    return "delete";
  case COMMAND_TRANSACTION:
    return "transaction";
  case COMMAND_BATCH:
    return "batch";
  case COMMAND_DROP:
    return "drop";
  case COMMAND_ONCE:
    break; /* is no operation of its own */
  }
  return "?";
}

bool inspect_asks_for_revision(const struct command *command) {
  return command->condition == COMMAND_IF_REVISION || command->condition == COMMAND_IF_BASE;
}

const char *inspect_condition(const struct command *command) {
  switch (command->condition) {
  case COMMAND_ALWAYS:
    return "always";
  case COMMAND_IF_ABSENT:
    return "if-absent";
  case COMMAND_IF_PRESENT:
    return "if-present";
  case COMMAND_IF_REVISION:
    return "if-revision";
  case COMMAND_CREATE:
    return "create";
  case COMMAND_IF_BASE:
    return "if-base";
  }
  return "?";
}

struct walk {
  const struct inspection *inspection;
  FILE *out;
};

static int print_record(void *argument, const struct log_record *record, uint64_t offset) {
  const struct walk *walk = argument;
  const struct inspect_options *options = walk->inspection->options;
  (void)offset;
  if (record->index < options->from || record->index > options->to) return 0;
  if (options->json)
    inspect_record_json(walk->inspection, record, walk->out);
  else
    inspect_record_text(walk->inspection, record, walk->out);
  return 0;
}

/* Damage is told by the survey. */
void inspect_log(const struct inspection *inspection, FILE *out) {
  struct walk walk = {inspection, out};
  for (size_t i = 0; i < inspection->survey->segments_n; i++) {
    const struct survey_segment *segment = &inspection->survey->segments[i];
    struct segment_scan scan;
    struct disk_fault fault;
    if (segment->left_over || !segment->scan.header_good) continue;
    if (segment_read(inspection->files, segment->name, print_record, &walk, &scan, &fault) != 0) continue;
  }
}

/* ---- For people ---- */

/* What it is done to, and on what condition. */
static void print_target(const struct command *command, FILE *out) {
  inspect_print(command->collection, out);
  if (command->id.n == 0) return;
  fputs("/", out);
  inspect_print(command->id, out);
  if (command->condition != COMMAND_ALWAYS) fprintf(out, " %s", inspect_condition(command));
  if (inspect_asks_for_revision(command)) fprintf(out, " %" PRIu64, command->revision);
  if (command->type == COMMAND_PUT) fprintf(out, ", %zu bytes", command->body.n);
}

static void print_operations(const struct command *command, FILE *out) {
  struct slice left = command->encoded_operations;
  const char *before = ": ";
  fprintf(out, "%zu operation%s", command->operations_n, command->operations_n == 1 ? "" : "s");
  for (struct command operation; command_next(&left, &operation); before = "; ") {
    fprintf(out, "%s%s ", before, inspect_operation(&operation));
    print_target(&operation, out);
  }
}

static void print_command(const struct log_record *record, FILE *out) {
  struct command command;
  struct command_once once;
  bool has_once;
  if (command_decode(record->data.at, record->data.n, &command, &once, &has_once) != 0) {
    fprintf(out, "command      of %zu bytes, unknown to this version", record->data.n);
    return;
  }
  fprintf(out, "%-12s ", inspect_operation(&command));
  if (command.operations_n > 0)
    print_operations(&command, out);
  else
    print_target(&command, out);
  if (!has_once) return;
  fputs(", once, key ", out);
  for (size_t i = 0; i < sizeof once.key; i++) fprintf(out, "%02x", once.key[i]);
}

static void print_configuration(const struct inspection *inspection, const struct log_record *record,
                                FILE *out) {
  struct coracle_raft_configuration configuration;
  struct bytes name = {0};
  fputs("configuration", out);
  if (coracle_raft_configuration_decode(record->data.at, record->data.n, &configuration) != 0) {
    fprintf(out, " of %zu bytes, unknown to this version", record->data.n);
    return;
  }
  for (uint32_t i = 0; i < configuration.members_n; i++) {
    const struct coracle_raft_member *member = &configuration.members[i];
    name.n = 0;
    inspect_name(inspection, member, &name);
    fputs(i == 0 ? " " : ", ", out);
    inspect_print(slice_of_bytes(&name), out);
    fprintf(out, " (%016" PRIx64 "%s)", member->id, member->voter ? "" : ", learner");
  }
  bytes_close(&name);
}

static void print_entry(const struct inspection *inspection, const struct log_record *record, FILE *out) {
  fprintf(out, "%" PRIu64 "  term %" PRIu64 "  ", record->index, record->term);
  switch (record->entry_type) {
  case CORACLE_RAFT_NOOP:
    fputs("no-op", out);
    break;
  case CORACLE_RAFT_CONFIGURATION:
    print_configuration(inspection, record, out);
    break;
  case CORACLE_RAFT_COMMAND:
    print_command(record, out);
    break;
  default:
    fprintf(out, "type %d of %zu bytes, unknown to this version", record->entry_type, record->data.n);
  }
  fputs("\n", out);
}

void inspect_record_text(const struct inspection *inspection, const struct log_record *record, FILE *out) {
  switch (record->type) {
  case LOG_ENTRY:
    print_entry(inspection, record, out);
    break;
  case LOG_TRUNCATE:
    fprintf(out, "%" PRIu64 "  and all after it: truncated\n", record->index);
    break;
  case LOG_SNAPSHOT:
    fprintf(out, "%" PRIu64 "  term %" PRIu64 "  snapshot; %s\n", record->index, record->term,
            record->keep ? "the log goes on" : "the log begins anew after it");
    break;
  }
}
