/* Gives a fuzz target inputs without libFuzzer: the files named, or so many random ones from a seed:
 *
 *     replay FILE... | replay --random INPUTS SEED
 *
 * The tests run every target so, and what libFuzzer found can be looked at in any build. */
#include "fuzz.h"

#include "base/memory.h"
#include "base/random.h"

#include <string.h>

enum { RANDOM_BYTES_MAX = 600, FILE_BYTES_MAX = 1024 * 1024 };

static void random_inputs(uint64_t inputs, uint64_t seed) {
  struct random random = {seed};
  uint8_t data[RANDOM_BYTES_MAX];
  for (uint64_t i = 0; i < inputs; i++) {
    const size_t n = (size_t)random_below(&random, sizeof data + 1);
    for (size_t k = 0; k < n; k++) data[k] = (uint8_t)random_next(&random);
    LLVMFuzzerTestOneInput(data, n);
  }
}

static int replay_file(const char *name) {
  FILE *file = fopen(name, "rb");
  if (file == NULL) {
    perror(name);
    return 1;
  }
  uint8_t *data = memory_alloc(FILE_BYTES_MAX);
  const size_t n = fread(data, 1, FILE_BYTES_MAX, file);
  fclose(file);
  LLVMFuzzerTestOneInput(data, n);
  free(data);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "--random") == 0) {
    random_inputs(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    return 0;
  }
  int result = 0;
  for (int i = 1; i < argc; i++) result |= replay_file(argv[i]);
  return result;
}
