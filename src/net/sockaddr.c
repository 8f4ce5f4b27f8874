#include "net/sockaddr.h"

#include <assert.h>
#include <netinet/in.h>

socklen_t sockaddr_from_address(const struct address *address, struct sockaddr_storage *out) {
  assert(address->family == ADDRESS_IP4 || address->family == ADDRESS_IP6);
  *out = (struct sockaddr_storage){0};
  if (address->family == ADDRESS_IP4) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    memcpy(&in.sin_addr, address->ip, sizeof in.sin_addr);
    memcpy(out, &in, sizeof in);
    return sizeof in;
  }
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
  memcpy(&in6.sin6_addr, address->ip, sizeof in6.sin6_addr);
  memcpy(out, &in6, sizeof in6);
  return sizeof in6;
}

struct address sockaddr_to_address(const struct sockaddr *sockaddr) {
  struct address address = {0};
  if (sockaddr->sa_family == AF_INET) {
    struct sockaddr_in in;
    memcpy(&in, sockaddr, sizeof in);
    address.family = ADDRESS_IP4;
    address.port = ntohs(in.sin_port);
    memcpy(address.ip, &in.sin_addr, sizeof in.sin_addr);
  } else if (sockaddr->sa_family == AF_INET6) {
    struct sockaddr_in6 in6;
    memcpy(&in6, sockaddr, sizeof in6);
    address.family = ADDRESS_IP6;
    address.port = ntohs(in6.sin6_port);
    memcpy(address.ip, &in6.sin6_addr, sizeof in6.sin6_addr);
  }
  return address;
}
