#include "api/idempotency.h"

#include <assert.h>
#include <sodium.h>

#include "api/answer.h"
#include "api/members.h"
#include "api/writes.h"
#include "http/response.h"

#define HEADER "Idempotency-Key"
#define OUTCOME_OF_THE_FIRST                                                                                 \
  "This is the outcome of the first request with this " HEADER "; to try anew, take another key."

/* ---- The header ---- */

static bool is_printable(char c) {
  return c >= 0x20 && c <= 0x7e;
}

/* What stands between the quotes of a string (RFC 8941, 3.3.3). */
static bool unquote(struct slice text, struct bytes *key) {
  size_t i = 1;
  for (; i < text.n && text.at[i] != '"'; i++) {
    if (text.at[i] == '\\' && (++i == text.n || (text.at[i] != '"' && text.at[i] != '\\'))) return false;
    if (!is_printable(text.at[i])) return false;
    bytes_append(key, &text.at[i], 1);
  }
  return i + 1 == text.n; /* the closing quote is the last byte */
}

static bool read_key(struct slice text, struct bytes *key) {
  if (text.n > 0 && text.at[0] == '"') {
    if (!unquote(text, key)) return false;
  } else {
    for (size_t i = 0; i < text.n; i++) {
      if (!is_printable(text.at[i])) return false;
    }
    bytes_append_slice(key, text);
  }
  return key->n >= 1 && key->n <= IDEMPOTENCY_KEY_BYTES_MAX;
}

bool idempotency_is_asked(const struct http_request *request) {
  return http_request_header(request, HEADER).at != NULL;
}

bool idempotency_refuse(struct exchange *x, const char *detail) {
  if (!idempotency_is_asked(x->request)) return true;
  answer_problem(&x->answer, PROBLEM_INVALID_IDEMPOTENCY_KEY, "%s", detail);
  return false;
}

/* ---- Digests ---- */

/* Each part with its length in front, so that no two requests are the same row of bytes. */
static void digest_part(crypto_generichash_state *state, struct slice part) {
  uint8_t length[8];
  for (size_t i = 0; i < sizeof length; i++) length[i] = (uint8_t)((uint64_t)part.n >> 8 * i);
  crypto_generichash_update(state, length, sizeof length);
  crypto_generichash_update(state, (const uint8_t *)part.at, part.n);
}

static void digest_headers(crypto_generichash_state *state, const struct http_request *request,
                           const char *name) {
  digest_part(state, slice_of(name));
  for (size_t i = 0; i < request->headers_n; i++) {
    if (slice_is_caseless(request->headers[i].name, name)) digest_part(state, request->headers[i].value);
  }
}

/* All that the effect depends on. What the answer alone depends on (Prefer) is left out, and so is who sent
 * it: a retry may come by another node, with other headers of its own. */
static void digest_request(const struct exchange *x, uint8_t digest[COMMAND_DIGEST_BYTES]) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, NULL, 0, COMMAND_DIGEST_BYTES);
  digest_part(&state, x->request->method_name);
  for (size_t i = 0; i < x->request->segments_n; i++) digest_part(&state, x->request->segments[i]);
  digest_headers(&state, x->request, "If-Match");
  digest_headers(&state, x->request, "If-None-Match");
  digest_headers(&state, x->request, "Content-Type");
  digest_part(&state, x->request->body);
  crypto_generichash_final(&state, digest, COMMAND_DIGEST_BYTES);
}

/* ---- Those under way here ---- */

static struct list *bucket_of(struct api *api, const uint8_t key[COMMAND_DIGEST_BYTES]) {
  uint8_t hash[crypto_shorthash_BYTES];
  _Static_assert(API_SECRET_BYTES == crypto_shorthash_KEYBYTES, "the secret is a key");
  crypto_shorthash(hash, key, COMMAND_DIGEST_BYTES, api->secret);
  return &api->in_flight[(hash[0] | (size_t)hash[1] << 8) & (IN_FLIGHT_BUCKETS - 1)];
}

static bool is_in_flight(const struct list *bucket, const uint8_t key[COMMAND_DIGEST_BYTES]) {
  for (struct list_link *link = list_first(bucket); link != NULL; link = list_next(bucket, link)) {
    const struct api_call *call = CONTAINER_OF(link, struct api_call, in_flight);
    if (memcmp(call->once.key, key, COMMAND_DIGEST_BYTES) == 0) return true;
  }
  return false;
}

static void answer_in_flight(const struct answer *a) {
  struct bytes body = {0};
  problem_open(&body, PROBLEM_IDEMPOTENCY_KEY_IN_FLIGHT,
               "A request with this " HEADER " has not been answered yet; send this one again in a moment.");
  answer_begin_problem(a, PROBLEM_IDEMPOTENCY_KEY_IN_FLIGHT);
  http_response_header_u64(a->out, "Retry-After", 1);
  answer_end_problem(a, &body);
}

bool idempotency_begin(struct exchange *x) {
  struct bytes key = {0};
  struct command_once *once = &x->call->once;
  if (!idempotency_is_asked(x->request)) return true;
  if (http_request_header_count(x->request, HEADER) > 1 ||
      !read_key(http_request_header(x->request, HEADER), &key)) {
    answer_problem(&x->answer, PROBLEM_INVALID_IDEMPOTENCY_KEY,
                   HEADER " is one key of 1 to %d printable ASCII characters, in quotes or without.",
                   IDEMPOTENCY_KEY_BYTES_MAX);
    bytes_close(&key);
    return false;
  }
  crypto_generichash(once->key, sizeof once->key, key.data, key.n, NULL, 0);
  bytes_close(&key);
  struct list *bucket = bucket_of(x->api, once->key);
  if (is_in_flight(bucket, once->key)) {
    answer_in_flight(&x->answer);
    return false;
  }
  digest_request(x, once->request);
  list_append(bucket, &x->call->in_flight);
  return true;
}

const struct command_once *idempotency_once(const struct api_call *call) {
  return list_is_linked(&call->in_flight) ? &call->once : NULL;
}

void idempotency_end(struct api_call *call) {
  if (list_is_linked(&call->in_flight)) list_remove(&call->in_flight);
  bytes_close(&call->location);
}

void idempotency_locate(struct exchange *x, struct slice id, bool is_made) {
  struct api_call *call = x->call;
  if (idempotency_once(call) == NULL) return;
  answer_document_path(&call->location, x->collection, id);
  if (is_made) ulid_pack(id.at, call->once.note);
}

/* ---- Replays ---- */

/* What is remembered of the first time. */
struct first_time {
  enum store_outcome outcome;
  uint64_t revision;
  const uint8_t *note;
  uint16_t failed;
  enum store_outcome failed_outcome;
};

static void begin_replay(const struct answer *a, int status) {
  answer_begin(a, status, CACHE_NO_STORE);
  http_response_header(a->out, "Idempotency-Replayed", slice_of("true"));
}

/* The id in `location` is the retry's own, which another one was made for: the first time's is in the note.
 */
static void answer_first_location(const struct answer *a, const struct api_call *call, const uint8_t *note) {
  static const uint8_t none[COMMAND_DIGEST_BYTES];
  struct bytes location = {0};
  char made[ULID_CHARACTERS];
  if (call->location.n == 0) return;
  bytes_append_slice(&location, slice_of_bytes(&call->location));
  if (memcmp(note, none, sizeof none) != 0) {
    ulid_unpack(note, made);
    memcpy(&location.data[location.n - sizeof made], made, sizeof made);
  }
  http_response_header(a->out, "Location", slice_of_bytes(&location));
  bytes_close(&location);
}

/* Of a success that has a body the first time, unless that is not wanted. */
static void begin_replay_without_body(const struct answer *a, const struct api_call *call, int status) {
  begin_replay(a, call->minimal ? 204 : status);
  if (call->minimal) http_response_header(a->out, "Preference-Applied", slice_of("return=minimal"));
}

static void replay_stored(const struct answer *a, const struct api_call *call, int status,
                          const struct first_time *first) {
  begin_replay_without_body(a, call, status);
  answer_etag(a, first->revision);
  answer_first_location(a, call, first->note);
  answer_end_empty(a);
}

static void end_replayed_problem(const struct answer *a, enum problem problem, struct bytes *body) {
  answer_begin_problem(a, problem);
  http_response_header(a->out, "Idempotency-Replayed", slice_of("true"));
  answer_end_problem(a, body);
}

/* Without what there was then, which may be gone, and without what there is now, which did not decide. */
static void replay_problem(const struct answer *a, enum problem problem) {
  struct bytes body = {0};
  problem_open(&body, problem, OUTCOME_OF_THE_FIRST);
  end_replayed_problem(a, problem, &body);
}

static void replay_refused(const struct answer *a, const struct first_time *first) {
  struct bytes body = {0}, inner = {0};
  const char *detail;
  const enum problem problem = writes_problem(first->failed_outcome, NULL, &detail);
  problem_open(&inner, problem, "That was what the first time failed of.");
  problem_open(&body, PROBLEM_TRANSACTION_FAILED, OUTCOME_OF_THE_FIRST);
  member_u64(&body, "operation", first->failed);
  member_name(&body, "problem");
  bytes_append_slice(&body, slice_of_bytes(&inner));
  bytes_append_string(&body, "}");
  bytes_close(&inner);
  end_replayed_problem(a, PROBLEM_TRANSACTION_FAILED, &body);
}

static void replay(const struct answer *a, const struct api_call *call, const struct first_time *first) {
  switch (first->outcome) {
  case STORE_CREATED:
    replay_stored(a, call, 201, first);
    break;
  case STORE_REPLACED:
    replay_stored(a, call, 200, first);
    break;
  case STORE_DELETED:
  case STORE_DROPPED:
    begin_replay(a, 204);
    answer_end_empty(a);
    break;
  case STORE_DONE:
    begin_replay_without_body(a, call, 200);
    answer_end_empty(a);
    break;
  case STORE_EXISTS:
    replay_problem(a, PROBLEM_DOCUMENT_EXISTS);
    break;
  case STORE_NOT_FOUND:
    replay_problem(a, PROBLEM_DOCUMENT_NOT_FOUND);
    break;
  case STORE_PRECONDITION_FAILED:
    replay_problem(a, PROBLEM_PRECONDITION_FAILED);
    break;
  case STORE_REFUSED:
    replay_refused(a, first);
    break;
  case STORE_BASE_MOVED:
  case STORE_KEY_REUSED:
    assert(false && "not remembered");
  }
}

static void answer_reused(const struct answer *a) {
  answer_problem(a, PROBLEM_IDEMPOTENCY_KEY_REUSED,
                 "Another request came with this " HEADER " before; take a new key for each request.");
}

bool idempotency_replay(struct exchange *x) {
  const struct command_once *once = idempotency_once(x->call);
  struct store_key key;
  if (once == NULL || !store_find_key(replica_store(x->replica), once->key, &key)) return false;
  if (memcmp(once->request, key.once.request, sizeof once->request) != 0) {
    answer_reused(&x->answer);
  } else {
    const struct first_time first = {key.outcome, key.revision, key.once.note, key.failed,
                                     key.failed_outcome};
    replay(&x->answer, x->call, &first);
  }
  return true;
}

bool idempotency_answer(const struct answer *a, const struct api_call *call,
                        const struct store_result *result) {
  if (result->outcome == STORE_KEY_REUSED) {
    answer_reused(a);
    return true;
  }
  if (!result->replayed) return false;
  const struct first_time first = {result->outcome, result->revision, result->note, result->failed,
                                   result->failed_outcome};
  replay(a, call, &first);
  return true;
}
