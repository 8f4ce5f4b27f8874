/* One seed of the simulator: a cluster of whole nodes in the world of world.h, clients that write to it and
 * read from it, and faults, all drawn from the seed. First everything that may go wrong goes wrong, and
 * nothing that must always be true may be untrue (world_check.c and what it calls). Then all is healed, and
 * the nodes must become one cluster again that takes writes, and what the clients saw must be linearizable.
 *
 *   plan.c       what is drawn once: the size of the cluster, which faults there are and how often
 *   faults.c     the faults
 *   workload.c   the clients, and the history of what they saw; what they ask (workload_ask.c), and what they
 *                are answered (workload_answer.c)
 *   run.c        the two phases
 *   coracle_sim.c   the program */
#ifndef CORACLE_SIM_SIM_H
#define CORACLE_SIM_SIM_H

#include "linearize.h"
#include "world_core.h"

enum {
  SIM_MS = 60000,     /* the first phase ends after so long in the world, ... */
  SIM_EVENTS = 20000, /* ... or so many events */
  CLIENTS_MAX = 6,
  KEYS_MAX = 8,
  TRANSACTION_MAX = 3, /* documents in one */
  PARTS_MAX = KEYS_MAX,
};

enum fault {
  FAULT_KILL,
  FAULT_POWER,
  FAULT_TERMINATE,
  FAULT_PAUSE,
  FAULT_HANG,
  FAULT_PARTITION,
  FAULT_CUT,
  FAULT_STORM,
  FAULT_WIPE,
  FAULT_FOREIGN,
  FAULT_WEATHER,
  FAULT_TRANSFER,
  FAULT_REMOVE,
  FAULT_FULL,
  FAULT_IO,
  FAULT_DAMAGE,
  FAULT_AGAIN,
  FAULTS_N,
};

struct plan {
  uint64_t seed;
  int nodes;
  bool durable, peers;
  unsigned expect; /* 0: as many as there are */
  enum api_follower_writes follower_writes;
  unsigned disk_us;
  unsigned loss_percent, double_percent, late_percent, late_ms, delay_us; /* at most; the weather changes */
  int drift_ppm[WORLD_NODES_MAX];
  unsigned every_ms[FAULTS_N]; /* on average; 0: never */
  int clients, keys;
  unsigned keyed_percent; /* of the writes: they have an idempotency key */
  unsigned transactions_percent, patches_percent, drops_percent;
  unsigned operations_per_turn;            /* that a node applies; 0: as by default, which is all of them */
  unsigned think_ms;                       /* between two requests of a client, on average */
  unsigned compact_bytes, chunk_bytes_max; /* of logs and images; 0: as by default, which is never here */
  unsigned segment_bytes;                  /* of logs on disks */
};

void plan_draw(struct plan *, uint64_t seed);
const char *fault_text(enum fault);
void plan_print(const struct plan *, struct bytes *out);

/* Of a request: what it does to one document. */
struct asked_part {
  int document;  /* its number */
  char name[32]; /* as in the history */
  struct client_operation operation;
  size_t recorded; /* in the history */
};

struct worker {
  struct client client;
  bool open, asking;
  struct asked_part parts[PARTS_MAX];
  size_t parts_n;
  bool is_transaction, is_drop, has_key;
  bool in_doubt; /* it was sent, and may have had an effect: to be sent again, with its key */
  bool again;    /* it is to be sent again */
  const char *method;
  char target[64];
  struct bytes headers, body;
  uint64_t asked_ms, patience_ms, next_ms;
};

/* Of requests. */
enum count {
  COUNT_REQUESTS,
  COUNT_ANSWERED, /* with what came of it */
  COUNT_KEYS,     /* idempotency keys: one each write that has one */
  COUNT_RESENT,   /* sent again with its key */
  COUNT_REPLAYED, /* answered as one that was sent again, and had been decided before */
  COUNT_TRANSACTIONS,
  COUNT_PATCHES,
  COUNT_DROPS,
  COUNTS_N,
};

struct sim {
  struct plan plan;
  struct random random; /* of the plan, the faults and the clients; the world has its own */
  struct world *world;
  struct client_history *history;
  struct worker workers[CLIENTS_MAX];
  uint64_t values;              /* written so far: each is another */
  uint64_t revisions[KEYS_MAX]; /* as last seen of each document, by anybody */
  uint64_t fault_ms[FAULTS_N];  /* when it is due */
  uint64_t heal_ms;             /* when the partition ends; 0: there is none */
  uint64_t restart_ms[WORLD_NODES_MAX], resume_ms[WORLD_NODES_MAX]; /* 0: not to be */
  uint64_t room_ms[WORLD_NODES_MAX]; /* when somebody makes room on its disk; 0: there is */
  unsigned storms_left[WORLD_NODES_MAX];
  bool written;       /* a write was acknowledged */
  bool ending;        /* nothing new is asked */
  unsigned away;      /* a bit for each node that does not come back: learners wait for its vote */
  int foreign;        /* the node with the data of another cluster; -1: none */
  int harmed;         /* the node whose disk is damaged, and which has not been started since; -1: none */
  int removed;        /* the node that was taken out of the cluster, and has its data yet; -1: none */
  uint64_t rejoin_ms; /* when its data is deleted, so that it can join as a new one */
  /* What happened, for the summary. */
  unsigned faults_n[FAULTS_N];
  uint64_t counts[COUNTS_N];
};

uint64_t sim_dice(struct sim *, uint64_t limit);
/* Around that, now and then much longer. */
uint64_t sim_wait_ms(struct sim *, uint64_t mean_ms);

/* faults.c */
void faults_begin(struct sim *);
void faults_due(struct sim *); /* does what is due */
uint64_t faults_next_ms(const struct sim *);
void faults_end(struct sim *); /* heals everything; some minority of disks may stay away */
/* The cluster that counts: the first that was established. False: there is none yet. */
bool sim_main(const struct sim *, uint8_t cluster[CLUSTER_ID_BYTES]);
/* It belongs to that, and knows that it does: it will not leave it any more. */
bool sim_in_main(const struct sim *, int node);

/* workload.c */
void workload_due(struct sim *);
uint64_t workload_next_ms(const struct sim *);
/* Some write with a key has no answer yet, and is sent again until it has one. */
bool workload_owes(const struct sim *);
/* Those that wait for an answer get theirs, or give up. */
void workload_end(struct sim *);
void workload_check(struct sim *);

/* run.c */
struct sim_result {
  uint64_t hash, events, ms;
  uint64_t counts[COUNTS_N];
  unsigned faults_n[FAULTS_N];
};
/* A failure is reported by world_failed(). */
void sim_run(uint64_t seed, struct sim_result *);
/* Of the seed that runs now, for the report. */
const struct plan *sim_current_plan(void);
struct world *sim_current_world(void); /* NULL: none is at work */

#endif
