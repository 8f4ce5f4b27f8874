/* Goal: the disk thread makes everything durable in order, in as few writes as the disk is slow; it waits for
 * room on a full disk and says so; it ends in order, and a failed write ends the process. Method: the real
 * thread on a real loop, over a disk that is played here and does what the test says. */
#include "net/disk_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WRITES_MAX = 2048, WAIT_MS = 10000, CHUNK_BYTES = 1024 * 1024 };

/* ---- The disk ---- */

static struct {
  uv_mutex_t mutex;
  uv_cond_t changed;
  bool held;                    /* writes wait */
  unsigned let_through;         /* so many do not */
  unsigned entered;             /* calls of disk_write() */
  int write_error, tidy_error;  /* what these return, until set to 0 */
  bool refuses_image;           /* with the next write */
  uint64_t written[WRITES_MAX]; /* the sequence of each batch */
  unsigned written_n, tidied_n;
} played;

static int note_fault(struct disk_fault *fault, int error) {
  if (error != 0) snprintf(fault->text, sizeof fault->text, "cannot write log/1: a played fault");
  return error;
}

int disk_write(struct disk *disk, struct batch *batch, struct disk_fault *fault) {
  (void)disk;
  uv_mutex_lock(&played.mutex);
  played.entered++;
  uv_cond_broadcast(&played.changed);
  while (played.held && played.let_through == 0) uv_cond_wait(&played.changed, &played.mutex);
  if (played.held) played.let_through--;
  const int error = played.write_error;
  if (error == 0) {
    assert_true(played.written_n < WRITES_MAX);
    played.written[played.written_n++] = batch_sequence(batch);
  }
  uv_mutex_unlock(&played.mutex);
  return note_fault(fault, error);
}

int disk_tidy(struct disk *disk, struct disk_fault *fault) {
  (void)disk;
  uv_mutex_lock(&played.mutex);
  played.tidied_n++;
  const int error = played.tidy_error;
  uv_mutex_unlock(&played.mutex);
  return note_fault(fault, error);
}

bool disk_image_refused(struct disk *disk) {
  (void)disk;
  const bool refused = played.refuses_image;
  played.refuses_image = false;
  return refused;
}

static void play(bool held, int write_error, int tidy_error) {
  uv_mutex_lock(&played.mutex);
  played.held = held;
  played.write_error = write_error;
  played.tidy_error = tidy_error;
  uv_cond_broadcast(&played.changed);
  uv_mutex_unlock(&played.mutex);
}

static void wait_entered(unsigned calls) {
  uv_mutex_lock(&played.mutex);
  while (played.entered < calls) uv_cond_wait(&played.changed, &played.mutex);
  uv_mutex_unlock(&played.mutex);
}

static unsigned tidied(void) {
  uv_mutex_lock(&played.mutex);
  const unsigned n = played.tidied_n;
  uv_mutex_unlock(&played.mutex);
  return n;
}

/* ---- The loop ---- */

struct scene {
  uv_loop_t loop;
  struct disk_thread *thread;
  struct disk_news news; /* the newest */
  char why[1024];
  unsigned refused_n; /* how often an image was told to be refused */
  uint64_t sequence;  /* added last */
};

static void on_news(void *argument, const struct disk_news *news) {
  struct scene *scene = argument;
  assert_false(scene->news.ended);
  assert_true(news->persisted >= scene->news.persisted && news->persisted <= scene->sequence);
  scene->news = *news;
  snprintf(scene->why, sizeof scene->why, "%s", news->why);
  if (news->image_refused) scene->refused_n++;
}

static struct scene *begin(void) {
  struct scene *scene = calloc(1, sizeof *scene);
  struct log log = {.fd = STDERR_FILENO, .level = NODE_LOG_INFO, .name = "a"};
  memset(&played, 0, sizeof played);
  assert_int_equal(uv_mutex_init(&played.mutex), 0);
  assert_int_equal(uv_cond_init(&played.changed), 0);
  assert_int_equal(uv_loop_init(&scene->loop), 0);
  scene->thread = disk_thread_start(&scene->loop, NULL, &log, on_news, scene);
  assert_non_null(scene->thread);
  return scene;
}

static void add(struct scene *scene) {
  const struct coracle_raft_persist vote = {.vote_changed = true, .term = 1};
  const struct batch_item item = {.sequence = ++scene->sequence, .raft = &vote};
  disk_thread_add(scene->thread, &item);
}

static void add_turn(struct scene *scene, unsigned items) {
  for (unsigned i = 0; i < items; i++) add(scene);
  disk_thread_hand_over(scene->thread);
}

static void on_timeout(uv_timer_t *timer) {
  (void)timer;
  fail_msg("nothing happened for %d ms", WAIT_MS);
}

/* One turn of the loop with something to do. */
static void turn(struct scene *scene) {
  uv_timer_t timer;
  uv_timer_init(&scene->loop, &timer);
  uv_timer_start(&timer, on_timeout, WAIT_MS, 0);
  uv_run(&scene->loop, UV_RUN_ONCE);
  uv_close((uv_handle_t *)&timer, NULL);
  uv_run(&scene->loop, UV_RUN_NOWAIT);
}

static void wait_persisted(struct scene *scene, uint64_t sequence) {
  while (scene->news.persisted < sequence) turn(scene);
}

static void wait_full(struct scene *scene, bool full) {
  while (scene->news.full != full) turn(scene);
}

static void end(struct scene *scene) {
  disk_thread_end(scene->thread);
  while (!scene->news.ended) turn(scene);
  disk_thread_close(scene->thread);
  uv_run(&scene->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&scene->loop), 0);
  uv_cond_destroy(&played.changed);
  uv_mutex_destroy(&played.mutex);
  free(scene);
}

/* ---- Tests ---- */

static void test_what_comes_meanwhile_is_one_batch(void **state) {
  (void)state;
  struct scene *scene = begin();
  play(true, 0, 0);
  add_turn(scene, 2);
  wait_entered(1);
  for (int i = 0; i < 50; i++) add_turn(scene, 2);
  play(false, 0, 0);
  wait_persisted(scene, 102);
  assert_int_equal(played.written_n, 2);
  assert_int_equal(played.written[0], 2);
  assert_int_equal(played.written[1], 102);
  assert_false(scene->news.full);
  end(scene);
}

/* Nothing is written before the turn has given all it has. */
static void test_a_turn_is_not_split(void **state) {
  (void)state;
  struct scene *scene = begin();
  add(scene);
  usleep(50000);
  assert_int_equal(played.entered, 0);
  add(scene);
  disk_thread_hand_over(scene->thread);
  wait_persisted(scene, 2);
  assert_int_equal(played.written_n, 1);
  disk_thread_hand_over(scene->thread); /* of nothing */
  usleep(20000);
  assert_int_equal(played.written_n, 1);
  end(scene);
}

static void test_a_full_disk_is_tried_again(void **state) {
  (void)state;
  struct scene *scene = begin();
  play(false, CORACLE_EFULL, CORACLE_EFULL);
  add_turn(scene, 1);
  wait_full(scene, true);
  assert_string_equal(scene->why, "cannot write log/1: a played fault");
  add_turn(scene, 1); /* no reason to try sooner, nor to leave the first out */
  wait_entered(3);
  assert_int_equal(played.written_n, 0);

  /* Room for what was under way is not room for more. */
  play(false, 0, CORACLE_EFULL);
  wait_persisted(scene, 2);
  assert_int_equal(played.written[0], 1);
  assert_true(scene->news.full);
  const unsigned before = tidied();
  while (tidied() < before + 2) usleep(1000);
  assert_true(scene->news.full);
  play(false, 0, 0);
  wait_full(scene, false);
  end(scene);
}

static void test_a_refused_image_is_told_once(void **state) {
  (void)state;
  struct scene *scene = begin();
  play(true, 0, 0);
  add_turn(scene, 1);
  wait_entered(1);
  played.refuses_image = true;
  play(false, 0, 0);
  wait_persisted(scene, 1);
  assert_true(scene->news.image_refused);
  add_turn(scene, 1);
  wait_persisted(scene, 2);
  assert_int_equal(scene->refused_n, 1);
  end(scene);
}

static void add_chunk(struct scene *scene, const void *data) {
  const struct coracle_raft_snapshot snapshot = {.index = 1, .term = 1, .bytes = 100ull * CHUNK_BYTES};
  const struct coracle_raft_persist persist = {
      .chunk = {.snapshot = &snapshot, .data = data, .n = CHUNK_BYTES}};
  const struct batch_item item = {.sequence = ++scene->sequence, .raft = &persist};
  disk_thread_add(scene->thread, &item);
  disk_thread_hand_over(scene->thread);
}

static void let_one_through(void) {
  uv_mutex_lock(&played.mutex);
  played.let_through++;
  uv_cond_broadcast(&played.changed);
  uv_mutex_unlock(&played.mutex);
}

/* Under load it waits for a pause, but not for ever: 20 MiB without one are two times. */
static void test_tidying_waits_for_a_pause(void **state) {
  (void)state;
  struct scene *scene = begin();
  uint8_t *chunk = calloc(1, CHUNK_BYTES);
  while (tidied() == 0) usleep(1000); /* at the start */
  play(true, 0, 0);
  add_chunk(scene, chunk);
  for (unsigned i = 1; i < 20; i++) {
    wait_entered(i);
    add_chunk(scene, chunk);
    let_one_through();
    wait_persisted(scene, i);
  }
  wait_entered(20);
  assert_int_equal(tidied(), 3);
  play(false, 0, 0);
  wait_persisted(scene, 20);
  while (tidied() < 4) usleep(1000);
  usleep(20000);
  assert_int_equal(tidied(), 4);
  free(chunk);
  end(scene);
}

static void test_the_end_comes_after_everything(void **state) {
  (void)state;
  struct scene *scene = begin();
  play(true, 0, 0);
  add_turn(scene, 1);
  wait_entered(1);
  add_turn(scene, 1);
  add(scene); /* in the turn that ends it */
  disk_thread_end(scene->thread);
  play(false, 0, 0);
  while (!scene->news.ended) turn(scene);
  assert_int_equal(scene->news.persisted, 3);
  end(scene);
}

static void test_the_end_on_a_full_disk(void **state) {
  (void)state;
  struct scene *scene = begin();
  play(false, CORACLE_EFULL, CORACLE_EFULL);
  add_turn(scene, 1);
  wait_full(scene, true);
  add_turn(scene, 1);
  disk_thread_end(scene->thread);
  while (!scene->news.ended) turn(scene);
  assert_int_equal(scene->news.persisted, 0);
  assert_int_equal(played.written_n, 0); /* the second is not written without the first */
  end(scene);
}

/* In a child: returns what it wrote to stderr. */
static void expect_end_of_process(int write_error, int tidy_error) {
  int ends[2], status;
  char log[2048] = "";
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    dup2(ends[1], STDERR_FILENO);
    struct scene *scene = begin();
    play(false, write_error, tidy_error);
    add_turn(scene, 1);
    for (;;) turn(scene);
  }
  close(ends[1]);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 1);
  assert_true(read(ends[0], log, sizeof log - 1) > 0);
  assert_non_null(strstr(log, "Z ERROR a: ends: cannot write log/1: a played fault; "));
  assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1);
  close(ends[0]);
}

static void test_a_failed_write_ends_the_process(void **state) {
  (void)state;
  expect_end_of_process(CORACLE_EIO, 0);
}

static void test_a_failed_tidying_ends_the_process(void **state) {
  (void)state;
  expect_end_of_process(0, CORACLE_EIO);
  expect_end_of_process(CORACLE_EFULL, CORACLE_EIO);
}

/* Whatever the pace, every batch goes on where the one before ended. */
static void test_any_pace(void **state) {
  (void)state;
  struct scene *scene = begin();
  uint64_t random = 88172645463325252ull;
  for (int i = 0; i < 1000; i++) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    for (unsigned n = random % 4; n > 0; n--) add(scene);
    if (random >> 8 & 1) disk_thread_hand_over(scene->thread);
    if (random >> 9 & 1) uv_run(&scene->loop, UV_RUN_NOWAIT);
    if ((random >> 10 & 15) == 0) usleep(random >> 20 & 511);
  }
  disk_thread_hand_over(scene->thread);
  wait_persisted(scene, scene->sequence);
  for (unsigned i = 1; i < played.written_n; i++) assert_true(played.written[i] > played.written[i - 1]);
  assert_int_equal(played.written[played.written_n - 1], scene->sequence);
  end(scene);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_comes_meanwhile_is_one_batch),
      cmocka_unit_test(test_a_turn_is_not_split),
      cmocka_unit_test(test_a_full_disk_is_tried_again),
      cmocka_unit_test(test_a_refused_image_is_told_once),
      cmocka_unit_test(test_tidying_waits_for_a_pause),
      cmocka_unit_test(test_the_end_comes_after_everything),
      cmocka_unit_test(test_the_end_on_a_full_disk),
      cmocka_unit_test(test_a_failed_write_ends_the_process),
      cmocka_unit_test(test_a_failed_tidying_ends_the_process),
      cmocka_unit_test(test_any_pace),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
