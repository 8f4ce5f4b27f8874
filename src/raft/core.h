/* What the files of the consensus core share. Each file holds one thing the paper has a name for:
 *
 *   raft.c           the one step function: an event in, effects out
 *   election.c       roles, time-outs, pre-votes and votes (sections 3.4, 9.6)
 *   heartbeat.c      who is in contact with whom; a leader without a majority steps down (section 6.2)
 *   replication.c    AppendEntries, both sides, and the commit index (sections 3.5, 3.6)
 *   membership.c     configurations, learners, changes one at a time (chapter 4)
 *   log.c, entry.c, configuration.c   the data
 *
 * A function that handles an event changes the state and adds to raft->effects; everything that it may need
 * memory for was reserved by coracle_raft_step() beforehand, so that none of them can fail. */
#ifndef CORACLE_RAFT_CORE_H
#define CORACLE_RAFT_CORE_H

#include "base/random.h"
#include "coracle/raft.h"
#include "raft/log.h"

enum {
  APPENDS_PER_STEP_MAX = 4, /* frames to one peer in one step; its acknowledgement asks for more */
  MESSAGES_MAX = CORACLE_RAFT_MEMBERS_MAX * (2 + APPENDS_PER_STEP_MAX),
  OWN_ENTRIES_PER_STEP_MAX = 2, /* entries a step may append by itself: a no-op, a configuration */
  COMMIT_NOTICE_MS = 2,         /* how long a new commit index may wait for an append to carry it */
};

#define TERM_MAX (UINT64_MAX / 2) /* no cluster gets there by elections: a message beyond it is dropped */
#define NEVER UINT64_MAX          /* a time that does not come */

enum raft_vote { VOTE_UNKNOWN, VOTE_GRANTED, VOTE_REFUSED };

/* How the log gets to a peer (etcd's names). */
enum raft_replication {
  REPLICATION_PROBE,    /* looking for where the logs agree: one empty append at a time */
  REPLICATION_PIPELINE, /* known to agree: entries are sent ahead of their acknowledgements */
};

/* A member of the latest configuration; for this server itself too, so that quorums are counted over one
 * array. */
struct raft_peer {
  uint64_t id;
  bool voter;
  bool link;                   /* a stream to or from it is open */
  enum raft_vote vote;         /* in the current election */
  enum raft_replication state; /* leader only */
  bool probing;                /* PROBE: one is on its way */
  uint64_t match;              /* leader only: known to be in its log. 0 <= match < next */
  uint64_t next;               /* leader only: what to send next */
  uint64_t commit_sent;        /* leader only: the commit index it was last told over the stream */
  uint32_t appends_in_step;    /* leader only: sent to it in the current step, at most APPENDS_PER_STEP_MAX */
  uint64_t last_contact_ms;    /* when a valid message last came; 0: never */
};

struct raft_configuration_at {
  uint64_t index; /* of its entry; 0: none */
  struct coracle_raft_configuration value;
};

/* A persist sequence and the last index it made durable, unless that was truncated since. */
struct raft_persisting {
  uint64_t sequence;
  uint64_t last_index;
};

struct coracle_raft {
  struct coracle_raft_options options;
  struct random random;
  bool started;
  uint64_t now_ms; /* of the current event */

  /* Figure 3.1: what must survive a restart. */
  uint64_t term;
  uint64_t voted_for; /* in this term; 0: nobody */
  struct raft_log log;

  /* Figure 3.1: volatile. */
  enum coracle_raft_role role;
  uint64_t leader;          /* of this term; 0: unknown */
  uint64_t leader_heard_ms; /* follower: when the leader was last heard, NEVER: not since its stream ended */
  uint64_t lost_leader;     /* follower: whose stream ended last, at lost_ms; 0: none, or it has a new one */
  uint64_t lost_ms;
  uint64_t leader_commit; /* as last heard */
  uint64_t commit_index;

  /* Time. */
  uint64_t election_deadline_ms;  /* follower, candidate: when to campaign (again) */
  uint64_t heartbeat_deadline_ms; /* leader: the next heartbeat; candidate: asking again */
  uint64_t commit_notice_ms;      /* leader: when to tell idle followers the commit index */
  uint64_t round;                 /* of the current election or the newest heartbeat */

  /* The last pre-vote refused for no other reason than that the leader is heard; from == 0: none. Should that
   * leader's stream end a moment later, it is answered again: the asker saw it end first. */
  struct coracle_raft_message premature;
  uint64_t premature_ms;

  /* The leader's. */
  uint64_t leader_since_ms;
  uint64_t leader_first_round; /* replies to older rounds are stale */
  uint64_t term_start_index;   /* the first entry of its own term */
  uint64_t learner_added_ms;   /* when the newest learner came */
  uint64_t commit_sampled;     /* the commit index at commit_sampled_ms ... */
  uint64_t commit_sampled_ms;
  uint64_t commit_aged; /* ... and an election timeout or more before it */
  uint64_t blocked_by;  /* the voter out of contact that keeps a learner from promotion */

  /* Membership: in force is `latest`, as soon as it is in the log (section 4.1). */
  struct raft_configuration_at latest;
  struct raft_configuration_at committed;
  struct raft_peer peers[CORACLE_RAFT_MEMBERS_MAX]; /* of `latest`, in its order */
  size_t peers_n;

  /* Durability. */
  uint64_t sequence;           /* the last one given out */
  uint64_t persisted_sequence; /* the last one reported durable */
  uint64_t vote_sequence;      /* the one that carried the current term and vote */
  uint64_t entries_sequence;   /* the one that carried the newest entries */
  uint64_t sole_sequence;      /* leader: the one by which it ceased to be the sole voter; 0: none did */
  uint64_t persisted_index;    /* entries up to here are durable here */
  struct raft_persisting *persisting; /* not yet reported, oldest first */
  size_t persisting_n, persisting_capacity;

  /* The current step. */
  struct coracle_raft_effects effects;
  struct coracle_raft_message messages[MESSAGES_MAX];
  uint64_t appended_from;          /* first index appended in this step; 0: none */
  struct coracle_raft_entry *noop; /* at hand for becoming leader */

  struct coracle_raft_counters counters;
};

/* raft.c */
struct raft_peer *raft_peer_find(struct coracle_raft *, uint64_t id);
struct raft_peer *raft_self(struct coracle_raft *); /* NULL when not in the latest configuration */
bool raft_is_voter(struct coracle_raft *);
uint32_t raft_quorum(const struct coracle_raft *); /* of the latest configuration: a majority of its voters */
/* A message of this type to a peer, from here, in this term; to be completed in place. */
struct coracle_raft_message *raft_message(struct coracle_raft *, enum coracle_raft_message_type, uint64_t to);
/* The term or the vote changed: to be persisted with this step. Returns its sequence. */
uint64_t raft_persist_vote(struct coracle_raft *);
/* Appends an entry in this step (takes over one reference). */
void raft_persist_entry(struct coracle_raft *, struct coracle_raft_entry *);
void raft_persist_truncate(struct coracle_raft *, uint64_t from_index);
bool raft_elapsed(const struct coracle_raft *, uint64_t since_ms, uint64_t span_ms);

/* election.c */
bool raft_hears_leader(const struct coracle_raft *);
/* Adopts `term` if it is newer, and follows `leader` (0: not known yet). */
void raft_become_follower(struct coracle_raft *, uint64_t term, uint64_t leader);
void raft_become_leader(struct coracle_raft *);
void raft_reset_election_deadline(struct coracle_raft *);
void raft_campaign(struct coracle_raft *);
void raft_election_timeout(struct coracle_raft *);
void raft_election_persisted(struct coracle_raft *);
void raft_receive_vote_request(struct coracle_raft *, const struct coracle_raft_message *);
void raft_answer_premature(struct coracle_raft *);
void raft_receive_vote_reply(struct coracle_raft *, const struct coracle_raft_message *);

/* heartbeat.c */
void raft_broadcast_heartbeat(struct coracle_raft *);
void raft_leader_timeout(struct coracle_raft *);
/* The leader of this term was heard: follow it. False when that cannot be (dropped and counted). */
bool raft_hear_leader(struct coracle_raft *, const struct coracle_raft_message *);
/* A reply to the leader of this term: its sender. NULL when it is somebody else's affair: of a newer term,
 * which ends this leadership, or a stranger's, or late. */
struct raft_peer *raft_hear_reply(struct coracle_raft *, const struct coracle_raft_message *);
void raft_receive_heartbeat(struct coracle_raft *, const struct coracle_raft_message *);
void raft_receive_heartbeat_reply(struct coracle_raft *, const struct coracle_raft_message *);
bool raft_voter_in_contact(const struct coracle_raft *, const struct raft_peer *);

/* replication.c */
void raft_replicate(struct coracle_raft *, struct raft_peer *);
void raft_replicate_to_all(struct coracle_raft *);
void raft_advance_commit(struct coracle_raft *);
void raft_commit_to(struct coracle_raft *, uint64_t index);
void raft_link_changed(struct coracle_raft *, uint64_t peer, bool up);
bool raft_append_is_valid(const struct coracle_raft *, const struct coracle_raft_message *);
void raft_receive_append(struct coracle_raft *, const struct coracle_raft_message *);
void raft_receive_append_reply(struct coracle_raft *, const struct coracle_raft_message *);

/* configuration.c */
/* What a log entry can hold; to be asked of what the application gives. */
bool raft_configuration_is_valid(const struct coracle_raft_configuration *);

/* membership.c */
/* The entry was appended: if it holds a configuration, that is in force now. */
void raft_configuration_appended(struct coracle_raft *, const struct coracle_raft_entry *);
/* Entries were truncated or committed: find the latest and the committed configuration again. */
void raft_configuration_truncated(struct coracle_raft *);
void raft_configuration_commit_advanced(struct coracle_raft *);
CORACLE_RAFT_MUST_CHECK int raft_configuration_change(struct coracle_raft *,
                                                      const struct coracle_raft_configuration *);
void raft_promote_learners(struct coracle_raft *);
void raft_cancel_change_of(struct coracle_raft *, uint64_t peer);

#endif
