#include "base/error.h"

const char *coracle_strerror(int code) {
  switch (code) {
#define X(name, value, text)                                                                                 \
  case CORACLE_##name:                                                                                       \
    return text;
    CORACLE_ERRORS(X)
#undef X
  default:
    return code == 0 ? "success" : "unknown error";
  }
}
