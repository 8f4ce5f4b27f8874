#include "cli/http_client.h"

#include "base/memory.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

struct http_client {
  CURLM *multi;                    /* holds the connections that stay open */
  CURL *easy;                      /* the request under way, or none */
  struct curl_slist *json_headers; /* made once, used by every request with a body */
  bool busy;                       /* `easy` is in `multi` */
  struct http_client_reply *reply; /* of the request under way; the caller's */
};

struct http_client *http_client_new(void) {
  if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) return NULL;
  struct http_client *client = memory_zalloc(sizeof *client);
  client->multi = curl_multi_init();
  client->easy = curl_easy_init();
  client->json_headers = curl_slist_append(NULL, "Content-Type: application/json");
  if (client->multi == NULL || client->easy == NULL || client->json_headers == NULL) {
    http_client_free(client);
    return NULL;
  }
  return client;
}

static void give_up(struct http_client *client) {
  if (client->busy) curl_multi_remove_handle(client->multi, client->easy);
  client->busy = false;
  client->reply = NULL;
}

void http_client_free(struct http_client *client) {
  if (client == NULL) return;
  give_up(client);
  curl_easy_cleanup(client->easy);
  curl_multi_cleanup(client->multi);
  curl_slist_free_all(client->json_headers);
  free(client);
  curl_global_cleanup();
}

static struct slice trimmed(struct slice s) {
  while (s.n > 0 && strchr(" \t\r\n", s.at[s.n - 1]) != NULL) s.n--;
  while (s.n > 0 && strchr(" \t", s.at[0]) != NULL) s = (struct slice){s.at + 1, s.n - 1};
  return s;
}

static void keep(char *text, size_t size, struct slice value) {
  snprintf(text, size, "%.*s", (int)(value.n < size ? value.n : size - 1), value.at);
}

/* "HTTP/1.1 201 Created": the words after the number. */
static void keep_reason(struct http_client_reply *reply, struct slice line) {
  for (int word = 0; word < 2; word++) {
    const char *space = memchr(line.at, ' ', line.n);
    if (space == NULL) return;
    line = (struct slice){space + 1, line.n - (size_t)(space + 1 - line.at)};
  }
  keep(reply->reason, sizeof reply->reason, line);
}

static size_t on_header(char *data, size_t size, size_t n, void *user) {
  struct http_client_reply *reply = user;
  struct slice line = trimmed((struct slice){data, size * n});
  const char *colon = memchr(line.at, ':', line.n);

  if (line.n > 5 && memcmp(line.at, "HTTP/", 5) == 0) {
    keep_reason(reply, line);
  } else if (colon != NULL) {
    struct slice name = {line.at, (size_t)(colon - line.at)};
    struct slice value = trimmed((struct slice){colon + 1, line.n - name.n - 1});
    if (slice_is_caseless(name, "ETag")) keep(reply->etag, sizeof reply->etag, value);
    if (slice_is_caseless(name, "Location")) keep(reply->location, sizeof reply->location, value);
    if (slice_is_caseless(name, "Coracle-Revision") && !slice_to_u64(value, &reply->revision))
      reply->revision = 0;
  }
  return size * n;
}

/* Taking fewer bytes than were given makes libcurl end the transfer. */
static size_t on_body(char *data, size_t size, size_t n, void *user) {
  struct http_client_reply *reply = user;
  if (size * n > HTTP_CLIENT_BODY_BYTES_MAX - reply->body.n) return 0;
  bytes_append(&reply->body, data, size * n);
  return size * n;
}

/* curl_easy_setopt() fails on an unknown option or an exhausted heap only. */
#define SET(client, option, value)                                                                           \
  do {                                                                                                       \
    CURLcode code_ = curl_easy_setopt((client)->easy, (option), (value));                                    \
    assert(code_ == CURLE_OK);                                                                               \
  } while (0)

static void set_options(struct http_client *client, const struct http_client_call *call) {
  curl_easy_reset(client->easy);
  SET(client, CURLOPT_URL, call->url);
  SET(client, CURLOPT_PROTOCOLS_STR, "http");
  SET(client, CURLOPT_NOPROXY, "*"); /* whatever http_proxy says: the nodes are addressed as they are */
  SET(client, CURLOPT_NOSIGNAL, 1L);
  SET(client, CURLOPT_TIMEOUT_MS, call->timeout_ms);
  SET(client, CURLOPT_ERRORBUFFER, client->reply->error);
  SET(client, CURLOPT_HEADERFUNCTION, on_header);
  SET(client, CURLOPT_HEADERDATA, (void *)client->reply);
  SET(client, CURLOPT_WRITEFUNCTION, on_body);
  SET(client, CURLOPT_WRITEDATA, (void *)client->reply);
  if (call->json != NULL) {
    SET(client, CURLOPT_HTTPHEADER, client->json_headers);
    SET(client, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->json));
    SET(client, CURLOPT_POSTFIELDS, call->json);
  } else if (strcmp(call->method, "HEAD") == 0) {
    SET(client, CURLOPT_NOBODY, 1L);
  }
  SET(client, CURLOPT_CUSTOMREQUEST, call->method);
}

void http_client_start(struct http_client *client, const struct http_client_call *call,
                       struct http_client_reply *reply) {
  give_up(client);
  http_client_reply_close(reply);
  client->reply = reply;
  set_options(client, call);
  client->busy = curl_multi_add_handle(client->multi, client->easy) == CURLM_OK;
  assert(client->busy);
}

static void finish(struct http_client *client, CURLcode result) {
  struct http_client_reply *reply = client->reply;
  long status = 0;

  if (result == CURLE_OK && curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
    reply->status = (int)status;
  else if (reply->error[0] == '\0')
    snprintf(reply->error, sizeof reply->error, "%s", curl_easy_strerror(result));
  give_up(client);
}

static bool take_result(struct http_client *client) {
  int left;
  const struct CURLMsg *message = curl_multi_info_read(client->multi, &left);
  if (message == NULL || message->msg != CURLMSG_DONE) return false;
  finish(client, message->data.result);
  return true;
}

bool http_client_turn(struct http_client *client, const int *watched, size_t watched_n, int wait_ms) {
  struct curl_waitfd wake[HTTP_CLIENT_WATCHED_MAX];
  int running;

  assert(client->busy && watched_n <= HTTP_CLIENT_WATCHED_MAX);
  for (size_t i = 0; i < watched_n; i++)
    wake[i] = (struct curl_waitfd){.fd = watched[i], .events = CURL_WAIT_POLLIN};
  curl_multi_perform(client->multi, &running);
  if (take_result(client)) return true;
  curl_multi_poll(client->multi, wake, (unsigned)watched_n, wait_ms, NULL);
  curl_multi_perform(client->multi, &running);
  return take_result(client);
}

void http_client_reply_close(struct http_client_reply *reply) {
  bytes_close(&reply->body);
  *reply = (struct http_client_reply){0};
}
