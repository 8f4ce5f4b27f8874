/* The parts of a header's value, below its list (http/grammar.h splits that). */
#ifndef CORACLE_API_FIELD_H
#define CORACLE_API_FIELD_H

#include "base/bytes.h"

/* Takes what stands before the first `separator`, or all, off the front of *rest; without spaces around it.
 */
struct slice field_take(struct slice *rest, char separator);

#endif
