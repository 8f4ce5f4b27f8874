/* Error codes of every room but the public consensus core (which has its own in coracle/raft.h).
 *
 * Functions that can fail for a reason their caller must handle return 0 or one of these negative codes and
 * are marked MUST_CHECK. Running out of memory is not among them: see base/memory.h. */
#ifndef CORACLE_BASE_ERROR_H
#define CORACLE_BASE_ERROR_H

#define MUST_CHECK __attribute__((warn_unused_result))

#define CORACLE_ERRORS(X)                                                                                    \
  X(EMALFORMED, -1, "malformed")                                                                             \
  X(ELIMIT, -2, "over a limit")                                                                              \
  X(ENOTFOUND, -3, "not found")                                                                              \
  X(ENOTLEADER, -4, "not the leader")                                                                        \
  X(EBUSY, -5, "busy, try again")                                                                            \
  X(EIO, -6, "input or output failed")                                                                       \
  X(EFULL, -7, "no space left")                                                                              \
  X(EDAMAGED, -8, "damaged")

enum coracle_error {
#define X(name, code, text) CORACLE_##name = (code),
  CORACLE_ERRORS(X)
#undef X
};

/* The text of a code above; never NULL. Static lifetime. */
const char *coracle_strerror(int code);

#endif
