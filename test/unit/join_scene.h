/* One struct join on a stage: the test says what it hears and what the consensus core knows, and reads what
 * it does as a script.
 *
 *     struct scene s;
 *     scene_open(&s);                         // node a, fresh; the election address is free
 *     scene_run(&s, 200);                     // ticks whenever join_wakeup_ms() says
 *     assert_script(&s, "0 bind: won\n"
 *                       "200 found\n" ...);
 *     scene_close(&s);
 *
 * A line of the script is the time since the start (or since scene_mark()) and what was done; log lines go
 * into a text of their own. What the node would do at once is done here too: a bind is answered as
 * `s.address` says, a founded or adopted cluster becomes the situation, and after both join_tick() is called
 * again.
 *
 * Nodes have letters: a is id 1 and the one on stage, b is id 2, ... Node b's UDP socket is 127.0.0.1:7002,
 * its HTTP port 8002, its token 32 times the byte 2. Clusters have letters too, x for one of 16 bytes 'x'.
 *
 * Across hosts (scene_peers_options) the UDP sockets are the election addresses, a's the lowest. */
#ifndef CORACLE_TEST_JOIN_SCENE_H
#define CORACLE_TEST_JOIN_SCENE_H

#include "join/join.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { HEARTBEAT_MS = 50, ELECTION_TIMEOUT_MS = 500 };

enum scene_address { ADDRESS_FREE, ADDRESS_TAKEN };

struct scene {
  struct join *join;
  struct join_situation situation;
  struct coracle_raft_configuration configuration;
  enum scene_address address; /* how the kernel answers a bind */
  char self;                  /* who is on stage */
  bool durable;               /* the members' storage outlives them */
  const char *silent;         /* who says nothing, though its stream is open; NULL: nobody */
  bool holding;
  uint64_t now_ms, mark_ms;
  uint64_t counter; /* of datagrams heard */
  struct bytes script, log;
  struct coracle_raft_configuration changed; /* to which the last change led */
  struct join_message sent;                  /* the last one */
  struct address_list peers;                 /* its own list */
  uint64_t round;                            /* of its last probe */
};

void scene_open(struct scene *);
/* The same with other options than those. A cluster among them makes the node start as a member, of a
 * configuration that scene_configure() tells before the first tick. */
struct join_options scene_options(void);
/* Node `self` of those: "abc". */
struct join_options scene_peers_options(char self, const char *nodes);
void scene_open_with(struct scene *, const struct join_options *);
void scene_close(struct scene *);
/* The script begins anew, and its time at 0. The log too. */
void scene_mark(struct scene *);
void scene_tick(struct scene *);              /* something changed: the node ticks */
void scene_run(struct scene *, uint64_t ms);  /* time passes */
void scene_stop(struct scene *, uint64_t ms); /* ... without the process: it was stopped, and then ticks */
/* Compares what was done since the mark, and marks. */
void assert_script(struct scene *, const char *expected);
/* Text was logged since the mark. */
void assert_logged(const struct scene *, const char *text);
void assert_not_logged(const struct scene *, const char *text);

/* ---- What the consensus core knows ---- */

/* It belongs to cluster x: the join room is told as a fresh node is, by the leader's credentials. */
void scene_adopt(struct scene *, char cluster, char leader, uint64_t term);
/* The configuration, committed: voters and learners by letter ("abc", ""). All others are in contact, by
 * stream too. */
void scene_configure(struct scene *, const char *voters, const char *learners);
void scene_follow(struct scene *, char leader, uint64_t term);
void scene_lead(struct scene *, uint64_t term);
void scene_ask(struct scene *, uint64_t term); /* it asks for votes */
void scene_lose_leader(struct scene *);        /* follower, and hears none */
struct coracle_raft_peer_status *scene_peer(struct scene *, char node);
/* The stream to or from it ended, or opened. */
void scene_link(struct scene *, char node, bool open);

/* ---- What is heard ---- */

struct voice {
  int node;     /* letter, or one beyond */
  char cluster; /* letter; 0: none; '=': that of the node on stage */
  uint64_t term;
  bool established, leader, memory_storage;
  const char *name;   /* NULL: its letter */
  uint16_t http_port; /* 0: 8000 + id */
  bool announces;     /* CREDENTIALS without a token */
  bool was_member;
  const struct address_list *peers; /* PROBE, PROBED; NULL: the same as that of the node on stage */
  uint64_t round;                   /* the same; 0: that of its last probe. SAVED: 0: its start */
};
void scene_hear(struct scene *, enum join_message_type, struct voice);

uint64_t scene_id(int node);
struct address scene_udp(int node);
struct address scene_http(int node);

#endif
