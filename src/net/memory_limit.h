/* How much memory this process may use. */
#ifndef CORACLE_NET_MEMORY_LIMIT_H
#define CORACLE_NET_MEMORY_LIMIT_H

#include <stdint.h>

/* The host's memory, or less where a control group of the process, or one above it, is limited to less. */
uint64_t memory_limit_bytes(void);

/* The lowest limit among the control groups; UINT64_MAX: none. `membership` is the file that names the
 * process's groups, as /proc/self/cgroup does; `root` is where their file systems are mounted. */
uint64_t memory_limit_of_groups(const char *membership, const char *root);

#endif
