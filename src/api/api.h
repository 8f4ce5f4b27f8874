/* The HTTP endpoints: a parsed request in, the bytes of its answer out, now or once the log has decided.
 *
 * A request is answered at once (API_RESPONDED), or waits for its entry to be applied or, a read, for the
 * store to be new enough (API_WAITING, then api_complete()), or is sent on to the leader (API_FORWARD), or
 * turns the connection into a replication stream (API_UPGRADE). docs/api.md describes every endpoint, and
 * which node answers it. */
#ifndef CORACLE_API_API_H
#define CORACLE_API_API_H

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
};

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

/* What is remembered of a request while it waits. The caller's; stays where it is until it was completed or
 * cancelled, and ends with api_call_close(). */
struct api_call {
  uint8_t kind;             /* private to api/ */
  struct kept_read *kept;   /* of a read that waits; private to api/ */
  struct replica_read read; /* likewise */
  bool keep_alive;
  bool head_only;
  bool minimal; /* Prefer: return=minimal */
};

enum api_action {
  API_RESPONDED, /* `out` has the whole response */
  API_WAITING,   /* `waiter` will get a result from the replica: pass it to api_complete() */
  API_FORWARD,   /* send the request on to the leader; api_forward_request() writes what to send */
  API_UPGRADE,   /* `out` has 101; from the next byte on the connection carries frames from a leader */
};

/* Never fails: what is wrong with the request is its answer. `call` is filled in every case. */
enum api_action api_request(struct api *, const struct api_view *, struct replica *,
                            const struct http_request *, struct api_call *call, void *waiter,
                            struct bytes *out);

/* The answer of a request that waited. Releases the result's record. */
void api_complete(struct api *, const struct api_view *, struct replica *, const struct api_call *,
                  struct replica_result *, struct bytes *out);
/* The client of a request that waits has gone. True: nothing will come for it any more. False: it is in the
 * log, and its result is still to come. */
bool api_cancel(struct replica *, struct api_call *);
void api_call_close(struct api_call *);

/* The request as it goes to the leader: the same method, target, end-to-end headers and body, with
 * "Authorization: Bearer" of the leader's token and "Coracle-Forwarded-By". */
void api_forward_request(struct api *, const struct api_view *, const struct http_request *,
                         struct bytes *out);
/* The leader's answer on its way to the client: `status` and `head` (lines ending in CRLF) as received. */
void api_forward_response(const struct api_call *, int status, struct slice head, struct slice body,
                          struct bytes *out);
/* It could not be had. `sent`: the leader may have acted on it (504, outcome unknown); else 503. */
void api_forward_failed(struct api *, const struct api_view *, const struct api_call *, bool sent,
                        struct bytes *out);

/* The answer to what is no request (HTTP_FAILED), or to a connection too slow (408). Always closes. */
void api_malformed(struct api *, const struct api_view *, const struct http_error *, struct bytes *out);

#endif
