#include "http/fault.h"

#include <assert.h>

_Static_assert(HTTP_REQUEST_LINE_BYTES_MAX == 8192 && HTTP_HEAD_BYTES_MAX == 16384 &&
                   HTTP_HEADERS_MAX == 100 && HTTP_TRAILER_BYTES_MAX == 4096 && HTTP_SEGMENTS_MAX == 8 &&
                   HTTP_PARAMETERS_MAX == 16,
               "the details name the limits");

static const struct http_error errors[] = {
#define X(name, status, code, detail) [HTTP_FAULT_##name] = {status, code, detail},
    HTTP_FAULTS(X)
#undef X
};

const struct http_error *http_fault_error(enum http_fault fault) {
  assert(fault > HTTP_FAULT_NONE && (size_t)fault < sizeof errors / sizeof *errors);
  return &errors[fault];
}
