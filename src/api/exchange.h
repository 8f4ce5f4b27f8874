/* One request on its way to its answer: what the endpoints share, and the endpoints. Private to api/. */
#ifndef CORACLE_API_EXCHANGE_H
#define CORACLE_API_EXCHANGE_H

#include "api/answer.h"
#include "api/api.h"
#include "api/origin.h"
#include "api/ulid.h"

enum {
  TOKEN_DIGITS = 2 * WRITE_TOKEN_BYTES,
  API_SECRET_BYTES = 16,
  IN_FLIGHT_BUCKETS = 1024, /* a power of two */
  PROPOSED_BUCKETS = 256,   /* likewise */
};

struct api {
  char *name; /* owned */
  size_t document_bytes_max;
  uint64_t data_bytes_max;
  enum api_follower_writes follower_writes;
  struct address http;
  bool loopback;
  struct origins origins;
  char token[TOKEN_DIGITS + 1]; /* lower-case hexadecimal, as it stands in Authorization */
  struct ulids ulids;
  size_t exports_n, imports_n;              /* under way */
  size_t patched_n;                         /* patches that are being calculated: patched.c */
  uint8_t secret[API_SECRET_BYTES];         /* of this process: keys the hashes of what clients choose */
  struct list in_flight[IN_FLIGHT_BUCKETS]; /* of api_call.in_flight: idempotency.c */
  struct list proposed_patches[PROPOSED_BUCKETS]; /* patches.c: by their documents */
};

/* Query parameters, as bits: which ones a route takes. */
enum parameter {
  PARAMETER_CONSISTENCY = 1,
  PARAMETER_LIMIT = 2,
  PARAMETER_AFTER = 4,
  PARAMETER_MAX_STALE = 8,
  PARAMETER_MIN_REVISION = 16,
  PARAMETER_WAIT = 32,
  PARAMETER_EXISTING = 64,
};

/* Media types of answers, as bits: what a route produces (api/accept.h). */
enum media {
  MEDIA_JSON = 1,
  MEDIA_NDJSON = 2,
};

/* What a read asks of the state that it is answered from. */
struct consistency {
  bool stale;            /* ?consistency=stale: this node's own state will do ... */
  bool bounded;          /* ... if it is no older than ... */
  uint64_t stale_ms_max; /* ?max_stale_ms= */
  uint64_t min_revision; /* ?min_revision=; 0: any */
  uint64_t wait_ms;      /* ?wait_ms=, or its default */
};

struct route; /* routes.h */

struct exchange {
  struct answer answer;
  struct api *api;
  const struct api_view *view;
  struct replica *replica;
  const struct http_request *request;
  struct api_call *call;
  const struct route *route; /* once it is found; NULL when it is gone on with */
  void *waiter;              /* the caller's, for replica_propose() */
  struct slice collection;   /* from the path, where the route has one: valid */
  struct slice id;           /* likewise */
  struct consistency consistency;
  enum media media;   /* of the answer to a GET or HEAD */
  uint64_t limit;     /* ?limit=, or its default */
  struct slice after; /* ?after=, or empty */
  bool replaces;      /* ?existing=replace */
};

/* The endpoints. Each answers, or says what else is to happen. */
typedef enum api_action endpoint(struct exchange *);

endpoint root_get;          /* cluster.c */
endpoint cluster_get;       /* cluster.c */
endpoint livez_get;         /* cluster.c */
endpoint readyz_get;        /* cluster.c */
endpoint collections_get;   /* listing.c */
endpoint collection_get;    /* listing.c */
endpoint collection_export; /* export.c: collection_get() as NDJSON */
endpoint collection_import; /* import.c: document_post() of NDJSON */
endpoint document_get;      /* documents.c */
endpoint document_post;     /* documents.c */
endpoint document_put;      /* documents.c */
endpoint document_patch;    /* patches.c */
endpoint document_delete;   /* documents.c */
endpoint collection_drop;   /* documents.c */
endpoint transaction_post;  /* transactions.c */
endpoint replication_get;   /* replication.c */
endpoint openapi_get;       /* openapi.c */

#endif
