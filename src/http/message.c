#include "http/message.h"

#include "http/grammar.h"

#include <assert.h>

/* ---- What llhttp tells ---- */

static struct message *of(llhttp_t *llhttp) {
  return llhttp->data;
}

/* Marks bytes of the head. llhttp may tell one name or value in several pieces, and an empty value only when
 * the line after it has come, which then changes nothing. */
static void mark(const struct message *m, struct message_piece *piece, const char *at, size_t n) {
  if (m->state != MESSAGE_IN_HEADERS || n == 0) return;
  uint32_t from = (uint32_t)(at - (const char *)m->head.data);
  assert(from + n <= m->head.n);
  if (piece->n == 0) piece->at = from;
  piece->n = from + (uint32_t)n - piece->at;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t n) {
  mark(of(llhttp), &of(llhttp)->field.name, at, n);
  return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t n) {
  mark(of(llhttp), &of(llhttp)->field.value, at, n);
  return 0;
}

static int on_headers_complete(llhttp_t *llhttp) {
  enum { GO_BY_THE_FIELDS = 0, HAS_NO_BODY = 1 };
  return of(llhttp)->expect == MESSAGE_BODY_SKIPPED ? HAS_NO_BODY : GO_BY_THE_FIELDS;
}

static int on_chunk_header(llhttp_t *llhttp) {
  of(llhttp)->chunk_begun = true;
  of(llhttp)->chunk_bytes = llhttp->content_length;
  return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t n) {
  struct message *m = of(llhttp);
  m->passed_bytes += n;
  if (!m->streams) bytes_append(&m->body, at, n);
  return 0;
}

static int on_message_complete(llhttp_t *llhttp) {
  of(llhttp)->ended = true;
  return 0;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- What llhttp is given ---- */

static enum message_progress fail(struct message *m, enum http_fault fault) {
  m->fault = fault;
  return MESSAGE_FAILED;
}

/* The fault that llhttp's error is, or NONE. */
static enum http_fault feed(struct message *m, const void *at, size_t n, enum http_fault otherwise) {
  switch (llhttp_execute(&m->llhttp, at, n)) {
  case HPE_OK:
    return HTTP_FAULT_NONE;
  case HPE_PAUSED_UPGRADE: /* at the end of a request that asks for one; what comes next is for the owner to
                              say */
    return m->ended ? HTTP_FAULT_NONE : HTTP_FAULT_FRAMING;
  case HPE_INVALID_CONTENT_LENGTH:
  case HPE_UNEXPECTED_CONTENT_LENGTH:
    return HTTP_FAULT_LENGTH;
  case HPE_INVALID_TRANSFER_ENCODING:
    return HTTP_FAULT_CODING;
  case HPE_INVALID_URL:
    return HTTP_FAULT_TARGET;
  default:
    return otherwise;
  }
}

/* Moves bytes of the current line from *in to the end of `to`. GO_ON means that the line is whole, ends in CR
 * LF and holds no other CR or LF. `bytes_max` bounds the line from line_at on, its CR LF included. */
static enum message_progress take_line(struct message *m, struct bytes *to, size_t bytes_max,
                                       enum http_fault too_long, struct slice *in) {
  if (in->n == 0) return MESSAGE_NEED_MORE;
  const char *lf = memchr(in->at, '\n', in->n);
  size_t n = lf != NULL ? (size_t)(lf - in->at) + 1 : in->n;
  if (n > bytes_max - (to->n - m->line_at)) return fail(m, too_long);
  bytes_append(to, in->at, n);
  in->at += n;
  in->n -= n;
  if (lf == NULL) return MESSAGE_NEED_MORE;

  const uint8_t *line = to->data + m->line_at;
  size_t line_n = to->n - m->line_at;
  if (line_n < 2 || memchr(line, '\r', line_n) != line + line_n - 2) return fail(m, HTTP_FAULT_LINE_END);
  return MESSAGE_GO_ON;
}

/* The line that take_line() has just made whole, with its CR LF. */
static struct slice whole_line(const struct message *m, const struct bytes *in) {
  return (struct slice){(const char *)in->data + m->line_at, in->n - m->line_at};
}

static bool is_folded(struct slice line) {
  return line.at[0] == ' ' || line.at[0] == '\t';
}

static bool is_empty(struct slice line) {
  return line.n == 2;
}

static void begin_line(struct message *m, enum message_state state) {
  m->line.n = 0;
  m->line_at = 0;
  m->state = state;
}

/* ---- The states ---- */

static enum message_progress in_start_line(struct message *m, struct slice *in) {
  if (in->n == 0) return MESSAGE_NEED_MORE;
  /* Told at the first byte, so that a client that speaks TLS to us hears of it at once. */
  if (m->head.n == 0 && in->at[0] != '\r' && !http_is_token_character(in->at[0]))
    return fail(m, HTTP_FAULT_START_LINE);
  enum message_progress progress =
      take_line(m, &m->head, HTTP_REQUEST_LINE_BYTES_MAX + 2, HTTP_FAULT_URI_TOO_LONG, in);
  if (progress != MESSAGE_GO_ON) return progress;
  if (is_empty(whole_line(m, &m->head))) {
    m->head.n = 0;
    return m->empty_lines_n++ < MESSAGE_EMPTY_LINES_MAX ? MESSAGE_GO_ON : fail(m, HTTP_FAULT_EMPTY_LINES);
  }
  m->start_line_bytes = m->head.n - 2;
  m->state = MESSAGE_AFTER_START_LINE;
  return MESSAGE_START_LINE;
}

static enum message_progress after_start_line(struct message *m, struct slice *in) {
  (void)in;
  enum http_fault fault = feed(m, m->head.data, m->head.n, HTTP_FAULT_START_LINE);
  if (fault != HTTP_FAULT_NONE) return fail(m, fault);
  m->line_at = m->head.n;
  m->state = MESSAGE_IN_HEADERS;
  return MESSAGE_GO_ON;
}

/* What llhttp found in the line must be all of it, from the name at its front to the colon right behind. */
static bool is_field(const struct message *m, struct slice line) {
  struct slice name = message_slice(m, m->field.name);
  return name.at == line.at && name.n < line.n && line.at[name.n] == ':' && http_is_token(name);
}

static void keep_field(struct message *m) {
  struct slice value = http_trim(message_slice(m, m->field.value));
  m->field.value.at = (uint32_t)(value.at - (const char *)m->head.data);
  m->field.value.n = (uint32_t)value.n;
  m->fields[m->fields_n++] = m->field;
}

static enum message_progress in_headers(struct message *m, struct slice *in) {
  enum message_progress progress =
      take_line(m, &m->head, HTTP_HEAD_BYTES_MAX - m->line_at, HTTP_FAULT_HEAD_TOO_LARGE, in);
  if (progress != MESSAGE_GO_ON) return progress;
  struct slice line = whole_line(m, &m->head);
  if (is_empty(line)) {
    m->state = MESSAGE_AFTER_HEAD;
    return MESSAGE_HEAD;
  }
  if (is_folded(line)) return fail(m, HTTP_FAULT_HEADER_FOLDED);
  if (m->fields_n == HTTP_HEADERS_MAX) return fail(m, HTTP_FAULT_HEADERS_TOO_MANY);
  m->field = (struct message_field){0};
  enum http_fault fault = feed(m, line.at, line.n, HTTP_FAULT_HEADER);
  if (fault != HTTP_FAULT_NONE) return fail(m, fault);
  if (!is_field(m, line)) return fail(m, HTTP_FAULT_HEADER);
  keep_field(m);
  m->line_at = m->head.n;
  return MESSAGE_GO_ON;
}

/* The message ends here by our count; llhttp must have come to the same end. */
static enum message_progress finish(struct message *m) {
  if (!m->ended) return fail(m, HTTP_FAULT_FRAMING);
  m->state = MESSAGE_DONE;
  return MESSAGE_WHOLE;
}

static enum message_progress after_head(struct message *m, struct slice *in) {
  (void)in;
  struct slice line = whole_line(m, &m->head);
  enum http_fault fault = feed(m, line.at, line.n, HTTP_FAULT_HEADER);
  if (fault != HTTP_FAULT_NONE) return fail(m, fault);
  if (m->expect == MESSAGE_BODY_SKIPPED || m->expect == MESSAGE_BODY_NONE ||
      (m->expect == MESSAGE_BODY_LENGTH && m->remaining == 0))
    return finish(m);
  if (m->ended) return fail(m, HTTP_FAULT_FRAMING);
  begin_line(m, m->expect == MESSAGE_BODY_CHUNKED ? MESSAGE_IN_CHUNK_SIZE : MESSAGE_IN_BODY);
  return MESSAGE_GO_ON;
}

/* Passes on what there is of the body or of the chunk; GO_ON at its end. */
static enum message_progress take_data(struct message *m, struct slice *in) {
  if (m->remaining == 0) return MESSAGE_GO_ON;
  if (in->n == 0) return MESSAGE_NEED_MORE;
  size_t n = in->n < m->remaining ? in->n : (size_t)m->remaining;
  m->passed_bytes = 0;
  m->piece = (struct slice){in->at, n};
  enum http_fault fault = feed(m, in->at, n, HTTP_FAULT_FRAMING);
  if (fault != HTTP_FAULT_NONE) return fail(m, fault);
  if (m->passed_bytes != n) return fail(m, HTTP_FAULT_FRAMING);
  in->at += n;
  in->n -= n;
  m->remaining -= n;
  if (m->streams) return MESSAGE_PIECE;
  return m->remaining > 0 ? MESSAGE_NEED_MORE : MESSAGE_GO_ON;
}

static enum message_progress in_body(struct message *m, struct slice *in) {
  enum message_progress progress = take_data(m, in);
  return progress == MESSAGE_GO_ON ? finish(m) : progress;
}

/* chunk-size [ chunk-ext ] CRLF (RFC 9112, 7.1): the length of the size, or 0 if the line is not that. White
 * space around the size, which has been read differently by different servers, is refused. */
static size_t chunk_size_digits(struct slice line) {
  size_t digits = 0;
  while (http_hex_digit(line.at[digits]) >= 0) digits++; /* stops at the CR at the latest */
  if (line.at[digits] != ';' && line.at[digits] != '\r') return 0;
  for (size_t i = digits; i < line.n - 2; i++) {
    unsigned char c = (unsigned char)line.at[i];
    if ((c < ' ' && c != '\t') || c == 0x7f) return 0;
  }
  return digits;
}

static enum message_progress in_chunk_size(struct message *m, struct slice *in) {
  enum message_progress progress = take_line(m, &m->line, MESSAGE_CHUNK_LINE_BYTES_MAX, HTTP_FAULT_CHUNK, in);
  if (progress != MESSAGE_GO_ON) return progress;
  struct slice line = whole_line(m, &m->line);
  size_t digits = chunk_size_digits(line);
  if (digits == 0) return fail(m, HTTP_FAULT_CHUNK);
  /* A recipient ignores extensions that it does not know (RFC 9112, 7.1.1), so llhttp never sees one. */
  m->chunk_begun = false;
  enum http_fault fault = feed(m, line.at, digits, HTTP_FAULT_CHUNK);
  if (fault == HTTP_FAULT_NONE) fault = feed(m, "\r\n", 2, HTTP_FAULT_CHUNK);
  if (fault != HTTP_FAULT_NONE) return fail(m, fault);
  if (!m->chunk_begun || m->ended) return fail(m, HTTP_FAULT_FRAMING);
  if (!m->streams && m->chunk_bytes > m->body_bytes_max - m->body.n)
    return fail(m, HTTP_FAULT_BODY_TOO_LARGE);
  m->remaining = m->chunk_bytes;
  begin_line(m, m->remaining > 0 ? MESSAGE_IN_CHUNK : MESSAGE_IN_TRAILERS);
  return MESSAGE_GO_ON;
}

static enum message_progress in_chunk(struct message *m, struct slice *in) {
  enum message_progress progress = take_data(m, in);
  if (progress == MESSAGE_GO_ON) begin_line(m, MESSAGE_IN_CHUNK_END);
  return progress;
}

static enum message_progress in_chunk_end(struct message *m, struct slice *in) {
  enum message_progress progress = take_line(m, &m->line, 2, HTTP_FAULT_CHUNK, in);
  if (progress != MESSAGE_GO_ON) return progress;
  enum http_fault fault = feed(m, "\r\n", 2, HTTP_FAULT_CHUNK);
  if (fault != HTTP_FAULT_NONE) return fail(m, fault);
  begin_line(m, MESSAGE_IN_CHUNK_SIZE);
  return MESSAGE_GO_ON;
}

/* Trailers are checked and then dropped: nothing here needs one, and merged into the headers they have been
 * used to smuggle some past the checks of those (RFC 9110, 6.5.1). */
static enum message_progress in_trailers(struct message *m, struct slice *in) {
  enum message_progress progress =
      take_line(m, &m->line, HTTP_TRAILER_BYTES_MAX - m->trailer_bytes, HTTP_FAULT_TRAILERS_TOO_LARGE, in);
  if (progress != MESSAGE_GO_ON) return progress;
  struct slice line = whole_line(m, &m->line);
  m->trailer_bytes += line.n;
  const char *colon = memchr(line.at, ':', line.n);
  if (!is_empty(line) &&
      (colon == NULL || !http_is_token((struct slice){line.at, (size_t)(colon - line.at)})))
    return fail(m, HTTP_FAULT_HEADER);
  enum http_fault fault = feed(m, line.at, line.n, HTTP_FAULT_HEADER);
  if (fault != HTTP_FAULT_NONE) return fail(m, fault);
  if (is_empty(line)) return finish(m);
  begin_line(m, MESSAGE_IN_TRAILERS);
  return MESSAGE_GO_ON;
}

/* Back to the start. llhttp starts afresh with every message, so nothing of one (a Connection: close, an
 * upgrade that was not granted) has an effect on the next. */
static enum message_progress after_message(struct message *m, struct slice *in) {
  (void)in;
  llhttp_reset(&m->llhttp);
  if (m->body.capacity > MESSAGE_BODY_BYTES_KEPT_MAX) bytes_close(&m->body);
  m->head.n = 0;
  m->body.n = 0;
  m->fields_n = 0;
  m->streams = false;
  m->trailer_bytes = 0;
  m->empty_lines_n = 0;
  m->ended = false;
  begin_line(m, MESSAGE_IN_START_LINE);
  return MESSAGE_GO_ON;
}

/* ---- The message ---- */

void message_init(struct message *m, llhttp_type_t type, size_t body_bytes_max) {
  *m = (struct message){.body_bytes_max = body_bytes_max};
  llhttp_init(&m->llhttp, type, &settings);
  m->llhttp.data = m;
}

void message_close(struct message *m) {
  bytes_close(&m->head);
  bytes_close(&m->line);
  bytes_close(&m->body);
}

enum message_progress message_execute(struct message *m, struct slice *in) {
  static enum message_progress (*const steps[])(struct message *, struct slice *) = {
      [MESSAGE_IN_START_LINE] = in_start_line,
      [MESSAGE_AFTER_START_LINE] = after_start_line,
      [MESSAGE_IN_HEADERS] = in_headers,
      [MESSAGE_AFTER_HEAD] = after_head,
      [MESSAGE_IN_BODY] = in_body,
      [MESSAGE_IN_CHUNK_SIZE] = in_chunk_size,
      [MESSAGE_IN_CHUNK] = in_chunk,
      [MESSAGE_IN_CHUNK_END] = in_chunk_end,
      [MESSAGE_IN_TRAILERS] = in_trailers,
      [MESSAGE_DONE] = after_message,
  };
  assert(m->fault == HTTP_FAULT_NONE);
  enum message_progress progress;
  do {
    progress = steps[m->state](m, in);
  } while (progress == MESSAGE_GO_ON);
  return progress;
}

struct slice message_start_line(const struct message *m) {
  return (struct slice){(const char *)m->head.data, m->start_line_bytes};
}

struct slice message_slice(const struct message *m, struct message_piece piece) {
  return (struct slice){(const char *)m->head.data + piece.at, piece.n};
}

/* Content-Length = 1*DIGIT (RFC 9110, 8.6). One that is repeated or is a list is refused even where all its
 * numbers are the same, which the RFC leaves open. */
static enum http_fault read_length(struct slice value, struct message_framing *framing) {
  if (framing->body != MESSAGE_BODY_NONE || !slice_to_u64(value, &framing->length)) return HTTP_FAULT_LENGTH;
  framing->body = MESSAGE_BODY_LENGTH;
  return HTTP_FAULT_NONE;
}

/* Transfer-Encoding (RFC 9112, 6.1). chunked is the only coding that is known here, and it comes last and
 * once. */
static enum http_fault read_coding(struct slice value, int minor, struct message_framing *framing) {
  if (framing->body == MESSAGE_BODY_LENGTH) return HTTP_FAULT_LENGTH;
  if (framing->body == MESSAGE_BODY_CHUNKED || minor == 0) return HTTP_FAULT_CODING;
  struct slice coding;
  size_t others_n = 0;
  bool chunked = false;
  while (http_list_next(&value, &coding)) {
    if (chunked) return HTTP_FAULT_CODING;
    chunked = slice_is_caseless(coding, "chunked");
    if (!chunked) others_n++;
  }
  if (!chunked) return HTTP_FAULT_CODING;
  if (others_n > 0) return HTTP_FAULT_CODING_UNKNOWN;
  framing->body = MESSAGE_BODY_CHUNKED;
  return HTTP_FAULT_NONE;
}

static void read_connection(struct slice value, struct message_framing *framing) {
  struct slice option;
  while (http_list_next(&value, &option)) {
    if (slice_is_caseless(option, "close")) framing->close = true;
    if (slice_is_caseless(option, "upgrade")) framing->upgrade = true;
  }
}

enum http_fault message_framing(const struct message *m, int minor, struct message_framing *framing) {
  *framing = (struct message_framing){0};
  enum http_fault fault = HTTP_FAULT_NONE;
  for (size_t i = 0; i < m->fields_n && fault == HTTP_FAULT_NONE; i++) {
    struct slice name = message_slice(m, m->fields[i].name);
    struct slice value = message_slice(m, m->fields[i].value);
    if (slice_is_caseless(name, "Connection")) read_connection(value, framing);
    if (slice_is_caseless(name, "Content-Length")) fault = read_length(value, framing);
    if (slice_is_caseless(name, "Transfer-Encoding")) fault = read_coding(value, minor, framing);
  }
  return fault;
}

enum http_fault message_expect(struct message *m, enum message_body body, uint64_t length, bool streams) {
  assert(m->state == MESSAGE_AFTER_HEAD);
  m->expect = body;
  m->streams = streams;
  m->remaining = body == MESSAGE_BODY_LENGTH ? length : 0;
  return !streams && m->remaining > m->body_bytes_max ? HTTP_FAULT_BODY_TOO_LARGE : HTTP_FAULT_NONE;
}
