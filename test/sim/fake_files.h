/* A data directory in memory, behind the same table of functions that real ones have (disk/files.h), with
 * every fault that a disk can have: a power cut between or inside of any two operations, no room, errors,
 * damage.
 *
 * Of a file it knows what is durable, sector by sector, beside what reads see; of a directory which entries
 * are durable, and which changes are not. It takes the strictest view of what POSIX promises: a file that was
 * synced may vanish with an entry that was not, a rename may be there by halves, what a failed sync left
 * behind is lost though reads still see it. All that is drawn is drawn from the seed.
 *
 *     struct fake_files *disk = fake_files_new(seed);
 *     fake_files_crash_after(disk, n);          // the n-th change from now is the process's last, if it gets
 * there
 *     ... run the code on fake_files_table(disk), until fake_files_has_crashed(disk) ...
 *     fake_files_cut_power(disk, FAKE_RANDOM);  // or fake_files_kill(disk)
 *     ... run recovery on it ...
 *
 * Wrong use of the table (a handle closed twice, writing to one that was opened to read) is an assertion. */
#ifndef CORACLE_SIM_FAKE_FILES_H
#define CORACLE_SIM_FAKE_FILES_H

#include "base/bytes.h"
#include "disk/files.h"

struct fake_files;

struct fake_files *fake_files_new(uint64_t seed);
/* NULL is fine. No handle may be open: whoever opened one closes it, or the process was killed. */
void fake_files_free(struct fake_files *);
/* The same files, with the same unsynced changes; no handles, no faults set, as much room as there was. */
struct fake_files *fake_files_copy(const struct fake_files *, uint64_t seed);
/* To give to the code under test. Lives as long as the directory. */
const struct files *fake_files_table(struct fake_files *);

/* ---- Operations ---- */

enum fake_operation {
  FAKE_OPEN, /* READ, UPDATE */
  FAKE_CREATE,
  FAKE_READ,
  FAKE_WRITE,
  FAKE_ALLOCATE,
  FAKE_SYNC,
  FAKE_RENAME,
  FAKE_REMOVE,
  FAKE_MAKE_DIRECTORY,
  FAKE_SYNC_DIRECTORY,
  FAKE_LIST,
  FAKE_OPERATIONS_N,
};
#define FAKE_BIT(operation) (1u << (operation))

enum {
  /* Those that change something on the disk, or make a change durable. */
  FAKE_CHANGES = FAKE_BIT(FAKE_CREATE) | FAKE_BIT(FAKE_WRITE) | FAKE_BIT(FAKE_ALLOCATE) |
                 FAKE_BIT(FAKE_SYNC) | FAKE_BIT(FAKE_RENAME) | FAKE_BIT(FAKE_REMOVE) |
                 FAKE_BIT(FAKE_MAKE_DIRECTORY) | FAKE_BIT(FAKE_SYNC_DIRECTORY),
  FAKE_ALL = FAKE_BIT(FAKE_OPERATIONS_N) - 1,
  FAKE_BLOCK_BYTES = 4096, /* room is taken in these */
};

/* How many of the operations named have been asked for so far. */
uint64_t fake_files_count(const struct fake_files *, unsigned operations);
size_t fake_files_handles(const struct fake_files *); /* open ones */

/* ---- Crashes ---- */

/* The process ends in the middle of the n-th change from now (0: the next): that one is not done, a write in
 * part perhaps, and from then on everything but close gives -ECANCELED, until kill or cut_power. */
void fake_files_crash_after(struct fake_files *, uint64_t changes);
bool fake_files_has_crashed(const struct fake_files *);

/* One of the changes from now on, any, is pictured in its middle, and goes on. */
void fake_files_picture_one(struct fake_files *);
/* The directory as it was then, as if the process had ended there: the caller's to free. NULL: there was no
 * change, or none was to be pictured. */
struct fake_files *fake_files_picture(struct fake_files *);

/* The process is gone: its handles are closed, all it wrote is there, and not more durable than before.
 * Faults that were set are gone; room and damage stay. */
void fake_files_kill(struct fake_files *);

enum fake_loss {
  FAKE_LOSE_ALL,  /* everything that is not durable */
  FAKE_LOSE_NONE, /* only what a failed sync left */
  FAKE_RANDOM,    /* any part of it: of files by sectors or blocks, of directories by operations or entries */
};
/* And the machine: what was not durable is lost, or a part of it; what is left is durable. */
void fake_files_cut_power(struct fake_files *, enum fake_loss);

/* ---- Faults ---- */

/* So many bytes fit, in blocks; UINT64_MAX (as at first): as many as you like. */
void fake_files_set_room(struct fake_files *, uint64_t bytes);
uint64_t fake_files_used(const struct fake_files *); /* in bytes of blocks */
/* As on some file systems, allocate makes a file longer and promises nothing: writing there may find no room.
 */
void fake_files_promise_nothing(struct fake_files *);

/* Of the operations named, the one after so many others of them from now gives that error, once: what a write
 * wrote of it is drawn; a sync leaves a part unwritten that will never be. */
void fake_files_fail(struct fake_files *, unsigned operations, uint64_t after, int error);
/* ... and each of them, one time in so many. 0: no more. */
void fake_files_fail_randomly(struct fake_files *, unsigned operations, uint64_t one_in, int error);
uint64_t fake_files_failed(const struct fake_files *); /* so many have been given so */

/* ---- Looking, and damage at rest ---- */

bool fake_files_exists(const struct fake_files *, const char *name);
/* Appends all of it. False: there is none. */
bool fake_files_content(const struct fake_files *, const char *name, struct bytes *);
/* Is all of it durable, with its name? */
bool fake_files_is_durable(const struct fake_files *, const char *name);
/* Makes it, durably, in place of any other. */
void fake_files_put(struct fake_files *, const char *name, const void *data, size_t n);
/* Takes it away, durably. */
void fake_files_take(struct fake_files *, const char *name);
/* Exclusive or of one byte, in the file and beneath it. The file must have it. */
void fake_files_flip(struct fake_files *, const char *name, uint64_t offset, uint8_t mask);
/* Something in some file is not what was written: one bit, a few bytes, up to 4096 of them; or its end is
 * missing, or all of it. Says what, one line. False: there is nothing to damage. */
bool fake_files_damage(struct fake_files *, char what[160]);
/* All files, with their folders, in the order of their names; freed with free() each and all. */
char **fake_files_names(const struct fake_files *, size_t *n);

#endif
