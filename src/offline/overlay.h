/* A data directory that can be opened, recovered and written to without changing it: reads come from the real
 * one, and what is changed stays in memory. So what a start would do is found out by doing it.
 *
 * Of the real one nothing is asked but to be listed, and to open files to read. */
#ifndef CORACLE_OFFLINE_OVERLAY_H
#define CORACLE_OFFLINE_OVERLAY_H

#include "disk/files.h"

struct overlay;

/* The real directory is the caller's, and outlives the overlay. */
struct overlay *overlay_new(const struct files *real);
/* No file may be open. NULL is fine. */
void overlay_free(struct overlay *);
/* Lives as long as the overlay. */
const struct files *overlay_files(struct overlay *);

#endif
