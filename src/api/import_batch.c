#include "api/import_batch.h"

#include <assert.h>

#include "api/members.h"

bool import_batch_is_full(const struct import_batch *batch, size_t line_bytes) {
  return batch->lines_n == COMMAND_BATCH_MAX ||
         (batch->lines_n > 0 && batch->text.n + line_bytes > IMPORT_BATCH_BYTES);
}

static struct import_line *add(struct import_batch *batch, uint64_t number) {
  assert(batch->lines_n < COMMAND_BATCH_MAX);
  struct import_line *line = &batch->lines[batch->lines_n++];
  *line = (struct import_line){.number = number, .at = batch->text.n};
  return line;
}

void import_batch_put(struct import_batch *batch, uint64_t number, struct slice id, struct slice document) {
  struct import_line *line = add(batch, number);
  line->is_put = true;
  line->id_bytes = id.n;
  line->bytes = document.n;
  bytes_append_slice(&batch->text, id);
  bytes_append_slice(&batch->text, document);
  batch->puts_n++;
}

static void open_result(struct bytes *out, uint64_t number, int status, struct slice id) {
  bytes_append_string(out, "{");
  member_u64(out, "line", number);
  member_u64(out, "status", (uint64_t)status);
  if (id.n > 0) member_string(out, "id", id);
}

static void append_failure(struct bytes *out, uint64_t number, struct slice id,
                           const struct import_failure *failure) {
  open_result(out, number, problem_status(failure->problem), id);
  member_string(out, "code", slice_of(problem_code(failure->problem)));
  member_string(out, "detail", slice_of(failure->detail));
  if (failure->has_offset) member_u64(out, "offset", failure->offset);
  bytes_append_string(out, "}\n");
}

void import_batch_fail(struct import_batch *batch, uint64_t number, struct slice id,
                       const struct import_failure *failure) {
  struct import_line *line = add(batch, number);
  append_failure(&batch->text, number, id, failure);
  line->bytes = batch->text.n - line->at;
}

static struct slice text_of(const struct import_batch *batch, size_t at, size_t n) {
  return (struct slice){(const char *)batch->text.data + at, n};
}

void import_batch_commands(const struct import_batch *batch, struct slice collection, bool replaces,
                           struct command commands[COMMAND_BATCH_MAX]) {
  for (size_t i = 0, n = 0; i < batch->lines_n; i++) {
    const struct import_line *line = &batch->lines[i];
    if (!line->is_put) continue;
    commands[n++] = (struct command){
        .type = COMMAND_PUT,
        .condition = replaces ? COMMAND_ALWAYS : COMMAND_CREATE,
        .collection = collection,
        .id = text_of(batch, line->at, line->id_bytes),
        .body = text_of(batch, line->at + line->id_bytes, line->bytes),
    };
  }
}

static void append_stored(struct bytes *out, uint64_t number, struct slice id, int status,
                          uint64_t revision) {
  open_result(out, number, status, id);
  member_u64(out, "revision", revision);
  bytes_append_string(out, "}\n");
}

static void append_outcome(struct bytes *out, uint64_t number, struct slice id,
                           const struct store_operation *operation, bool minimal) {
  static const struct import_failure exists = {
      .problem = PROBLEM_DOCUMENT_EXISTS,
      .detail = "The document is left as it is; import with existing=replace to replace it."};
  switch (operation->outcome) {
  case STORE_CREATED:
    if (!minimal) append_stored(out, number, id, 201, operation->record->revision);
    return;
  case STORE_REPLACED:
    if (!minimal) append_stored(out, number, id, 200, operation->record->revision);
    return;
  case STORE_EXISTS:
    append_failure(out, number, id, &exists);
    return;
  default:
    assert(false && "of no command that an import makes");
  }
}

void import_batch_results(struct import_batch *batch, const struct store_result *result,
                          const struct import_failure *all, bool minimal, struct bytes *out) {
  assert(all != NULL || batch->puts_n == 0 || (result != NULL && result->operations_n == batch->puts_n));
  for (size_t i = 0, n = 0; i < batch->lines_n; i++) {
    const struct import_line *line = &batch->lines[i];
    const struct slice id = text_of(batch, line->at, line->id_bytes);
    if (!line->is_put)
      bytes_append_slice(out, text_of(batch, line->at, line->bytes));
    else if (all != NULL)
      append_failure(out, line->number, id, all);
    else
      append_outcome(out, line->number, id, &result->operations[n++], minimal);
  }
  if (batch->text.capacity > 2 * IMPORT_BATCH_BYTES) bytes_close(&batch->text); /* of one long line */
  batch->text.n = batch->lines_n = batch->puts_n = 0;
  batch->growth_bytes = 0;
}

void import_batch_close(struct import_batch *batch) {
  bytes_close(&batch->text);
}
