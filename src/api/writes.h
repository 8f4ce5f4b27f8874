/* What all writes have in common: whether there is room for them, how they are proposed, and how they are
 * answered. */
#ifndef CORACLE_API_WRITES_H
#define CORACLE_API_WRITES_H

#include "api/exchange.h"

/* What api_call.kind remembers of a write without a work of its own. */
enum write_kind { WRITE_POST = 1, WRITE_PUT, WRITE_DELETE, WRITE_DROP };

/* By how much the documents grow if the PUT or DELETE is applied to the store as it is now. */
uint64_t writes_growth(const struct exchange *, const struct command *);
/* False: the documents would have more than --max-data-bytes, and it is answered with 507. */
bool writes_have_room(const struct exchange *, uint64_t growth_bytes);
/* The same without answering. */
bool writes_fit(const struct exchange *, uint64_t growth_bytes);
/* A document over the limit: answered with 413. */
void writes_refuse_size(const struct answer *);
/* Gives the command to the replica, with the call's key if it has one (idempotency.h). False: there was no
 * memory, and it is answered. */
bool writes_propose(struct exchange *, const struct command *, uint64_t growth_bytes);
/* The same without answering. */
bool writes_try_propose(struct exchange *, const struct command *, uint64_t growth_bytes);

/* 201 or 200 with ETag and document, or 204 by Prefer: return=minimal; with Location where `located`. */
void writes_answer_stored(const struct answer *, const struct api_call *, int status,
                          const struct store_record *, bool located);
/* EXISTS, NOT_FOUND and PRECONDITION_FAILED as a problem; `current` is the document there is, or NULL. */
enum problem writes_problem(enum store_outcome, const struct store_record *current, const char **detail);
/* A verdict other than APPLIED: 503 or 504. */
void writes_refuse(const struct answer *, enum replica_verdict);

/* The end of a write without a work of its own; `x` has no request. */
void writes_complete(struct exchange *, struct replica_result *);

#endif
