#include "api/preferences.h"

#include "api/field.h"
#include "http/grammar.h"

/* The value of "return" in one preference such as `return=minimal; foo`, or one with at == NULL. */
static struct slice return_value(struct slice preference) {
  struct slice value = field_take(&preference, ';');
  if (!slice_is_caseless(field_take(&value, '='), "return")) return (struct slice){0};
  return http_trim(value);
}

bool prefers_minimal(const struct http_request *request) {
  for (size_t i = 0; i < request->headers_n; i++) {
    struct slice list = request->headers[i].value, preference;
    if (!slice_is_caseless(request->headers[i].name, "Prefer")) continue;
    while (http_list_next(&list, &preference)) {
      struct slice value = return_value(preference);
      /* The first of several counts (section 2). */
      if (value.at != NULL)
        return slice_is_caseless(value, "minimal") || slice_is_caseless(value, "\"minimal\"");
    }
  }
  return false;
}
