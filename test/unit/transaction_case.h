/* What the tests of transactions share: to send one, and to see what came of it. */
#ifndef TEST_TRANSACTION_CASE_H
#define TEST_TRANSACTION_CASE_H

#include "api_client.h"

#define ITEMS "/v1/collections/items"
#define TRANSACTIONS "/v1/transactions"
#define PUT_NEW "{\"method\":\"put\",\"path\":\"items/new\",\"body\":{}}"

/* Sends one of these operations, which are separated by commas. */
void transact(struct client *, const char *operations);
/* A document that is to be there, or not. */
void put(struct client *, const char *target, const char *body);
void assert_document(struct client *, const char *target, const char *etag, const char *body);
void assert_none(struct client *, const char *target);
/* The answer: 409 of that operation, which alone would have been `status` and `code`. */
void assert_failed(struct client *, int operation, int status, const char *code);
/* The answer's member "operation"; -1: it has none. */
void assert_operation(struct client *, int operation);

#endif
