/* What answers have in common: the status line, the headers that tell where it comes from, the problem body.
 *
 *     answer_begin(a, 200, CACHE_NO_STORE);
 *     http_response_header(a->out, "Link", link);
 *     answer_end_json(a, &body);
 *
 *     answer_problem(a, PROBLEM_DOCUMENT_NOT_FOUND, "There is no ...");
 *
 * A problem with members or headers of its own goes in steps: problem_open() and the members into a body,
 * answer_begin_problem(), the headers, answer_end_problem(). */
#ifndef CORACLE_API_ANSWER_H
#define CORACLE_API_ANSWER_H

#include "api/api.h"
#include "api/problem.h"

struct answer {
  const struct api *api;
  const struct api_view *view;
  bool keep_alive;
  bool head_only;    /* it answers HEAD: the body's length without the body */
  struct bytes *out; /* where it is written */
  bool stale;        /* it answers a stale read, and says how old the state is */
  const char *origin; /* as in struct api_call */
};

/* The answer to a request that was taken in. */
struct answer answer_to(const struct api *, const struct api_view *, const struct api_call *, struct bytes *out);

/* A cache may keep documents if it asks each time whether they are current; all else is of the moment. */
enum cache { CACHE_NO_CACHE, CACHE_NO_STORE };

/* Status line, Server, Date, Cache-Control, the Coracle-* headers, and what browsers need to know. */
void answer_begin(const struct answer *, int status, enum cache);
/* Ends with a JSON body, in answers that have one; `body` is released. */
void answer_end_json(const struct answer *, struct bytes *body);
void answer_end_empty(const struct answer *);

/* The revision in quotes: a strong validator, the same on every node. */
void answer_etag(const struct answer *, uint64_t revision);
/* The document's path, percent-encoded; appended. */
void answer_document_path(struct bytes *, struct slice collection, struct slice id);
void answer_location(const struct answer *, const struct store_record *);

/* A whole answer. */
__attribute__((format(printf, 3, 4))) void answer_problem(const struct answer *, enum problem,
                                                          const char *detail, ...);
/* Status line, common headers, and Retry-After with a 503. */
void answer_begin_problem(const struct answer *, enum problem);
/* 400 for an id, in the path or in a body, that is none. */
extern const char answer_invalid_id_detail[], answer_invalid_collection_detail[];
void answer_invalid_id(const struct answer *);
/* A problem that carries the document as it is, or null, with the ETag that the next If-Match needs. */
void answer_conflict(const struct answer *, enum problem, const struct store_record *current,
                     const char *detail);
/* 504: a write was proposed or sent on, and nobody here knows whether it took or will take effect. */
void answer_outcome_unknown(const struct answer *);
/* Closes the object, ends the answer with it, and releases `body`. */
void answer_end_problem(const struct answer *, struct bytes *body);

void member_role(struct bytes *, const struct api_view *);
/* The member "leader": {"id", "name", "http"}, or null. */
void member_leader(struct bytes *, const struct api_view *);

#endif
