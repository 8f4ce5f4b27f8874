/* One HTTP/1.1 message after another from bytes: where its lines, head and body end (RFC 9112). What a head
 * means is its owner's business: the request parser's (request.c) or the response parser's
 * (response_parser.c).
 *
 * llhttp parses, but it is led by the hand: it sees whole lines only, each checked to end in CR LF and to
 * hold no other CR or LF, and never a byte beyond the message that it is in. So whatever a build of it lets
 * through at line ends (8.1.0 takes a bare CR or LF in places, folded headers, and in its loose mode a chunk
 * without its CR LF) cannot matter, and the number of bytes taken is exact. llhttp and this file find the
 * message's end each on its own; where they differ the message is refused.
 *
 *     message_execute(m, &in) ->  MESSAGE_START_LINE   the owner checks message_start_line()
 *                                 MESSAGE_HEAD         the owner checks the fields and calls message_expect()
 *                                 MESSAGE_PIECE        message.piece is more of a body that is streamed
 *                                 MESSAGE_WHOLE        everything in it lives until the next
 * message_execute() */
#ifndef CORACLE_HTTP_MESSAGE_H
#define CORACLE_HTTP_MESSAGE_H

#include "base/bytes.h"
#include "http/fault.h"

#include <llhttp.h>

enum {
  MESSAGE_EMPTY_LINES_MAX = 4,             /* before a start line (RFC 9112, 2.2) */
  MESSAGE_CHUNK_LINE_BYTES_MAX = 256,      /* the size of a chunk, its extensions and CR LF */
  MESSAGE_BODY_BYTES_KEPT_MAX = 64 * 1024, /* a larger buffer is given back before the next message */
};

enum message_progress {
  MESSAGE_GO_ON, /* internal; never returned by message_execute() */
  MESSAGE_NEED_MORE,
  MESSAGE_START_LINE,
  MESSAGE_HEAD,
  MESSAGE_PIECE, /* of a streamed body only; there may be more to tell even where *in is empty now */
  MESSAGE_WHOLE,
  MESSAGE_FAILED, /* message.fault says why; the message must not be executed again */
};

/* Where a message stands. It moves down this list, from CHUNK_END up to CHUNK_SIZE, and from DONE to the top.
 */
enum message_state {
  MESSAGE_IN_START_LINE,
  MESSAGE_AFTER_START_LINE, /* the owner was shown it */
  MESSAGE_IN_HEADERS,
  MESSAGE_AFTER_HEAD, /* the owner was shown the fields and owes message_expect() */
  MESSAGE_IN_BODY,    /* of a known length */
  MESSAGE_IN_CHUNK_SIZE,
  MESSAGE_IN_CHUNK,
  MESSAGE_IN_CHUNK_END,
  MESSAGE_IN_TRAILERS,
  MESSAGE_DONE,
};

/* A piece of message.head; an offset, because the buffer moves while it grows. */
struct message_piece {
  uint32_t at; /* bytes from the front */
  uint32_t n;  /* bytes */
};

struct message_field {
  struct message_piece name;
  struct message_piece value; /* without white space around it */
};

enum message_body { MESSAGE_BODY_NONE, MESSAGE_BODY_LENGTH, MESSAGE_BODY_CHUNKED, MESSAGE_BODY_SKIPPED };

struct message {
  llhttp_t llhttp;
  enum message_state state;
  enum http_fault fault;
  bool ended;               /* llhttp has seen the end of the message */
  bool chunk_begun;         /* llhttp has read a chunk's size; the next two lines are its */
  uint64_t chunk_bytes;     /* of the chunk just begun */
  enum message_body expect; /* as message_expect() was told */
  uint32_t empty_lines_n;   /* skipped before the start line; <= MESSAGE_EMPTY_LINES_MAX */
  uint64_t remaining;       /* bytes of the body or of its chunk still to come */
  bool streams;             /* the body is told in pieces, without limit, and nothing of it is kept */
  size_t passed_bytes;      /* of the body, by llhttp, for the bytes that it was last given */
  struct slice piece;       /* borrowed from the input, at MESSAGE_PIECE */
  size_t body_bytes_max;
  size_t trailer_bytes;    /* <= HTTP_TRAILER_BYTES_MAX */
  size_t line_at;          /* where the current line begins, in the buffer that it is collected in */
  struct bytes head;       /* owned; the lines up to the empty one, as received */
  struct bytes line;       /* owned; a line of the chunks' framing or of the trailers */
  struct bytes body;       /* owned; body.n <= body_bytes_max; empty where it streams */
  size_t start_line_bytes; /* at the front of head, without CR LF */
  size_t fields_n;
  struct message_field field; /* of the current line, as llhttp finds it */
  struct message_field fields[HTTP_HEADERS_MAX];
};

void message_init(struct message *, llhttp_type_t type, size_t body_bytes_max);
void message_close(struct message *);

/* Takes bytes off the front of *in until something has to be told. */
enum message_progress message_execute(struct message *, struct slice *in);

/* The start line without its CR LF; borrowed until the next message_execute(). */
struct slice message_start_line(const struct message *);
/* The bytes of a piece; borrowed likewise, and from MESSAGE_HEAD on until the message after this one begins.
 */
struct slice message_slice(const struct message *, struct message_piece);

/* What the fields say about the message's end and the connection's (RFC 9112, 6.3 and 9.3). */
struct message_framing {
  enum message_body
      body;        /* NONE: neither Content-Length nor Transfer-Encoding was given; or LENGTH or CHUNKED */
  uint64_t length; /* Content-Length */
  bool close;      /* Connection: close */
  bool upgrade;    /* Connection: upgrade */
};
/* Valid at MESSAGE_HEAD. `minor` is the message's: HTTP/1.minor. */
enum http_fault message_framing(const struct message *, int minor, struct message_framing *);

/* After MESSAGE_HEAD, before the next message_execute(): what body follows. SKIPPED is for responses that
 * have none whatever their fields say (RFC 9112, 6.3). Refuses a length over the limit, unless it streams. */
MUST_CHECK enum http_fault message_expect(struct message *, enum message_body, uint64_t length, bool streams);

#endif
