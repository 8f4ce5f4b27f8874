/* The HTTP endpoints: a parsed request in, the bytes of its answer out, now or once the log has decided.
 *
 * A request is answered at once (API_RESPONDED), or waits for its entry to be applied or, a read, for the
 * store to be new enough (API_WAITING, then api_complete()), or is worked at in slices (API_WORKING, then
 * api_work()), or is sent on to the leader (API_FORWARD), or turns the connection into a replication stream
 * (API_UPGRADE). docs/api.md describes every endpoint, and which node answers it. */
#ifndef CORACLE_API_API_H
#define CORACLE_API_API_H

#include "base/address.h"
#include "http/request.h"
#include "replica/replica.h"

enum {
  WRITE_TOKEN_BYTES = 32,
  API_DOCUMENT_BYTES_LIMIT = CORACLE_RAFT_ENTRY_BYTES_MAX - 1024, /* an entry holds one, with its names */
};

enum api_follower_writes { API_REDIRECT, API_REJECT, API_FORWARD_WRITES };

struct api_options {
  const char *name;          /* of this node; copied */
  uint64_t seed;             /* of the ids that POST makes */
  size_t document_bytes_max; /* at most API_DOCUMENT_BYTES_LIMIT */
  uint64_t data_bytes_max;   /* of all documents; 0: no limit */
  enum api_follower_writes follower_writes;
  uint8_t token[WRITE_TOKEN_BYTES]; /* this node's write token: whoever presents it may write to this node */
  struct address http;              /* where others reach the HTTP port; family NONE: not said */
  bool loopback;                    /* the HTTP port is reached from this host only: see api/origin.h */
  const char *cors_origins; /* "http://a.example,https://b.example:8443" or "*"; NULL or "": none; copied */
};

/* What is wrong with a list of origins that somebody gave ("is not ..."), or NULL. */
const char *api_origins_fault(const char *list);

/* How a node's storage does. */
enum api_storage {
  API_STORAGE_UNKNOWN, /* this node does not know */
  API_STORAGE_MEMORY,  /* it has none that lasts */
  API_STORAGE_FINE,
  API_STORAGE_FULL,
  API_STORAGE_HANGS,
};

/* What the rest of the node knows and the endpoints show; made by the node, borrowed for one call. */
struct api_member {
  uint64_t id;
  const char *name;
  const char *http; /* "HOST:PORT", as clients should use it */
  bool voter;
  bool self;
  bool match_known; /* leader only */
  uint64_t match;
  bool contact_known;
  uint64_t last_contact_ms; /* ago */
  bool up_known;
  bool up;
  enum api_storage storage;
};

struct api_view {
  uint64_t now_ms;  /* monotonic */
  uint64_t wall_ms; /* since 1970, UTC */
  uint64_t uptime_ms;
  uint64_t founded_wall_ms; /* 0: not known here */
  uint64_t id;              /* of this node; changes when it starts afresh */
  const char *name;
  bool has_cluster;
  uint8_t cluster[16];
  enum coracle_raft_role role;
  uint64_t term;
  uint64_t commit;
  uint64_t applied;
  const struct api_member *members;
  size_t members_n;
  const struct api_member *leader; /* points into members; NULL: none is known, or it is no longer heard */
  const char *no_leader_reason; /* one sentence; when leader is NULL: "need 2 of 3 voters, reached 1; ..." */
  const char *writes_stopped;   /* one sentence, on a leader that must not take writes; else NULL */
  const char *disk_full;    /* one sentence, on a leader that has, or whose voters have, no room for them */
  enum api_storage storage; /* this node's */
  bool committed_own_term;  /* leader only: it has committed an entry of its term, so it may serve */
  bool leader_linked;       /* follower only: the leader's stream is open, so it can be asked */
  bool freshness_known;     /* it has once heard what is committed */
  uint64_t staleness_ms;    /* how old its state may be, if known */
  const uint8_t *leader_token; /* WRITE_TOKEN_BYTES; NULL: not known */
};

struct api;
struct api *api_new(const struct api_options *);
void api_free(struct api *); /* NULL is fine */

struct kept_read;
struct work;

/* A body of this type comes piece by piece, whatever its length: http_parser_new() is to be told. */
#define API_STREAMED_TYPE "application/x-ndjson"

/* What is remembered of a request while it waits. The caller's; stays where it is until it was completed or
 * cancelled, and ends with api_call_close(). */
struct api_call {
  uint8_t kind;           /* private to api/ */
  struct kept_read *kept; /* of a read that waits; private to api/ */
  struct work
      *work; /* of a request that takes several turns or results (api/work.h), or NULL; private to api/ */
  struct replica_read read;   /* of either; private to api/ */
  struct command_once once;   /* of a write with an Idempotency-Key; private to api/ */
  struct list_link in_flight; /* linked: it has one, and no answer yet; private to api/ */
  struct bytes location;      /* of a POST that has one: its document's path; owned, private to api/ */
  const char *
      origin; /* whose scripts may read the answer, as answers say it; NULL: nobody's; of the api's options */
  bool keep_alive;
  bool head_only;
  bool http_1_0;
  bool minimal; /* Prefer: return=minimal */
  bool streams; /* its answer may leave in parts: what is in `out` so far is one */

  /* Of a request whose body is streamed. The caller appends what comes to `body` as long as it has less than
   * body_bytes_max, api/ takes it from the front. */
  struct bytes body;     /* owned */
  size_t body_bytes_max; /* 0: no more of it is wanted, and the caller need not read it */
  bool body_ended;       /* the caller's: there was all of it */
};

enum api_action {
  API_RESPONDED, /* `out` has the whole response, or the rest of it */
  API_WAITING,   /* `waiter` will get a result from the replica: pass it to api_complete() */
  API_WORKING,   /* api_work() is to be called, in this turn or a later one, when `out` has room */
  API_STARVED,   /* likewise, but first more of the body has to come, or its end */
  API_FORWARD,   /* send the request on to the leader; api_forward_request() writes what to send */
  API_UPGRADE,   /* `out` has 101; from the next byte on the connection carries frames from a leader */
};

/* Never fails: what is wrong with the request is its answer. `call` is filled in every case. A request whose
 * body is streamed is given with its head alone; if it is responded to at once, what comes of the body is no
 * request and the response says that the connection closes. */
enum api_action api_request(struct api *, const struct api_view *, struct replica *,
                            const struct http_request *, struct api_call *call, void *waiter,
                            struct bytes *out);

/* The result that a request waited for: its answer, or more to wait for or to work at (RESPONDED, WAITING,
 * WORKING or STARVED). Closes the result. */
enum api_action api_complete(struct api *, const struct api_view *, struct replica *, struct api_call *,
                             void *waiter, struct replica_result *, struct bytes *out);
/* Goes on with a request that is WORKING or STARVED. *budget is in units of about one byte of text looked at
 * (a mebibyte of them takes 3 to 5 ms); what was used is taken off, and a little more than there was may be:
 * it is 0 then. Returns as api_complete() does. A streaming answer stops for a while (WORKING) when `out` has
 * API_STREAM_BYTES or more. */
enum { API_STREAM_BYTES = 64 * 1024 };
enum api_action api_work(struct api *, const struct api_view *, struct replica *, struct api_call *,
                         void *waiter, size_t *budget, struct bytes *out);
/* The client of a request that is not answered yet has gone. True: nothing will come for it any more. False:
 * it is in the log, and its result is still to come: api_complete() with it, which then answers RESPONDED at
 * once, to nobody. */
bool api_cancel(struct replica *, struct api_call *);
/* Answers a request that was cancelled though its client is there: this node has given up what it was to be
 * answered from. */
void api_abandoned(struct api *, const struct api_view *, const struct api_call *, struct bytes *out);
void api_call_close(struct api_call *);

/* The request as it goes to the leader: the same method, target, end-to-end headers and body, with
 * "Authorization: Bearer" of the leader's token and "Coracle-Forwarded-By". */
void api_forward_request(struct api *, const struct api_view *, const struct http_request *,
                         struct bytes *out);
/* The leader's answer on its way to the client: `status` and `head` (lines ending in CRLF) as received. */
void api_forward_response(struct api *, const struct api_call *, int status, struct slice head,
                          struct slice body, struct bytes *out);
/* It could not be had. `sent`: the leader may have acted on it (504, outcome unknown); else 503. */
void api_forward_failed(struct api *, const struct api_view *, const struct api_call *, bool sent,
                        struct bytes *out);

/* The answer to what is no request (HTTP_FAILED), or to a connection too slow (408); `head` has the headers
 * that were read of it (http_parser_headers()). Always closes. */
void api_malformed(struct api *, const struct api_view *, const struct http_request *head,
                   const struct http_error *, struct bytes *out);

#endif
