#include "cli/demo_tour.h"

#include "cli/demo_view.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
  FORM_DEADLINE_MS = 15000,     /* until all nodes are voters under one leader */
  CATCH_UP_DEADLINE_MS = 5000,  /* until a follower has applied what was written through the leader */
  FAILOVER_DEADLINE_MS = 15000, /* from the leader's death to the next accepted write */
  REQUEST_TIMEOUT_MS = 5000,
  POLL_TIMEOUT_MS = 1000, /* of a request that is made again and again */
  POLL_PAUSE_MS = 10,
  FAILOVER_PAUSE_NS = 200000, /* between attempts to write while there is no leader */
  DOCUMENTS_KEPT = 20,        /* written before the leader is killed */
  ACHIEVEMENTS_MAX = 16,      /* lines of the summary */
  TEXT_MAX = 200,             /* bytes of a line of the summary, a path, a body; with the NUL */
};

/* A document as the leader acknowledged it. */
struct kept {
  char path[HTTP_CLIENT_TEXT_MAX];
  char etag[HTTP_CLIENT_TEXT_MAX];
  struct bytes body; /* owned */
};

struct tour {
  struct demo_cluster *cluster;
  struct narrator *narrator;
  size_t nodes_n;
  size_t leader; /* index of the node that leads */
  size_t killed; /* index of the one that did */
  bool has_killed;
  char ids[DEMO_NODES_MAX][DEMO_ID_MAX]; /* of the nodes, as they formed the cluster */
  struct kept kept[DOCUMENTS_KEPT];
  size_t kept_n;
  uint64_t revision; /* of the last write: whoever has applied it has all documents */
  char achievements[ACHIEVEMENTS_MAX][TEXT_MAX];
  size_t achievements_n;
  bool failed;
};

static const char *const STEP_HEADINGS[DEMO_STEPS] = {
    "every node tries to bind the election address",
    "the one that wins it becomes the leader",
    "the others become followers",
    "each follower sends the leader its ACCEPT",
    "the leader answers with its HTTP credentials",
    "each follower sends its own",
    "the leader keeps them",
    "the HTTP servers open",
};

/* ---- Small things ---- */

static struct demo_node *node_at(const struct tour *tour, size_t i) {
  return &tour->cluster->nodes[i];
}

static const char *name_of(const struct tour *tour, size_t i) {
  return node_at(tour, i)->name;
}

static bool is_stopped(const struct tour *tour) {
  return demo_cluster_is_stopped(tour->cluster);
}

static double ms_since(uint64_t start_us) {
  return (double)(demo_now_us() - start_us) / 1000;
}

/* Notes what has been shown to work, for now and for the summary. Always true. */
__attribute__((format(printf, 2, 3))) static bool achieved(struct tour *tour, const char *format, ...) {
  va_list arguments;
  assert(tour->achievements_n < ACHIEVEMENTS_MAX);
  char *line = tour->achievements[tour->achievements_n++];
  va_start(arguments, format);
  vsnprintf(line, TEXT_MAX, format, arguments);
  va_end(arguments);
  narrator_check(tour->narrator, "%s", line);
  return true;
}

/* Always false. Says nothing when the user has stopped the demo: then nothing can be as expected. */
static bool failed(struct tour *tour, const char *expected, const char *seen) {
  if (is_stopped(tour)) return false;
  tour->failed = true;
  demo_cluster_relay(tour->cluster);
  narrator_problem(tour->narrator, "expected: %s\nseen:     %s", expected, seen);
  demo_cluster_show_tails(tour->cluster);
  return false;
}

/* The same, about an answer to a request. */
static bool failed_reply(struct tour *tour, size_t node, const char *what, const char *expected,
                         const struct http_client_reply *reply) {
  char wanted[2 * TEXT_MAX];
  struct bytes seen = {0};
  snprintf(wanted, sizeof wanted, "%s at %s: %s", what, name_of(tour, node), expected);
  if (reply->status == 0)
    bytes_printf(&seen, "no answer: %s", reply->error);
  else
    bytes_printf(&seen, "%d %s, ETag %s, Coracle-Revision %" PRIu64 ", %.*s", reply->status, reply->reason,
                 reply->etag[0] != '\0' ? reply->etag : "none", reply->revision,
                 (int)(reply->body.n < NARRATOR_BODY_BYTES_MAX ? reply->body.n : NARRATOR_BODY_BYTES_MAX),
                 (const char *)reply->body.data);
  bytes_append(&seen, "", 1);
  (void)failed(tour, wanted, (const char *)seen.data);
  bytes_close(&seen);
  return false;
}

/* ---- Requests ---- */

struct request {
  char url[ADDRESS_TEXT_MAX + HTTP_CLIENT_TEXT_MAX];
  struct http_client_call call;
};

static void prepare(const struct tour *tour, struct request *request, size_t node, const char *method,
                    const char *path, const char *json) {
  snprintf(request->url, sizeof request->url, "%s%s", node_at(tour, node)->url, path);
  request->call = (struct http_client_call){
      .method = method, .url = request->url, .json = json, .timeout_ms = REQUEST_TIMEOUT_MS};
}

/* Makes a request, shows it, and holds the answer against the status it should have. */
static bool exchange(struct tour *tour, size_t node, const char *method, const char *path, const char *json,
                     int status, struct http_client_reply *reply) {
  struct request request;
  char expected[TEXT_MAX];
  prepare(tour, &request, node, method, path, json);
  if (!demo_cluster_request(tour->cluster, node, &request.call, reply)) return false;
  narrator_exchange(tour->narrator, &request.call, reply);
  if (reply->status == status) return true;
  snprintf(expected, sizeof expected, "status %d", status);
  return failed_reply(tour, node, method, expected, reply);
}

/* A write through the leader: what is read from now on must be at least this new. */
static bool write_through_leader(struct tour *tour, const char *method, const char *path, const char *json,
                                 int status, struct http_client_reply *reply) {
  if (!exchange(tour, tour->leader, method, path, json, status, reply)) return false;
  tour->revision = reply->revision;
  return true;
}

/* Reads from a node that may lag, until it has applied the last write. */
static bool read_current(struct tour *tour, size_t node, const char *path, struct request *request,
                         struct http_client_reply *reply) {
  char expected[TEXT_MAX];
  uint64_t start_us = demo_now_us();
  prepare(tour, request, node, "GET", path, NULL);
  request->call.timeout_ms = POLL_TIMEOUT_MS;
  for (;;) {
    if (!demo_cluster_request(tour->cluster, node, &request->call, reply)) return false;
    if (reply->status != 0 && reply->revision >= tour->revision) return true;
    if (ms_since(start_us) > CATCH_UP_DEADLINE_MS) break;
    demo_cluster_pause(tour->cluster, POLL_PAUSE_MS);
  }
  snprintf(expected, sizeof expected, "revision %" PRIu64 " applied within %d ms", tour->revision,
           CATCH_UP_DEADLINE_MS);
  return failed_reply(tour, node, path, expected, reply);
}

static bool is_same(const struct http_client_reply *reply, const struct kept *kept) {
  return reply->status == 200 && strcmp(reply->etag, kept->etag) == 0 &&
         slice_equal(slice_of_bytes(&reply->body), slice_of_bytes(&kept->body));
}

/* Takes over the body of the reply to a write. */
static void keep(struct kept *kept, const char *path, struct http_client_reply *reply) {
  bytes_close(&kept->body);
  snprintf(kept->path, sizeof kept->path, "%s", path);
  snprintf(kept->etag, sizeof kept->etag, "%s", reply->etag);
  kept->body = reply->body;
  reply->body = (struct bytes){0};
}

/* Every follower has the document as it was acknowledged, or (NULL) answers 404. */
static bool read_at_followers(struct tour *tour, const char *path, const struct kept *kept) {
  struct http_client_reply reply = {0};
  struct request request;
  bool fine = true;
  for (size_t i = 0; i < tour->nodes_n && fine; i++) {
    if (i == tour->leader) continue;
    fine = read_current(tour, i, path, &request, &reply);
    if (!fine) break;
    narrator_exchange(tour->narrator, &request.call, &reply);
    if (kept != NULL && !is_same(&reply, kept))
      fine = failed_reply(tour, i, path, "the document and ETag that the leader acknowledged", &reply);
    else if (kept == NULL && reply.status != 404)
      fine = failed_reply(tour, i, path, "status 404", &reply);
  }
  http_client_reply_close(&reply);
  return fine;
}

/* ---- Forming ---- */

static void look(struct tour *tour, size_t node, struct demo_view *view) {
  struct http_client_reply reply = {0};
  struct request request;
  prepare(tour, &request, node, "GET", "/v1/cluster", NULL);
  request.call.timeout_ms = POLL_TIMEOUT_MS;
  *view = (struct demo_view){0};
  if (demo_cluster_request(tour->cluster, node, &request.call, &reply) && reply.status == 200 &&
      demo_view_parse(view, slice_of_bytes(&reply.body)) != 0)
    *view = (struct demo_view){0};
  http_client_reply_close(&reply);
}

static bool failed_to_form(struct tour *tour, const struct demo_view *views) {
  char expected[TEXT_MAX];
  struct bytes seen = {0};
  snprintf(expected, sizeof expected, "all %zu nodes voters under the same leader within %d s", tour->nodes_n,
           FORM_DEADLINE_MS / 1000);
  for (size_t i = 0; i < tour->nodes_n; i++) {
    bytes_printf(&seen, "%s%s: ", i > 0 ? "; " : "", name_of(tour, i));
    demo_view_describe(&views[i], &seen);
  }
  bytes_append(&seen, "", 1);
  (void)failed(tour, expected, (const char *)seen.data);
  bytes_close(&seen);
  return false;
}

/* Waits until every node says that all of them are voters and who leads. */
static bool wait_until_formed(struct tour *tour, struct demo_view views[DEMO_NODES_MAX]) {
  uint64_t start_us = demo_now_us();
  unsigned surprises = tour->cluster->surprises;
  for (;;) {
    for (size_t i = 0; i < tour->nodes_n; i++) look(tour, i, &views[i]);
    if (is_stopped(tour)) return false;
    if (demo_views_agree(views, tour->nodes_n)) break;
    /* A node that is gone will not come back by itself. */
    if (tour->cluster->surprises > surprises || ms_since(start_us) > FORM_DEADLINE_MS) return false;
    demo_cluster_pause(tour->cluster, POLL_PAUSE_MS);
  }
  for (size_t i = 0; i < tour->nodes_n; i++)
    if (demo_view_is_leader(&views[i])) tour->leader = i;
  return true;
}

/* The nodes' lines from the first moment on, gathered step by step; then those that belong to none. `missing`
 * gets the steps that nobody has logged. */
static void narrate_steps(struct tour *tour, char missing[TEXT_MAX]) {
  size_t n = 0;
  missing[0] = '\0';
  demo_cluster_pause(tour->cluster, DEMO_NEWS_HOLD_MS);
  for (int step = 1; step <= DEMO_STEPS; step++) {
    narrator_subheading(tour->narrator, "Step %d of %d: %s", step, DEMO_STEPS, STEP_HEADINGS[step - 1]);
    if (demo_cluster_show_step(tour->cluster, step) == 0)
      n += (size_t)snprintf(missing + n, TEXT_MAX - n, "%sstep %d", n > 0 ? ", " : "", step);
  }
  narrator_subheading(tour->narrator, "Meanwhile the leader lets them into the cluster, one at a time");
  (void)demo_cluster_show_step(tour->cluster, 0);
}

/* One follower's word stands for all: that they agree was seen before. */
static bool ask_who_leads(struct tour *tour) {
  struct http_client_reply reply = {0};
  bool fine = exchange(tour, (tour->leader + 1) % tour->nodes_n, "GET", "/", NULL, 200, &reply);
  http_client_reply_close(&reply);
  return fine;
}

static bool part_form(struct tour *tour) {
  struct demo_view views[DEMO_NODES_MAX];
  char missing[TEXT_MAX];

  narrator_heading(tour->narrator, "%zu nodes, started at the same moment, elect a leader", tour->nodes_n);
  for (size_t i = 0; i < tour->nodes_n; i++)
    narrator_say(tour->narrator, "%s: %s, process %d", name_of(tour, i), node_at(tour, i)->url,
                 (int)node_at(tour, i)->process.pid);
  narrator_say(tour->narrator, "election address: %s (UDP)\ndata: %s", tour->cluster->election,
               tour->cluster->directory);

  bool formed = wait_until_formed(tour, views);
  double took_ms = ms_since(tour->cluster->opened_us);
  if (is_stopped(tour)) return false;
  narrate_steps(tour, missing);
  if (!formed) return failed_to_form(tour, views);
  if (missing[0] != '\0')
    (void)failed(tour, "a log line for each of the eight steps; there is none for", missing);
  for (size_t i = 0; i < tour->nodes_n; i++) memcpy(tour->ids[i], views[i].self, DEMO_ID_MAX);
  (void)ask_who_leads(tour);
  return achieved(tour, "%zu voters, all following %s, %.0f ms after the start", tour->nodes_n,
                  name_of(tour, tour->leader), took_ms);
}

/* ---- Documents ---- */

/* The path of a Location, which may be a whole URL. */
static const char *path_of(const char *location) {
  const char *host = strstr(location, "://");
  if (host == NULL) return location;
  const char *path = strchr(host + 3, '/');
  return path != NULL ? path : "/";
}

static bool document_life(struct tour *tour, struct kept *document, struct http_client_reply *reply) {
  const char *collection = "/v1/collections/boats";
  if (!write_through_leader(tour, "POST", collection, "{\"name\":\"Annie\",\"seats\":1}", 201, reply))
    return false;
  char path[HTTP_CLIENT_TEXT_MAX];
  snprintf(path, sizeof path, "%s", path_of(reply->location));
  if (strncmp(path, collection, strlen(collection)) != 0)
    return failed_reply(tour, tour->leader, "POST", "a Location in the collection", reply);
  keep(document, path, reply);
  if (!read_at_followers(tour, path, document)) return false;

  if (!write_through_leader(tour, "PUT", path, "{\"name\":\"Annie\",\"seats\":2}", 200, reply)) return false;
  keep(document, path, reply);
  if (!read_at_followers(tour, path, document)) return false;

  return write_through_leader(tour, "DELETE", path, NULL, 204, reply) &&
         read_at_followers(tour, path, NULL) &&
         achieved(tour,
                  "a document created, updated and deleted through %s, and the same on every node each time",
                  name_of(tour, tour->leader));
}

static void part_document(struct tour *tour) {
  struct kept document = {0};
  struct http_client_reply reply = {0};
  narrator_heading(tour->narrator,
                   "A document's life: written through the leader %s, read from each follower",
                   name_of(tour, tour->leader));
  (void)document_life(tour, &document, &reply);
  http_client_reply_close(&reply);
  bytes_close(&document.body);
}

static bool refused_write(struct tour *tour, size_t follower, struct http_client_reply *reply) {
  const char *path = "/v1/collections/boats/refused", *leader_url = node_at(tour, tour->leader)->url;
  if (!exchange(tour, follower, "PUT", path, "{\"name\":\"Nobody\"}", 307, reply)) return false;
  if (strncmp(reply->location, leader_url, strlen(leader_url)) != 0)
    return failed_reply(tour, follower, "PUT", "a Location at the leader", reply);
  return exchange(tour, tour->leader, "GET", path, NULL, 404, reply) &&
         achieved(tour, "%s takes no writes, and says where to go (curl -L goes there)",
                  name_of(tour, follower));
}

static void part_refusal(struct tour *tour) {
  struct http_client_reply reply = {0};
  size_t follower = (tour->leader + 1) % tour->nodes_n;
  narrator_heading(tour->narrator, "A follower refuses to write");
  (void)refused_write(tour, follower, &reply);
  http_client_reply_close(&reply);
}

/* ---- Losing the leader ---- */

static bool keep_documents(struct tour *tour, struct http_client_reply *reply) {
  char path[TEXT_MAX], json[TEXT_MAX];
  for (size_t i = 0; i < DOCUMENTS_KEPT; i++) {
    struct request request;
    snprintf(path, sizeof path, "/v1/collections/boats/boat-%02zu", i + 1);
    snprintf(json, sizeof json, "{\"name\":\"Boat %zu\",\"length_m\":%zu.50}", i + 1, i + 2);
    prepare(tour, &request, tour->leader, "PUT", path, json);
    if (!demo_cluster_request(tour->cluster, tour->leader, &request.call, reply)) return false;
    if (i == 0) narrator_exchange(tour->narrator, &request.call, reply);
    if (reply->status != 201) return failed_reply(tour, tour->leader, path, "status 201", reply);
    tour->revision = reply->revision;
    keep(&tour->kept[i], path, reply);
    tour->kept_n = i + 1;
  }
  narrator_say(tour->narrator, "... and %d more like it.", DOCUMENTS_KEPT - 1);
  return true;
}

static void failover_pause(void) {
  struct timespec pause = {.tv_nsec = FAILOVER_PAUSE_NS};
  nanosleep(&pause, NULL);
}

/* Goes from one survivor to the next until one accepts a write, which makes it the leader. */
static bool write_to_successor(struct tour *tour, const char *json, uint64_t start_us,
                               struct http_client_reply *reply) {
  struct request request = {0};
  size_t node = tour->killed;
  while (ms_since(start_us) < FAILOVER_DEADLINE_MS) {
    node = (node + 1) % tour->nodes_n;
    if (node == tour->killed) {
      failover_pause();
      continue;
    }
    prepare(tour, &request, node, "PUT", "/v1/collections/boats/after-the-kill", json);
    request.call.timeout_ms = POLL_TIMEOUT_MS;
    if (!demo_cluster_request(tour->cluster, node, &request.call, reply)) return false;
    if (reply->status / 100 != 2) continue;

    double took_ms = ms_since(start_us);
    tour->leader = node;
    tour->revision = reply->revision;
    demo_cluster_relay(tour->cluster);
    narrator_exchange(tour->narrator, &request.call, reply);
    return achieved(
        tour, "%s leads; it accepted a write %.1f ms after the kill (this one run, as seen by this demo)",
        name_of(tour, node), took_ms);
  }
  return failed_reply(tour, node, "PUT", "a survivor accepts a write", reply);
}

/* Compares every kept document with what the node has, byte for byte. */
static bool has_all_documents(struct tour *tour, size_t node, struct http_client_reply *reply) {
  for (size_t i = 0; i < tour->kept_n; i++) {
    const struct kept *kept = &tour->kept[i];
    struct request request;
    if (!read_current(tour, node, kept->path, &request, reply)) return false;
    if (i == 0) narrator_exchange(tour->narrator, &request.call, reply);
    if (!is_same(reply, kept))
      return failed_reply(tour, node, kept->path, "the document and ETag acknowledged before the kill",
                          reply);
  }
  return achieved(tour, "%s has %zu of %zu documents, byte for byte, with the same ETags",
                  name_of(tour, node), tour->kept_n, tour->kept_n);
}

static bool survive(struct tour *tour, struct http_client_reply *reply) {
  if (!keep_documents(tour, reply)) return false;
  tour->killed = tour->leader;
  narrator_say(tour->narrator, "kill -9 %d, which is %s.", (int)node_at(tour, tour->killed)->process.pid,
               name_of(tour, tour->killed));
  uint64_t start_us = demo_now_us();
  demo_cluster_kill(tour->cluster, tour->killed);
  tour->has_killed = true;
  if (!write_to_successor(tour, "{\"name\":\"Phoenix\"}", start_us, reply)) return false;
  bool fine = true;
  for (size_t i = 0; i < tour->nodes_n && !is_stopped(tour); i++)
    if (i != tour->killed) fine = has_all_documents(tour, i, reply) && fine;
  return fine && !is_stopped(tour);
}

static void part_failover(struct tour *tour) {
  struct http_client_reply reply = {0};
  demo_cluster_relay(tour->cluster);
  narrator_heading(tour->narrator, "The leader %s dies without a word", name_of(tour, tour->leader));
  (void)survive(tour, &reply);
  http_client_reply_close(&reply);
}

static bool come_back(struct tour *tour, struct http_client_reply *reply) {
  struct demo_view views[DEMO_NODES_MAX];
  size_t back = tour->killed;
  uint64_t start_us = demo_now_us();
  if (!demo_cluster_start(tour->cluster, back)) return failed(tour, "a process for the node", "none");
  narrator_say(tour->narrator, "%s again: %s, process %d", name_of(tour, back), node_at(tour, back)->url,
               (int)node_at(tour, back)->process.pid);
  bool formed = wait_until_formed(tour, views);
  double took_ms = ms_since(start_us);
  demo_cluster_relay(tour->cluster);
  if (!formed) return failed_to_form(tour, views);
  if (tour->leader == back) return failed(tour, "the restarted node as a follower", "it leads");
  if (strcmp(views[back].self, tour->ids[back]) != 0) return failed(tour, tour->ids[back], views[back].self);
  return achieved(tour, "%s is the member it was before, and follows %s, %.0f ms after its start",
                  name_of(tour, back), name_of(tour, tour->leader), took_ms) &&
         has_all_documents(tour, back, reply);
}

static void part_return(struct tour *tour) {
  struct http_client_reply reply = {0};
  demo_cluster_relay(tour->cluster);
  narrator_heading(tour->narrator, "The old leader %s comes back, with what is on its disk",
                   name_of(tour, tour->killed));
  (void)come_back(tour, &reply);
  http_client_reply_close(&reply);
}

/* ---- The tour ---- */

static void part_summary(struct tour *tour) {
  demo_cluster_relay(tour->cluster);
  if (tour->cluster->surprises > 0) (void)failed(tour, "no node ends by itself", "one did, see above");
  narrator_heading(tour->narrator, "Summary");
  for (size_t i = 0; i < tour->achievements_n; i++)
    narrator_check(tour->narrator, "%s", tour->achievements[i]);
  if (tour->failed) narrator_problem(tour->narrator, "not everything went as expected: see above");
}

static void part_invitation(struct tour *tour) {
  struct demo_cluster *cluster = tour->cluster;
  const struct demo_node *leader = node_at(tour, tour->leader);
  const char *url = node_at(tour, (tour->leader + 1) % tour->nodes_n)->url;

  narrator_heading(tour->narrator, "The cluster goes on running");
  for (size_t i = 0; i < tour->nodes_n; i++)
    narrator_say(tour->narrator, "%s: %s, process %d%s", name_of(tour, i), node_at(tour, i)->url,
                 (int)node_at(tour, i)->process.pid, i == tour->leader ? ", leader" : "");
  narrator_say(tour->narrator,
               "Any node will do for these; -L follows a follower to the leader:\n"
               "  curl %s/v1/cluster\n"
               "  curl -L --json '{\"name\":\"Mary\",\"seats\":3}' %s/v1/collections/boats\n"
               "  curl -L -X PUT --json '{\"name\":\"Mary\",\"seats\":4}' %s/v1/collections/boats/mary\n"
               "  curl %s/v1/collections/boats\n"
               "  curl -L -X DELETE %s/v1/collections/boats/mary",
               url, url, url, url, url);
  narrator_say(tour->narrator,
               "Kill the leader and watch the others here, then start it again from another terminal:");
  narrator_say(tour->narrator, "  kill -9 %d", (int)leader->process.pid);
  narrator_say(tour->narrator, "  %s serve --election %s --http %s --name %s --data-dir %s --secret-file %s",
               cluster->program, cluster->election, leader->url + strlen("http://"), leader->name,
               leader->data_dir, cluster->secret_file);
  narrator_say(tour->narrator, "Ctrl-C stops all of it and removes %s.", cluster->directory);
}

bool demo_tour(struct demo_cluster *cluster, bool goes_on) {
  struct tour tour = {.cluster = cluster, .narrator = cluster->narrator, .nodes_n = cluster->nodes_n};
  if (part_form(&tour)) {
    if (!is_stopped(&tour)) part_document(&tour);
    if (!is_stopped(&tour)) part_refusal(&tour);
    if (!is_stopped(&tour)) part_failover(&tour);
    if (!is_stopped(&tour) && tour.has_killed) part_return(&tour);
    if (!is_stopped(&tour)) part_summary(&tour);
  }
  bool fine = !tour.failed && !is_stopped(&tour);
  if (fine && goes_on) part_invitation(&tour);
  for (size_t i = 0; i < tour.kept_n; i++) bytes_close(&tour.kept[i].body);
  return fine;
}
