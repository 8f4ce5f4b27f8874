/* What was found, for programs. Ids are text, in hexadecimal: they do not fit the numbers of JSON. */
#include "offline/inspect_core.h"

#include "store/command.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>

/* ---- Values ---- */

static json_t *number(uint64_t n) {
  return json_integer((json_int_t)n);
}

static json_t *number_or_null(bool is_known, uint64_t n) {
  return is_known ? number(n) : json_null();
}

/* Names of files and members may be any bytes. */
static json_t *text(const char *at, size_t n) {
  json_t *value = json_stringn(at, n);
  if (value != NULL) return value;
  struct bytes ascii = {0};
  for (size_t i = 0; i < n; i++) bytes_append(&ascii, (unsigned char)at[i] < 0x80 ? &at[i] : "?", 1);
  value = json_stringn((const char *)ascii.data, ascii.n);
  bytes_close(&ascii);
  return value;
}

static json_t *string(const char *s) {
  return text(s, strlen(s));
}

static json_t *take_text(struct bytes *bytes) {
  json_t *value = text((const char *)bytes->data, bytes->n);
  bytes_close(bytes);
  return value;
}

static json_t *hex_id(uint64_t id) {
  return json_sprintf("%016" PRIx64, id);
}

static json_t *hex(const uint8_t *at, size_t n) {
  struct bytes bytes = {0};
  for (size_t i = 0; i < n; i++) bytes_printf(&bytes, "%02x", at[i]);
  return take_text(&bytes);
}

static void set(json_t *object, const char *key, json_t *value) {
  int error = json_object_set_new(object, key, value);
  assert(error == 0 && "jansson has no memory, or this is no text");
  (void)error;
}

static void append(json_t *array, json_t *value) {
  int error = json_array_append_new(array, value);
  assert(error == 0);
  (void)error;
}

static void print(json_t *value, size_t flags, FILE *out) {
  json_dumpf(value, out, flags);
  fputs("\n", out);
  json_decref(value);
}

/* ---- Parts ---- */

static void set_identity(json_t *object, const struct survey *survey) {
  static const uint8_t none[DISK_CLUSTER_BYTES];
  const struct meta *meta = &survey->meta;
  const bool is_known = survey->meta_known;
  const bool in_cluster = is_known && memcmp(meta->stamp.cluster, none, sizeof none) != 0;
  set(object, "node", is_known ? hex_id(meta->stamp.id) : json_null());
  set(object, "cluster", in_cluster ? hex(meta->stamp.cluster, DISK_CLUSTER_BYTES) : json_null());
  set(object, "generation", number_or_null(is_known, meta->stamp.generation));
  set(object, "start_number", number_or_null(is_known, meta->start));
  set(object, "term", number_or_null(is_known, meta->term));
  set(object, "voted_for", is_known && meta->voted_for != 0 ? hex_id(meta->voted_for) : json_null());
}

static json_t *meta_file(const struct meta_file *file, int i) {
  json_t *object = json_object(), *copies = json_array();
  for (int copy = 0; copy < 2 && file->exists; copy++)
    append(copies, number_or_null(file->good[copy], file->records[copy].sequence));
  set(object, "file", string(meta_name(i)));
  set(object, "exists", json_boolean(file->exists));
  set(object, "sequences", copies);
  return object;
}

static const char *end_of(const struct survey_segment *segment) {
  if (segment->damaged) return "damaged";
  return segment->scan.ending == SEGMENT_TORN ? "torn" : "clean";
}

static json_t *segment_object(const struct survey_segment *segment) {
  json_t *object = json_object();
  const bool has_entries = segment->entries_n > 0;
  set(object, "file", string(segment->name));
  set(object, "number", number_or_null(segment->scan.header_good, segment->scan.header.number));
  set(object, "bytes", number(segment->scan.file_bytes));
  set(object, "frames", number(segment->scan.frames_n));
  set(object, "entries", number(segment->entries_n));
  set(object, "first_index", number_or_null(has_entries, segment->first_index));
  set(object, "last_index", number_or_null(has_entries, segment->last_index));
  set(object, "first_term", number_or_null(has_entries, segment->first_term));
  set(object, "last_term", number_or_null(has_entries, segment->last_term));
  set(object, "truncations", number(segment->truncates_n));
  set(object, "left_over", json_boolean(segment->left_over));
  set(object, "end", string(end_of(segment)));
  set(object, "end_offset", number(segment->scan.end));
  set(object, "torn_bytes", number(segment->scan.torn_bytes));
  return object;
}

static json_t *members(const struct inspection *inspection,
                       const struct coracle_raft_configuration *configuration) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    const struct coracle_raft_member *member = &configuration->members[i];
    struct bytes name = {0};
    json_t *object = json_object();
    inspect_name(inspection, member, &name);
    set(object, "node", hex_id(member->id));
    set(object, "name", take_text(&name));
    set(object, "voter", json_boolean(member->voter));
    append(array, object);
  }
  return array;
}

static json_t *snapshot_object(const struct inspection *inspection, const struct survey_snapshot *at) {
  json_t *object = json_object();
  const bool has_header = at->header_good, has_image = at->image_good;
  set(object, "file", string(at->name));
  set(object, "file_bytes", number(at->file_bytes));
  set(object, "index", number_or_null(has_header, at->snapshot.index));
  set(object, "term", number_or_null(has_header, at->snapshot.term));
  set(object, "bytes", number_or_null(has_header, at->snapshot.bytes));
  set(object, "tag", has_header ? hex_id(at->snapshot.tag) : json_null());
  set(object, "documents", number_or_null(has_image, at->documents));
  set(object, "document_bytes", number_or_null(has_image, at->document_bytes));
  set(object, "keys", number_or_null(has_image, at->keys));
  set(object, "revision", number_or_null(has_image, at->revision));
  set(object, "state_hash",
      has_image ? json_sprintf("%016" PRIx64 "%016" PRIx64, at->state_hash.high, at->state_hash.low)
                : json_null());
  set(object, "configuration_index", number_or_null(has_header, at->snapshot.configuration_index));
  set(object, "members", has_header ? members(inspection, &at->snapshot.configuration) : json_null());
  set(object, "left_over", json_boolean(at->left_over));
  set(object, "damaged", json_boolean(at->damaged));
  return object;
}

static json_t *other_object(const struct survey_other *other) {
  json_t *object = json_object();
  set(object, "file", string(other->name));
  set(object, "bytes", number(other->bytes));
  set(object, "what", string(other->what));
  return object;
}

static json_t *next_start(const struct inspection *inspection) {
  const struct survey *survey = inspection->survey;
  struct bytes sentence = {0};
  json_t *object = json_object();
  inspect_start(inspection, &sentence);
  set(object, "refused", json_boolean(survey->start_error != 0));
  set(object, "new", json_boolean(survey->start_error == 0 && survey->start_makes));
  set(object, "cuts_torn_frame", json_boolean(*survey->start_cut != '\0'));
  set(object, "last_index", number_or_null(survey->start_error == 0, survey->start_last_index));
  set(object, "sentence", take_text(&sentence));
  return object;
}

/* ---- The whole ---- */

void inspect_json(const struct inspection *inspection, FILE *out) {
  const struct survey *survey = inspection->survey;
  json_t *object = json_object(), *metas = json_array(), *segments = json_array(), *snapshots = json_array(),
         *others = json_array(), *damage = json_array();
  for (int i = 0; i < 2; i++) append(metas, meta_file(&survey->metas[i], i));
  for (size_t i = 0; i < survey->segments_n; i++) append(segments, segment_object(&survey->segments[i]));
  for (size_t i = 0; i < survey->snapshots_n; i++)
    append(snapshots, snapshot_object(inspection, &survey->snapshots[i]));
  for (size_t i = 0; i < survey->others_n; i++) append(others, other_object(&survey->others[i]));
  for (size_t i = 0; i < survey->damage_n; i++) append(damage, string(survey->damage[i]));
  set(object, "data", string(inspection->options->path));
  set(object, "in_use", json_boolean(inspection->in_use));
  set(object, "format_version", number(DISK_VERSION));
  set_identity(object, survey);
  set(object, "meta", metas);
  set(object, "segments", segments);
  set(object, "snapshots", snapshots);
  set(object, "other_files", others);
  set(object, "files", number(survey->files_n));
  set(object, "bytes", number(survey->bytes));
  set(object, "next_start", next_start(inspection));
  set(object, "damage", damage);
  set(object, "sound", json_boolean(survey->damage_n == 0));
  print(object, JSON_INDENT(2), out);
}

/* ---- The log ---- */

static void set_document_command(json_t *object, const struct command *command) {
  set(object, "id", text(command->id.at, command->id.n));
  set(object, "condition", string(inspect_condition(command)));
  if (inspect_asks_for_revision(command)) set(object, "revision", number(command->revision));
  if (command->type == COMMAND_PUT) set(object, "body_bytes", number(command->body.n));
}

static void set_operation(json_t *object, const struct command *command) {
  set(object, "operation", string(inspect_operation(command)));
  if (command->collection.n > 0)
    set(object, "collection", text(command->collection.at, command->collection.n));
  if (command->id.n > 0) set_document_command(object, command);
}

static json_t *operations(const struct command *command) {
  json_t *array = json_array();
  struct slice left = command->encoded_operations;
  for (struct command operation; command_next(&left, &operation);) {
    json_t *object = json_object();
    set_operation(object, &operation);
    append(array, object);
  }
  return array;
}

static json_t *once_object(const struct command_once *once) {
  json_t *object = json_object();
  set(object, "key", hex(once->key, sizeof once->key));
  set(object, "request", hex(once->request, sizeof once->request));
  set(object, "note", hex(once->note, sizeof once->note));
  return object;
}

static void set_command(json_t *object, const struct log_record *record) {
  struct command command;
  struct command_once once;
  bool has_once;
  set(object, "type", string("command"));
  if (command_decode(record->data.at, record->data.n, &command, &once, &has_once) != 0) {
    set(object, "unknown_bytes", number(record->data.n));
    return;
  }
  set_operation(object, &command);
  if (command.operations_n > 0) set(object, "operations", operations(&command));
  if (has_once) set(object, "once", once_object(&once));
}

static void set_entry(const struct inspection *inspection, json_t *object, const struct log_record *record) {
  struct coracle_raft_configuration configuration;
  switch (record->entry_type) {
  case CORACLE_RAFT_NOOP:
    set(object, "type", string("no-op"));
    return;
  case CORACLE_RAFT_CONFIGURATION:
    set(object, "type", string("configuration"));
    if (coracle_raft_configuration_decode(record->data.at, record->data.n, &configuration) == 0)
      set(object, "members", members(inspection, &configuration));
    else
      set(object, "unknown_bytes", number(record->data.n));
    return;
  case CORACLE_RAFT_COMMAND:
    set_command(object, record);
    return;
  default:
    set(object, "type", number(record->entry_type));
    set(object, "unknown_bytes", number(record->data.n));
  }
}

void inspect_record_json(const struct inspection *inspection, const struct log_record *record, FILE *out) {
  json_t *object = json_object();
  set(object, "index", number(record->index));
  if (record->type != LOG_TRUNCATE) set(object, "term", number(record->term));
  if (record->type == LOG_ENTRY) set_entry(inspection, object, record);
  if (record->type == LOG_TRUNCATE) set(object, "type", string("truncate"));
  if (record->type == LOG_SNAPSHOT) {
    set(object, "type", string("snapshot"));
    set(object, "keeps_log", json_boolean(record->keep));
  }
  print(object, JSON_COMPACT, out);
}
