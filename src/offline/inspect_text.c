/* What was found, for people. */
#include "offline/inspect_core.h"

#include <inttypes.h>

static void print_bytes(struct bytes *bytes, FILE *out) {
  inspect_print(slice_of_bytes(bytes), out);
  bytes->n = 0;
}

static void print_hex(const uint8_t *at, size_t n, FILE *out) {
  for (size_t i = 0; i < n; i++) fprintf(out, "%02x", at[i]);
}

/* ---- Identity ---- */

static bool has_cluster(const struct stamp *stamp) {
  static const uint8_t none[DISK_CLUSTER_BYTES];
  return memcmp(stamp->cluster, none, sizeof none) != 0;
}

static void print_identity(const struct meta *meta, FILE *out) {
  fprintf(out, "node          %016" PRIx64 "\ncluster       ", meta->stamp.id);
  if (has_cluster(&meta->stamp))
    print_hex(meta->stamp.cluster, DISK_CLUSTER_BYTES, out);
  else
    fputs("none", out);
  fprintf(out, "\ngeneration    %" PRIu64 "\nstart number  %" PRIu64 "\nterm          %" PRIu64,
          meta->stamp.generation, meta->start, meta->term);
  if (meta->voted_for != 0)
    fprintf(out, ", voted for %016" PRIx64 "\n", meta->voted_for);
  else
    fputs(", voted for nobody\n", out);
}

static void print_meta_file(const struct meta_file *file, int i, FILE *out) {
  fprintf(out, "  %s  ", meta_name(i));
  if (!file->exists) {
    fputs("missing\n", out);
    return;
  }
  for (int copy = 0; copy < 2; copy++) {
    fputs(copy == 0 ? "" : ", ", out);
    if (file->good[copy])
      fprintf(out, "sequence %" PRIu64, file->records[copy].sequence);
    else
      fputs("damaged", out);
  }
  fputs("\n", out);
}

static void print_metas(const struct survey *survey, FILE *out) {
  fprintf(out, "format        version %d\n", DISK_VERSION);
  if (survey->meta_known) print_identity(&survey->meta, out);
  fputs("\nmeta\n", out);
  for (int i = 0; i < 2; i++) print_meta_file(&survey->metas[i], i, out);
}

/* ---- The log ---- */

static void print_end(const struct survey_segment *segment, FILE *out) {
  if (segment->left_over)
    fputs("left over from another generation, not in force", out);
  else if (segment->damaged)
    fputs("DAMAGED", out);
  else if (segment->scan.ending == SEGMENT_TORN)
    fprintf(out, "torn: %" PRIu64 " bytes at offset %" PRIu64 " were never acknowledged",
            segment->scan.torn_bytes, segment->scan.end);
  else
    fputs("clean", out);
}

static void print_segment(const struct survey_segment *segment, FILE *out) {
  fprintf(out, "  %s  %" PRIu64 " bytes, %" PRIu64 " frames, %" PRIu64 " entries", segment->name,
          segment->scan.file_bytes, segment->scan.frames_n, segment->entries_n);
  if (segment->entries_n > 0)
    fprintf(out, " (%" PRIu64 " to %" PRIu64 ", terms %" PRIu64 " to %" PRIu64 ")", segment->first_index,
            segment->last_index, segment->first_term, segment->last_term);
  if (segment->truncates_n > 0) fprintf(out, ", %" PRIu64 " truncations", segment->truncates_n);
  fputs("; ", out);
  print_end(segment, out);
  fputs("\n", out);
}

/* ---- Snapshots ---- */

static void print_members(const struct inspection *inspection, const struct coracle_raft_snapshot *snapshot,
                          FILE *out) {
  struct bytes name = {0};
  fprintf(out, "    members as of entry %" PRIu64 ":", snapshot->configuration_index);
  for (uint32_t i = 0; i < snapshot->configuration.members_n; i++) {
    const struct coracle_raft_member *member = &snapshot->configuration.members[i];
    fputs(i == 0 ? " " : ", ", out);
    inspect_name(inspection, member, &name);
    print_bytes(&name, out);
    fprintf(out, " (%016" PRIx64 "%s)", member->id, member->voter ? "" : ", learner");
  }
  fputs("\n", out);
  bytes_close(&name);
}

static void print_snapshot(const struct inspection *inspection, const struct survey_snapshot *at, FILE *out) {
  fprintf(out, "  %s  %" PRIu64 " bytes", at->name, at->file_bytes);
  if (at->header_good)
    fprintf(out, ", index %" PRIu64 ", term %" PRIu64 ", image of %" PRIu64 " bytes, tag %016" PRIx64,
            at->snapshot.index, at->snapshot.term, at->snapshot.bytes, at->snapshot.tag);
  if (at->left_over) fputs("; left over from another generation, not in force", out);
  if (at->damaged) fputs("; DAMAGED", out);
  fputs("\n", out);
  if (at->image_good)
    fprintf(out,
            "    %" PRIu64 " documents of %" PRIu64 " bytes, %" PRIu64 " idempotency keys, revision %" PRIu64
            ", state hash %016" PRIx64 "%016" PRIx64 "\n",
            at->documents, at->document_bytes, at->keys, at->revision, at->state_hash.high,
            at->state_hash.low);
  if (at->header_good) print_members(inspection, &at->snapshot, out);
}

/* ---- The rest ---- */

static void print_others(const struct survey *survey, FILE *out) {
  if (survey->others_n > 0) fputs("\nother files\n", out);
  for (size_t i = 0; i < survey->others_n; i++) {
    fputs("  ", out);
    inspect_print(slice_of(survey->others[i].name), out);
    fprintf(out, "  %" PRIu64 " bytes, %s\n", survey->others[i].bytes, survey->others[i].what);
  }
}

static void print_damage(const struct survey *survey, FILE *out) {
  if (survey->damage_n > 0) fputs("\nDAMAGE\n", out);
  for (size_t i = 0; i < survey->damage_n; i++) {
    fputs("  ", out);
    inspect_print(slice_of(survey->damage[i]), out);
    fputs("\n", out);
  }
}

void inspect_text(const struct inspection *inspection, FILE *out) {
  const struct survey *survey = inspection->survey;
  struct bytes start = {0};
  fprintf(out, "data          %s\n", inspection->options->path);
  if (inspection->in_use)
    fputs("in use        by a running process: what it is writing just now may look like damage\n", out);
  print_metas(survey, out);
  fputs(survey->segments_n > 0 ? "\nlog\n" : "\nlog: none yet\n", out);
  for (size_t i = 0; i < survey->segments_n; i++) print_segment(&survey->segments[i], out);
  fputs(survey->snapshots_n > 0 ? "\nsnapshots\n" : "\nsnapshots: none yet\n", out);
  for (size_t i = 0; i < survey->snapshots_n; i++) print_snapshot(inspection, &survey->snapshots[i], out);
  print_others(survey, out);
  print_damage(survey, out);
  fprintf(out, "\ndisk usage    %" PRIu64 " bytes in %" PRIu64 " files\n", survey->bytes, survey->files_n);
  inspect_start(inspection, &start);
  fputs("next start    ", out);
  print_bytes(&start, out);
  fprintf(out, "\n%s\n", survey->damage_n == 0 ? "sound" : "DAMAGED");
  bytes_close(&start);
}
