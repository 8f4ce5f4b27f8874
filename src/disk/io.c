#include "disk/io.h"

#include <errno.h>

int io_open(const struct files *files, const char *name, enum files_mode mode, int *file,
            struct disk_fault *fault) {
  *file = files->open(files->context, name, mode);
  if (*file >= 0) return 0;
  if (*file == -EINVAL) {
    disk_fault_set(fault, "%s is no regular file: " IO_REMEDY, name);
    return CORACLE_EDAMAGED;
  }
  int error = disk_fault_system(fault, *file, "open", name);
  return *file == -ENOENT ? CORACLE_ENOTFOUND : error;
}

int io_create(const struct files *files, const char *name, int *file, struct disk_fault *fault) {
  *file = files->open(files->context, name, FILES_CREATE);
  if (*file == -EEXIST) {
    int error = io_remove(files, name, fault);
    if (error != 0) return error;
    *file = files->open(files->context, name, FILES_CREATE);
  }
  return *file >= 0 ? 0 : disk_fault_system(fault, *file, "make", name);
}

int io_size(const struct files *files, int file, const char *name, uint64_t *bytes,
            struct disk_fault *fault) {
  const int64_t size = files->size(files->context, file);
  if (size < 0) return disk_fault_system(fault, (int)size, "look at", name);
  *bytes = (uint64_t)size;
  return 0;
}

int io_read(const struct files *files, int file, const char *name, uint64_t offset, void *data, size_t n,
            size_t *got, struct disk_fault *fault) {
  const int64_t have = files->read(files->context, file, offset, data, n);
  if (have < 0) return disk_fault_system(fault, (int)have, "read", name);
  *got = (size_t)have;
  return 0;
}

int io_write(const struct files *files, int file, const char *name, uint64_t offset, const void *data,
             size_t n, struct disk_fault *fault) {
  int error = files->write(files->context, file, offset, data, n);
  return error == 0 ? 0 : disk_fault_system(fault, error, "write", name);
}

static int sync_failed(int error, const char *name, struct disk_fault *fault) {
  disk_fault_set(fault, "cannot sync %s: %s", *name == '\0' ? "the directory" : name, strerror(-error));
  return CORACLE_EIO;
}

int io_sync(const struct files *files, int file, const char *name, struct disk_fault *fault) {
  int error = files->sync(files->context, file);
  return error == 0 ? 0 : sync_failed(error, name, fault);
}

int io_rename(const struct files *files, const char *from, const char *to, struct disk_fault *fault) {
  int error = files->rename(files->context, from, to);
  return error == 0 ? 0 : disk_fault_system(fault, error, "rename a file to", to);
}

int io_remove(const struct files *files, const char *name, struct disk_fault *fault) {
  int error = files->remove(files->context, name);
  return error == 0 || error == -ENOENT ? 0 : disk_fault_system(fault, error, "remove", name);
}

int io_sync_directory(const struct files *files, const char *name, struct disk_fault *fault) {
  int error = files->sync_directory(files->context, name);
  return error == 0 ? 0 : sync_failed(error, name, fault);
}
