/* The small pieces of HTTP's grammar (RFC 9110, 5.6) that requests and responses share. */
#ifndef CORACLE_HTTP_GRAMMAR_H
#define CORACLE_HTTP_GRAMMAR_H

#include "base/bytes.h"

/* A character of a token, such as a method or a header's name. */
bool http_is_token_character(char c);
/* One or more of them. */
bool http_is_token(struct slice s);
/* The value of a hexadecimal digit, or -1. */
int http_hex_digit(char c);
/* Without the spaces and tabs around it. */
struct slice http_trim(struct slice s);
/* Takes the next member off the front of a comma-separated list; false at its end. Empty members are skipped.
 */
bool http_list_next(struct slice *list, struct slice *member);

#endif
