/* The end of a write that waited for its entry. */
#ifndef CORACLE_API_WRITES_H
#define CORACLE_API_WRITES_H

#include "api/exchange.h"

/* As api_complete(). */
void writes_complete(struct api *, const struct api_view *, const struct api_call *, struct replica_result *,
                     struct bytes *out);

#endif
