/* A failure in the world of nodes is one of the test. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

void world_failed(struct world *w) {
  (void)w;
  fail();
  abort(); /* not reached */
}
