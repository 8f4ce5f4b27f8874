/* The file with the cluster's secret: one line of 64 hexadecimal digits, 256 bits, and its newline; a regular
 * file of the user's own (or root's) that nobody else may read or write. Whoever has it is a member of the
 * family: it can read what nodes say to each other, and speak as one of them.
 *
 * Of several processes that find none at the same moment one makes it, whole and durable before it has its
 * name, and all read the same. `why` is one sentence that names the file and says what to do. */
#ifndef CORACLE_DISK_SECRET_H
#define CORACLE_DISK_SECRET_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  SECRET_FILE_BYTES = 32,
  SECRET_TEXT_BYTES = 2 * SECRET_FILE_BYTES + 1
}; /* the text with its newline */

/* CORACLE_ENOTFOUND without such a file, CORACLE_EMALFORMED for one that is refused, CORACLE_EIO when it
 * cannot be read. Symbolic links are followed. */
MUST_CHECK int secret_read(const char *path, uint8_t secret[SECRET_FILE_BYTES], char *why, size_t why_bytes);

/* Makes the file, and the directories it is in, of `fresh`: random bytes. CORACLE_EBUSY when there is
 * something of that name already, which is left as it is; CORACLE_EIO. */
MUST_CHECK int secret_make(const char *path, const uint8_t fresh[SECRET_FILE_BYTES], char *why,
                           size_t why_bytes);

/* Reads it, made of `fresh` if there is none. As secret_read(); *made says whether this call made it. */
MUST_CHECK int secret_read_or_make(const char *path, const uint8_t fresh[SECRET_FILE_BYTES],
                                   uint8_t secret[SECRET_FILE_BYTES], bool *made, char *why,
                                   size_t why_bytes);

/* The line, without a NUL. */
void secret_format(const uint8_t secret[SECRET_FILE_BYTES], char text[SECRET_TEXT_BYTES]);

#endif
