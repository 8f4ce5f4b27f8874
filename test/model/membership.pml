/* How members come and go over the log: gathering, promotion, one change at a time, taking a change back,
 * removal, replacement. Raft underneath is abstract: an election is one step, and so is sending an entry and
 * hearing that it is there. README.md says what is modelled and what is not. Names are those of src/raft/.
 *
 * Servers are 0 to 3, 0 has founded the cluster; 3 is the process that is started in the place of one that
 * ended, with a new id and no data. Whoever is no voter is a learner of every leader. Any leader may remove
 * any voter at any time, whatever its reason: that the core bears it is more than joining asks of it.
 *
 *   -DCRASHES=n, -DWIPES=n   so many in all, at any time: a crash leaves what is durable, a wipe nothing
 *   -DTERMS=n, -DENTRIES=n   elections and entries go so far, before all is calm
 *   -DMUTANT_...             takes a rule out */

#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef WIPES
#define WIPES 1
#endif
#ifndef TERMS
#define TERMS 3 /* elections happen up to this term */
#endif
#ifndef ENTRIES
#define ENTRIES 5 /* leaders append up to this index */
#endif
#define ROOM (ENTRIES + 5) /* ... and when all is calm, as far as it takes */
#define CALM_STEPS 100

/* An entry: term, and the voters if it is a configuration; 0: it is none. */
#define ENTRY(t, bits) ((t) << 4 | (bits))
#define TERM(entry) ((entry) >> 4)
#define VOTERS(entry) ((entry) & 15)
#define BIT(n) (1 << (n))
#define COUNT(bits) (((bits) & 1) + ((bits) >> 1 & 1) + ((bits) >> 2 & 1) + ((bits) >> 3 & 1))
#define NOBODY 4

bit up[4];
bit leads[4];
byte term[4];
byte log[4 * ROOM];      /* entry i of server n is log[AT(n, i)], i from 1 */
byte last[4];            /* index of the last entry */
byte durable[4];         /* leader: up to here a crash leaves it; of others all is */
byte commit[4];
byte latest[4];          /* index of the latest configuration */
byte match[16];          /* match[l * 4 + n]: leader l knows that n has it */
byte sole[4];            /* leader: index by which it ceased to be the sole voter; 0: it did not */
bit is_gone[4];          /* wiped: never comes back */

byte committed[ROOM];    /* of the history: what was committed, for the claims */
byte committed_n;
byte crashes = CRASHES;
byte wipes = WIPES;

hidden byte i, j, k, l_, n_, steps, newest;
hidden byte next_, base;

#define AT(n, i) ((n) * ROOM + (i) - 1)
#define MATCH(l, n) match[(l) * 4 + (n)]
#define last_term(n) (last[n] == 0 -> 0 : TERM(log[AT(n, last[n])]))
#define voters_of(n) (latest[n] == 0 -> 0 : VOTERS(log[AT(n, latest[n])]))
#define is_voter(n) (voters_of(n) >> (n) & 1)
#define up_bits (up[0] | up[1] << 1 | up[2] << 2 | up[3] << 3)

/* ---- The log ---- */

/* The configuration at or before `index`, into `base`: its index. */
inline find_configuration(n, index) {
  base = index;
  do
  :: base == 0 -> break
  :: base > 0 && VOTERS(log[AT(n, base)]) != 0 -> break
  :: else -> base--
  od
}

inline append(n, entry) {
  last[n]++;
  log[AT(n, last[n])] = entry;
  if
  :: VOTERS(entry) != 0 -> latest[n] = last[n]
  :: else
  fi
}

inline truncate(n, index) { /* keeps up to `index` */
  do
  :: last[n] == index -> break
  :: else -> log[AT(n, last[n])] = 0; last[n]--
  od;
  find_configuration(n, last[n]);
  latest[n] = base
}

/* How far the logs agree, into `j`. */
inline compare(l, n) {
  j = 0;
  do
  :: j < last[l] && j < last[n] && log[AT(l, j + 1)] == log[AT(n, j + 1)] -> j++
  :: else -> break
  od
}

inline forget_matches(n) {
  match[(n) * 4] = 0; match[(n) * 4 + 1] = 0; match[(n) * 4 + 2] = 0; match[(n) * 4 + 3] = 0
}

inline follow(n) {
  if
  :: leads[n] -> leads[n] = 0; sole[n] = 0; durable[n] = last[n]; forget_matches(n)
  :: else
  fi
}

/* ---- Replication ---- */

/* A learner gets what is committed. A sole voter that has taken others in is silent until that is durable. */
#ifdef MUTANT_LEARNERS_GET_ALL
#define last_to_send(l, n) last[l]
#else
#define last_to_send(l, n) (voters_of(l) >> (n) & 1 -> last[l] : commit[l])
#endif
#ifdef MUTANT_SOLE_BEFORE_DURABLE
#define may_send(l) 1
#else
#define may_send(l) (durable[l] >= sole[l])
#endif
#define can_send(l, n)                                                                                       \
  (up[l] && up[n] && leads[l] && term[n] <= term[l] && !(leads[n] && term[n] == term[l]) && may_send(l))

/* One entry, or none, and the commit index; and the answer. What was committed is never truncated. */
inline send(l, n) {
  if
  :: term[n] < term[l] -> term[n] = term[l]; follow(n)
  :: else
  fi;
  compare(l, n);
  if
  :: j < last_to_send(l, n) ->
     if
     :: last[n] > j -> assert(j >= commit[n]); truncate(n, j)
     :: else
     fi;
     append(n, log[AT(l, j + 1)]);
     j++
  :: else
  fi;
  durable[n] = last[n];
  if
  :: MATCH(l, n) < j -> MATCH(l, n) = j
  :: else
  fi;
  if
  :: commit[l] < j && commit[n] < commit[l] -> commit[n] = commit[l]
  :: commit[l] >= j && commit[n] < j -> commit[n] = j
  :: else
  fi
}

#define has(l, n, index) ((voters_of(l) >> (n) & 1) && (((n) == (l) -> durable[l] : MATCH(l, n)) >= (index)))
#define majority_has(l, index)                                                                               \
  ((has(l, 0, index) + has(l, 1, index) + has(l, 2, index) + has(l, 3, index)) * 2 > COUNT(voters_of(l)))
#ifdef MUTANT_COMMIT_OLD_TERMS
#define is_own(l, index) 1
#else
#define is_own(l, index) (TERM(log[AT(l, index)]) == term[l])
#endif
#define can_commit(l, index)                                                                                 \
  (up[l] && leads[l] && commit[l] < (index) && (index) <= last[l] && is_own(l, index) &&                     \
   majority_has(l, index))

/* Claim (b): what was committed stays so, whoever counts. */
inline advance_commit(l, index) {
  commit[l] = index;
  i = 0;
  do
  :: i == index -> break
  :: i < index && i < committed_n -> assert(log[AT(l, i + 1)] == committed[i]); i++
  :: i < index && i == committed_n -> committed[i] = log[AT(l, i + 1)]; committed_n++; i++
  od;
  if
  :: latest[l] <= index && !is_voter(l) -> follow(l) /* it has removed itself */
  :: else
  fi
}

/* ---- Elections ---- */

#define is_up_to_date(n, m)                                                                                  \
  (last_term(n) > last_term(m) || (last_term(n) == last_term(m) && last[n] >= last[m]))
#define grants(m, n) (up[m] && (m) != (n) && is_up_to_date(n, m))
#define max_term(t, m, bits) ((bits) >> (m) & 1 && term[m] > (t) -> term[m] : (t))
/* `bits` are those who vote for n: voters in its configuration, and a majority of them. */
#define may_vote(m, n, bits) (!((bits) >> (m) & 1) || (m) == (n) || grants(m, n))
/* A leader that has removed itself and ended before that was committed may be the only one that can win
 * (section 4.2.2). */
#ifdef MUTANT_REMOVED_LEADER_RESTS
#define is_candidate(n) is_voter(n)
#else
#define is_candidate(n) (is_voter(n) || latest[n] > commit[n])
#endif
#define can_win(n, bits)                                                                                     \
  (up[n] && !leads[n] && is_candidate(n) && ((bits) & ~voters_of(n)) == 0 &&                                 \
   COUNT(bits) * 2 > COUNT(voters_of(n)) && ((bits) >> (n) & 1 || !is_voter(n)) &&                           \
   may_vote(0, n, bits) && may_vote(1, n, bits) && may_vote(2, n, bits) && may_vote(3, n, bits))

inline vote(m, n, bits) {
  if
  :: bits >> m & 1 && m != n -> term[m] = next_; follow(m)
  :: else
  fi
}

/* Claim (b): every leader has all that was committed, and is alone in its term. */
inline elect(n, bits) {
  next_ = term[n];
  next_ = max_term(next_, 0, bits); next_ = max_term(next_, 1, bits);
  next_ = max_term(next_, 2, bits); next_ = max_term(next_, 3, bits);
  next_++;
  assert(!(leads[0] && term[0] == next_) && !(leads[1] && term[1] == next_) &&
         !(leads[2] && term[2] == next_) && !(leads[3] && term[3] == next_));
  vote(0, n, bits); vote(1, n, bits); vote(2, n, bits); vote(3, n, bits);
  term[n] = next_;
  leads[n] = 1;
  sole[n] = 0;
  assert(last[n] >= committed_n);
  i = 0;
  do
  :: i == committed_n -> break
  :: else -> assert(log[AT(n, i + 1)] == committed[i]); i++
  od;
  append(n, ENTRY(next_, 0))
}

/* ---- Changes ---- */

#ifdef MUTANT_CHANGE_BEFORE_OWN_TERM
#define has_committed_own(l) 1
#else
#define has_committed_own(l) (commit[l] > 0 && TERM(log[AT(l, commit[l])]) == term[l])
#endif
#ifdef MUTANT_CHANGE_BEFORE_COMMITTED
#define change_is_possible(l) (up[l] && leads[l] && has_committed_own(l))
#else
#define change_is_possible(l) (up[l] && leads[l] && latest[l] <= commit[l] && has_committed_own(l))
#endif

inline change(l, bits) {
  k = COUNT(voters_of(l));
  append(l, ENTRY(term[l], bits));
  if
  :: k == 1 && COUNT(bits) > 1 -> sole[l] = last[l]
  :: else
  fi
}

#define keeps_up(l, n)                                                                                       \
  (up[n] && (n) != (l) && !(voters_of(l) >> (n) & 1) && MATCH(l, n) >= latest[l] && MATCH(l, n) > 0)
#define keeping_up(l) (keeps_up(l, 0) | keeps_up(l, 1) << 1 | keeps_up(l, 2) << 2 | keeps_up(l, 3) << 3)
#define promotes_all(l) (COUNT(voters_of(l)) == 1)

/* What may be taken back: the latest configuration, of this term and not committed, if it has one voter more
 * than the committed one. `base` is that one's index. */
#define is_pending(l) (up[l] && leads[l] && latest[l] > commit[l])
#ifdef MUTANT_CANCEL_IN_ANOTHER_TERM
#define is_of_own_term(l) 1
#else
#define is_of_own_term(l) (TERM(log[AT(l, latest[l])]) == term[l])
#endif
#ifdef MUTANT_CANCEL_SEVERAL
#define is_one(bits) ((bits) != 0)
#else
#define is_one(bits) (COUNT(bits) == 1)
#endif
#define committed_voters(l) VOTERS(log[AT(l, base)])
#define added(l) (voters_of(l) & ~committed_voters(l))
#define can_cancel(l)                                                                                        \
  (is_of_own_term(l) && base > 0 && is_one(added(l)) && (committed_voters(l) & ~voters_of(l)) == 0)

/* Only one change of voters in the other direction at a time too: with a removal in between there is none to
 * take back. */
inline cancel(l) {
  find_configuration(l, commit[l]);
  if
  :: can_cancel(l) -> append(l, ENTRY(term[l], committed_voters(l)))
  :: else
  fi
}

/* ---- Faults ---- */

inline stop(n) {
  up[n] = 0;
  truncate(n, durable[n]);
  follow(n)
}

inline lose_all(n) {
  stop(n);
  truncate(n, 0);
  durable[n] = 0; commit[n] = 0; term[n] = 0;
#ifndef MUTANT_WIPED_KEEPS_ITS_ID
  is_gone[n] = 1
#endif
}

/* ---- When nothing more goes wrong ---- */

/* Claim (c): some leader gets all who run to be its voters, and nobody else; unless there is no majority of
 * the configuration that the most advanced log has. */
#define is_newer(n, m) (!up[m] || is_up_to_date(n, m))
#define is_newest(n) (up[n] && is_newer(n, 0) && is_newer(n, 1) && is_newer(n, 2) && is_newer(n, 3))
#define reached(bits) (COUNT((bits) & up_bits) * 2 > COUNT(bits))
#define is_well(l) (up[l] && leads[l] && voters_of(l) == up_bits && commit[l] == last[l])

/* Whom it still reaches must be a majority of what it would be left with. */
#define first_dead(l) (voters_of(l) & ~up_bits)
#define lowest(bits) ((bits) & 1 -> 0 : ((bits) & 2 -> 1 : ((bits) & 4 -> 2 : 3)))

inline calm_leader(l) {
  send_calmly(l, 0); send_calmly(l, 1); send_calmly(l, 2); send_calmly(l, 3);
  durable[l] = last[l];
  send_calmly(l, 0); send_calmly(l, 1); send_calmly(l, 2); send_calmly(l, 3);
  i = last[l];
  if
  :: can_commit(l, last[l]) -> advance_commit(l, last[l])
  :: else
  fi;
  if
  :: change_is_possible(l) && first_dead(l) != 0 &&
     reached(voters_of(l) & ~BIT(lowest(first_dead(l)))) ->
     change(l, voters_of(l) & ~BIT(lowest(first_dead(l))))
  :: change_is_possible(l) && first_dead(l) == 0 && keeping_up(l) != 0 ->
     if
     :: promotes_all(l) -> change(l, voters_of(l) | keeping_up(l))
     :: else -> change(l, voters_of(l) | BIT(lowest(keeping_up(l))))
     fi
  :: is_pending(l) && first_dead(l) != 0 -> cancel_calmly(l)
  :: else
  fi
}

inline cancel_calmly(l) {
  find_configuration(l, commit[l]);
  if
  :: can_cancel(l) && (added(l) & up_bits) == 0 && reached(committed_voters(l)) ->
     append(l, ENTRY(term[l], committed_voters(l)))
  :: else
  fi
}

inline send_calmly(l, n) {
  do
  :: n != l && can_send(l, n) ->
     send(l, n);
     if
     :: MATCH(l, n) >= last_to_send(l, n) -> break
     :: else
     fi
  :: else -> break
  od
}

/* The one whose log is newest wins with the votes of all who run; a leader of before hears of it. */
#define electors(n) (voters_of(n) & up_bits)
#define win(n) (is_newest(n) && can_win(n, electors(n)))
#define leads_on(n) (up[n] && leads[n] && is_top(n) && reached(voters_of(n)))
#define is_top(n) (is_lower(0, n) && is_lower(1, n) && is_lower(2, n) && is_lower(3, n))
#define is_lower(m, n) (!up[m] || term[m] <= term[n])

inline calm_down() {
  steps = 0;
  do
  :: is_well(0) || is_well(1) || is_well(2) || is_well(3) || up_bits == 0 -> break
  :: else ->
     l_ = (leads_on(0) -> 0 : (leads_on(1) -> 1 : (leads_on(2) -> 2 : (leads_on(3) -> 3 : NOBODY))));
     n_ = (win(0) -> 0 : (win(1) -> 1 : (win(2) -> 2 : (win(3) -> 3 : NOBODY))));
     newest = (is_newest(0) -> 0 : (is_newest(1) -> 1 : (is_newest(2) -> 2 : 3)));
     if
     :: l_ != NOBODY -> calm_leader(l_)
     :: l_ == NOBODY && n_ != NOBODY -> elect(n_, electors(n_))
     :: else -> assert(!reached(voters_of(newest))); break
     fi;
     steps++;
     assert(steps < CALM_STEPS)
  od
}

/* ---- All that may happen ---- */

#define may_append(l) (last[l] < ENTRIES)

#define SEND(l, n)                                                                                           \
  :: d_step { can_send(l, n) && is_behind(n, l) -> send(l, n); skip }
#define is_behind(n, l) (MATCH(l, n) < last_to_send(l, n) || commit[n] < commit[l] || term[n] < term[l])
#define COMMIT(l, index) :: d_step { can_commit(l, index) -> advance_commit(l, index); skip }

#define ELECT(n, bits)                                                                                       \
  :: d_step { can_win(n, bits) && may_append(n) && term[n] < TERMS && all_are_low(bits) ->                   \
     elect(n, bits); skip }
#define is_low(m, bits) (!((bits) >> (m) & 1) || term[m] < TERMS)
#define all_are_low(bits) (is_low(0, bits) && is_low(1, bits) && is_low(2, bits) && is_low(3, bits))

#define may_change(l) (may_append(l) && change_is_possible(l))
#ifdef MUTANT_SWAP
#define REMOVE(l, n)                                                                                         \
  :: d_step { may_change(l) && (l) != (n) && voters_of(l) >> (n) & 1 && keeps_up(l, 3) ->                    \
     change(l, (voters_of(l) & ~BIT(n)) | BIT(3)); skip }
#else
#define REMOVE(l, n)                                                                                         \
  :: d_step { may_change(l) && voters_of(l) != BIT(n) && voters_of(l) >> (n) & 1 ->                          \
     change(l, voters_of(l) & ~BIT(n)); skip }
#endif
#define PROMOTE(l, n)                                                                                        \
  :: d_step { may_change(l) && !promotes_all(l) && keeps_up(l, n) ->                                         \
     change(l, voters_of(l) | BIT(n)); skip }
#define PROMOTE_ALL(l)                                                                                       \
  :: d_step { may_change(l) && promotes_all(l) && keeping_up(l) != 0 ->                                      \
     change(l, voters_of(l) | keeping_up(l)); skip }

#define SERVER(n)                                                                                            \
  :: d_step { up[n] && leads[n] && durable[n] < last[n] -> durable[n] = last[n] }                            \
  :: d_step { is_pending(n) && may_append(n) -> cancel(n); skip }                                            \
  :: d_step { up[n] && crashes > 0 -> crashes--; stop(n); skip }                                             \
  :: d_step { up[n] && wipes > 0 -> wipes--; lose_all(n); skip }                                             \
  :: d_step { !up[n] && !is_gone[n] && ((n) != 3 || !up[0] || !up[1] || !up[2]) -> up[n] = 1 }               \
  PROMOTE_ALL(n)                                                                                             \
  COMMIT(n, 1) COMMIT(n, 2) COMMIT(n, 3) COMMIT(n, 4) COMMIT(n, 5)                                           \
  ELECT(n, BIT(n))

#define WITH(n, a, b, c)                                                                                     \
  SEND(n, a) SEND(n, b) SEND(n, c) REMOVE(n, n) REMOVE(n, a) REMOVE(n, b) REMOVE(n, c)                       \
  PROMOTE(n, a) PROMOTE(n, b) PROMOTE(n, c)                                                                  \
  ELECT(n, BIT(n) | BIT(a)) ELECT(n, BIT(n) | BIT(b)) ELECT(n, BIT(n) | BIT(c))                              \
  ELECT(n, BIT(a)) ELECT(n, BIT(b)) ELECT(n, BIT(c))                                                         \
  ELECT(n, BIT(a) | BIT(b)) ELECT(n, BIT(a) | BIT(c)) ELECT(n, BIT(b) | BIT(c))                              \
  ELECT(n, BIT(n) | BIT(a) | BIT(b)) ELECT(n, BIT(n) | BIT(a) | BIT(c)) ELECT(n, BIT(n) | BIT(b) | BIT(c))

init {
  d_step {
    up[0] = 1; up[1] = 1; up[2] = 1;
    term[0] = 1; leads[0] = 1;
    append(0, ENTRY(1, BIT(0)));
    durable[0] = 1;
    skip
  }
  do
  SERVER(0) SERVER(1) SERVER(2) SERVER(3)
  WITH(0, 1, 2, 3) WITH(1, 0, 2, 3) WITH(2, 0, 1, 3) WITH(3, 0, 1, 2)
  :: d_step { 1 -> calm_down(); skip }; break
  od
}
