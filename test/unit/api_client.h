/* A client of src/api/ without a network: the text of a request goes through the real parser into
 * api_request(), and the answer is taken apart as text. Proposals go to fake_replica.h and are applied at
 * once unless told otherwise; reads that wait go there too, and may be answered at once.
 *
 *     struct client c;
 *     client_open(&c, LEADER, API_REDIRECT);
 *     ask(&c, "PUT", "/v1/collections/items/a", JSON, "{}");
 *     assert_int_equal(c.status, 201);
 *     assert_header(&c, "ETag", "\"17\""); // the first revision there is
 *     client_close(&c); */
#ifndef TEST_API_CLIENT_H
#define TEST_API_CLIENT_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "api/api.h"
#include "fake_replica.h"

#define JSON "Content-Type: application/json\r\n"
/* The write tokens of the node under test and of the leader. */
#define TOKEN "0101010101010101010101010101010101010101010101010101010101010101"
#define LEADER_TOKEN "0202020202020202020202020202020202020202020202020202020202020202"

enum { CLIENT_DOCUMENT_BYTES_MAX = 64 * 1024 };

struct client {
  struct api *api;
  struct replica *replica;
  struct http_parser *parser;
  struct api_member members[3]; /* a leads or not, b leads if not; c is a learner that was never heard of */
  struct api_view view;         /* of node a; change it at will */
  enum replica_verdict verdict; /* of the next proposals */
  enum replica_verdict read_verdict; /* of the next reads that wait */
  struct bytes sent;                 /* the last request's bytes */
  struct http_request request;       /* the last one parsed */
  struct api_call call;              /* what api_request() left */
  enum api_action action;            /* what it said */
  bool was_proposed;                 /* it was a write that waited, and was completed */
  bool was_read;                     /* it was a read that waited, and was completed */
  struct replica_read read;          /* what it waited for, then */
  struct bytes answer;               /* whole, with a NUL behind */
  int status;                        /* of it; 0 when there is none */
  char *body;                        /* into it */
};

/* What node a is. */
enum client_view { LEADER, FOLLOWER, LEADERLESS };

void client_open(struct client *, enum client_view, enum api_follower_writes);
/* A leader with --max-data-bytes. */
void client_open_limited(struct client *, uint64_t data_bytes_max);
void client_close(struct client *);

/* Sends METHOD TARGET with `headers` (each ending in CRLF) and `body` (NULL: none), and takes the answer. */
void ask(struct client *, const char *method, const char *target, const char *headers, const char *body);
void ask_bytes(struct client *, const char *method, const char *target, const char *headers,
               struct slice body);
/* Takes c->answer apart again after it was written by another function of api.h. */
void read_answer(struct client *);

/* The header's value, or NULL; lives until the next call. */
const char *header(struct client *, const char *name);
void assert_header(struct client *, const char *name, const char *value); /* NULL: it must not be there */

/* The body is a problem of that status and code, with a sentence for a detail. */
void assert_problem(struct client *, int status, const char *code);
/* The body as JSON; the caller's to json_decref(). */
json_t *body_json(struct client *);

#endif
