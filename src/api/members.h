/* JSON objects written member by member, straight into the bytes of an answer.
 *
 *     bytes_append_string(out, "{");
 *     member_string(out, "name", slice_of("coracle"));
 *     member_u64(out, "term", 7);
 *     bytes_append_string(out, "}");
 *
 * Each member puts its own comma, unless the last byte so far is the object's brace. */
#ifndef CORACLE_API_MEMBERS_H
#define CORACLE_API_MEMBERS_H

#include "base/bytes.h"

/* The comma, the name and the colon; the caller appends the value. Names need no escaping. */
void member_name(struct bytes *, const char *name);

void member_string(struct bytes *, const char *name, struct slice value);
void member_u64(struct bytes *, const char *name, uint64_t value);
void member_bool(struct bytes *, const char *name, bool value);
void member_null(struct bytes *, const char *name);
/* The member "etag", of that revision, with the quotes that an ETag has. */
void member_etag(struct bytes *, uint64_t revision);
/* A node's id: 16 hexadecimal digits in quotes, since not every client's numbers hold 64 bits. */
void member_node_id(struct bytes *, const char *name, uint64_t id);
/* Where a node's HTTP port is, as a URL: "http://HOST:PORT". */
void member_url(struct bytes *, const char *name, const char *http);

#endif
