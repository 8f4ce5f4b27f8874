#include "net/place.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

void place_default_name(uint16_t http_port, char name[NODE_NAME_BYTES_MAX + 1]) {
  enum { HOST_BYTES_MAX = NODE_NAME_BYTES_MAX - (int)(sizeof "-65535" - 1) };
  struct utsname system;
  const char *host = uname(&system) == 0 && system.nodename[0] != '\0' ? system.nodename : "node";
  snprintf(name, NODE_NAME_BYTES_MAX + 1, "%.*s-%u", HOST_BYTES_MAX, host, (unsigned)http_port);
  for (char *at = name; *at != '\0'; at++)
    if (!isalnum((unsigned char)*at) && strchr("-_.", *at) == NULL) *at = '-';
}

/* The specification has a relative path in XDG_... ignored. */
static int append_xdg(const char *variable, const char *below_home, const char *name, struct bytes *path) {
  const char *xdg = getenv(variable);
  const char *home = getenv("HOME");
  if (xdg != NULL && xdg[0] == '/')
    bytes_printf(path, "%s/coracle/%s", xdg, name);
  else if (home != NULL && home[0] == '/')
    bytes_printf(path, "%s/%s/coracle/%s", home, below_home, name);
  else
    return CORACLE_ENOTFOUND;
  bytes_append(path, "", 1);
  return 0;
}

int place_default_data_dir(const char *name, struct bytes *path) {
  return append_xdg("XDG_DATA_HOME", ".local/share", name, path);
}

int place_default_secret_file(struct bytes *path) {
  return append_xdg("XDG_CONFIG_HOME", ".config", "secret", path);
}
