/* What the files of the consensus core share. Each file holds one thing the paper has a name for:
 *
 *   raft.c           the one step function: an event in, effects out
 *   start.c          founding a cluster; restarting with what was durable (section 3.8)
 *   election.c       roles, time-outs, pre-votes and votes (sections 3.4, 9.6)
 *   heartbeat.c      who is in contact with whom; a leader without a majority steps down (section 6.2)
 *   fresh.c          how old its state may be
 *   read.c           reads without the log: ReadIndex (section 6.4)
 *   replication.c    AppendEntries, both sides, and the commit index (sections 3.5, 3.6)
 *   snapshot.c       compaction; sending and installing snapshots (chapter 5)
 *   stall.c          a leader that gets nothing done steps down, and rests
 *   transfer.c       handing leadership over (sections 3.10, 4.2.2)
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
  /* Two heartbeats or requests for votes, an answer, an answer to a read, and appends. */
  MESSAGES_MAX = CORACLE_RAFT_MEMBERS_MAX * (4 + APPENDS_PER_STEP_MAX),
  READS_MAX = 1024,             /* waiting, of this server itself: beyond them EBUSY */
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
  REPLICATION_SNAPSHOT, /* entries that it needs are gone: it gets a snapshot first */
};

/* Shared by the server, for which it is the newest, and by the peers that it is being sent to. */
struct raft_snapshot {
  uint32_t references;
  struct raft_snapshot *next_retired;
  struct coracle_raft_snapshot value;
};

/* Leader only: a snapshot on its way to a peer. */
struct raft_sending {
  struct raft_snapshot *snapshot; /* NULL: none. It outlasts a stream, so that the next one goes on with it */
  uint64_t round;                 /* of the last offer */
  bool under_way;                 /* it was offered over the stream that is open */
  bool offered;                   /* the peer has not said how much of it there is */
  bool requested;                 /* the application was asked for the bytes at `sent` */
  uint64_t sent, acknowledged;    /* bytes of it. acknowledged <= sent */
  uint64_t gone_index;            /* the application has lost the one of this index; 0: none */
};

/* Follower only: the image that is coming in. */
struct raft_receiving {
  struct raft_snapshot *snapshot; /* NULL: none */
  uint64_t bytes;                 /* of it that came */
  uint64_t sequence;              /* with which they are durable */
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
  struct raft_sending sending;
  uint64_t round_answered;  /* leader only: the newest round of heartbeats that it answered */
  uint64_t last_contact_ms; /* when a valid message last came; 0: never */
};

/* A read that waits to be confirmed. */
struct raft_read {
  uint64_t from;   /* leader: the follower that asks, 0: this server itself */
  uint64_t number; /* the caller's, or the follower's for its request */
  uint64_t
      round; /* leader: of the heartbeats that confirm it; follower: its request. 0: waits for the next */
  uint64_t index; /* leader: what was committed when that round began */
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
  struct raft_snapshot *snapshot; /* the newest; NULL: none. The log reaches back to it or further */

  /* Figure 3.1: volatile. */
  enum coracle_raft_role role;
  uint64_t leader;          /* of this term; 0: unknown */
  uint64_t leader_heard_ms; /* follower: when the leader was last heard, NEVER: not since its stream ended */
  uint64_t leader_link;     /* follower: whose stream is open here, the newest; 0: none */
  uint64_t lost_leader;     /* follower: whose stream ended last, at lost_ms; 0: none, or it has a new one */
  uint64_t lost_ms;
  uint64_t leader_commit; /* as last heard */
  uint64_t commit_index;
  uint64_t fresh_ms;  /* as of then this server had everything that was committed; 0: never */
  uint64_t behind_ms; /* follower: when it last had not, and heard of behind_commit; NEVER: it has since */
  uint64_t behind_commit;

  /* Time. */
  uint64_t election_deadline_ms;  /* follower, candidate: when to campaign (again) */
  uint64_t heartbeat_deadline_ms; /* leader: the next heartbeat; candidate: asking again */
  uint64_t commit_notice_ms;      /* leader: when to tell idle followers the commit index */
  uint64_t transfer_deadline_ms;  /* leader: when to give a transfer up */
  uint64_t resting_until_ms;      /* it does not campaign before that */
  uint64_t read_deadline_ms;      /* leader: when to repeat a round that confirms reads */
  uint64_t round;                 /* of the current election or the newest heartbeat */

  bool transferring;                        /* candidate: the leader asked it to campaign */
  enum coracle_raft_step_down stepped_down; /* why it last ceased to lead */

  /* The last pre-vote refused for no other reason than that the leader is heard; from == 0: none. Should that
   * leader's stream end a moment later, it is answered again: the asker saw it end first. */
  struct coracle_raft_message premature;
  uint64_t premature_ms;

  /* Reads whose outcome is not known, in the order they came; those with a round before those without. Beyond
   * this server's own, each peer may have one. */
  struct raft_read reads[READS_MAX + CORACLE_RAFT_MEMBERS_MAX];
  size_t reads_n;
  uint64_t read_round;   /* leader: the newest round that reads wait for; 0: none is under way for any */
  uint64_t read_request; /* follower: number of the newest request */

  struct raft_receiving receiving;

  /* The leader's. */
  uint64_t offer_round; /* of the last snapshot offered to any peer */
  uint64_t leader_since_ms;
  uint64_t leader_first_round; /* replies to older rounds are stale */
  uint64_t term_start_index;   /* the first entry of its own term */
  uint64_t learner_added_ms;   /* when the newest learner came */
  uint64_t transfer_to;        /* who is to lead next; 0: nobody in particular */
  bool transfer_told;          /* and was told to campaign */
  uint64_t moved_match;        /* what a majority had at moved_ms, when that last changed ... */
  uint64_t moved_image_bytes;  /* ... or what voters had of images ... */
  uint64_t moved_ms;           /* ... or there were no entries pending: stall.c */
  bool was_pending;            /* entries were pending after the last step */
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
  uint64_t disk_moved_ms;      /* when the disk was last done with something, or was given something to do */
  uint64_t persisted_index;    /* entries up to here are durable here */
  struct raft_persisting *persisting; /* not yet reported, oldest first */
  size_t persisting_n, persisting_capacity;

  /* The current step. */
  struct coracle_raft_effects effects;
  struct coracle_raft_message messages[MESSAGES_MAX];
  struct coracle_raft_read outcomes[READS_MAX];
  struct coracle_raft_chunk_request chunk_requests[CORACLE_RAFT_MEMBERS_MAX];
  uint64_t appended_from;                  /* first index appended in this step; 0: none */
  struct coracle_raft_entry *noop;         /* at hand for becoming leader */
  struct raft_snapshot *spare_snapshot;    /* at hand for one that is taken or comes in; NULL: not needed */
  struct raft_snapshot *retired_snapshots; /* to be released in the next step */

  struct coracle_raft_counters counters;
};

/* raft.c */
struct raft_peer *raft_peer_find(struct coracle_raft *, uint64_t id);
struct raft_peer *raft_self(struct coracle_raft *); /* NULL when not in the latest configuration */
bool raft_is_voter(const struct coracle_raft *);
uint32_t raft_quorum(const struct coracle_raft *); /* of the latest configuration: a majority of its voters */
/* A message of this type to a peer, from here, in this term; to be completed in place. */
struct coracle_raft_message *raft_message(struct coracle_raft *, enum coracle_raft_message_type, uint64_t to);
/* The term or the vote changed: to be persisted with this step. Returns its sequence. */
uint64_t raft_persist_vote(struct coracle_raft *);
/* Appends an entry in this step (takes over one reference). */
void raft_persist_entry(struct coracle_raft *, struct coracle_raft_entry *);
void raft_persist_truncate(struct coracle_raft *, uint64_t from_index);
/* A chunk of that snapshot, which came with the message. Returns its sequence. */
uint64_t raft_persist_chunk(struct coracle_raft *, const struct coracle_raft_snapshot *,
                            const struct coracle_raft_message *);
/* That chunk was the last one; to be called before the log changes. */
void raft_persist_installation(struct coracle_raft *, uint64_t index, bool keep_log);
/* Of n values, one for each voter: the highest that a majority of the voters has reached. Sorts them. */
uint64_t raft_majority_has(const struct coracle_raft *, uint64_t *values, size_t n);
bool raft_elapsed(const struct coracle_raft *, uint64_t since_ms, uint64_t span_ms);

/* start.c */
CORACLE_RAFT_MUST_CHECK int raft_start(struct coracle_raft *,
                                       const struct coracle_raft_configuration *founding,
                                       const struct coracle_raft_restored *);

/* entry.c */
/* What a log may hold: of a known type and, if it is a configuration, one that can be read. */
bool raft_entry_is_valid(const struct coracle_raft_entry *);

/* election.c */
bool raft_hears_leader(const struct coracle_raft *);
/* Adopts `term` if it is newer, and follows `leader` (0: not known yet). */
void raft_become_follower(struct coracle_raft *, uint64_t term, uint64_t leader);
/* A leader gives up its leadership, within its term. */
void raft_step_down(struct coracle_raft *, enum coracle_raft_step_down reason);
void raft_become_leader(struct coracle_raft *);
void raft_reset_election_deadline(struct coracle_raft *);
void raft_campaign(struct coracle_raft *);
/* The same without a pre-vote: the leader wants it so (section 3.10). */
void raft_campaign_for_transfer(struct coracle_raft *);
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

/* read.c */
CORACLE_RAFT_MUST_CHECK int raft_read(struct coracle_raft *, uint64_t number);
void raft_receive_read_request(struct coracle_raft *, const struct coracle_raft_message *);
void raft_receive_read_reply(struct coracle_raft *, const struct coracle_raft_message *);
/* A round of heartbeats begins (section 6.4, step 3): it confirms all reads that wait for one. */
void raft_reads_join_round(struct coracle_raft *);
/* Leader, at the end of every step: answers what is confirmed, begins a round for those that wait. */
void raft_advance_reads(struct coracle_raft *);
/* Leadership, or the leader, is lost. */
void raft_fail_reads(struct coracle_raft *);

/* fresh.c */
/* A heartbeat of this term's leader came, which had committed so much. */
void raft_note_leader_commit(struct coracle_raft *, uint64_t leader_commit);
uint64_t raft_fresh_ms(const struct coracle_raft *, uint64_t now_ms);

/* stall.c */
bool raft_is_resting(const struct coracle_raft *);
/* Leader, at the end of every step: whether anything moves. */
void raft_note_movement(struct coracle_raft *);
/* Leader, now and then: true if nothing did for too long, and it leads no longer. */
bool raft_has_stalled(struct coracle_raft *);

/* transfer.c */
CORACLE_RAFT_MUST_CHECK int raft_transfer(struct coracle_raft *, uint64_t target);
void raft_give_up_transfer(struct coracle_raft *);
/* Leader, at the end of every step: goes on with a transfer (section 3.10); steps down once its own removal
 * is committed (section 4.2.2). */
void raft_advance_transfer(struct coracle_raft *);
void raft_receive_timeout_now(struct coracle_raft *, const struct coracle_raft_message *);

/* replication.c */
void raft_replicate(struct coracle_raft *, struct raft_peer *);
void raft_replicate_to_all(struct coracle_raft *);
/* The highest index that a majority of voters has durably (Figure 3.1, last rule for leaders). */
uint64_t raft_majority_match(const struct coracle_raft *);
void raft_advance_commit(struct coracle_raft *);
void raft_commit_to(struct coracle_raft *, uint64_t index);
void raft_link_changed(struct coracle_raft *, uint64_t peer, bool up);
bool raft_append_is_valid(const struct coracle_raft *, const struct coracle_raft_message *);
void raft_receive_append(struct coracle_raft *, const struct coracle_raft_message *);
void raft_receive_append_reply(struct coracle_raft *, const struct coracle_raft_message *);

/* snapshot.c */
/* The memory that the event may need for the description of a snapshot. ENOMEM. */
CORACLE_RAFT_MUST_CHECK int raft_snapshot_reserve(struct coracle_raft *, const struct coracle_raft_event *);
/* A step begins: nothing points to what was dropped in the last one any more. */
void raft_snapshots_sweep(struct coracle_raft *);
void raft_snapshots_close(struct coracle_raft *);
/* It is the newest from now on; with memory that was reserved. Copied. */
void raft_snapshot_replace(struct coracle_raft *, const struct coracle_raft_snapshot *);
CORACLE_RAFT_MUST_CHECK int raft_snapshot_taken(struct coracle_raft *, uint64_t index, uint64_t bytes,
                                                uint64_t tag);
/* The peer cannot go on with what is left of the log. */
bool raft_needs_snapshot(const struct coracle_raft *, const struct raft_peer *);
void raft_send_snapshot(struct coracle_raft *, struct raft_peer *);
/* Its stream has ended: the next one goes on with it. */
void raft_pause_sending(struct raft_peer *);
void raft_stop_sending(struct coracle_raft *, struct raft_peer *);
CORACLE_RAFT_MUST_CHECK int raft_snapshot_chunk(struct coracle_raft *, const struct coracle_raft_event *);
void raft_receive_snapshot(struct coracle_raft *, const struct coracle_raft_message *);
void raft_receive_snapshot_reply(struct coracle_raft *, const struct coracle_raft_message *);

/* configuration.c */
/* What a log entry can hold; to be asked of what the application gives. */
bool raft_configuration_is_valid(const struct coracle_raft_configuration *);

/* membership.c */
/* The entry was appended: if it holds a configuration, that is in force now. */
void raft_configuration_appended(struct coracle_raft *, const struct coracle_raft_entry *);
/* Entries were truncated or committed: find the latest and the committed configuration again. */
void raft_configuration_truncated(struct coracle_raft *);
/* The one that was in force at a committed index; index 0: none was, or it is not known. */
struct raft_configuration_at raft_configuration_in_force_at(const struct coracle_raft *, uint64_t index);
/* The snapshot took the place of the log up to its index: its configuration is the committed one. */
void raft_configuration_restored(struct coracle_raft *);
void raft_configuration_commit_advanced(struct coracle_raft *);
CORACLE_RAFT_MUST_CHECK int raft_configuration_change(struct coracle_raft *,
                                                      const struct coracle_raft_configuration *);
/* May campaign, as far as the configurations in its log go (section 4.2.2). */
bool raft_is_electable(const struct coracle_raft *);
void raft_promote_learners(struct coracle_raft *);
void raft_cancel_change_of(struct coracle_raft *, uint64_t peer);

#endif
