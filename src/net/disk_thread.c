#include "net/disk_thread.h"

#include "base/memory.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
  RETRY_MS = 200, /* how often a full disk is tried again */
  /* Tidying may take a while, so it waits for a pause; but not for longer than this is written, half a
   * segment: the next segment should be there before it is needed. */
  UNTIDIED_BYTES_MAX = 8 * 1024 * 1024,
};

enum disk_work { WORK_WRITE, WORK_TIDY, WORK_END };

struct disk_thread {
  /* The loop's. */
  uv_async_t news;
  uv_thread_t thread;
  disk_news_cb *tell;
  void *argument;
  bool added; /* since the last hand-over */

  /* Shared: under the mutex. */
  uv_mutex_t mutex;
  uv_cond_t changed;      /* ready or ending */
  struct batch *gathered; /* the loop adds to it */
  bool ready;             /* and the thread may take it */
  bool ending;
  uint64_t persisted;
  bool image_refused; /* and not told yet */
  bool full;
  struct disk_fault why;
  bool ended;

  /* The thread's. */
  struct disk *disk;
  struct log log;
  struct batch *writing;
  size_t untidied_bytes; /* written since it last tidied */
  bool tidy_due;
};

/* ---- On the thread ---- */

/* Whatever could block is left out: the disk may hang now, or whoever reads the log. */
static _Noreturn void end_process(struct disk_thread *t, const struct disk_fault *fault) {
  log_printf(&t->log, NODE_LOG_ERROR,
             "ends: %s; what failed is never tried again, since the system may take for written what is not: "
             "look at "
             "the disk and the system's log, then start again",
             fault->text);
  _exit(1);
}

static void set_full(struct disk_thread *t, bool full, const struct disk_fault *why) {
  uv_mutex_lock(&t->mutex);
  const bool changed = t->full != full;
  t->full = full;
  if (full) t->why = *why;
  uv_mutex_unlock(&t->mutex);
  if (changed) uv_async_send(&t->news);
}

/* Full until another segment has room, not only what is under way. */
static void tidy(struct disk_thread *t) {
  struct disk_fault fault = {0};
  const int error = disk_tidy(t->disk, &fault);
  if (error != 0 && error != CORACLE_EFULL) end_process(t, &fault);
  set_full(t, error != 0, &fault);
  t->untidied_bytes = 0;
  t->tidy_due = false;
}

/* False when it is to end instead. */
static bool wait_for_room(struct disk_thread *t) {
  const uint64_t until_ns = uv_hrtime() + RETRY_MS * 1000000ull;
  uv_mutex_lock(&t->mutex);
  for (uint64_t now_ns; !t->ending && (now_ns = uv_hrtime()) < until_ns;)
    uv_cond_timedwait(&t->changed, &t->mutex, until_ns - now_ns);
  const bool goes_on = !t->ending;
  uv_mutex_unlock(&t->mutex);
  return goes_on;
}

/* True when all of it is durable. There may be no room for a long time: tidying finds some if it can be found
 * in the data directory itself. */
static bool write_batch(struct disk_thread *t) {
  struct disk_fault fault = {0};
  for (int error; (error = disk_write(t->disk, t->writing, &fault)) != 0;) {
    if (error != CORACLE_EFULL) end_process(t, &fault);
    set_full(t, true, &fault);
    t->tidy_due = true;
    if (!wait_for_room(t)) return false;
    error = disk_tidy(t->disk, &fault);
    if (error != 0 && error != CORACLE_EFULL) end_process(t, &fault);
  }
  return true;
}

static bool write_and_tell(struct disk_thread *t) {
  if (!write_batch(t)) return false;
  uv_mutex_lock(&t->mutex);
  t->persisted = batch_sequence(t->writing);
  if (disk_image_refused(t->disk)) t->image_refused = true;
  uv_mutex_unlock(&t->mutex);
  uv_async_send(&t->news);
  t->untidied_bytes += batch_bytes(t->writing);
  t->tidy_due = true;
  batch_clear(t->writing);
  return true;
}

/* Takes what was gathered; the loop goes on with the batch that was written. */
static void take(struct disk_thread *t) {
  struct batch *written = t->writing;
  t->writing = t->gathered;
  t->gathered = written;
  t->ready = false;
}

/* Tidying is for who goes on. */
static enum disk_work wait_for_work(struct disk_thread *t) {
  enum disk_work work = WORK_TIDY;
  uv_mutex_lock(&t->mutex);
  while (t->ending || t->untidied_bytes < UNTIDIED_BYTES_MAX) {
    if (t->ready || t->ending) {
      work = t->ready ? WORK_WRITE : WORK_END;
      break;
    }
    if (t->tidy_due) break;
    if (!t->full)
      uv_cond_wait(&t->changed, &t->mutex);
    else if (uv_cond_timedwait(&t->changed, &t->mutex, RETRY_MS * 1000000ull) == UV_ETIMEDOUT)
      break;
  }
  if (work == WORK_WRITE) take(t);
  uv_mutex_unlock(&t->mutex);
  return work;
}

static void run(void *argument) {
  struct disk_thread *t = argument;
  pthread_setname_np(pthread_self(), "coracle-disk");
  for (bool goes_on = true; goes_on;) {
    switch (wait_for_work(t)) {
    case WORK_WRITE:
      goes_on =
          write_and_tell(t); /* nothing after a batch that was given up: a crash loses a tail, and so do we */
      break;
    case WORK_TIDY:
      tidy(t);
      break;
    case WORK_END:
      goes_on = false;
      break;
    }
  }
  uv_mutex_lock(&t->mutex);
  t->ended = true;
  uv_mutex_unlock(&t->mutex);
  uv_async_send(&t->news);
}

/* ---- On the loop ---- */

static void on_news(uv_async_t *async) {
  struct disk_thread *t = async->data;
  struct disk_fault why;
  uv_mutex_lock(&t->mutex);
  why = t->why;
  const struct disk_news news = {.persisted = t->persisted,
                                 .image_refused = t->image_refused,
                                 .full = t->full,
                                 .why = why.text,
                                 .ended = t->ended};
  t->image_refused = false;
  uv_mutex_unlock(&t->mutex);
  t->tell(t->argument, &news);
}

/* Signals are for the loop's thread. */
static int create_thread(struct disk_thread *t) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = uv_thread_create(&t->thread, run, t);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

static void release(struct disk_thread *t) {
  batch_free(t->gathered);
  batch_free(t->writing);
  uv_cond_destroy(&t->changed);
  uv_mutex_destroy(&t->mutex);
  free(t);
}

static void on_closed(uv_handle_t *handle) {
  release(handle->data);
}

struct disk_thread *disk_thread_start(uv_loop_t *loop, struct disk *disk, const struct log *log,
                                      disk_news_cb *tell, void *argument) {
  struct disk_thread *t = memory_zalloc(sizeof *t);
  t->disk = disk;
  t->log = *log;
  t->tell = tell;
  t->argument = argument;
  t->gathered = batch_new();
  t->writing = batch_new();
  t->tidy_due = true;
  t->news.data = t;
  if (uv_mutex_init(&t->mutex) != 0 || uv_cond_init(&t->changed) != 0) abort(); /* out of memory */
  if (uv_async_init(loop, &t->news, on_news) != 0) {
    release(t);
    return NULL;
  }
  if (create_thread(t) == 0) return t;
  uv_close((uv_handle_t *)&t->news, on_closed);
  return NULL;
}

void disk_thread_add(struct disk_thread *t, const struct batch_item *item) {
  uv_mutex_lock(&t->mutex);
  batch_add(t->gathered, item);
  uv_mutex_unlock(&t->mutex);
  t->added = true;
}

void disk_thread_hand_over(struct disk_thread *t) {
  if (!t->added) return;
  t->added = false;
  uv_mutex_lock(&t->mutex);
  t->ready = !batch_is_empty(t->gathered); /* it may have been taken in the middle of the turn */
  uv_cond_signal(&t->changed);
  uv_mutex_unlock(&t->mutex);
}

void disk_thread_end(struct disk_thread *t) {
  disk_thread_hand_over(t);
  uv_mutex_lock(&t->mutex);
  t->ending = true;
  uv_cond_signal(&t->changed);
  uv_mutex_unlock(&t->mutex);
}

void disk_thread_close(struct disk_thread *t) {
  uv_thread_join(&t->thread);
  uv_close((uv_handle_t *)&t->news, on_closed);
}
