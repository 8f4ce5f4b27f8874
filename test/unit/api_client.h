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
  const char *host;                  /* that requests are sent to; NULL: 127.0.0.1:8001 */
  size_t budget;                     /* of each slice of a work; 0: a mebibyte */
  size_t piece_bytes;                /* a streamed body comes in pieces of so many; 0: as a whole */
  void (*between)(struct client *);  /* called before each slice of a work; NULL: nothing is */
  struct bytes sent;                 /* the last request's bytes */
  size_t taken;                      /* so many of them the parser has */
  struct http_request request;       /* the last one parsed */
  struct api_call call;              /* what api_request() left */
  enum api_action action;            /* what it said */
  enum api_action next;              /* what was said last */
  size_t slices;                     /* that its work took */
  struct bytes piece;                /* what the last of them gave */
  bool was_proposed;                 /* it was a write that waited, and was completed */
  bool was_read;                     /* it was a read that waited, and was completed */
  struct replica_read read;          /* what it waited for, then */
  struct bytes answer;               /* whole, with a NUL behind */
  int status;                        /* of it; 0 when there is none */
  char *body;                        /* into it; put together, where it came in chunks */
  size_t body_bytes;
};

/* What node a is. */
enum client_view { LEADER, FOLLOWER, LEADERLESS };

void client_open(struct client *, enum client_view, enum api_follower_writes);
/* A leader with --max-data-bytes. */
void client_open_limited(struct client *, uint64_t data_bytes_max);
/* The name, the seed, the token and the limit of documents are the client's own. */
void client_open_with(struct client *, enum client_view, struct api_options);
void client_close(struct client *);

/* Sends METHOD TARGET with `headers` (each ending in CRLF) and `body` (NULL: none), and takes the answer. A
 * request that is worked at gets its slices, the rest of its body and its results. */
void ask(struct client *, const char *method, const char *target, const char *headers, const char *body);
void ask_bytes(struct client *, const char *method, const char *target, const char *headers,
               struct slice body);
/* The same up to what api_request() says; then, as long as ask_on() returns true, one step further each. */
void ask_begin(struct client *, const char *method, const char *target, const char *headers,
               struct slice body);
bool ask_on(struct client *);
void ask_end(struct client *);
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
