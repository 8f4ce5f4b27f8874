/* Raw HTTP with a node of a world, for requests and answers that stream, and what they cost it. */
#ifndef TEST_NODE_TALK_H
#define TEST_NODE_TALK_H

#include "world.h"

#define NDJSON "application/x-ndjson"
#define EXPORT(more) "GET /v1/collections/c HTTP/1.1\r\nHost: x\r\nAccept: " NDJSON "\r\n" more "\r\n"
#define IMPORT(more) "POST /v1/collections/c HTTP/1.1\r\nHost: x\r\nContent-Type: " NDJSON "\r\n" more "\r\n"
#define CODING "Transfer-Encoding: chunked\r\n"
#define LAST_CHUNK "0\r\n\r\n"

struct world *formed(uint64_t seed, int nodes);

struct talk {
  struct world *world;
  struct wire *wire;
  struct http_response_parser *parser;
  size_t parsed;
  size_t answers_n;
  struct http_response last; /* if there was one */
};

void talk_open(struct talk *, struct world *, int node);
void talk_close(struct talk *);
void say(struct talk *, const char *text);
void say_chunk(struct talk *, const char *text, size_t n);
/* How many whole answers have come. */
size_t heard(struct talk *);

size_t lines_of(const struct bytes *text);
/* Has the leader take so many documents of so many bytes into the collection "c". */
void import(struct world *, int documents, int bytes);

/* The most that one connection of a node has in memory: of what is answered, and of what came; of that, what
 * was given to api/ as a body. */
struct costs {
  size_t out, in, body;
};
struct costs costs_of(struct world *, int node);
void note_costs(struct world *, int node, struct costs *most);

#endif
