/* What a request's body is declared to be: Content-Type and Content-Encoding. */
#ifndef CORACLE_API_CONTENT_H
#define CORACLE_API_CONTENT_H

#include "api/exchange.h"

/* False: the body is compressed, or coded in another way, and it is answered with 415 and Accept-Encoding. */
bool content_is_plain(struct exchange *);

/* 415 for a Content-Type that the route does not take, with the header that names those that it does. */
__attribute__((format(printf, 2, 3))) void content_refuse_type(struct exchange *, const char *detail, ...);

#endif
