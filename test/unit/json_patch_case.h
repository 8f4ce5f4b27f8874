/* A patch applied, in slices of any size, for test_json_patch and test_json_merge_patch. */
#ifndef CORACLE_TEST_JSON_PATCH_CASE_H
#define CORACLE_TEST_JSON_PATCH_CASE_H

#include "base/random.h"
#include "json/patch.h"

struct patch_case {
  enum json_patch_progress progress; /* DONE or FAILED */
  struct json_patch_fault fault;
  struct bytes result;
  size_t slices; /* that it took */
};

enum { CASE_BYTES_MAX = 1024 * 1024 };

/* Both texts are checked first, and have to be right. */
struct patch_case patch_case_of(enum json_patch_kind, struct slice document, struct slice patch,
                                size_t bytes_max, size_t slice_units);
void patch_case_close(struct patch_case *);

/* At once, and in slices of one unit, which makes no difference: that is what it comes to. */
void assert_patched(enum json_patch_kind, const char *document, const char *patch, const char *result);
/* Likewise: it fails. */
void assert_patch_fault(enum json_patch_kind, const char *document, const char *patch, size_t bytes_max,
                        enum json_patch_fault_kind, size_t operation);

/* Some JSON value, with few names and small numbers, and white space. */
void random_value(struct random *, struct bytes *out, int levels);

#endif
