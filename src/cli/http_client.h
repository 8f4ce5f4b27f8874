/* An HTTP client for the commands of the binary, over libcurl: one request at a time, connections kept open
 * between requests, and a caller who goes on listening to other things while he waits.
 *
 *     http_client_start(client, &call, &reply);
 *     while (!http_client_turn(client, watched, watched_n, 100)) look_after(watched);
 *     if (reply.status == 0) puts(reply.error);
 *
 * Redirects are never followed (a follower's 307 is an answer worth seeing), and no proxy is used. */
#ifndef CORACLE_CLI_HTTP_CLIENT_H
#define CORACLE_CLI_HTTP_CLIENT_H

#include "base/bytes.h"

enum {
  HTTP_CLIENT_BODY_BYTES_MAX = 64 << 20, /* of a reply */
  HTTP_CLIENT_WATCHED_MAX = 16,          /* other descriptors to wake up for */
  HTTP_CLIENT_TEXT_MAX = 1024,           /* bytes of a kept header field, with the NUL; longer ones are cut */
  HTTP_CLIENT_ERROR_MAX = 256,           /* bytes, with the NUL */
};

struct http_client_call {
  const char *method;
  const char *url;
  const char *json; /* the body, sent as application/json; NULL: none */
  long timeout_ms;  /* for the whole exchange */
};

/* All zero to begin with; http_client_reply_close() releases the body. */
struct http_client_reply {
  int status;                          /* 0: there was no answer, and `error` says why */
  char reason[64];                     /* "Created" */
  char etag[HTTP_CLIENT_TEXT_MAX];     /* empty when the reply has no such field */
  char location[HTTP_CLIENT_TEXT_MAX]; /* as sent: a path or a whole URL */
  uint64_t revision;                   /* Coracle-Revision; 0 without */
  struct bytes body;                   /* owned */
  char error[HTTP_CLIENT_ERROR_MAX];
};

struct http_client;

/* NULL when libcurl cannot be set up. */
struct http_client *http_client_new(void);
/* Gives up a request that is under way. NULL is fine. */
void http_client_free(struct http_client *);

/* Begins a request, giving up one that is under way. What `call` points to must live until the reply is
 * there. `reply` is emptied, and complete once http_client_turn() says so. */
void http_client_start(struct http_client *, const struct http_client_call *call,
                       struct http_client_reply *reply);

/* Goes on with it: waits until something happens to it or one of the `watched` descriptors is readable, at
 * most `wait_ms`. True when the reply is complete. */
bool http_client_turn(struct http_client *, const int *watched, size_t watched_n, int wait_ms);

void http_client_reply_close(struct http_client_reply *);

#endif
