#include "net/durable.h"

#include "net/disk_thread.h"

#include <assert.h>
#include <inttypes.h>
#include <unistd.h>

enum { END_MS = 5000 }; /* for the disk, when all else has ended */

static void tell_persisted(struct shell *shell, const struct disk_news *news) {
  if (news->persisted == shell->persisted) return;
  shell->persisted = news->persisted;
  shell_step(shell, (struct node_event){.type = NODE_PERSISTED,
                                        .sequence = news->persisted,
                                        .image_refused = news->image_refused});
}

static void tell_full(struct shell *shell, const struct disk_news *news) {
  if (news->full == shell->disk_full) return;
  shell->disk_full = news->full;
  if (news->full)
    log_printf(&shell->log, NODE_LOG_WARN, "the disk is full: %s", news->why);
  else
    log_printf(&shell->log, NODE_LOG_INFO, "the disk has room again");
  shell_step(shell, (struct node_event){.type = NODE_STORAGE, .full = news->full});
}

/* The node is told nothing after its end. What it asked for in vain was never acknowledged to anybody. */
static void on_ended(struct shell *shell, const struct disk_news *news) {
  if (news->persisted < shell->persist_asked)
    log_printf(&shell->log, NODE_LOG_WARN,
               "the disk is full: the newest writes, which nobody was told of, are not on it");
  uv_timer_stop(&shell->disk_deadline);
  uv_stop(&shell->loop);
}

static void on_news(void *argument, const struct disk_news *news) {
  struct shell *shell = argument;
  tell_persisted(shell, news);
  tell_full(shell, news);
  if (news->ended) on_ended(shell, news);
}

int durable_start(struct shell *shell, struct disk *disk) {
  shell->disk_thread = disk_thread_start(&shell->loop, disk, &shell->log, on_news, shell);
  return shell->disk_thread != NULL ? 0 : CORACLE_EIO;
}

void durable_persist(struct shell *shell, const struct node_persist *persist) {
  static_assert((int)DISK_CLUSTER_BYTES == (int)JOIN_CLUSTER_BYTES, "one kind of cluster id");
  struct batch_item item = {.sequence = persist->sequence,
                            .identity = persist->identity,
                            .id = persist->id,
                            .own_image = persist->own_image,
                            .raft = persist->raft};
  assert(shell->disk_thread != NULL);
  memcpy(item.cluster, persist->cluster, sizeof item.cluster);
  shell->persist_asked = persist->sequence;
  disk_thread_add(shell->disk_thread, &item);
}

void durable_hand_over(struct shell *shell) {
  if (shell->disk_thread != NULL) disk_thread_hand_over(shell->disk_thread);
}

/* The thread hangs in the system, and cannot be waited for. */
static void on_deadline(uv_timer_t *timer) {
  struct shell *shell = timer->data;
  log_printf(
      &shell->log, NODE_LOG_ERROR,
      "ends: the disk has not written for %d s what it was given: the newest writes, which nobody was told "
      "of, may be missing from it",
      END_MS / 1000);
  _exit(1);
}

void durable_end(struct shell *shell) {
  if (shell->disk_thread == NULL) {
    uv_stop(&shell->loop);
    return;
  }
  disk_thread_end(shell->disk_thread);
  uv_timer_start(&shell->disk_deadline, on_deadline, END_MS, 0);
}

void durable_close(struct shell *shell) {
  if (shell->disk_thread != NULL) disk_thread_close(shell->disk_thread);
  shell->disk_thread = NULL;
}
