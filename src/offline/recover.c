#include "offline/recover.h"

#include "disk/data_dir.h"
#include "disk/meta.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_BYTES_MAX = 16, WHY_BYTES_MAX = 8 * 1024 };

/* ---- What is told ---- */

static void put_hex(const uint8_t *at, size_t n, struct bytes *out) {
  for (size_t i = 0; i < n; i++) bytes_printf(out, "%02x", at[i]);
}

static void put_members(const struct recover_options *options, const struct recovery *recovery,
                        struct bytes *out) {
  const struct coracle_raft_configuration *configuration = &recovery->configuration;
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    const struct coracle_raft_member *member = &configuration->members[i];
    bytes_append_string(out, i == 0 ? "  members    " : "             ");
    if (options->name_member != NULL && options->name_member(member, out)) bytes_append(out, " ", 1);
    bytes_printf(out, "(%016" PRIx64 ")%s%s\n", member->id, member->voter ? "" : ", learner",
                 member->id == recovery->id ? ", this node" : "");
  }
}

static void put_found(const struct recover_options *options, const struct recovery *recovery,
                      struct bytes *out) {
  const struct coracle_raft_member *self =
      coracle_raft_configuration_find(&recovery->configuration, recovery->id);
  bytes_printf(out, "%s has\n  node       %016" PRIx64 " of cluster ", options->path, recovery->id);
  put_hex(recovery->cluster, sizeof recovery->cluster, out);
  bytes_append_string(out, "\n");
  put_members(options, recovery, out);
  bytes_printf(out,
               "  log        up to entry %" PRIu64 ", term %" PRIu64 "\n  documents  %" PRIu64 " of %" PRIu64
               " bytes, the newest of revision %" PRIu64 "\n  keys       %" PRIu64 " idempotency keys\n",
               recovery->last_index, recovery->term, recovery->documents, recovery->document_bytes,
               recovery->revision, recovery->keys);
  if (*recovery->cut != '\0') bytes_printf(out, "  %s\n", recovery->cut);
  if (self == NULL)
    bytes_append_string(out,
                        "  This node is none of the members: it was removed, or was still being added. What "
                        "it has may be old.\n");
  else if (!self->voter)
    bytes_append_string(out,
                        "  This node is a learner: it may still have been getting what the voters have.\n");
}

static void put_consequences(struct bytes *out) {
  bytes_append_string(
      out,
      "\nThis makes it the only voter of a new cluster that has what is listed above. Do it only when a\n"
      "majority of the voters is lost for good, and on one node only: the one whose log goes furthest.\n"
      "  - What the lost nodes had acknowledged and this one never got is lost. Nobody can tell what it is.\n"
      "  - Writes at the end of its log, of which no client was told that they succeeded, may be kept.\n"
      "  - Other nodes of the old cluster are strangers to the new one, and never mix with it: empty their "
      "data\n"
      "    directories, and start them as new nodes.\n"
      "  - There is no way back, but for a copy of this directory made before.\n");
}

static void print(struct bytes *text) {
  fwrite(text->data, 1, text->n, stdout);
  fflush(stdout);
  text->n = 0;
}

/* ---- Asking ---- */

static bool ask(void) {
  char answer[ANSWER_BYTES_MAX];
  fputs("\nType yes to go on: ", stdout);
  fflush(stdout);
  if (fgets(answer, sizeof answer, stdin) == NULL) {
    fputs("\n", stdout);
    return false;
  }
  return strcmp(answer, "yes\n") == 0;
}

static bool may_go_on(const struct recover_options *options) {
  if (options->yes) return true;
  if (!isatty(STDIN_FILENO)) {
    fputs(
        "coracle recover: nobody can be asked, since standard input is no terminal: pass --yes. Nothing was "
        "changed\n",
        stderr);
    return false;
  }
  if (ask()) return true;
  fputs("Nothing was changed.\n", stdout);
  return false;
}

/* ---- Doing it ---- */

static struct recovery_identity new_identity(void) {
  struct recovery_identity identity;
  struct timespec now;
  do randombytes_buf(&identity.id, sizeof identity.id);
  while (identity.id == 0);
  randombytes_buf(identity.cluster, sizeof identity.cluster);
  randombytes_buf(&identity.salt_seed, sizeof identity.salt_seed);
  clock_gettime(CLOCK_REALTIME, &now);
  identity.start_min = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
  return identity;
}

static int carry_out(const struct files *files, const struct recover_options *options,
                     const uint8_t key[STORE_HASH_KEY_BYTES], struct disk_fault *fault) {
  struct bytes text = {0};
  struct recovery recovery;
  int error = recovery_look(files, key, &recovery, fault);
  if (error != 0) return error;
  put_found(options, &recovery, &text);
  put_consequences(&text);
  print(&text);
  if (!may_go_on(options)) {
    bytes_close(&text);
    return CORACLE_EBUSY;
  }
  const struct recovery_identity identity = new_identity();
  error = recovery_carry_out(files, &identity, key, fault);
  if (error == 0) {
    bytes_printf(&text, "\nNode %016" PRIx64 " is the only voter of cluster ", identity.id);
    put_hex(identity.cluster, sizeof identity.cluster, &text);
    bytes_printf(&text, ".\nStart it: coracle serve --data-dir %s, with the options it had.\n",
                 options->path);
    print(&text);
  }
  bytes_close(&text);
  return error;
}

static int recover_locked(const struct files *files, const struct recover_options *options) {
  uint8_t key[STORE_HASH_KEY_BYTES];
  struct disk_fault fault = {0};
  randombytes_buf(key, sizeof key);
  int error = carry_out(files, options, key, &fault);
  if (error != 0 && *fault.text != '\0') fprintf(stderr, "coracle recover: %s\n", fault.text);
  return error == 0 ? 0 : 1;
}

/* Where no node ever was, not even a lock is left. */
static bool has_meta(const struct files *files) {
  for (int i = 0; i < 2; i++) {
    const int file = files->open(files->context, meta_name(i), FILES_READ);
    if (file >= 0) files->close(files->context, file);
    if (file != -ENOENT) return true;
  }
  return false;
}

/* One process at a time: what a node is using is left alone. */
static int recover_in(const struct files *files, const struct recover_options *options) {
  char why[WHY_BYTES_MAX];
  if (!has_meta(files)) {
    fprintf(stderr, "coracle recover: %s holds no node's data: there is no meta-1, and no meta-2\n",
            options->path);
    return 1;
  }
  const int lock = data_dir_open(options->path, why, sizeof why);
  if (lock < 0) {
    fprintf(stderr, "coracle recover: %s\n", why);
    return 1;
  }
  const int status = recover_locked(files, options);
  data_dir_close(lock);
  return status;
}

int recover(const struct recover_options *options) {
  struct files files;
  if (sodium_init() < 0) {
    fputs("coracle recover: cannot start libsodium\n", stderr);
    return 1;
  }
  const int error = files_open(options->path, &files);
  if (error != 0) {
    fprintf(stderr, "coracle recover: cannot open %s: %s\n", options->path, strerror(-error));
    return 1;
  }
  const int status = recover_in(&files, options);
  files_close(&files);
  return status;
}
