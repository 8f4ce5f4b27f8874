#include "disk/secret.h"

#include "base/bytes.h"
#include "disk/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OTHERS = 077 }; /* what group and world may do, of a mode */

/* ---- The line ---- */

void secret_format(const uint8_t secret[SECRET_FILE_BYTES], char text[SECRET_TEXT_BYTES]) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < SECRET_FILE_BYTES; i++) {
    text[2 * i] = digits[secret[i] >> 4];
    text[2 * i + 1] = digits[secret[i] & 15];
  }
  text[SECRET_TEXT_BYTES - 1] = '\n';
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool parse(const char text[SECRET_TEXT_BYTES], uint8_t secret[SECRET_FILE_BYTES]) {
  for (size_t i = 0; i < SECRET_FILE_BYTES; i++) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    secret[i] = (uint8_t)(high << 4 | low);
  }
  return text[SECRET_TEXT_BYTES - 1] == '\n';
}

/* ---- Reading ---- */

__attribute__((format(printf, 4, 5))) static int refuse(int error, char *why, size_t why_bytes,
                                                        const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(why, why_bytes, format, args);
  va_end(args);
  return error;
}

/* Whether it is a file that nobody else can have read or written. */
static int check_file(const char *path, int fd, char *why, size_t n) {
  struct stat about;
  if (fstat(fd, &about) != 0)
    return refuse(CORACLE_EIO, why, n, "cannot look at secret file %s: %s", path, strerror(errno));
  if (!S_ISREG(about.st_mode))
    return refuse(CORACLE_EMALFORMED, why, n, "secret file %s is not a regular file: name one", path);
  if (about.st_uid != geteuid() && about.st_uid != 0)
    return refuse(CORACLE_EMALFORMED, why, n,
                  "secret file %s belongs to user %lu, who can change it: make it your own with chown", path,
                  (unsigned long)about.st_uid);
  if ((about.st_mode & OTHERS) != 0)
    return refuse(
        CORACLE_EMALFORMED, why, n,
        "secret file %s has mode %03o, so others may know it: 'chmod 600' it, or make a new one with "
        "'coracle secret generate'",
        path, (unsigned)about.st_mode & 07777u);
  return 0;
}

static int read_line(const char *path, int fd, uint8_t secret[SECRET_FILE_BYTES], char *why, size_t n) {
  char text[SECRET_TEXT_BYTES + 1]; /* one more than there may be */
  size_t have = 0;
  while (have < sizeof text) {
    ssize_t got = read(fd, text + have, sizeof text - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse(CORACLE_EIO, why, n, "cannot read secret file %s: %s", path, strerror(errno));
    if (got == 0) break;
    have += (size_t)got;
  }
  if (have == 0)
    return refuse(CORACLE_EMALFORMED, why, n,
                  "secret file %s is empty: copy the cluster's to it, or remove it and make a new one with "
                  "'coracle secret generate'",
                  path);
  if (have == SECRET_TEXT_BYTES && parse(text, secret)) return 0;
  return refuse(
      CORACLE_EMALFORMED, why, n,
      "secret file %s is %s one line of %d hexadecimal digits: copy the cluster's to it, or remove it "
      "and make a new one with 'coracle secret generate'",
      path, have > SECRET_TEXT_BYTES ? "longer than" : "not", 2 * SECRET_FILE_BYTES);
}

/* A FIFO without a writer would keep a blocking open(2) waiting. */
int secret_read(const char *path, uint8_t secret[SECRET_FILE_BYTES], char *why, size_t why_bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 && errno == ENOENT)
    return refuse(CORACLE_ENOTFOUND, why, why_bytes,
                  "secret file %s does not exist: copy the cluster's there, or make one with 'coracle secret "
                  "generate'",
                  path);
  if (fd < 0)
    return refuse(CORACLE_EIO, why, why_bytes, "cannot open secret file %s: %s", path, strerror(errno));
  int error = check_file(path, fd, why, why_bytes);
  if (error == 0) error = read_line(path, fd, secret, why, why_bytes);
  close(fd);
  return error;
}

/* ---- Making ---- */

static int sync_directory_of(const char *path) {
  const char *slash = strrchr(path, '/');
  struct bytes directory = {0};
  if (slash == NULL)
    bytes_append_string(&directory, ".");
  else
    bytes_append(&directory, path, slash == path ? 1 : (size_t)(slash - path));
  bytes_append(&directory, "", 1);
  int fd = open((const char *)directory.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bytes_close(&directory);
  if (fd < 0) return -1;
  int result = fsync(fd);
  close(fd);
  return result;
}

static int write_line(int fd, const uint8_t fresh[SECRET_FILE_BYTES]) {
  char text[SECRET_TEXT_BYTES];
  secret_format(fresh, text);
  for (size_t n = 0; n < sizeof text;) {
    ssize_t put = write(fd, text + n, sizeof text - n);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -1;
    n += (size_t)put;
  }
  return fsync(fd);
}

/* Whole and durable under another name before it gets its own, which link(2) gives to the first only. */
int secret_make(const char *path, const uint8_t fresh[SECRET_FILE_BYTES], char *why, size_t why_bytes) {
  struct bytes temporary = {0};
  int fd = -1, error = 0;
  if (directory_make_for(path) != 0) goto failed;
  bytes_append_string(&temporary, path);
  bytes_append(&temporary, ".XXXXXX", sizeof ".XXXXXX");
  fd = mkostemp((char *)temporary.data, O_CLOEXEC); /* mode 0600 */
  if (fd < 0) goto failed;
  if (write_line(fd, fresh) != 0) {
    error = errno;
  } else if (link((const char *)temporary.data, path) != 0) {
    error = errno;
  }
  close(fd);
  unlink((const char *)temporary.data);
  if (error == 0 && sync_directory_of(path) != 0) error = errno;
  errno = error;
  if (error != 0) goto failed;
  bytes_close(&temporary);
  return 0;

failed:
  error = errno;
  bytes_close(&temporary);
  if (error == EEXIST)
    return refuse(CORACLE_EBUSY, why, why_bytes, "%s exists already, and is left as it is", path);
  return refuse(CORACLE_EIO, why, why_bytes, "cannot make secret file %s: %s", path, strerror(error));
}

int secret_read_or_make(const char *path, const uint8_t fresh[SECRET_FILE_BYTES],
                        uint8_t secret[SECRET_FILE_BYTES], bool *made, char *why, size_t why_bytes) {
  *made = false;
  int error = secret_read(path, secret, why, why_bytes);
  if (error != CORACLE_ENOTFOUND) return error;
  error = secret_make(path, fresh, why, why_bytes);
  if (error != 0 && error != CORACLE_EBUSY) return error;
  *made = error == 0;
  return secret_read(path, secret, why, why_bytes);
}
