/* What goes over streams in founding.pml, without losses: the log, and so who is a learner and who a voter.
 * Raft is abstract here: whoever a leader reaches has what it has in one step. */

#define can_link(l, m)                                                                                       \
  (up[l] && up[m] && leads(l) && cluster[m] == cluster[l] && leader[m] != (l) && !leads(m) &&                \
   (log[m] != EMPTY || tokens[l] >> (m) & 1) && log[m] <= log[l])
#define is_linked(l, m)                                                                                      \
  (up[l] && up[m] && (l) != (m) && leads(l) && leader[m] == (l) && cluster[m] == cluster[l])
#define is_taught(l, m) (is_linked(l, m) && log[m] >= TAUGHT && learners[m] == learners[l])
#define taught(l) (is_taught(l, 1) << 1 | is_taught(l, 2) << 2 | is_taught(l, 3) << 3)

/* A learner gets what is committed. */
#define has_it(m, l) (cluster[m] == cluster[l] && log[m] == PROMOTED && has_vote(m, cluster[l]))
#define can_send(l, m)                                                                                       \
  (is_linked(l, m) && (log[m] < log[l] || learners[m] != learners[l]) &&                                     \
   (log[l] != PROMOTED || has_vote(m, cluster[l]) ||                                                         \
    (has_it(1, l) + has_it(2, l) + has_it(3, l)) * 2 > COUNT(voters[cluster[l]])))
#define can_promote(l) (up[l] && leads(l) && log[l] < PROMOTED && taught(l) != 0)

inline link(l, m) {
  leader[m] = l; lonely[m] = 0; teacher[m] = 0; foreign[m] = 0;
  release_address(m);
  tokens[l] = tokens[l] & ~BIT(m);
  if
  :: log[l] == FOUNDED -> log[l] = TAUGHT
  :: else
  fi;
  if
  :: log[l] < PROMOTED -> learners[l] = learners[l] | BIT(m)
  :: else
  fi
}

inline send(l, m) {
  log[m] = log[l];
  learners[m] = learners[l]
}

/* A client's first command. */
inline write(l) {
  establish(l);
  log[l] = COMMAND
}

/* As sole voter: all learners that have the newest configuration, in one step. */
inline promote(l) {
  if
  :: !is_established(l) -> establish(l)
  :: else
  fi;
  voters[cluster[l]] = BIT(l) | taught(l);
  yielded[cluster[l]] = yielded[cluster[l]] & ~voters[cluster[l]]; /* those were other ids of theirs */
  wiped[cluster[l]] = wiped[cluster[l]] & ~voters[cluster[l]];
  log[l] = PROMOTED;
  learners[l] = 0
}

#define is_streaming(l, m) (can_link(l, m) || can_send(l, m))
#define some_are_streaming                                                                                   \
  (is_streaming(1, 2) || is_streaming(1, 3) || is_streaming(2, 1) || is_streaming(2, 3) ||                   \
   is_streaming(3, 1) || is_streaming(3, 2))
