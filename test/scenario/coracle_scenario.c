/* coracle-scenario [--update] FILE...: runs scenarios (README.md) and compares what the servers tell with
 * what is written down. --update writes down what they tell now: read the differences before you believe
 * them. Exit status: 0 all as written, 1 not, 2 wrong arguments. */
#include "scenario.h"

#include <stdio.h>

static bool update;

static void run_script(void **state) {
  assert_true(script_run(*state, update));
}

/* An invariant that fails leaves the script where it is. */
static int tell_place(void **state) {
  (void)state;
  if (script_place() != NULL) fprintf(stderr, "at %s\n", script_place());
  return 0;
}

int main(int argc, char **argv) {
  struct CMUnitTest tests[256];
  size_t n = 0;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--update") == 0)
      update = true;
    else if (n < sizeof tests / sizeof tests[0])
      tests[n++] = (struct CMUnitTest){
          .name = argv[i], .test_func = run_script, .teardown_func = tell_place, .initial_state = argv[i]};
  }
  if (n == 0) {
    fprintf(stderr, "usage: coracle-scenario [--update] FILE...\n");
    return 2;
  }
  return _cmocka_run_group_tests("scenarios", tests, n, NULL, NULL) == 0 ? 0 : 1;
}
