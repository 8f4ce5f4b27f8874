#include "offline/overlay.h"

#include "base/bytes.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes that were written over what there is. */
struct patch {
  uint64_t offset;
  struct bytes bytes;
};

/* A file that was opened, made, renamed or removed. Its contents may be the real file's of another name. */
struct overlay_file {
  char name[FILES_NAME_BYTES_MAX];
  bool exists;                     /* under that name */
  char real[FILES_NAME_BYTES_MAX]; /* the real file beneath; "": there is none */
  uint64_t size;
  struct patch *patches; /* later ones lie above earlier ones */
  size_t patches_n;
};

struct overlay_handle {
  struct overlay_file *file; /* NULL: not open */
  int real;                  /* negative: no real file lies beneath */
};

struct overlay {
  struct files table;
  const struct files *real;
  struct overlay_file **files;
  size_t files_n;
  struct overlay_handle *handles;
  size_t handles_n;
  char (*folders)[FILES_NAME_BYTES_MAX]; /* that were made */
  size_t folders_n;
};

/* ---- Files ---- */

/* The one that is, or was last, under that name. */
static struct overlay_file *find(const struct overlay *overlay, const char *name) {
  for (size_t i = overlay->files_n; i-- > 0;)
    if (strcmp(overlay->files[i]->name, name) == 0) return overlay->files[i];
  return NULL;
}

static struct overlay_file *add(struct overlay *overlay, const char *name) {
  struct overlay_file *file = memory_zalloc(sizeof *file);
  assert(strlen(name) < FILES_NAME_BYTES_MAX);
  strcpy(file->name, name);
  overlay->files = memory_realloc(overlay->files, (overlay->files_n + 1) * sizeof overlay->files[0]);
  overlay->files[overlay->files_n++] = file;
  return file;
}

/* What there is under that name, real or not: 0, -ENOENT, or what the real directory says. */
static int look(struct overlay *overlay, const char *name, struct overlay_file **found) {
  *found = find(overlay, name);
  if (*found != NULL) return (*found)->exists ? 0 : -ENOENT;
  const struct files *real = overlay->real;
  const int handle = real->open(real->context, name, FILES_READ);
  if (handle < 0) return handle;
  const int64_t size = real->size(real->context, handle);
  real->close(real->context, handle);
  if (size < 0) return (int)size;
  *found = add(overlay, name);
  (*found)->exists = true;
  (*found)->size = (uint64_t)size;
  strcpy((*found)->real, name);
  return 0;
}

static int hold(struct overlay *overlay, struct overlay_file *file) {
  const struct files *real = overlay->real;
  const int beneath = *file->real != '\0' ? real->open(real->context, file->real, FILES_READ) : -1;
  if (beneath < 0 && *file->real != '\0') return beneath;
  size_t i = 0;
  while (i < overlay->handles_n && overlay->handles[i].file != NULL) i++;
  if (i == overlay->handles_n)
    overlay->handles = memory_realloc(overlay->handles, ++overlay->handles_n * sizeof overlay->handles[0]);
  overlay->handles[i] = (struct overlay_handle){file, beneath};
  return (int)i;
}

static int overlay_open(void *context, const char *name, enum files_mode mode) {
  struct overlay *overlay = context;
  struct overlay_file *file;
  int error = look(overlay, name, &file);
  if (mode != FILES_CREATE) return error == 0 ? hold(overlay, file) : error;
  if (error != -ENOENT) return -EEXIST;
  file = add(overlay, name);
  file->exists = true;
  return hold(overlay, file);
}

static struct overlay_handle *held(void *context, int handle) {
  const struct overlay *overlay = context;
  assert(handle >= 0 && (size_t)handle < overlay->handles_n && overlay->handles[handle].file != NULL);
  return &overlay->handles[handle];
}

static void overlay_close(void *context, int handle) {
  const struct overlay *overlay = context;
  struct overlay_handle *at = held(context, handle);
  if (at->real >= 0) overlay->real->close(overlay->real->context, at->real);
  at->file = NULL;
}

static int64_t overlay_size(void *context, int handle) {
  return (int64_t)held(context, handle)->file->size;
}

/* The part of the patch that lies in data[0..n), which is the file's from `offset` on. */
static void apply(const struct patch *patch, uint64_t offset, uint8_t *data, size_t n) {
  const uint64_t end = offset + n, patch_end = patch->offset + patch->bytes.n;
  const uint64_t from = patch->offset > offset ? patch->offset : offset;
  const uint64_t to = patch_end < end ? patch_end : end;
  if (from < to) memcpy(data + (from - offset), patch->bytes.data + (from - patch->offset), to - from);
}

static int64_t overlay_read(void *context, int handle, uint64_t offset, void *data, size_t n) {
  const struct overlay *overlay = context;
  const struct overlay_handle *at = held(context, handle);
  if (offset >= at->file->size) return 0;
  if (n > at->file->size - offset) n = (size_t)(at->file->size - offset);
  int64_t got = 0;
  if (at->real >= 0) got = overlay->real->read(overlay->real->context, at->real, offset, data, n);
  if (got < 0) return got;
  memset((uint8_t *)data + got, 0, n - (size_t)got);
  for (size_t i = 0; i < at->file->patches_n; i++) apply(&at->file->patches[i], offset, data, n);
  return (int64_t)n;
}

static int overlay_write(void *context, int handle, uint64_t offset, const void *data, size_t n) {
  struct overlay_file *file = held(context, handle)->file;
  if (n == 0) return 0;
  file->patches = memory_realloc(file->patches, (file->patches_n + 1) * sizeof file->patches[0]);
  struct patch *patch = &file->patches[file->patches_n++];
  *patch = (struct patch){.offset = offset};
  bytes_append(&patch->bytes, data, n);
  if (offset + n > file->size) file->size = offset + n;
  return 0;
}

static int overlay_allocate(void *context, int handle, uint64_t bytes) {
  struct overlay_file *file = held(context, handle)->file;
  if (bytes > file->size) file->size = bytes;
  return 0;
}

static int overlay_sync(void *context, int handle) {
  held(context, handle);
  return 0;
}

/* ---- Names ---- */

static int overlay_remove(void *context, const char *name) {
  struct overlay_file *file;
  int error = look(context, name, &file);
  if (error == 0) file->exists = false;
  return error;
}

static int overlay_rename(void *context, const char *from, const char *to) {
  struct overlay *overlay = context;
  struct overlay_file *file, *replaced;
  int error = look(overlay, from, &file);
  if (error != 0) return error;
  error = look(overlay, to, &replaced);
  if (error != 0 && error != -ENOENT) return error;
  if (error == 0) replaced->exists = false;
  /* A copy, so that the old name is known to be there no more, and the newest of each name counts. */
  struct overlay_file *renamed = add(overlay, to);
  *renamed = *file;
  strcpy(renamed->name, to);
  *file = (struct overlay_file){0};
  strcpy(file->name, from);
  for (size_t i = 0; i < overlay->handles_n; i++)
    if (overlay->handles[i].file == file) overlay->handles[i].file = renamed;
  return 0;
}

static int no_entry(void *argument, const char *name) {
  (void)argument, (void)name;
  return 1;
}

static bool was_made(const struct overlay *overlay, const char *folder) {
  for (size_t i = 0; i < overlay->folders_n; i++)
    if (strcmp(overlay->folders[i], folder) == 0) return true;
  return false;
}

static int overlay_make_directory(void *context, const char *name) {
  struct overlay *overlay = context;
  const int there = overlay->real->list(overlay->real->context, name, no_entry, NULL);
  if (there >= 0 || was_made(overlay, name)) return -EEXIST;
  if (there != -ENOENT) return there == -ENOTDIR ? -EEXIST : there;
  overlay->folders = memory_realloc(overlay->folders, (overlay->folders_n + 1) * sizeof overlay->folders[0]);
  snprintf(overlay->folders[overlay->folders_n++], FILES_NAME_BYTES_MAX, "%s", name);
  return 0;
}

static int overlay_sync_directory(void *context, const char *name) {
  (void)context, (void)name;
  return 0;
}

/* What stands behind "FOLDER/" in the name of a file in that folder, or NULL. */
static const char *name_in(const char *folder, const char *name) {
  const size_t n = strlen(folder);
  if (n > 0 && (strncmp(name, folder, n) != 0 || name[n] != '/')) return NULL;
  const char *last = n > 0 ? name + n + 1 : name;
  return strchr(last, '/') == NULL ? last : NULL;
}

struct listing {
  const struct overlay *overlay;
  const char *folder;
  int (*entry)(void *argument, const char *name);
  void *argument;
};

/* Those that the overlay knows are told from there. */
static int list_real(void *argument, const char *name) {
  const struct listing *listing = argument;
  char whole[FILES_NAME_BYTES_MAX];
  const bool in_folder = *listing->folder != '\0';
  const int n = snprintf(whole, sizeof whole, "%s%s%s", listing->folder, in_folder ? "/" : "", name);
  const bool is_known = n < (int)sizeof whole && find(listing->overlay, whole) != NULL;
  return is_known ? 0 : listing->entry(listing->argument, name);
}

static int overlay_list(void *context, const char *folder, int (*entry)(void *, const char *),
                        void *argument) {
  const struct overlay *overlay = context;
  struct listing listing = {overlay, folder, entry, argument};
  int result = overlay->real->list(overlay->real->context, folder, list_real, &listing);
  if (result == -ENOENT && was_made(overlay, folder)) result = 0;
  for (size_t i = 0; result == 0 && i < overlay->files_n; i++) {
    const char *name = name_in(folder, overlay->files[i]->name);
    if (overlay->files[i]->exists && name != NULL) result = entry(argument, name);
  }
  return result;
}

/* ---- The overlay ---- */

struct overlay *overlay_new(const struct files *real) {
  struct overlay *overlay = memory_zalloc(sizeof *overlay);
  overlay->real = real;
  overlay->table = (struct files){
      .context = overlay,
      .open = overlay_open,
      .close = overlay_close,
      .size = overlay_size,
      .read = overlay_read,
      .write = overlay_write,
      .allocate = overlay_allocate,
      .sync = overlay_sync,
      .rename = overlay_rename,
      .remove = overlay_remove,
      .make_directory = overlay_make_directory,
      .sync_directory = overlay_sync_directory,
      .list = overlay_list,
  };
  return overlay;
}

const struct files *overlay_files(struct overlay *overlay) {
  return &overlay->table;
}

void overlay_free(struct overlay *overlay) {
  if (overlay == NULL) return;
  for (size_t i = 0; i < overlay->handles_n; i++) assert(overlay->handles[i].file == NULL);
  for (size_t i = 0; i < overlay->files_n; i++) {
    struct overlay_file *file = overlay->files[i];
    for (size_t k = 0; k < file->patches_n; k++) bytes_close(&file->patches[k].bytes);
    free(file->patches);
    free(file);
  }
  free(overlay->files);
  free(overlay->handles);
  free(overlay->folders);
  free(overlay);
}
