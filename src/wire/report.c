#include "wire/report.h"

#include <assert.h>

void storage_report_encode(enum storage_condition condition, struct bytes *out) {
  const size_t frame_offset = frame_begin(out, FRAME_STORAGE);
  put_u8(out, (uint8_t)condition);
  frame_end(out, frame_offset);
}

int storage_report_decode(const struct frame *frame, enum storage_condition *condition) {
  struct reader r = reader_of(frame->payload.at, frame->payload.n);
  const uint8_t value = get_u8(&r);
  if (!reader_done(&r) || value > STORAGE_HANGS) return CORACLE_EMALFORMED;
  *condition = (enum storage_condition)value;
  return 0;
}

void state_report_encode(const struct state_report *report, struct bytes *out) {
  assert(report->index > 0);
  const size_t frame_offset = frame_begin(out, FRAME_STATE);
  put_u64(out, report->index);
  put_u64(out, report->low);
  put_u64(out, report->high);
  frame_end(out, frame_offset);
}

int state_report_decode(const struct frame *frame, struct state_report *report) {
  struct reader r = reader_of(frame->payload.at, frame->payload.n);
  struct state_report read;
  read.index = get_u64(&r);
  read.low = get_u64(&r);
  read.high = get_u64(&r);
  if (!reader_done(&r) || read.index == 0) return CORACLE_EMALFORMED;
  *report = read;
  return 0;
}
