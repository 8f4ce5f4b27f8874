/* `coracle demo`: a cluster of several nodes on this machine, shown and checked from its election to the loss
 * and the return of its leader. docs/ and the README start with it, so it has to work with no set-up at all,
 * and to leave nothing behind however it ends. */
#ifndef CORACLE_CLI_DEMO_H
#define CORACLE_CLI_DEMO_H

/* argv[0] is "demo". Returns the exit status: 0 when all went well; 1 when a part of the tour failed; 2 for a
 * bad option (one line on stderr); 128 and the signal's number when stopped before the end of the tour. */
int demo(int argc, char **argv);

#endif
