#include "cli/demo_view.h"

#include <jansson.h>
#include <stdio.h>

/* False when the value is not an id. */
static bool get_id(const json_t *value, char id[DEMO_ID_MAX]) {
  if (!json_is_string(value) || json_string_length(value) >= DEMO_ID_MAX) return false;
  memcpy(id, json_string_value(value), json_string_length(value) + 1);
  return true;
}

/* The id of what is an object with one, or null. */
static bool get_id_of(const json_t *object, char id[DEMO_ID_MAX]) {
  id[0] = '\0';
  return json_is_null(object) || get_id(json_object_get(object, "id"), id);
}

static bool get_voters(const json_t *members, struct demo_view *view) {
  size_t i;
  const json_t *member;
  if (!json_is_array(members)) return false;
  json_array_foreach(members, i, member) {
    const char *role = json_string_value(json_object_get(member, "role"));
    if (role == NULL || view->voters_n == DEMO_MEMBERS_MAX) return false;
    if (strcmp(role, "voter") == 0 && !get_id_of(member, view->voters[view->voters_n++])) return false;
  }
  return true;
}

int demo_view_parse(struct demo_view *view, struct slice body) {
  json_t *root = body.n > 0 ? json_loadb(body.at, body.n, 0, NULL) : NULL;
  const json_t *cluster_id = json_object_get(root, "cluster_id");

  *view = (struct demo_view){0};
  bool valid = (json_is_null(cluster_id) || get_id(cluster_id, view->cluster_id)) &&
               get_id(json_object_get(root, "self"), view->self) &&
               get_id_of(json_object_get(root, "leader"), view->leader) &&
               get_voters(json_object_get(root, "members"), view);
  json_decref(root);
  if (!valid) return CORACLE_EMALFORMED;
  view->known = true;
  return 0;
}

bool demo_view_is_leader(const struct demo_view *view) {
  return view->known && view->self[0] != '\0' && strcmp(view->self, view->leader) == 0;
}

static bool has_voter(const struct demo_view *view, const char *id) {
  for (size_t i = 0; i < view->voters_n; i++)
    if (strcmp(view->voters[i], id) == 0) return true;
  return false;
}

bool demo_views_agree(const struct demo_view *views, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct demo_view *view = &views[i];
    if (!view->known || view->cluster_id[0] == '\0' || view->leader[0] == '\0' || view->voters_n != n)
      return false;
    if (strcmp(view->cluster_id, views[0].cluster_id) != 0 || strcmp(view->leader, views[0].leader) != 0)
      return false;
    for (size_t j = 0; j < n; j++)
      if (!has_voter(view, views[j].self)) return false;
  }
  return true;
}

void demo_view_describe(const struct demo_view *view, struct bytes *out) {
  if (!view->known) {
    bytes_append_string(out, "no answer");
    return;
  }
  bytes_printf(out, "%zu voter%s, ", view->voters_n, view->voters_n == 1 ? "" : "s");
  if (view->leader[0] == '\0')
    bytes_append_string(out, "no leader");
  else if (demo_view_is_leader(view))
    bytes_append_string(out, "leading");
  else
    bytes_printf(out, "leader %s", view->leader);
}
