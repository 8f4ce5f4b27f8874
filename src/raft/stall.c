/* A leader that is heard, and gets nothing done: its own disk hangs while its heartbeats go on, or the voters
 * answer them and acknowledge no entries. No election would come of that by itself, so it steps down, and
 * then leaves leading to others for a while. A disk that is merely slow moves on and is no reason. */
#include "raft/core.h"

enum { REST_TIMEOUTS = 10 }; /* election timeouts that a server rests after it stepped down over a stall */

/* Of images on their way to voters. */
static uint64_t image_bytes(const struct coracle_raft *raft) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < raft->peers_n; i++)
    if (raft->peers[i].voter) bytes += raft->peers[i].sending.acknowledged;
  return bytes;
}

/* What a majority has moves even when nothing can be committed yet, while voters catch up with what an
 * earlier leader left (section 3.6.2); and so does an image on its way, which nothing can come before. */
void raft_note_movement(struct coracle_raft *raft) {
  if (raft->role != CORACLE_RAFT_LEADER) return;
  const uint64_t match = raft_majority_match(raft), bytes = image_bytes(raft);
  const bool pending = raft->commit_index < raft_log_last_index(&raft->log);
  if (!pending || !raft->was_pending || match != raft->moved_match || bytes != raft->moved_image_bytes)
    raft->moved_ms = raft->now_ms;
  raft->was_pending = pending;
  raft->moved_match = match;
  raft->moved_image_bytes = bytes;
}

static bool disk_hangs(const struct coracle_raft *raft) {
  return raft->persisting_n > 0 && raft_elapsed(raft, raft->disk_moved_ms, raft->options.stall_timeout_ms);
}

static void rest(struct coracle_raft *raft, enum coracle_raft_step_down reason) {
  raft_step_down(raft, reason);
  raft->resting_until_ms = raft->now_ms + REST_TIMEOUTS * (uint64_t)raft->options.election_timeout_ms;
}

bool raft_is_resting(const struct coracle_raft *raft) {
  return raft->now_ms < raft->resting_until_ms;
}

bool raft_has_stalled(struct coracle_raft *raft) {
  if (disk_hangs(raft))
    rest(raft, CORACLE_RAFT_DISK_STALLED);
  else if (raft->was_pending && raft_elapsed(raft, raft->moved_ms, raft->options.stall_timeout_ms))
    rest(raft, CORACLE_RAFT_COMMIT_STALLED);
  return raft->role != CORACLE_RAFT_LEADER;
}
