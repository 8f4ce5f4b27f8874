/* Where a node lives when nobody said: its name, its data directory, and where its secret is. */
#ifndef CORACLE_NET_PLACE_H
#define CORACLE_NET_PLACE_H

#include "base/bytes.h"
#include "base/error.h"
#include "node/node.h"

/* HOSTNAME-PORT; what a name may not have becomes '-'. */
void place_default_name(uint16_t http_port, char name[NODE_NAME_BYTES_MAX + 1]);

/* Appends $XDG_DATA_HOME/coracle/NAME, or ~/.local/share/coracle/NAME, and a NUL (XDG Base Directory
 * Specification). CORACLE_ENOTFOUND when the environment names neither. */
MUST_CHECK int place_default_data_dir(const char *name, struct bytes *path);

/* The same for the file with the cluster's secret: $XDG_CONFIG_HOME/coracle/secret, or
 * ~/.config/coracle/secret. */
MUST_CHECK int place_default_secret_file(struct bytes *path);

#endif
