/* What jansson thinks of JSON, for tests of src/json: a second opinion, got by parsing everything into a
 * tree. Patches are applied here in the simplest way there is, one RFC sentence after the other. (A file of
 * its own because json/text.h and jansson.h have names in common.) */
#ifndef CORACLE_TEST_JSON_JUDGE_H
#define CORACLE_TEST_JSON_JUDGE_H

#include "base/bytes.h"

enum judgement {
  JUDGED_RIGHT,
  JUDGED_WRONG,
  NOT_JUDGED, /* a number over 64 bits, or \u0000 in a name: jansson refuses to read on */
};

enum judgement judge_text(struct slice text);
/* Both are right. The numbers are compared as doubles. */
bool judge_same(struct slice a, struct slice b);

/* Both are right. RIGHT: *result is what becomes of the document, in an order of members that means nothing.
 */
enum judgement judge_patch(struct slice document, struct slice patch, struct bytes *result);
enum judgement judge_merge_patch(struct slice document, struct slice patch, struct bytes *result);

#endif
