/* Prefer (RFC 7240): of all preferences, return=minimal is honoured. */
#ifndef CORACLE_API_PREFERENCES_H
#define CORACLE_API_PREFERENCES_H

#include "api/exchange.h"

bool prefers_minimal(const struct http_request *);

#endif
