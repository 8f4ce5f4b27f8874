#include "offline/survey.h"

#include "base/memory.h"
#include "disk/log.h"
#include "offline/overlay.h"
#include "offline/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS = 16, FOLDER_NAMES_MAX = 100000 };

/* What the files of this room share about one survey under way. */
struct look {
  const struct files *files;
  const uint8_t *key;
  struct survey *survey;
};

/* Whatever is told by several is told once. */
static void add_damage(struct survey *survey, const char *sentence) {
  for (size_t i = 0; i < survey->damage_n; i++)
    if (strcmp(survey->damage[i], sentence) == 0) return;
  survey->damage = memory_realloc(survey->damage, (survey->damage_n + 1) * sizeof survey->damage[0]);
  survey->damage[survey->damage_n++] = memory_strndup(sentence, strlen(sentence));
}

/* ---- Names ---- */

struct names {
  char (*at)[FILES_NAME_BYTES_MAX];
  size_t n;
  const char *folder;
};

static int add_name(void *argument, const char *name) {
  struct names *names = argument;
  if (names->n == FOLDER_NAMES_MAX) return -EMFILE;
  names->at = memory_realloc(names->at, (names->n + 1) * sizeof names->at[0]);
  const bool in_folder = *names->folder != '\0';
  snprintf(names->at[names->n++], FILES_NAME_BYTES_MAX, "%s%s%s", names->folder, in_folder ? "/" : "", name);
  return 0;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(a, b);
}

/* In order. A folder that is missing has no names: a start makes it. */
static int list(const struct look *look, const char *folder, struct names *names, struct disk_fault *fault) {
  *names = (struct names){.folder = folder};
  int error = look->files->list(look->files->context, folder, add_name, names);
  if (names->n > 0) qsort(names->at, names->n, sizeof names->at[0], compare_names);
  if (error == 0 || (error == -ENOENT && *folder != '\0')) return 0;
  disk_fault_set(fault, "cannot list %s: %s", *folder == '\0' ? "the directory" : folder, strerror(-error));
  return CORACLE_EIO;
}

/* What stands behind the last '/' is 16 hexadecimal digits. */
static bool is_numbered(const char *name) {
  const char *slash = strrchr(name, '/');
  const char *last = slash == NULL ? name : slash + 1;
  return strlen(last) == DIGITS && strspn(last, "0123456789abcdef") == DIGITS;
}

/* Counts it too. 0 where it cannot be opened: what it is will be told by whoever needs it. */
static uint64_t size_of(const struct look *look, const char *name) {
  const struct files *files = look->files;
  const int file = files->open(files->context, name, FILES_READ);
  if (file < 0) return 0;
  const int64_t size = files->size(files->context, file);
  files->close(files->context, file);
  look->survey->files_n++;
  if (size < 0) return 0;
  look->survey->bytes += (uint64_t)size;
  return (uint64_t)size;
}

static void add_other(const struct look *look, const char *name, const char *what) {
  struct survey *survey = look->survey;
  survey->others = memory_realloc(survey->others, (survey->others_n + 1) * sizeof survey->others[0]);
  struct survey_other *other = &survey->others[survey->others_n++];
  *other = (struct survey_other){.bytes = size_of(look, name), .what = what};
  strcpy(other->name, name);
}

/* ---- Meta ---- */

static void look_at_metas(const struct look *look) {
  struct survey *survey = look->survey;
  struct disk_fault fault;
  bool readable = true;
  for (int i = 0; i < 2; i++) {
    int error = meta_look(look->files, i, &survey->metas[i], &fault);
    if (survey->metas[i].exists) size_of(look, meta_name(i));
    if (error == 0) continue;
    readable = false;
    add_damage(survey, fault.text);
  }
  if (!readable) return;
  int error = meta_newest(survey->metas, &survey->meta, &survey->harmless_n, &fault);
  survey->meta_known = error == 0;
  if (error != 0 && error != CORACLE_ENOTFOUND) add_damage(survey, fault.text);
  for (int i = 0; i < 2; i++) {
    for (int copy = 0; copy < 2 && survey->meta_known; copy++) {
      if (survey->metas[i].good[copy]) continue;
      disk_fault_set(
          &fault,
          "%s is damaged at offset %d. It does no harm: the same stands in its other copy, and the "
          "next start writes both",
          meta_name(i), copy * META_BLOCK_BYTES);
      add_damage(survey, fault.text);
    }
  }
}

/* Of a generation before; a snapshot may also be of the one after, from a recovery that was cut short. */
static bool is_left_over(const struct survey *survey, const struct stamp *stamp) {
  return survey->meta_known && stamp->generation != survey->meta.stamp.generation;
}

/* ---- The log ---- */

struct segment_look {
  const struct look *look;
  struct survey_segment *segment;
};

static int look_at_record(void *argument, const struct log_record *record, uint64_t offset) {
  const struct segment_look *at = argument;
  struct survey_segment *segment = at->segment;
  if (record->type == LOG_TRUNCATE) segment->truncates_n++;
  if (record->type == LOG_SNAPSHOT) segment->snapshots_n++;
  if (record->type != LOG_ENTRY) return 0;
  if (segment->entries_n++ == 0) {
    segment->first_index = record->index;
    segment->first_term = record->term;
  }
  segment->last_index = record->index;
  segment->last_term = record->term;
  const char *refused = state_refuses(record->entry_type, record->data.at, record->data.n);
  if (refused == NULL) return 0;
  struct disk_fault fault;
  disk_fault_set(&fault, "%s: entry %" PRIu64 ", in the frame at offset %" PRIu64 ", %s", segment->name,
                 record->index, offset, refused);
  segment->damaged = true;
  add_damage(at->look->survey, fault.text);
  return 0;
}

static void look_at_segment(const struct look *look, const char *name) {
  struct survey *survey = look->survey;
  struct disk_fault fault;
  survey->segments = memory_realloc(survey->segments, (survey->segments_n + 1) * sizeof survey->segments[0]);
  struct survey_segment *segment = &survey->segments[survey->segments_n++];
  *segment = (struct survey_segment){0};
  strcpy(segment->name, name);
  struct segment_look at = {look, segment};
  size_of(look, name);
  int error = segment_read(look->files, name, look_at_record, &at, &segment->scan, &fault);
  segment->left_over = segment->scan.header_good && is_left_over(survey, &segment->scan.header.stamp);
  if (error == 0 && segment->scan.ending != SEGMENT_DAMAGED) return;
  segment->damaged = true;
  if (!segment->left_over) add_damage(survey, fault.text);
}

static void look_at_log(const struct look *look) {
  struct names names;
  struct disk_fault fault;
  if (list(look, "log", &names, &fault) != 0) add_damage(look->survey, fault.text);
  for (size_t i = 0; i < names.n; i++) {
    if (is_numbered(names.at[i]))
      look_at_segment(look, names.at[i]);
    else if (strcmp(names.at[i], "log/spare") == 0)
      add_other(look, names.at[i], "the next segment, made in advance");
    else
      add_other(look, names.at[i], "none of Coracle's");
  }
  free(names.at);
}

/* ---- Snapshots ---- */

static int look_at_image(const struct look *look, struct survey_snapshot *snapshot,
                         struct snapshot_reader *reader, struct disk_fault *fault) {
  struct store *store;
  int error = state_read_image(reader, snapshot->name, look->key, &store, fault);
  if (error != 0) return error;
  snapshot->image_good = true;
  snapshot->documents = store_documents(store);
  snapshot->document_bytes = store_bytes(store);
  snapshot->keys = store_keys(store);
  snapshot->revision = store_revision(store);
  snapshot->state_hash = store_state_hash(store);
  store_free(store);
  return 0;
}

static void look_at_snapshot(const struct look *look, const char *name) {
  struct survey *survey = look->survey;
  struct disk_fault fault;
  struct snapshot_reader *reader;
  survey->snapshots =
      memory_realloc(survey->snapshots, (survey->snapshots_n + 1) * sizeof survey->snapshots[0]);
  struct survey_snapshot *snapshot = &survey->snapshots[survey->snapshots_n++];
  *snapshot = (struct survey_snapshot){.file_bytes = size_of(look, name)};
  strcpy(snapshot->name, name);
  int error = snapshot_reader_open(look->files, name, &reader, &fault);
  if (error == 0) {
    snapshot->header_good = true;
    snapshot->snapshot = *snapshot_reader_of(reader);
    snapshot->left_over = is_left_over(survey, snapshot_reader_stamp(reader));
    error = look_at_image(look, snapshot, reader, &fault);
    snapshot_reader_free(reader);
  }
  snapshot->damaged = error != 0;
  if (error != 0 && !snapshot->left_over) add_damage(survey, fault.text);
}

static void look_at_snapshots(const struct look *look) {
  struct names names;
  struct disk_fault fault;
  if (list(look, "snapshot", &names, &fault) != 0) add_damage(look->survey, fault.text);
  for (size_t i = 0; i < names.n; i++) {
    if (is_numbered(names.at[i]))
      look_at_snapshot(look, names.at[i]);
    else if (strcmp(names.at[i], "snapshot/incoming") == 0)
      add_other(look, names.at[i], "an image on its way, not in force");
    else
      add_other(look, names.at[i], "none of Coracle's");
  }
  free(names.at);
}

/* ---- The rest ---- */

static void look_at_root(const struct look *look, const struct names *names) {
  for (size_t i = 0; i < names->n; i++) {
    const char *name = names->at[i];
    if (strcmp(name, meta_name(0)) == 0 || strcmp(name, meta_name(1)) == 0 || strcmp(name, "log") == 0 ||
        strcmp(name, "snapshot") == 0)
      continue;
    if (strcmp(name, "lock") == 0)
      size_of(look, name);
    else if (strcmp(name, "meta-new") == 0)
      add_other(look, name, "left over from a first start that was cut short");
    else
      add_other(look, name, "none of Coracle's");
  }
}

/* A start is made, on a directory whose changes go nowhere. */
static void try_to_start(const struct look *look) {
  struct survey *survey = look->survey;
  struct overlay *overlay = overlay_new(look->files);
  const struct disk_options options = {.fresh_id = 1};
  struct disk_found found;
  struct store *store;
  struct disk *disk = NULL;
  survey->start_error = disk_open(overlay_files(overlay), &options, &disk, &found, &survey->start_fault);
  if (survey->start_error == 0) {
    survey->start_makes = found.made;
    memcpy(survey->start_cut, found.cut, sizeof found.cut);
    survey->start_snapshot_index = survey->start_last_index = found.snapshot.index;
    for (size_t i = 0; i < found.entries_n; i++) {
      if (found.entries[i]->index <= found.snapshot.index) continue;
      survey->start_entries_n++;
      survey->start_last_index = found.entries[i]->index;
    }
    survey->start_error = state_build(&found, look->key, &store, &survey->start_fault);
    if (survey->start_error == 0) store_free(store);
    disk_found_close(&found);
    disk_free(disk);
  }
  if (survey->start_error != 0) add_damage(survey, survey->start_fault.text);
  overlay_free(overlay);
}

int survey_new(const struct files *files, const uint8_t key[STORE_HASH_KEY_BYTES], struct survey **made,
               struct disk_fault *fault) {
  struct survey *survey = memory_zalloc(sizeof *survey);
  const struct look look = {files, key, survey};
  struct names root;
  int error = list(&look, "", &root, fault);
  if (error == 0) {
    look_at_metas(&look);
    look_at_log(&look);
    look_at_snapshots(&look);
    look_at_root(&look, &root);
    try_to_start(&look);
  }
  free(root.at);
  if (error == 0)
    *made = survey;
  else
    survey_free(survey);
  return error;
}

void survey_free(struct survey *survey) {
  if (survey == NULL) return;
  for (size_t i = 0; i < survey->damage_n; i++) free(survey->damage[i]);
  free(survey->damage);
  free(survey->segments);
  free(survey->snapshots);
  free(survey->others);
  free(survey);
}
