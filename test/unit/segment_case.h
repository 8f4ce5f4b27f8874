/* A segment as it was written, to be harmed and read: for tests of disk/segment.h. */
#ifndef CORACLE_TEST_SEGMENT_CASE_H
#define CORACLE_TEST_SEGMENT_CASE_H

#include "base/random.h"
#include "disk/segment.h"
#include "fake_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SECTOR = FILES_SECTOR_BYTES, FRAMES_MAX = 32, FILE_BYTES = 16 * 1024 };

enum { ENTRY_FRAME_BYTES = FRAME_HEADER_BYTES + 22 + FRAME_END_BYTES }; /* beside the entry's data */

/* Frames with one record each, whose index is the frame's number from 1. */
struct written {
  struct bytes file;
  struct segment_header header;
  uint64_t offsets[FRAMES_MAX + 1]; /* of frames; and where the next would be */
  size_t bare[FRAMES_MAX];          /* bytes of each, without padding */
  uint64_t chain;
  size_t n;
};

#define SEGMENT_NAME "log/0000000000000003"
extern const struct stamp segment_stamp;

/* Of the segment that was read last. */
extern struct fake_files *disk;
extern const struct files *files;
extern struct segment_scan scan;
extern struct disk_fault fault;
extern uint64_t seen; /* records read, in order from 1 */

int segment_case_begin(void **state);
int segment_case_end(void **state);

struct written begin(uint64_t file_bytes);
struct written copy_of(const struct written *);
void add_frame(struct written *, const struct bytes *records);
/* One entry of so many bytes: zeros, or text without any. */
void add_entry(struct written *, size_t n, bool zeros);
void add_data(struct written *, const struct bytes *data);
/* Frames of many sizes and places. */
struct written sample(void);

/* The result of reading that content as the file; frames up to `seen` were good. */
int read_content(struct written *, const void *content, size_t n);
enum segment_end verdict(struct written *);

#endif
