/* What one node of the demo says of the cluster: its answer to GET /v1/cluster, as far as the tour needs it.
 */
#ifndef CORACLE_CLI_DEMO_VIEW_H
#define CORACLE_CLI_DEMO_VIEW_H

#include "base/bytes.h"
#include "base/error.h"

enum {
  DEMO_ID_MAX = 40,      /* bytes of a node's or cluster's id in text, with the NUL */
  DEMO_MEMBERS_MAX = 16, /* more than a demo can have */
};

struct demo_view {
  bool known;                   /* false: the node gave no such answer, and nothing else here counts */
  char cluster_id[DEMO_ID_MAX]; /* empty: it belongs to no cluster yet */
  char self[DEMO_ID_MAX];       /* id of the node itself */
  char leader[DEMO_ID_MAX];     /* id; empty: it knows none */
  char voters[DEMO_MEMBERS_MAX][DEMO_ID_MAX];
  size_t voters_n;
};

/* CORACLE_EMALFORMED when the body is not such an answer; the view is then not `known`. */
MUST_CHECK int demo_view_parse(struct demo_view *, struct slice body);

bool demo_view_is_leader(const struct demo_view *);

/* Each of views[0..n) knows the same cluster and leader, and exactly those n nodes as its voters. */
bool demo_views_agree(const struct demo_view *views, size_t n);

/* Appends "2 voters, no leader" and the like. */
void demo_view_describe(const struct demo_view *, struct bytes *out);

#endif
