/* Tables of inputs and their outcomes (as http_trace.h writes them), and fronts and backs that inputs
 * share. */
#ifndef CORACLE_TEST_HTTP_EXAMPLES_H
#define CORACLE_TEST_HTTP_EXAMPLES_H

#include "http_trace.h"

enum { EXAMPLE_BODY_BYTES_MAX = 32 };

struct example {
  struct slice input;
  const char *outcome;
};

#define BYTES(literal)                                                                                       \
  { (literal), sizeof(literal) - 1 }
#define GET(target) BYTES("GET " target " HTTP/1.1\r\nHost: h\r\n\r\n")
#define WITH(headers) BYTES("GET / HTTP/1.1\r\nHost: h\r\n" headers "\r\n\r\n")
#define CHUNKED(body) BYTES("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" body)

#define BAD "400 malformed_request\n"

/* Each whole, byte by byte, and in two at every place. */
#define ASSERT_EXAMPLES(...)                                                                                 \
  do {                                                                                                       \
    static const struct example examples[] = {__VA_ARGS__};                                                  \
    for (size_t example = 0; example < sizeof examples / sizeof *examples; example++)                        \
      assert_trace(examples[example].input, EXAMPLE_BODY_BYTES_MAX, examples[example].outcome);              \
  } while (0)

#endif
