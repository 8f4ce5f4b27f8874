/* Idempotency-Key (the draft-ietf-httpapi-idempotency-key-header): a write with a key takes effect once,
 * however often and at whichever node it is sent, across a change of leader too.
 *
 * What has taken effect is remembered in the store, when it is applied, by log order (store/store.h). So
 * whether this is a retry is judged there; here it is looked up first only because a retry may otherwise be
 * refused for what its first time has changed (a PATCH whose test does not hold any more).
 *
 *     idempotency_begin(x)     once the request is known to be well formed
 *     idempotency_replay(x)    at a moment when the store may be read
 *     writes_propose()         takes the key along */
#ifndef CORACLE_API_IDEMPOTENCY_H
#define CORACLE_API_IDEMPOTENCY_H

#include "api/exchange.h"

enum { IDEMPOTENCY_KEY_BYTES_MAX = 255 };

/* There is a key; nothing is said about whether it is a right one. */
bool idempotency_is_asked(const struct http_request *);
/* Reads the header, and digests the request: its method, collection, id, conditions, the media type and the
 * body. Without the header: nothing. False: answered, with 400 (malformed, twice, too long) or 409 (a request
 * with this key is under way on this node). */
bool idempotency_begin(struct exchange *);
/* Of a POST: where its document will be, for the Location of a replay. `is_made`: the id is one that this
 * server made (of ULID_CHARACTERS); it goes into the note, since the retry has another. */
void idempotency_locate(struct exchange *, struct slice id, bool is_made);
/* False: the key is not remembered, or there is none. True: answered, as the first time or with 422. */
bool idempotency_replay(struct exchange *);
/* Answers the result of a command with a key that was REPLAYED or KEY_REUSED; false: it is neither. */
bool idempotency_answer(const struct answer *, const struct api_call *, const struct store_result *);
/* NULL: the call has no key. */
const struct command_once *idempotency_once(const struct api_call *);
/* For requests that take no key: false and 400 if there is one. */
bool idempotency_refuse(struct exchange *, const char *detail);
/* The request is answered, or its client gone and its result here. */
void idempotency_end(struct api_call *);

#endif
