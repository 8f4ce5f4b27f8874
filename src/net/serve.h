/* Runs one node in the real world: one libuv loop with the node's UDP socket, the election socket, the HTTP
 * listener and the outbound replication connections. The only room that includes <uv.h>. */
#ifndef CORACLE_NET_SERVE_H
#define CORACLE_NET_SERVE_H

#include "node/node.h"

enum serve_storage { SERVE_DISK, SERVE_MEMORY };

struct serve_options {
  struct address election;    /* UDP */
  struct address_list peers;  /* all nodes' election addresses, `election` among them; empty: they share it */
  uint64_t expect;            /* voters to wait for before writes are taken; 0: as many as peers, or 1 */
  struct address http;        /* TCP; family NONE: 127.0.0.1, the first free port from 8001; port 0: any */
  struct address advertise;   /* where others reach it; family NONE: there, port 0: at that port */
  const char *name;           /* NULL: HOSTNAME-PORT */
  const char *data_dir;       /* NULL: one of that name where XDG has data, in coracle/ */
  enum serve_storage storage; /* MEMORY: the directory is only locked */
  const char *secret_file;    /* NULL: where XDG has configuration, in coracle/, made if there is none */
  uint64_t heartbeat_ms;
  uint64_t election_timeout_ms;
  uint64_t document_bytes_max;
  uint64_t data_bytes_max; /* of all documents; 0: three quarters of the memory there is */
  uint64_t compact_bytes;  /* of the log since the last snapshot, at least, when the next is taken */
  uint64_t connections_max;
  enum api_follower_writes follower_writes;
  const char *cors_origins; /* api_origins_fault() has nothing against them; NULL: none */
  enum node_log_level log_level; /* lines above it are not printed */
};

/* Serves until SIGTERM or SIGINT. Returns the exit status: 0 after a signal, 2 when the secret file is
 * refused, 1 when it could not start or go on (one line on stderr says why). */
int serve(const struct serve_options *);

#endif
