/* A fuzz target: a program that libFuzzer, or replay.c without it, gives inputs to. It aborts on a finding.
 */
#ifndef CORACLE_FUZZ_H
#define CORACLE_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n); /* the name is libFuzzer's */

/* As assert(): but what does not hold is a finding. */
#define FUZZ_CHECK(condition)                                                                                \
  do {                                                                                                       \
    if (condition) break;                                                                                    \
    fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                           \
    abort();                                                                                                 \
  } while (0)

/* Input taken byte by byte; zeros after its end. */
struct fuzz_input {
  const uint8_t *at, *end;
};

static inline uint8_t fuzz_byte(struct fuzz_input *input) {
  return input->at < input->end ? *input->at++ : 0;
}
static inline uint16_t fuzz_u16(struct fuzz_input *input) {
  const unsigned low = fuzz_byte(input);
  return (uint16_t)(low | (unsigned)fuzz_byte(input) << 8);
}
static inline uint64_t fuzz_u64(struct fuzz_input *input) {
  uint64_t value = 0;
  for (unsigned i = 0; i < 8; i++) value |= (uint64_t)fuzz_byte(input) << (8 * i);
  return value;
}

#endif
