/* An IP address and port, for UDP and TCP alike, and its text form: 127.0.0.1:8000 or [::1]:8000. */
#ifndef CORACLE_BASE_ADDRESS_H
#define CORACLE_BASE_ADDRESS_H

#include "base/codec.h"
#include "base/error.h"

enum { ADDRESS_TEXT_MAX = 56 }; /* bytes, with the NUL */

enum address_family { ADDRESS_NONE = 0, ADDRESS_IP4 = 4, ADDRESS_IP6 = 6 };

struct address {
  uint8_t family; /* enum address_family; NONE is "unknown" */
  uint8_t ip[16]; /* network order; IP4 uses the first four, the rest is zero */
  uint16_t port;  /* host order */
};

enum { ADDRESS_LIST_MAX = 16 };

struct address_list {
  size_t n;
  struct address at[ADDRESS_LIST_MAX];
};

bool address_equal(const struct address *a, const struct address *b);
/* Less than, equal to or greater than zero: by family, then the bytes of the IP address, then the port. */
int address_compare(const struct address *a, const struct address *b);
bool address_is_loopback(const struct address *);
bool address_is_wildcard(const struct address *);
/* fe80::/10, which names a host only together with an interface (RFC 4007). */
bool address_is_link_local6(const struct address *);
/* ::ffff:0:0/96: an IPv4 address, spelled as IPv6 (RFC 4291, 2.5.5.2). */
bool address_is_mapped4(const struct address *);

/* Parses HOST:PORT where HOST is an IPv4 literal, a bracketed IPv6 literal or "localhost" (127.0.0.1) and
 * PORT is 0 to 65535 in digits. CORACLE_EMALFORMED otherwise; *address is then unchanged. */
MUST_CHECK int address_parse(const char *text, struct address *address);
/* Writes the text form with a NUL and returns `text`. */
const char *address_format(const struct address *, char text[ADDRESS_TEXT_MAX]);

bool address_list_has(const struct address_list *, const struct address *);
/* In ascending order: two lists of the same addresses are then equal. */
void address_list_sort(struct address_list *);

/* 19 bytes: family, ip, port. */
void put_address(struct bytes *, const struct address *);
/* An unknown family makes the reader fail. */
struct address get_address(struct reader *);

#endif
