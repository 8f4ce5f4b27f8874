#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

bool address_equal(const struct address *a, const struct address *b) {
  return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

int address_compare(const struct address *a, const struct address *b) {
  if (a->family != b->family) return a->family < b->family ? -1 : 1;
  const int ip = memcmp(a->ip, b->ip, sizeof a->ip);
  return ip != 0 ? ip : (a->port > b->port) - (a->port < b->port);
}

bool address_is_loopback(const struct address *a) {
  static const uint8_t loopback6[16] = {[15] = 1};
  return (a->family == ADDRESS_IP4 && a->ip[0] == 127) ||
         (a->family == ADDRESS_IP6 && memcmp(a->ip, loopback6, sizeof loopback6) == 0);
}

bool address_is_link_local6(const struct address *a) {
  return a->family == ADDRESS_IP6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool address_is_mapped4(const struct address *a) {
  static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
  return a->family == ADDRESS_IP6 && memcmp(a->ip, prefix, sizeof prefix) == 0;
}

bool address_is_wildcard(const struct address *a) {
  static const uint8_t zero[16];
  return memcmp(a->ip, zero, sizeof zero) == 0;
}

int address_parse(const char *text, struct address *address) {
  struct address result = {0};
  char host[ADDRESS_TEXT_MAX];
  const char *colon = strrchr(text, ':');
  uint64_t port;

  if (colon == NULL || (size_t)(colon - text) >= sizeof host) return CORACLE_EMALFORMED;
  if (strlen(colon + 1) > 5 || !slice_to_u64(slice_of(colon + 1), &port) || port > UINT16_MAX)
    return CORACLE_EMALFORMED;
  memcpy(host, text, (size_t)(colon - text));
  host[colon - text] = '\0';
  result.port = (uint16_t)port;

  size_t n = strlen(host);
  if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
    host[n - 1] = '\0';
    if (inet_pton(AF_INET6, host + 1, result.ip) != 1) return CORACLE_EMALFORMED;
    result.family = ADDRESS_IP6;
  } else {
    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, result.ip) != 1)
      return CORACLE_EMALFORMED;
    result.family = ADDRESS_IP4;
  }
  *address = result;
  return 0;
}

const char *address_format(const struct address *a, char text[ADDRESS_TEXT_MAX]) {
  char host[INET6_ADDRSTRLEN] = "unknown";
  if (a->family == ADDRESS_IP4 || a->family == ADDRESS_IP6)
    inet_ntop(a->family == ADDRESS_IP4 ? AF_INET : AF_INET6, a->ip, host, sizeof host);
  snprintf(text, ADDRESS_TEXT_MAX, a->family == ADDRESS_IP6 ? "[%s]:%u" : "%s:%u", host, (unsigned)a->port);
  return text;
}

bool address_list_has(const struct address_list *list, const struct address *address) {
  for (size_t i = 0; i < list->n; i++)
    if (address_equal(&list->at[i], address)) return true;
  return false;
}

static int compare(const void *a, const void *b) {
  return address_compare(a, b);
}

void address_list_sort(struct address_list *list) {
  qsort(list->at, list->n, sizeof list->at[0], compare);
}

void put_address(struct bytes *b, const struct address *a) {
  put_u8(b, a->family);
  bytes_append(b, a->ip, sizeof a->ip);
  put_u16(b, a->port);
}

/* The unused bytes must be zero: address_equal() compares them, so that one address has one form only. */
static bool ip_fits_family(const struct address *a) {
  static const uint8_t zero[16];
  switch (a->family) {
  case ADDRESS_NONE:
    return memcmp(a->ip, zero, sizeof a->ip) == 0;
  case ADDRESS_IP4:
    return memcmp(a->ip + 4, zero, sizeof a->ip - 4) == 0;
  case ADDRESS_IP6:
    return true;
  default:
    return false;
  }
}

struct address get_address(struct reader *r) {
  struct address a = {0};
  a.family = get_u8(r);
  const uint8_t *ip = get_raw(r, sizeof a.ip);
  if (ip != NULL) memcpy(a.ip, ip, sizeof a.ip);
  a.port = get_u16(r);
  if (!ip_fits_family(&a)) r->failed = true;
  return a;
}
