#include "net/shell.h"

#include "net/durable.h"
#include "net/listener.h"
#include "net/stream.h"
#include "net/udp.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t shell_now_ms(void) {
  return uv_hrtime() / 1000000;
}

uint64_t shell_wall_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void shell_step(struct shell *shell, struct node_event event) {
  if (shell->exiting) return;
  event.now_ms = shell_now_ms();
  event.wall_ms = shell_wall_ms();
  node_step(shell->node, &event);
  shell->stepped = true;
}

void shell_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  struct shell *shell = handle->loop->data;
  (void)suggested;
  *buffer = uv_buf_init(shell->read_buffer, sizeof shell->read_buffer);
}

/* ---- Turns ---- */

static void arm_wake(struct shell *shell);

/* The loop's clock may be a coarse one, and then a timer a millisecond early: the node is told when it is
 * time. */
static void on_wake(uv_timer_t *timer) {
  struct shell *shell = timer->data;
  if (shell_now_ms() < shell->wake_ms)
    arm_wake(shell);
  else
    shell_step(shell, (struct node_event){.type = NODE_TICK});
}

static void arm_wake(struct shell *shell) {
  uint64_t now_ms = shell_now_ms();
  uv_update_time(&shell->loop); /* timers count from the loop's idea of now */
  uv_timer_start(&shell->wake, on_wake, shell->wake_ms > now_ms ? shell->wake_ms - now_ms : 0, 0);
}

static void carry_out(struct shell *shell, const struct node_effect *effect) {
  switch (effect->type) {
  case NODE_SEND:
    udp_send(shell, &effect->to, effect->data, effect->n);
    break;
  case NODE_BIND:
    udp_bind_election(shell);
    break;
  case NODE_RELEASE:
    udp_release_election(shell);
    break;
  case NODE_OPEN_HTTP:
    listener_accept(shell);
    break;
  case NODE_CONNECT:
    stream_connect(shell, effect->stream, &effect->to);
    break;
  case NODE_WRITE:
    stream_write(effect->stream, effect->data, effect->n);
    break;
  case NODE_PAUSE:
    stream_pause(effect->stream);
    break;
  case NODE_RESUME:
    stream_resume(effect->stream);
    break;
  case NODE_CLOSE:
    stream_close(effect->stream);
    break;
  case NODE_LOG:
    log_printf(&shell->log, effect->level, "%s", effect->text);
    break;
  case NODE_WAKE:
    shell->wake_ms = effect->at_ms;
    arm_wake(shell);
    break;
  case NODE_PERSIST:
    durable_persist(shell, effect->persist);
    break;
  case NODE_EXIT:
    shell->exiting = true;
    shell->exit_status = effect->status;
    listener_close(shell);
    break;
  }
}

static void carry_out_all(struct shell *shell) {
  struct node_effect effect;
  shell->stepped = false;
  while (!shell->exiting && node_next_effect(shell->node, shell_now_ms(), &effect)) carry_out(shell, &effect);
  if (shell->exiting)
    durable_end(shell);
  else
    durable_hand_over(shell);
}

/* Tells the node what carrying out its effects has caused. */
static void tell_consequences(struct shell *shell) {
  enum bind_report bind = shell->bind_report;
  shell->bind_report = BIND_NOTHING;
  if (bind != BIND_NOTHING)
    shell_step(shell, (struct node_event){.type = bind == BIND_BOUND ? NODE_BOUND : NODE_TAKEN});
  streams_tell_drained(shell);
}

static void on_again(uv_idle_t *idle) {
  (void)idle; /* that it runs is enough: the loop does not sleep, and turn() comes next */
}

/* A stream that is drained as fast as the node writes to it must not keep the others waiting, so after a
 * number of rounds the loop takes a look at its sockets before it goes on. */
static void turn(struct shell *shell) {
  for (int round = 0; round < ROUNDS_PER_TURN_MAX; round++) {
    if (shell->stepped && !shell->exiting) carry_out_all(shell);
    tell_consequences(shell);
    if (shell->exiting || !shell->stepped) {
      uv_idle_stop(&shell->again);
      return;
    }
  }
  uv_idle_start(&shell->again, on_again);
}

static void on_before_sleep(uv_prepare_t *prepare) {
  turn(prepare->data);
}

static void on_after_sleep(uv_check_t *check) {
  turn(check->data);
}

/* ---- Start and end ---- */

/* The first signal lets the node end in order; whoever sends a second one does not want to wait for that. */
static void on_signal(uv_signal_t *signal, int number) {
  struct shell *shell = signal->data;
  if (shell->stopping) _exit(128 + number);
  shell->stopping = true;
  listener_close(shell);
  shell_step(shell, (struct node_event){.type = NODE_STOP});
}

int shell_open(struct shell *shell, enum node_log_level level, const char *name) {
  int error = uv_loop_init(&shell->loop);
  if (error != 0) return error;
  /* The first signal handle opens a pipe; nothing else here can fail. */
  error = uv_signal_init(&shell->loop, &shell->sigterm);
  if (error != 0) {
    uv_loop_close(&shell->loop);
    return error;
  }
  uv_signal_init(&shell->loop, &shell->sigint);
  uv_prepare_init(&shell->loop, &shell->before_sleep);
  uv_check_init(&shell->loop, &shell->after_sleep);
  uv_idle_init(&shell->loop, &shell->again);
  uv_timer_init(&shell->loop, &shell->wake);
  uv_timer_init(&shell->loop, &shell->accept_again);
  uv_timer_init(&shell->loop, &shell->sweep);
  uv_timer_init(&shell->loop, &shell->disk_deadline);
  uv_udp_init(&shell->loop, &shell->udp);

  shell->loop.data = shell;
  shell->sigterm.data = shell->sigint.data = shell;
  shell->before_sleep.data = shell->after_sleep.data = shell;
  shell->wake.data = shell->accept_again.data = shell->sweep.data = shell->disk_deadline.data = shell;
  shell->listener = -1;
  list_init(&shell->streams);
  list_init(&shell->closing);
  list_init(&shell->drained);
  log_init(&shell->log, level, name);
  /* From here on a signal is noted, and told once the loop runs. */
  uv_signal_start(&shell->sigterm, on_signal, SIGTERM);
  uv_signal_start(&shell->sigint, on_signal, SIGINT);
  return 0;
}

int shell_run(struct shell *shell) {
  uv_prepare_start(&shell->before_sleep, on_before_sleep);
  uv_check_start(&shell->after_sleep, on_after_sleep);
  shell_step(shell, (struct node_event){.type = NODE_START});
  uv_run(&shell->loop, UV_RUN_DEFAULT);
  assert(shell->exiting);
  return shell->exit_status;
}

void shell_close(struct shell *shell) {
  uv_handle_t *const handles[] = {
      (uv_handle_t *)&shell->sigterm,      (uv_handle_t *)&shell->sigint,
      (uv_handle_t *)&shell->before_sleep, (uv_handle_t *)&shell->after_sleep,
      (uv_handle_t *)&shell->again,        (uv_handle_t *)&shell->wake,
      (uv_handle_t *)&shell->accept_again, (uv_handle_t *)&shell->sweep,
      (uv_handle_t *)&shell->udp,          (uv_handle_t *)&shell->disk_deadline,
  };
  shell->exiting = true;
  for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) uv_close(handles[i], NULL);
  udp_release_election(shell);
  listener_close(shell);
  streams_close(shell);
  durable_close(shell);
  uv_run(&shell->loop, UV_RUN_DEFAULT); /* for the close callbacks */
  int error = uv_loop_close(&shell->loop);
  assert(error == 0);
  (void)error;
  node_free(shell->node);
  log_close(&shell->log);
}
