/* What a snapshot costs the loop: a million documents, written to all the time, while one goes to the disk,
 * while the log before it is dropped, and while a node that comes afresh gets it over its stream. Prints the
 * longest turn of each phase in processor time, and how much memory grew. Fails beyond the limits.
 *
 *     coracle-bench-snapshot [DOCUMENTS [WRITES_PER_TURN [-v]]] */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

enum {
  PIPELINE = 250, /* of one connection; a node takes 256 */
  DOCUMENT_BYTES = 140,
  TURN_NS_MAX = 5000000,
  GROWTH_PERCENT_MAX = 20,
  FORM_TURNS_MAX = 5000,
  SNAPSHOT_TURNS_MAX = 200000,
};

struct bench {
  struct host host;
  struct host_end *client;
  struct bytes request;
  size_t documents, writes_per_turn;
  uint64_t asked, answered;
  bool good;
};

/* ---- Memory ---- */

static double resident_mib(void) {
  unsigned long size = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%lu %lu", &size, &resident) != 2) resident = 0;
  if (file != NULL) fclose(file);
  return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

static double allocated_mib(void) {
  const struct mallinfo2 info = mallinfo2();
  return (double)(info.uordblks + info.hblkhd) / (1024 * 1024);
}

/* ---- Writes ---- */

static void ask(struct bench *b, uint64_t number) {
  char body[DOCUMENT_BYTES + 1];
  const int head = snprintf(body, sizeof body, "{\"id\":\"d%07llu\",\"n\":%llu,\"x\":\"",
                            (unsigned long long)(number % b->documents), (unsigned long long)number);
  memset(body + head, 'x', sizeof body - 1 - (size_t)head - 2);
  memcpy(body + sizeof body - 3, "\"}", 3);
  bytes_printf(&b->request,
               "PUT /v1/collections/c/d%07llu HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               "Prefer: return=minimal\r\nContent-Length: %d\r\n\r\n%s",
               (unsigned long long)(number % b->documents), DOCUMENT_BYTES, body);
  b->asked++;
}

static void take_answers(struct bench *b) {
  static const char good[] = "HTTP/1.1 20";
  struct bytes *in = &b->client->in;
  size_t at = 0;
  for (const uint8_t *end; (end = memmem(in->data + at, in->n - at, "\r\n\r\n", 4)) != NULL;) {
    if (memcmp(in->data + at, good, sizeof good - 1) != 0) {
      fprintf(stderr, "a write failed: %.*s\n", (int)(in->n - at), (const char *)in->data + at);
      exit(1);
    }
    at = (size_t)(end - in->data) + sizeof "\r\n\r\n" - 1;
    b->answered++;
  }
  bytes_consume(in, at);
}

/* Each document in its turn, many times over; `stride` scatters them. */
static void turn(struct bench *b, size_t writes, uint64_t stride) {
  b->request.n = 0;
  for (size_t i = 0; i < writes && b->asked - b->answered < PIPELINE; i++) ask(b, b->asked * stride);
  host_send(b->client, b->request.data, b->request.n);
  host_turn(&b->host);
  take_answers(b);
}

/* ---- Phases ---- */

static void report(struct bench *b, const char *phase, int nodes, double before_mib, double most_mib) {
  for (int i = 0; i < nodes; i++) {
    const struct host_turns *t = &b->host.nodes[i].turns;
    const bool fits = t->longest_ns <= TURN_NS_MAX;
    printf(
        "%-34s node %c: %7llu turns, mean %6.3f ms, longest %6.3f ms, %4llu over 1 ms, %3llu over 5 ms%s\n",
        phase, 'a' + i, (unsigned long long)t->n, t->n > 0 ? (double)t->ns / 1e6 / (double)t->n : 0,
        (double)t->longest_ns / 1e6, (unsigned long long)t->over_1_ms, (unsigned long long)t->over_5_ms,
        fits ? "" : "  TOO LONG");
    if (!fits) b->good = false;
  }
  if (before_mib == 0) return;
  const double percent = (most_mib / before_mib - 1) * 100;
  printf("%-34s memory %.0f MiB before, %.0f MiB at most: %+.1f %%%s\n", "", before_mib, most_mib, percent,
         percent <= GROWTH_PERCENT_MAX ? "" : "  TOO MUCH");
  if (percent > GROWTH_PERCENT_MAX) b->good = false;
  host_measure(&b->host);
}

static void form(struct bench *b) {
  host_start(&b->host, 0, 0);
  for (int i = 0; i < FORM_TURNS_MAX; i++) host_turn(&b->host);
  b->client = host_connect(&b->host, 0);
}

static void load(struct bench *b) {
  host_measure(&b->host);
  while (b->answered < b->documents) turn(b, b->asked < b->documents ? PIPELINE : 0, 1);
  printf("%zu documents of %d bytes: %.0f MiB resident, %.0f MiB allocated\n", b->documents, DOCUMENT_BYTES,
         resident_mib(), allocated_mib());
  report(b, "loading", 1, 0, 0);
  host_measure(&b->host);
}

struct memory {
  double before_mib, most_mib;
};

static void note(struct memory *memory) {
  const double now_mib = resident_mib();
  if (now_mib > memory->most_mib) memory->most_mib = now_mib;
}

/* Until the disk gets the first bytes of an image. */
static void until_it_begins(struct bench *b, uint64_t stride, struct memory *memory) {
  const uint64_t image_bytes = b->host.nodes[0].image_bytes;
  while (b->host.nodes[0].image_bytes == image_bytes) {
    memory->before_mib = memory->most_mib = resident_mib();
    turn(b, b->writes_per_turn, stride);
  }
}

static void until_it_is_stored(struct bench *b, uint64_t stride, struct memory *memory) {
  uint64_t image_bytes = 0;
  for (int idle = 0; idle < 10; note(memory)) {
    idle = b->host.nodes[0].image_bytes == image_bytes ? idle + 1 : 0;
    image_bytes = b->host.nodes[0].image_bytes;
    turn(b, b->writes_per_turn, stride);
  }
}

static void snapshot(struct bench *b, uint64_t stride, const char *order) {
  struct memory memory = {0};
  char phase[64];
  host_measure(&b->host);
  until_it_begins(b, stride, &memory);
  snprintf(phase, sizeof phase, "writes alone, %s", order);
  report(b, phase, 1, 0, 0);
  host_measure(&b->host);
  const uint64_t from_ms = b->host.now_ms;
  until_it_is_stored(b, stride, &memory);
  snprintf(phase, sizeof phase, "the image, %llu turns", (unsigned long long)(b->host.now_ms - from_ms));
  report(b, phase, 1, memory.before_mib, memory.most_mib);
  memory.before_mib = memory.most_mib = resident_mib();
  for (int i = 0; i < 3000; i++, note(&memory)) turn(b, b->writes_per_turn, stride);
  report(b, "after it", 1, memory.before_mib, memory.most_mib);
}

/* Another node comes, and gets the image while writes go on. */
static void install(struct bench *b) {
  host_start(&b->host, 1, 0);
  host_measure(&b->host);
  uint64_t image_bytes = 0;
  int idle = 0;
  for (int i = 0; i < SNAPSHOT_TURNS_MAX && (b->host.nodes[1].image_bytes == 0 || idle < 1000); i++) {
    idle = b->host.nodes[1].image_bytes == image_bytes ? idle + 1 : 0;
    image_bytes = b->host.nodes[1].image_bytes;
    turn(b, b->writes_per_turn, 1);
  }
  printf("%.0f MiB of image went to node b\n", (double)image_bytes / (1024 * 1024));
  report(b, "another node gets it", 2, 0, 0);
  host_measure(&b->host);
}

int main(int argc, char **argv) {
  struct bench b = {.documents = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000,
                    .writes_per_turn = argc > 2 ? strtoul(argv[2], NULL, 10) : 20,
                    .good = true};
  if (b.documents == 0 || b.writes_per_turn == 0 || b.writes_per_turn > PIPELINE) {
    fprintf(stderr, "usage: coracle-bench-snapshot [DOCUMENTS [WRITES_PER_TURN, at most %d [-v]]]\n",
            PIPELINE);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  host_open(&b.host);
  b.host.verbose = argc > 3;
  form(&b);
  load(&b);
  snapshot(&b, 1, "in order");
  snapshot(&b, 7919, "scattered");
  install(&b);
  bytes_close(&b.request);
  host_close(&b.host);
  return b.good ? 0 : 1;
}
