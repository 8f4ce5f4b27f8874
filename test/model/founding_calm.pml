/* When nothing more goes wrong: the end of every history of founding.pml, and claim (c). */

/* What happens then, in one of its orders. */
inline stream_calmly(l, m) {
  if
  :: can_link(l, m) -> link(l, m)
  :: else
  fi;
  if
  :: can_send(l, m) -> send(l, m)
  :: else
  fi
}

inline calm_down() {
  rounds = 0;
  do
  :: is_well || is_excused -> break
  :: else ->
     if
     :: mail[0] != NONE -> deliver(0, 0)
     :: mail[0] == NONE && some_are_streaming ->
        stream_calmly(1, 2); stream_calmly(1, 3); stream_calmly(2, 1);
        stream_calmly(2, 3); stream_calmly(3, 1); stream_calmly(3, 2)
     :: mail[0] == NONE && !some_are_streaming && (can_promote(1) || can_promote(2) || can_promote(3)) ->
        n_ = (can_promote(1) -> 1 : (can_promote(2) -> 2 : 3));
        promote(n_)
     :: else ->
        n_ = (is_ready(1) -> 1 : (is_ready(2) -> 2 : (is_ready(3) -> 3 : 0)));
        if
        :: n_ != 0 -> turn(n_)
        :: else -> end_round(); rounds++; assert(rounds < CALM_ROUNDS) /* claim (c) */
        fi
     fi
  od
}
