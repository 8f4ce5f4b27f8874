/* What founding.pml claims: (a) there is one established cluster, (b) nobody forgets who is counted on, (c)
 * all is well in the end. founding_calm.pml goes on with a history for (c). */

/* (a) A voter of an established cluster that has run for three heartbeats is heard by whoever listens. So no
 * other is founded, and none that was founded before becomes established, while such a voter speaks. What has
 * lost the data of a majority is no cluster any more. */
#define speaks(m) (up[m] && cluster[m] != 0 && awake[m] == 3)
#define is_overlooked(m) (speaks(m) && is_established(m))
#define tells(m, c) (cluster[m] == (c) && is_overlooked(m) && is_voter(m))
#define is_silent(c) (!tells(1, c) && !tells(2, c) && !tells(3, c))
#define config(m) (log[m] == PROMOTED -> voters[cluster[m]] : BIT(founder[cluster[m]]))
#define lives(m) (is_established(m) && COUNT(config(m) & ~wiped[cluster[m]]) * 2 > COUNT(config(m)))
#define are_rivals(x, y)                                                                                     \
  (lives(x) && lives(y) && cluster[x] != cluster[y] && !(apart & PAIR(cluster[x], cluster[y])))
inline check_one_cluster() {
  assert(!are_rivals(1, 2) && !are_rivals(1, 3) && !are_rivals(2, 3));
}

inline check_nobody_is_overlooked() {
  assert(!is_overlooked(1) && !is_overlooked(2) && !is_overlooked(3));
}

/* (b) To yield is to forget, so no configuration in any log may count on who yields. */
#define counts_on(m, n, c) (cluster[m] == (c) && log[m] == PROMOTED && has_vote(n, c))
inline check_nobody_counts_on(n, c) {
  assert(!is_established(n));
  assert(!counts_on(1, n, c) && !counts_on(2, n, c) && !counts_on(3, n, c));
}

/* (c) One leader that all who run follow, as voters if there are two. */
#define follows(m, l) (!up[m] || (cluster[m] == cluster[l] && leader[m] == (l)))
#define up_n (up[1] + up[2] + up[3])
#define leads_all(l)                                                                                         \
  (up[l] && leads(l) && follows(1, l) && follows(2, l) && follows(3, l) && (up_n == 1 || log[l] == PROMOTED))
#define is_well (up_n == 0 || leads_all(1) || leads_all(2) || leads_all(3))

/* ... unless a majority is wiped or down, or two established clusters have met: that is for people to decide.
 * Who yielded has taken itself away, and is no excuse. */
#define is_down(n, c) (!up[n] && cluster[n] == (c))
#define down(c) (is_down(1, c) << 1 | is_down(2, c) << 2 | is_down(3, c) << 3)
#define lacks_majority(m)                                                                                    \
  (up[m] && is_established(m) &&                                                                             \
   COUNT(config(m) & ~(wiped[cluster[m]] | down(cluster[m]))) * 2 <= COUNT(config(m)))
#define have_met(x, y) (is_established(x) && is_established(y) && cluster[x] != cluster[y])
#define two_are_established (have_met(1, 2) || have_met(1, 3) || have_met(2, 3))
/* Or a learner waits for who is not there, or not there any more. */
#define is_missing(m, n) ((learners[n] >> (m) & 1 || (m) == founder_of(n)) && !up[m])
#define waits_in_vain(n) (up[n] && waits(n) && (is_missing(1, n) || is_missing(2, n) || is_missing(3, n)))
#define is_excused                                                                                           \
  (lacks_majority(1) || lacks_majority(2) || lacks_majority(3) || two_are_established ||                     \
   waits_in_vain(1) || waits_in_vain(2) || waits_in_vain(3))
