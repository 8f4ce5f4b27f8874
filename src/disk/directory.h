/* Directories on the way to a file. */
#ifndef CORACLE_DISK_DIRECTORY_H
#define CORACLE_DISK_DIRECTORY_H

#include "base/error.h"

/* mkdir(2) with mode 0700 for the path and every missing parent; 0 or -1 with errno. What exists already is
 * not looked at: opening the directory tells whether it is one. */
MUST_CHECK int directory_make(const char *path);
/* The same for the directory that the file is to be in. */
MUST_CHECK int directory_make_for(const char *file);

#endif
