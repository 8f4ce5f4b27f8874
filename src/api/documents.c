/* Reading one document: its bytes are copied, nothing of it is parsed. */
#include "api/conditions.h"
#include "api/exchange.h"
#include "http/response.h"

enum api_action document_get(struct exchange *x) {
  const struct answer *a = &x->answer;
  const struct store_record *record = store_get(replica_store(x->replica), x->collection, x->id);
  if (record == NULL) {
    answer_problem(a, PROBLEM_DOCUMENT_NOT_FOUND,
                   "There is no document of that id here; list the collection to see what there is.");
    return API_RESPONDED;
  }
  switch (conditions_of_read(x, record->revision)) {
  case CONDITIONS_ANSWERED:
    break;
  case CONDITIONS_FAILED:
    answer_conflict(a, PROBLEM_PRECONDITION_FAILED, record,
                    "The document is not at a revision that If-Match names.");
    break;
  case CONDITIONS_NOT_MODIFIED:
    answer_begin(a, 304, CACHE_NO_CACHE);
    answer_etag(a, record->revision);
    answer_end_empty(a);
    break;
  case CONDITIONS_HOLD:
    answer_begin(a, 200, CACHE_NO_CACHE);
    answer_etag(a, record->revision);
    http_response_end(a->out, "application/json", store_record_body(record), a->keep_alive, a->head_only);
  }
  return API_RESPONDED;
}
