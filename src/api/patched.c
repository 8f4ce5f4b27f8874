#include "api/patched.h"

bool patched_is_open(const struct patched *p) {
  return p->patch != NULL;
}

bool patched_open(struct patched *p, struct api *api, enum json_patch_kind kind, struct slice document,
                  struct slice patch, size_t *budget) {
  if (api->patched_n == PATCHED_MAX) {
    *budget = 0; /* those that are calculated now need it */
    return false;
  }
  api->patched_n++;
  p->api = api;
  p->kind = kind;
  p->patch = json_patch_new(kind, document, patch, api->document_bytes_max, api->secret);
  return true;
}

void patched_close(struct patched *p) {
  if (!patched_is_open(p)) return;
  p->api->patched_n--;
  json_patch_free(p->patch);
  *p = (struct patched){0};
}

static enum problem problem_of(enum json_patch_fault_kind kind) {
  switch (kind) {
  case JSON_PATCH_INVALID: /* RFC 5789, 2.2: "malformed patch document" */
    return PROBLEM_INVALID_PATCH;
  case JSON_PATCH_TEST_FAILED:
    return PROBLEM_PATCH_TEST_FAILED;
  case JSON_PATCH_TOO_LARGE:
    return PROBLEM_DOCUMENT_TOO_LARGE;
  case JSON_PATCH_NO_TARGET:
  case JSON_PATCH_INTO_ITSELF:
  case JSON_PATCH_TOO_DEEP:
  case JSON_PATCH_TOO_MANY:
  case JSON_PATCH_TOO_MUCH:
    break;
  }
  return PROBLEM_PATCH_NOT_APPLICABLE; /* "unprocessable request" */
}

enum json_patch_progress patched_go_on(struct patched *p, size_t *budget, struct patched_fault *fault) {
  const enum json_patch_progress progress = json_patch_go_on(p->patch, budget);
  if (progress != JSON_PATCH_FAILED) return progress;
  const struct json_patch_fault found = json_patch_fault(p->patch);
  *fault =
      (struct patched_fault){problem_of(found.kind), found.detail, p->kind == JSON_PATCH, found.operation};
  return progress;
}

bool patched_take(const struct patched *p, struct slice id, struct bytes *storage, struct slice *document,
                  struct patched_fault *fault) {
  struct body body;
  struct body_fault wrong;
  *fault = (struct patched_fault){PROBLEM_PATCH_NOT_APPLICABLE,
                                  "The patch would leave no JSON object, which a document is.", false, 0};
  if (!body_take(json_patch_result(p->patch), &body, &wrong)) return false;
  bool is_right = !body.has_id || slice_equal(slice_of_bytes(&body.id), id);
  fault->detail =
      "The patch would change the document's id; store a new document instead, and delete this one.";
  if (is_right) *document = body_document(&body, id, storage);
  body_close(&body);
  if (is_right && document->n > p->api->document_bytes_max) {
    is_right = false;
    fault->problem = PROBLEM_DOCUMENT_TOO_LARGE;
    fault->detail = "The document would become too large.";
  }
  return is_right;
}
