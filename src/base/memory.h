/* Allocation for a process that does not outlive an empty heap.
 *
 * A node that cannot allocate ends itself with one line on stderr: what it acknowledged is on a majority, and
 * a process that limps on with half a change made is worse than one that is gone. (The consensus core in
 * raft/ does not use these: as a library it reports CORACLE_RAFT_ENOMEM and leaves its state unchanged.)
 * Every result is non-NULL, owned by the caller, and released with free(). */
#ifndef CORACLE_BASE_MEMORY_H
#define CORACLE_BASE_MEMORY_H

#include <stddef.h>

__attribute__((malloc, returns_nonnull)) void *memory_alloc(size_t bytes);  /* uninitialised */
__attribute__((malloc, returns_nonnull)) void *memory_zalloc(size_t bytes); /* zero-filled */
__attribute__((returns_nonnull)) void *memory_realloc(void *old,
                                                      size_t bytes); /* like realloc(3), bytes > 0 */
__attribute__((malloc, returns_nonnull)) char *memory_strndup(const char *s,
                                                              size_t n); /* copy of n bytes and a NUL */

#endif
