/* The write token in "Authorization: Bearer TOKEN" (RFC 6750), as 64 lower-case hexadecimal digits. */
#ifndef CORACLE_API_AUTHORIZATION_H
#define CORACLE_API_AUTHORIZATION_H

#include "api/exchange.h"

enum authorization {
  AUTHORIZATION_MISSING, /* no bearer token at all */
  AUTHORIZATION_WRONG,
  AUTHORIZATION_RIGHT, /* this node's own token */
};

/* Compares in constant time. */
enum authorization authorization_of(const struct api *, const struct http_request *);

/* Writes the digits and a NUL. */
void token_format(const uint8_t token[WRITE_TOKEN_BYTES], char text[TOKEN_DIGITS + 1]);

#endif
