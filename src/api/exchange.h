/* One request on its way to its answer: what the endpoints share, and the endpoints. Private to api/. */
#ifndef CORACLE_API_EXCHANGE_H
#define CORACLE_API_EXCHANGE_H

#include "api/answer.h"
#include "api/api.h"
#include "api/ulid.h"

enum { TOKEN_DIGITS = 2 * WRITE_TOKEN_BYTES };

struct api {
  char *name; /* owned */
  size_t document_bytes_max;
  uint64_t data_bytes_max;
  enum api_follower_writes follower_writes;
  char token[TOKEN_DIGITS + 1]; /* lower-case hexadecimal, as it stands in Authorization */
  struct ulids ulids;
};

/* Query parameters, as bits: which ones a route takes. */
enum parameter {
  PARAMETER_CONSISTENCY = 1,
  PARAMETER_LIMIT = 2,
  PARAMETER_AFTER = 4,
  PARAMETER_MAX_STALE = 8,
  PARAMETER_MIN_REVISION = 16,
  PARAMETER_WAIT = 32,
};

/* What a read asks of the state that it is answered from. */
struct consistency {
  bool stale;            /* ?consistency=stale: this node's own state will do ... */
  bool bounded;          /* ... if it is no older than ... */
  uint64_t stale_ms_max; /* ?max_stale_ms= */
  uint64_t min_revision; /* ?min_revision=; 0: any */
  uint64_t wait_ms;      /* ?wait_ms=, or its default */
};

struct exchange {
  struct answer answer;
  struct api *api;
  const struct api_view *view;
  struct replica *replica;
  const struct http_request *request;
  struct api_call *call;
  void *waiter;            /* the caller's, for replica_propose() */
  struct slice collection; /* from the path, where the route has one: valid */
  struct slice id;         /* likewise */
  struct consistency consistency;
  uint64_t limit;     /* ?limit=, or its default */
  struct slice after; /* ?after=, or empty */
};

/* The endpoints. Each answers, or says what else is to happen. */
typedef enum api_action endpoint(struct exchange *);

endpoint root_get;        /* cluster.c */
endpoint cluster_get;     /* cluster.c */
endpoint livez_get;       /* cluster.c */
endpoint readyz_get;      /* cluster.c */
endpoint collections_get; /* listing.c */
endpoint collection_get;  /* listing.c */
endpoint document_get;    /* documents.c */
endpoint document_post;   /* writes.c */
endpoint document_put;    /* writes.c */
endpoint document_delete; /* writes.c */
endpoint replication_get; /* replication.c */

#endif
