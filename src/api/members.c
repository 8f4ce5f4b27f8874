#include "api/members.h"

#include <inttypes.h>

#include "http/response.h"

void member_name(struct bytes *out, const char *name) {
  if (out->n > 0 && out->data[out->n - 1] != '{') bytes_append_string(out, ",");
  json_append_string(out, slice_of(name));
  bytes_append_string(out, ":");
}

void member_string(struct bytes *out, const char *name, struct slice value) {
  member_name(out, name);
  json_append_string(out, value);
}

void member_u64(struct bytes *out, const char *name, uint64_t value) {
  member_name(out, name);
  bytes_append_u64(out, value);
}

void member_bool(struct bytes *out, const char *name, bool value) {
  member_name(out, name);
  bytes_append_string(out, value ? "true" : "false");
}

void member_null(struct bytes *out, const char *name) {
  member_name(out, name);
  bytes_append_string(out, "null");
}

void member_etag(struct bytes *out, uint64_t revision) {
  member_name(out, "etag");
  bytes_append_string(out, "\"\\\"");
  bytes_append_u64(out, revision);
  bytes_append_string(out, "\\\"\"");
}

void member_node_id(struct bytes *out, const char *name, uint64_t id) {
  member_name(out, name);
  bytes_printf(out, "\"%016" PRIx64 "\"", id);
}

void member_url(struct bytes *out, const char *name, const char *http) {
  struct bytes url = {0};
  bytes_append_string(&url, "http://");
  bytes_append_string(&url, http);
  member_string(out, name, slice_of_bytes(&url));
  bytes_close(&url);
}
