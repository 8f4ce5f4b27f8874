#include "offline/inspect_core.h"

#include "disk/data_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>

/* ---- Words ---- */

void inspect_start(const struct inspection *inspection, struct bytes *out) {
  const struct survey *survey = inspection->survey;
  if (survey->start_error != 0) {
    bytes_printf(out, "would refuse: %s", survey->start_fault.text);
    return;
  }
  if (survey->start_makes) {
    bytes_append_string(out, "would make a new node");
    return;
  }
  bytes_printf(out, "would go on at entry %" PRIu64, survey->start_last_index);
  if (survey->start_snapshot_index > 0)
    bytes_printf(out, ", with the snapshot of %" PRIu64 " and %" PRIu64 " entries after it",
                 survey->start_snapshot_index, survey->start_entries_n);
  if (*survey->start_cut != '\0') bytes_printf(out, "; %s", survey->start_cut);
}

void inspect_name(const struct inspection *inspection, const struct coracle_raft_member *member,
                  struct bytes *out) {
  const struct inspect_options *options = inspection->options;
  if (options->name_member != NULL && options->name_member(member, out)) return;
  for (size_t i = 0; i < member->data_bytes; i++) bytes_printf(out, "%02x", member->data[i]);
}

void inspect_print(struct slice text, FILE *out) {
  for (size_t i = 0; i < text.n; i++) {
    const unsigned char c = (unsigned char)text.at[i];
    fputc(c < 0x20 || c == 0x7f ? '?' : c, out);
  }
}

/* ---- The whole ---- */

static void print(const struct inspection *inspection, FILE *out) {
  if (inspection->options->log)
    inspect_log(inspection, out);
  else if (inspection->options->json)
    inspect_json(inspection, out);
  else
    inspect_text(inspection, out);
}

static void print_damage(const struct inspection *inspection, FILE *err) {
  for (size_t i = 0; i < inspection->survey->damage_n; i++) {
    fputs("coracle inspect: ", err);
    inspect_print(slice_of(inspection->survey->damage[i]), err);
    fputs("\n", err);
  }
}

enum inspect_status inspect_files(const struct files *files, const struct inspect_options *options,
                                  bool in_use, const uint8_t key[STORE_HASH_KEY_BYTES], FILE *out,
                                  FILE *err) {
  struct survey *survey;
  struct disk_fault fault;
  if (survey_new(files, key, &survey, &fault) != 0) {
    fprintf(err, "coracle inspect: %s\n", fault.text);
    return INSPECT_IMPOSSIBLE;
  }
  const struct inspection inspection = {options, files, survey, in_use};
  print(&inspection, out);
  if (options->log) print_damage(&inspection, err);
  const bool sound = survey->damage_n == 0;
  survey_free(survey);
  if (fflush(out) != 0 || ferror(out)) {
    fprintf(err, "coracle inspect: cannot write what was found: %s\n", strerror(errno));
    return INSPECT_IMPOSSIBLE;
  }
  return sound ? INSPECT_SOUND : INSPECT_DAMAGED;
}

enum inspect_status inspect(const struct inspect_options *options) {
  uint8_t key[STORE_HASH_KEY_BYTES];
  char why[8 * 1024];
  bool in_use, came_in_use;
  struct files files;
  if (sodium_init() < 0) {
    fputs("coracle inspect: cannot start libsodium\n", stderr);
    return INSPECT_IMPOSSIBLE;
  }
  randombytes_buf(key, sizeof key);
  if (data_dir_look(options->path, &in_use, why, sizeof why) != 0) {
    fprintf(stderr, "coracle inspect: %s\n", why);
    return INSPECT_IMPOSSIBLE;
  }
  int error = files_open(options->path, &files);
  if (error != 0) {
    fprintf(stderr, "coracle inspect: cannot open %s: %s\n", options->path, strerror(-error));
    return INSPECT_IMPOSSIBLE;
  }
  const enum inspect_status status = inspect_files(&files, options, in_use, key, stdout, stderr);
  files_close(&files);
  if (!in_use && data_dir_look(options->path, &came_in_use, why, sizeof why) == 0 && came_in_use)
    fputs("coracle inspect: meanwhile a process has begun to use it: look again\n", stderr);
  return status;
}
