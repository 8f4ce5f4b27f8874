/* How three nodes that know one UDP address become one cluster: bind, listen, found, yield, join; and what
 * crashes, wipes and bad luck with datagrams do to that. README.md says what is modelled and what is not, and
 * run.sh which bounds are searched.
 *
 * Time goes in rounds of one heartbeat, in which every node that runs has its turn once. A datagram arrives
 * before anybody's next turn, unless it is one of those that are lost, late or doubled. Names are those of
 * src/join/.
 *
 *   -DDURABLE      nodes keep their data; a crashed one comes back with it, a wiped one without, under a
 *                  new id. Without it: memory storage, where to end is to be wiped, and CRASHES must be 0.
 *   -DCRASHES=n, -DWIPES=n   so many in all, at any time
 *   -DLOSSES=n     so many datagrams, whichever, do not arrive
 *   -DDELAYS=n     so many come late (in this round or the next), or come a second time then
 *   -DLATE_OFFERS  ... but only offers of a leader that is gone: that has been wiped since, or has yielded
 *   -DMUTANT_...   takes a rule out */

#define LISTEN 4 /* heartbeats that a fresh holder of the address listens */
#ifndef ET
#define ET 8 /* the election timeout, in heartbeats */
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef DELAYS
#define DELAYS 0
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef WIPES
#define WIPES 1
#endif
#if !defined(DURABLE) && CRASHES != 0
#error "with memory storage every crash is a wipe"
#endif
#define SLOTS 2              /* datagrams under way at a time */
#define CALM_ROUNDS (5 * ET) /* by then all is well when nothing more goes wrong */

/* What a log holds. */
#define EMPTY 0    /* adopted, and nothing received yet */
#define FOUNDED 1  /* the founder is the only member */
#define TAUGHT 2   /* the founder is the only voter; there are learners */
#define COMMAND 3  /* ... and a client's command */
#define PROMOTED 4 /* voters[cluster] are the voters: two or more */

/* Durable: a member that nobody leads may be the founder, who will lead again, or wait for it. */
#if defined(DURABLE) && !defined(MUTANT_WAITING_MEMBERS_GO_UNHEEDED)
#define heeds(x) (CLUSTER(x) != 0)
#else
#define heeds(x) (CLUSTER(x) != 0 && (IS_ESTABLISHED(x) || LEADS(x)))
#endif

/* Datagrams, of message.h what matters here. */
#define ACCEPT 0
#define NOT_YET 1
#define ANNOUNCE 2 /* a leader's CREDENTIALS without a token */
#define OFFER 3    /* a leader's CREDENTIALS with its token */
#define ANSWER 4   /* a follower's */

/* age: 2, from: 2, kind: 3, cluster: 2, established: 1, leads: 1, to: 2 (0: the election address) bits */
#define YOUNG 3   /* arrives before the next turn */
#define DELAYED 2 /* arrives in the next round */
#define LAST 1    /* arrives in this round */
#define NONE 0    /* an empty slot */
#define PACK(from, kind, to)                                                                                 \
  (YOUNG | (from) << 2 | (kind) << 4 | cluster[from] << 7 | is_established(from) << 9 | leads(from) << 10 |  \
   (to) << 11)
#define AGE(x) ((x) & 3)
#define FROM(x) ((x) >> 2 & 3)
#define KIND(x) ((x) >> 4 & 7)
#define CLUSTER(x) ((x) >> 7 & 3)
#define IS_ESTABLISHED(x) ((x) >> 9 & 1)
#define LEADS(x) ((x) >> 10 & 1)
#define TO(x) ((x) >> 11 & 3)

#define BIT(n) (1 << (n))
#define COUNT(bits) (((bits) >> 1 & 1) + ((bits) >> 2 & 1) + ((bits) >> 3 & 1))
#define PAIR(x, y) BIT((x) + (y))

/* Nodes and clusters are 1 to 3; 0 is none. Durable are `cluster`, `log` and `learners`. */
bit up[4];       /* its process runs */
byte cluster[4]; /* 0: fresh */
byte log[4];
byte leader[4];   /* whom it hears; itself: it leads */
byte lonely[4];   /* how long it has had no leader, as far as that matters to it */
byte foreign[4];  /* fresh: how long a cluster that it heard of keeps it from founding */
bit done[4];     /* has had its turn in this round */
byte tokens[4];   /* leader: whose credentials it has, bits */
byte teacher[4];  /* adopted: who offered */
byte learners[4]; /* in its log, as long as there is one voter, bits; durable too */
byte awake[4];    /* how long it has been up, to 3; of interest to the claims only */

byte holder;   /* of the election address */
byte listened; /* how long, if it is fresh */

/* Of clusters. */
byte founder[4];
byte voters[4];  /* of its PROMOTED configuration, bits */
byte yielded[4]; /* ids given up by yielding, bits */
byte wiped[4];   /* ids that went with their data, bits */
byte apart;      /* PAIRs of which one became established while the other was silent */

byte crashes = CRASHES;
byte wipes = WIPES;
byte losses = LOSSES;
byte delays = DELAYS;

short mail[SLOTS]; /* sorted, so that their order makes no difference; NONE at the end */

hidden byte i, k, m_, c_, n_, to_, rounds;
hidden byte yields;
hidden short moved, other, letter;

#define is_fresh(n) (cluster[n] == 0)
#define leads(n) (cluster[n] != 0 && leader[n] == (n))
#define is_established(n) (log[n] >= COMMAND)
#define gone(c) (yielded[c] | wiped[c])
#define has_vote(n, c) ((voters[c] & ~gone(c)) >> (n) & 1)
#define is_voter(n)                                                                                          \
  (log[n] == PROMOTED -> has_vote(n, cluster[n])                                                             \
                      : log[n] != EMPTY && founder[cluster[n]] == (n) && !(gone(cluster[n]) >> (n) & 1))

/* orphan.c: a learner of a founder that may come back waits for it, until it knows that the founder's data is
 * gone (its process says so, or another in its place, which holds the address), and that no other learner
 * knows more or is missing. */
#define is_orphan(n) (!is_established(n) && !is_voter(n) && leader[n] == 0)
#ifdef DURABLE
#define waits(n) (is_orphan(n) && log[n] == TAUGHT)
#else
#define waits(n) 0
#endif
#define founder_of(n) founder[cluster[n]]
#define is_wiped(m, c) (wiped[c] >> (m) & 1)
#define has_yielded(m, c) (yielded[c] >> (m) & 1)
#define knows_no_more(m, n)                                                                                  \
  (!(learners[n] >> (m) & 1) || (m) == (n) || gone(cluster[n]) >> (m) & 1 ||                                 \
   (up[m] && cluster[m] == cluster[n] && log[m] <= TAUGHT && leader[m] == 0))
#define nothing_is_left(n)                                                                                   \
  ((has_yielded(founder_of(n), cluster[n]) && up[founder_of(n)] ||                                           \
    is_wiped(founder_of(n), cluster[n]) && holder == founder_of(n)) &&                                       \
   knows_no_more(1, n) && knows_no_more(2, n) && knows_no_more(3, n))

/* Raft's vote, as one step: a majority that hears no leader and has no newer log. */
#define grants(m, n)                                                                                         \
  (up[m] && cluster[m] == cluster[n] && has_vote(m, cluster[n]) && leader[m] == 0 && log[m] <= log[n])
#define can_win(n)                                                                                           \
  (is_voter(n) && leader[n] == 0 &&                                                                          \
   (log[n] != PROMOTED || (grants(1, n) + grants(2, n) + grants(3, n)) * 2 > COUNT(voters[cluster[n]])))

#include "founding_claims.pml"

/* ---- Datagrams ---- */

#define has_room (mail[SLOTS - 1] == NONE)
#define is_due(slot) (mail[slot] != NONE && AGE(mail[slot]) != DELAYED)
#define is_young(slot) (mail[slot] != NONE && AGE(mail[slot]) == YOUNG)
#define some_mail_is(age) (AGE(mail[0]) == (age) || AGE(mail[1]) == (age))
#define mail_names(slot, c) (mail[slot] != NONE && CLUSTER(mail[slot]) == (c))

inline put(datagram) {
  moved = datagram;
  i = 0;
  do
  :: i == SLOTS -> break
  :: i < SLOTS && mail[i] == moved -> break
  :: i < SLOTS && mail[i] == NONE -> mail[i] = moved; break
  :: i < SLOTS && mail[i] != NONE && mail[i] < moved -> i++
  :: i < SLOTS && mail[i] > moved -> other = mail[i]; mail[i] = moved; moved = other; i++
  od
}

inline take_out(slot) {
  i = slot;
  do
  :: i == SLOTS - 1 -> mail[i] = NONE; break
  :: i < SLOTS - 1 -> mail[i] = mail[i + 1]; i++
  od
}

/* To a socket or an id that is no more; and its credentials, which are nobody's now. */
inline drop_mail_of(n) {
  k = 0;
  do
  :: k == SLOTS -> break
  :: k < SLOTS && mail[k] != NONE && (TO(mail[k]) == n || (FROM(mail[k]) == n && KIND(mail[k]) == ANSWER)) ->
     take_out(k)
  :: else -> k++
  od
}

/* ---- Changes ---- */

/* The end of its leader's stream is an event, so it has a turn for it. */
inline end_streams_of(n) {
  m_ = 1;
  do
  :: m_ == 4 -> break
  :: m_ < 4 ->
     if
     :: m_ != n && leader[m_] == n -> leader[m_] = 0; lonely[m_] = 0; done[m_] = 0
     :: else
     fi;
     m_++
  od
}

inline release_address(n) {
  if
  :: holder == n -> holder = 0; listened = 0
  :: else
  fi
}

inline reset(n) {
  leader[n] = 0; lonely[n] = 0; foreign[n] = 0; tokens[n] = 0; teacher[n] = 0;
  release_address(n)
}

inline yield(n) {
  check_nobody_counts_on(n, cluster[n]);
  yielded[cluster[n]] = yielded[cluster[n]] | BIT(n);
  end_streams_of(n);
  reset(n);
  cluster[n] = 0; log[n] = EMPTY; learners[n] = 0; done[n] = 0;
  drop_mail_of(n)
}

inline become_leader(n) {
  leader[n] = n; lonely[n] = 0; teacher[n] = 0; tokens[n] = 0
}

#define is_unused(c) (cluster[1] != (c) && cluster[2] != (c) && cluster[3] != (c) &&                         \
                      !mail_names(0, c) && !mail_names(1, c))
#define some_are_unused (is_unused(1) || is_unused(2) || is_unused(3))

/* Nothing is left of it: its number may be used again. */
inline tidy(c, pairs) {
  if
  :: is_unused(c) ->
     founder[c] = 0; voters[c] = 0; yielded[c] = 0; wiped[c] = 0;
     apart = apart & ~(pairs)
  :: else
  fi
}

inline tidy_all() {
  tidy(1, PAIR(1, 2) | PAIR(1, 3));
  tidy(2, PAIR(1, 2) | PAIR(2, 3));
  tidy(3, PAIR(1, 3) | PAIR(2, 3))
}

/* Cluster c_ becomes established. */
inline note_apart(m) {
  if
  :: is_established(m) && cluster[m] != c_ && is_silent(cluster[m]) -> apart = apart | PAIR(c_, cluster[m])
  :: else
  fi
}

inline establish(n) {
  c_ = cluster[n];
  note_apart(1); note_apart(2); note_apart(3)
}

inline found(n) {
  check_nobody_is_overlooked();
  c_ = (is_unused(1) -> 1 : (is_unused(2) -> 2 : 3));
  tidy_all();
  cluster[n] = c_; log[n] = FOUNDED; founder[c_] = n;
  listened = 0;
  become_leader(n)
}

/* ---- Turns: join_tick() ---- */

inline fresh_turn(n) {
  if
  :: holder == n && foreign[n] > 0 -> release_address(n)
  :: holder == n && foreign[n] == 0 ->
     if
     :: listened >= LISTEN && some_are_unused -> found(n)
     :: else
     fi
  :: holder == 0 && foreign[n] == 0 ->
     holder = n;
#ifdef MUTANT_FOUND_WITHOUT_LISTENING
     listened = LISTEN
#else
     listened = 0
#endif
  :: holder == 0 && foreign[n] > 0
  :: holder != 0 && holder != n -> put(PACK(n, ACCEPT, 0))
  fi
}

inline leader_turn(n) {
  if
  :: holder == 0 -> holder = n
  :: holder == n
  :: else ->
#ifndef MUTANT_LEADER_DOES_NOT_ANNOUNCE
     put(PACK(n, ANNOUNCE, 0))
#endif
     skip
  fi
}

inline member_turn(n) {
  if
  :: leader[n] != 0
#ifndef MUTANT_ORPHANS_STAY
  :: is_orphan(n) && !waits(n) && lonely[n] >= ET -> yield(n)
  :: waits(n) && nothing_is_left(n) -> yield(n)
#endif
  :: leader[n] == 0 && can_win(n) && holder == 0 -> holder = n; become_leader(n)
  :: leader[n] == 0 && can_win(n) && holder != 0 && lonely[n] >= ET -> become_leader(n); leader_turn(n)
  :: leader[n] == 0 && log[n] == EMPTY && lonely[n] < ET -> put(PACK(n, ANSWER, teacher[n]))
  :: else ->
#ifndef MUTANT_MEMBERS_ARE_SILENT
     put(PACK(n, ACCEPT, 0))
#endif
     skip
  fi
}

inline turn(n) {
  done[n] = 1;
  if
  :: is_fresh(n) -> fresh_turn(n)
  :: leads(n) -> leader_turn(n)
  :: else -> member_turn(n)
  fi
}

/* ---- What arrives: handshake_receive() ---- */

inline hear_card_while_fresh(n, x) {
  if
  :: heeds(x) ->
     foreign[n] = LISTEN;
#ifndef MUTANT_FOREIGN_CLUSTERS_GO_UNHEEDED
     release_address(n)
#else
     foreign[n] = 0
#endif
  :: else
  fi
}

/* A learner that is led leaves it to its leader; one that waits goes only where a majority is. */
#ifdef MUTANT_LED_LEARNERS_YIELD
#define is_led(n) 0
#else
#define is_led(n) (leader[n] != 0 && !leads(n))
#endif
#define stays(n, x) (is_led(n) || (waits(n) && !IS_ESTABLISHED(x)))

/* bind_hear_card() */
inline hear_card(n, x) {
  yields = 0;
  if
  :: is_fresh(n) -> hear_card_while_fresh(n, x)
  :: !is_fresh(n) && CLUSTER(x) == cluster[n] ->
     if
     :: is_orphan(n) && (LEADS(x) || IS_ESTABLISHED(x)) -> lonely[n] = 0
     :: else
     fi
  :: !is_fresh(n) && CLUSTER(x) != cluster[n] && CLUSTER(x) != 0 ->
#ifndef MUTANT_NOBODY_YIELDS
#ifndef MUTANT_ESTABLISHED_YIELDS
     yields = !is_established(n) && !stays(n, x) && (IS_ESTABLISHED(x) || (holder != n && LEADS(x)));
#else
     yields = IS_ESTABLISHED(x) || (holder != n && LEADS(x));
#endif
#endif
     if
     :: yields -> yield(n)
     :: else
     fi
  :: else
  fi
}

inline receive_offer(n, x) {
  if
  :: is_fresh(n) ->
     reset(n);
     cluster[n] = CLUSTER(x); teacher[n] = FROM(x);
     put(PACK(n, ANSWER, FROM(x)))
  :: !is_fresh(n) && CLUSTER(x) == cluster[n] && leader[n] == 0 && log[n] == EMPTY ->
     teacher[n] = FROM(x);
     put(PACK(n, ANSWER, FROM(x)))
  :: else
  fi
}

/* Only who was fresh, and is, hears a NOT_YET. */
inline receive(n, x) {
  yields = 0;
  if
  :: KIND(x) == NOT_YET && !is_fresh(n)
  :: else -> hear_card(n, x)
  fi;
  if
  :: yields || KIND(x) == NOT_YET
  :: !yields && KIND(x) == ACCEPT ->
     if
     :: leads(n) && (CLUSTER(x) == 0 || CLUSTER(x) == cluster[n]) -> put(PACK(n, OFFER, FROM(x)))
     :: leads(n) && CLUSTER(x) != 0 && CLUSTER(x) != cluster[n] -> put(PACK(n, ANNOUNCE, FROM(x)))
     :: !leads(n) && holder == n -> put(PACK(n, NOT_YET, FROM(x)))
     :: else
     fi
  :: !yields && KIND(x) == ANNOUNCE ->
     if
     :: is_fresh(n) || (CLUSTER(x) == cluster[n] && leader[n] == 0) -> put(PACK(n, ACCEPT, FROM(x)))
     :: leads(n) && CLUSTER(x) != cluster[n] && holder == n -> put(PACK(n, ANNOUNCE, FROM(x)))
     :: else
     fi
  :: !yields && KIND(x) == OFFER -> receive_offer(n, x)
  :: !yields && KIND(x) == ANSWER ->
     if
     :: leads(n) && CLUSTER(x) == cluster[n] -> tokens[n] = tokens[n] | BIT(FROM(x))
     :: else
     fi
  fi
}

inline deliver(slot, twice) {
  letter = mail[slot];
  to_ = (TO(letter) == 0 -> holder : TO(letter));
  take_out(slot);
  if
  :: twice -> put(letter - 1) /* DELAYED */
  :: else
  fi;
  if
  :: to_ != 0 && up[to_] && FROM(letter) != to_ -> receive(to_, letter)
  :: else
  fi
}

inline delay(slot) {
  letter = mail[slot];
  take_out(slot);
  put(letter - 1)
}

/* ---- Faults ---- */

inline stop(n) {
  end_streams_of(n);
  reset(n);
  up[n] = 0; awake[n] = 0; done[n] = 0;
  drop_mail_of(n)
}

inline note_wiped(n, c) {
  if
  :: !is_unused(c) -> wiped[c] = wiped[c] | BIT(n)
  :: else
  fi
}

inline wipe(n) {
  stop(n);
  note_wiped(n, 1); note_wiped(n, 2); note_wiped(n, 3);
  cluster[n] = 0; log[n] = EMPTY; learners[n] = 0
}

#include "founding_streams.pml"

/* ---- The end of a round ---- */

inline pass(n) {
  if
  :: up[n] && !is_fresh(n) && leader[n] == 0 && lonely[n] < ET && (is_voter(n) || is_orphan(n)) -> lonely[n]++
  :: else
  fi;
  if
  :: foreign[n] > 0 -> foreign[n]--
  :: else
  fi;
  if
  :: up[n] && awake[n] < 3 -> awake[n]++
  :: else
  fi;
  done[n] = 0
}

inline end_round() {
  k = 0;
  do
  :: k == SLOTS -> break
  :: k < SLOTS && mail[k] != NONE -> mail[k] = mail[k] - 1; k++ /* from DELAYED to LAST */
  :: k < SLOTS && mail[k] == NONE -> k++
  od;
  pass(1); pass(2); pass(3);
  tidy_all();
  if
  :: holder != 0 && is_fresh(holder) && listened < LISTEN -> listened++
  :: else
  fi
}

#define is_done(n) (!up[n] || done[n])
#define is_ready(n) (up[n] && !done[n] && ((n) == 1 || is_done(1)) && ((n) != 3 || is_done(2)))
#define round_is_over                                                                                        \
  (is_done(1) && is_done(2) && is_done(3) && !some_mail_is(YOUNG) && !some_mail_is(LAST) &&                  \
   !some_are_streaming)

#include "founding_calm.pml"

/* ---- All that may happen ---- */

#define NODE(n)                                                                                              \
  :: d_step { !up[n] -> up[n] = 1; awake[n] = (is_fresh(n) -> 3 : 0) }                                       \
  :: d_step { is_ready(n) && !some_mail_is(YOUNG) && has_room -> turn(n); skip }                             \
  :: d_step { up[n] && leads(n) && log[n] < COMMAND -> write(n); check_one_cluster() }                       \
  :: d_step { can_promote(n) -> promote(n); check_one_cluster() }                                            \
  :: d_step { up[n] && crashes > 0 -> crashes--; stop(n); skip }                                             \
  :: d_step { !is_fresh(n) && wipes > 0 -> wipes--; wipe(n); skip }

#ifdef LATE_OFFERS
#define is_offer_of_the_past(x) (KIND(x) == OFFER && CLUSTER(x) != cluster[FROM(x)])
#define may_be_late(slot) (is_young(slot) && delays > 0 && is_offer_of_the_past(mail[slot]))
#else
#define may_be_late(slot) (is_young(slot) && delays > 0)
#endif

#define MAIL(slot)                                                                                           \
  :: d_step { is_due(slot) -> deliver(slot, 0); skip }                                                       \
  :: d_step { is_young(slot) && losses > 0 -> losses--; take_out(slot); skip }                               \
  :: d_step { may_be_late(slot) -> delays--; delay(slot); skip }                                             \
  :: d_step { may_be_late(slot) && has_room -> delays--; deliver(slot, 1); skip }

#define STREAM(l, m)                                                                                         \
  :: d_step { can_link(l, m) -> link(l, m); check_one_cluster() }                                            \
  :: d_step { can_send(l, m) -> send(l, m); check_one_cluster() }

active proctype world() {
  do
  NODE(1) NODE(2) NODE(3)
  MAIL(0) MAIL(1)
  STREAM(1, 2) STREAM(1, 3) STREAM(2, 1) STREAM(2, 3) STREAM(3, 1) STREAM(3, 2)
  :: d_step { round_is_over -> end_round() }
  :: d_step { round_is_over -> calm_down(); skip }; break
  :: two_are_established -> break /* the documented exception: nothing more is claimed */
  od
}
