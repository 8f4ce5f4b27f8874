#include "api/authorization.h"

#include <sodium.h>

void token_format(const uint8_t token[WRITE_TOKEN_BYTES], char text[TOKEN_DIGITS + 1]) {
  sodium_bin2hex(text, TOKEN_DIGITS + 1, token, WRITE_TOKEN_BYTES);
}

enum authorization authorization_of(const struct api *api, const struct http_request *request) {
  static const char scheme[] = "Bearer ";
  enum { SCHEME_BYTES = sizeof scheme - 1 };
  struct slice value = http_request_header(request, "Authorization");
  if (value.n < SCHEME_BYTES || !slice_is_caseless((struct slice){value.at, SCHEME_BYTES}, scheme)) {
    return AUTHORIZATION_MISSING;
  }
  if (http_request_header_count(request, "Authorization") != 1) return AUTHORIZATION_WRONG;
  if (value.n != SCHEME_BYTES + TOKEN_DIGITS) return AUTHORIZATION_WRONG;
  return sodium_memcmp(value.at + SCHEME_BYTES, api->token, TOKEN_DIGITS) == 0 ? AUTHORIZATION_RIGHT
                                                                               : AUTHORIZATION_WRONG;
}
