/* Datagrams, and who can reach whom. */
#include "base/memory.h"
#include "world_core.h"

#include <stdlib.h>

enum {
  LATENCY_US_MIN = 10,
  LATENCY_US_MAX = 150,
  LATE_MS_MAX = 100, /* unless the weather says otherwise */
};

/* ---- The weather ---- */

/* Beyond the host's own, most are a little late and few very much: a die, squared, of which the mean is a
 * third. */
uint64_t net_latency_us(struct world *w) {
  const uint64_t own_us = LATENCY_US_MIN + world_dice(w, LATENCY_US_MAX - LATENCY_US_MIN);
  if (w->weather.delay_us == 0) return own_us;
  const uint64_t drawn = world_dice(w, 1000);
  return own_us + w->weather.delay_us * drawn * drawn * 3 / 1000000;
}

bool net_is_blocked(const struct world *w, int from, int to, bool tcp) {
  if (from < 0 || to < 0) return false;
  return ((tcp ? w->blocked_tcp : w->blocked_udp)[from] >> to & 1) != 0;
}

void world_block(struct world *w, int from, int to, bool udp, bool tcp) {
  const uint16_t bit = (uint16_t)(1u << to);
  if (udp) w->blocked_udp[from] |= bit;
  if (tcp) w->blocked_tcp[from] |= bit;
}

void world_unblock_all(struct world *w) {
  memset(w->blocked_udp, 0, sizeof w->blocked_udp);
  memset(w->blocked_tcp, 0, sizeof w->blocked_tcp);
  stream_go_on(w);
}

void world_set_weather(struct world *w, struct world_weather weather) {
  w->weather = weather;
}

/* ---- Datagrams ---- */

static bool happens(struct world *w, unsigned percent) {
  return percent > 0 && world_dice(w, 100) < percent;
}

static void post(struct world *w, int from_node, const struct address *from, const struct address *to,
                 const void *data, size_t n) {
  struct letter *letter = memory_alloc(sizeof *letter + n);
  *letter = (struct letter){.from_node = from_node, .from = *from, .to = *to, .n = n};
  if (n > 0) memcpy(letter->data, data, n);
  uint64_t late_us = 0;
  if (happens(w, w->weather.late_percent))
    late_us = 1000 * world_dice(w, w->weather.late_ms > 0 ? w->weather.late_ms : LATE_MS_MAX);
  world_schedule(w, EVENT_DATAGRAM, net_latency_us(w) + late_us)->letter = letter;
}

void net_send(struct world *w, int from, const struct address *to, const void *data, size_t n) {
  letter_check(w, from, data, n);
  if (happens(w, w->weather.loss_percent)) return;
  const struct address *own = &w->processes[from].udp;
  post(w, from, own, to, data, n);
  if (happens(w, w->weather.double_percent)) post(w, from, own, to, data, n);
}

void world_send(struct world *w, struct address from, struct address to, const void *data, size_t n) {
  post(w, OWNER_TEST, &from, &to, data, n);
}

/* The process that receives on that address; -1: none. */
static int receiver_of(const struct world *w, const struct address *to) {
  const struct address election = world_election();
  if (address_equal(to, &election)) return w->holder >= 0 ? w->holder : -1;
  for (int i = 0; i < w->options.nodes; i++)
    if (w->processes[i].node != NULL && address_equal(to, &w->processes[i].udp)) return i;
  return -1;
}

static void tap_datagram(struct world *w, const struct letter *letter) {
  struct tap **tap;
  for (size_t i = 0; (tap = queue_at(&w->taps, i)) != NULL; i++) {
    if (!address_equal(&(*tap)->address, &letter->to)) continue;
    (*tap)->from = letter->from;
    (*tap)->last.n = 0;
    bytes_append(&(*tap)->last, letter->data, letter->n);
    (*tap)->received_n++;
  }
}

void net_datagram_arrives(struct world *w, struct letter *letter) {
  const int node = receiver_of(w, &letter->to);
  if (net_is_blocked(w, letter->from_node, node, false)) {
    free(letter);
    return;
  }
  if (node >= 0 && w->processes[node].inbox.n < INBOX_MAX) {
    letter_spell(w, node, letter);
    *(struct letter **)queue_push(&w->processes[node].inbox) = letter;
    process_poke(w, node);
    return;
  }
  tap_datagram(w, letter);
  free(letter);
}

struct tap *world_tap(struct world *w, struct address address) {
  struct tap *tap = memory_zalloc(sizeof *tap);
  tap->address = address;
  *(struct tap **)queue_push(&w->taps) = tap;
  return tap;
}

void net_free(struct world *w) {
  for (struct tap **tap; (tap = queue_at(&w->taps, 0)) != NULL; queue_pop(&w->taps)) {
    bytes_close(&(*tap)->last);
    free(*tap);
  }
  queue_close(&w->taps);
}
