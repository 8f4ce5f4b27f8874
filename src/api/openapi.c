/* GET /openapi.json: docs/openapi.json as it was when this was built, byte for byte. */
#include "api/exchange.h"
#include "http/response.h"

/* The build makes them (cmake/CoracleEmbed.cmake). */
extern const unsigned char openapi_json[];
extern const size_t openapi_json_bytes;

enum api_action openapi_get(struct exchange *x) {
  const struct slice text = {(const char *)openapi_json, openapi_json_bytes};
  answer_begin(&x->answer, 200, CACHE_NO_STORE);
  http_response_end(x->answer.out, "application/json", text, x->answer.keep_alive, x->answer.head_only);
  return API_RESPONDED;
}
