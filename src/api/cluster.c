/* What this node is, whom it knows, and whether it can serve. */
#include <time.h>

#include "api/access.h"
#include "api/exchange.h"
#include "api/members.h"
#include "coracle/version.h"

static enum api_action answer_object(struct exchange *x, struct bytes *body) {
  answer_begin(&x->answer, 200, CACHE_NO_STORE);
  answer_end_json(&x->answer, body);
  return API_RESPONDED;
}

enum api_action root_get(struct exchange *x) {
  struct bytes body = {0};
  bytes_append_string(&body, "{");
  member_string(&body, "name", slice_of("coracle"));
  member_string(&body, "version", slice_of(CORACLE_VERSION));
  member_string(&body, "node", slice_of(x->api->name));
  member_node_id(&body, "id", x->view->id);
  member_role(&body, x->view);
  member_u64(&body, "term", x->view->term);
  member_leader(&body, x->view);
  member_name(&body, "links");
  bytes_append_string(&body, "{");
  member_string(&body, "collections", slice_of("/v1/collections"));
  member_string(&body, "cluster", slice_of("/v1/cluster"));
  member_string(&body, "livez", slice_of("/livez"));
  member_string(&body, "readyz", slice_of("/readyz"));
  member_string(&body, "openapi", slice_of("/openapi.json"));
  bytes_append_string(&body, "}}");
  return answer_object(x, &body);
}

static void member_storage(struct bytes *out, enum api_storage storage) {
  static const char *const texts[] = {[API_STORAGE_MEMORY] = "memory",
                                      [API_STORAGE_FINE] = "ok",
                                      [API_STORAGE_FULL] = "full",
                                      [API_STORAGE_HANGS] = "hangs"};
  if (storage == API_STORAGE_UNKNOWN)
    member_null(out, "storage");
  else
    member_string(out, "storage", slice_of(texts[storage]));
}

static void append_member(struct bytes *out, const struct api_member *member) {
  bytes_append_string(out, "{");
  member_node_id(out, "id", member->id);
  member_string(out, "name", slice_of(member->name));
  member_url(out, "http", member->http);
  member_string(out, "role", slice_of(member->voter ? "voter" : "learner"));
  if (member->match_known)
    member_u64(out, "match", member->match);
  else
    member_null(out, "match");
  if (member->contact_known)
    member_u64(out, "last_contact_ms", member->last_contact_ms);
  else
    member_null(out, "last_contact_ms");
  if (member->up_known)
    member_bool(out, "up", member->up);
  else
    member_null(out, "up");
  member_storage(out, member->storage);
  bytes_append_string(out, "}");
}

static void member_members(struct bytes *out, const struct api_view *view) {
  member_name(out, "members");
  bytes_append_string(out, "[");
  for (size_t i = 0; i < view->members_n; i++) {
    if (i > 0) bytes_append_string(out, ",");
    append_member(out, &view->members[i]);
  }
  bytes_append_string(out, "]");
}

static void member_cluster_id(struct bytes *out, const struct api_view *view) {
  if (!view->has_cluster) {
    member_null(out, "cluster_id");
    return;
  }
  member_name(out, "cluster_id");
  bytes_append_string(out, "\"");
  for (size_t i = 0; i < sizeof view->cluster; i++) bytes_printf(out, "%02x", view->cluster[i]);
  bytes_append_string(out, "\"");
}

/* RFC 3339, in UTC with milliseconds. */
static void member_founded(struct bytes *out, const struct api_view *view) {
  time_t founded_s = (time_t)(view->founded_wall_ms / 1000);
  struct tm utc;
  char text[sizeof "1994-11-06T08:49:37" + 8];
  if (view->founded_wall_ms == 0) {
    member_null(out, "founded");
    return;
  }
  gmtime_r(&founded_s, &utc);
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  member_name(out, "founded");
  bytes_printf(out, "\"%s.%03uZ\"", text, (unsigned)(view->founded_wall_ms % 1000));
}

enum api_action cluster_get(struct exchange *x) {
  struct bytes body = {0};
  bytes_append_string(&body, "{");
  member_cluster_id(&body, x->view);
  member_u64(&body, "term", x->view->term);
  member_leader(&body, x->view);
  member_u64(&body, "commit", x->view->commit);
  member_u64(&body, "applied", x->view->applied);
  member_node_id(&body, "self", x->view->id);
  member_members(&body, x->view);
  member_u64(&body, "data_bytes", store_bytes(replica_store(x->replica)));
  if (x->api->data_bytes_max > 0)
    member_u64(&body, "data_bytes_max", x->api->data_bytes_max);
  else
    member_null(&body, "data_bytes_max");
  member_u64(&body, "uptime_ms", x->view->uptime_ms);
  member_founded(&body, x->view);
  bytes_append_string(&body, "}");
  return answer_object(x, &body);
}

/* That it is answered at all is the answer. */
enum api_action livez_get(struct exchange *x) {
  struct bytes body = {0};
  bytes_append_string(&body, "{\"status\":\"ok\"}");
  return answer_object(x, &body);
}

/* To be ready is to serve reads: a disk that takes no more is told beside it. */
enum api_action readyz_get(struct exchange *x) {
  struct bytes body = {0};
  x->answer.stale = x->consistency.stale;
  if (!access_ready(x)) return API_RESPONDED;
  bytes_append_string(&body, "{\"status\":\"ok\"");
  member_storage(&body, x->view->storage);
  bytes_append_string(&body, "}");
  return answer_object(x, &body);
}
