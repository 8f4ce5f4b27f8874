/* Goal: what nodes tell each other beside Raft's messages comes back as it was; and anything that is not
 * exactly such a payload is refused. */
#include "wire/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct frame frame_of(const struct bytes *out) {
  struct frame frame;
  size_t consumed, needed;
  assert_int_equal(frame_next(out->data, out->n, &consumed, &needed, &frame), 1);
  assert_int_equal(consumed, out->n);
  return frame;
}

static void storage_comes_back(void **state) {
  (void)state;
  for (enum storage_condition is = STORAGE_FINE; is <= STORAGE_HANGS; is++) {
    struct bytes out = {0};
    enum storage_condition read;
    storage_report_encode(is, &out);
    const struct frame frame = frame_of(&out);
    assert_int_equal(frame.type, FRAME_STORAGE);
    assert_int_equal(storage_report_decode(&frame, &read), 0);
    assert_int_equal(read, is);
    bytes_close(&out);
  }
}

static void states_come_back(void **state) {
  (void)state;
  const struct state_report is = {UINT64_MAX, 1, UINT64_MAX - 1};
  struct state_report read;
  struct bytes out = {0};
  state_report_encode(&is, &out);
  const struct frame frame = frame_of(&out);
  assert_int_equal(frame.type, FRAME_STATE);
  assert_int_equal(state_report_decode(&frame, &read), 0);
  assert_memory_equal(&read, &is, sizeof is);
  bytes_close(&out);
}

/* Of every length but the right one, and with values that there are none of. */
static void anything_else_is_refused(void **state) {
  (void)state;
  static const char zeros[40], unknown[] = {STORAGE_HANGS + 1};
  enum storage_condition condition = STORAGE_HANGS;
  struct state_report report = {7, 8, 9};
  for (size_t n = 0; n <= sizeof zeros; n++) {
    const struct frame frame = {FRAME_STORAGE, {zeros, n}};
    if (n != 1) assert_int_equal(storage_report_decode(&frame, &condition), CORACLE_EMALFORMED);
    /* The index is 0 where the length is right. */
    assert_int_equal(state_report_decode(&frame, &report), CORACLE_EMALFORMED);
  }
  const struct frame frame = {FRAME_STORAGE, {unknown, sizeof unknown}};
  assert_int_equal(storage_report_decode(&frame, &condition), CORACLE_EMALFORMED);
  assert_int_equal(condition, STORAGE_HANGS);
  assert_int_equal(report.index, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(storage_comes_back),
      cmocka_unit_test(states_come_back),
      cmocka_unit_test(anything_else_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
