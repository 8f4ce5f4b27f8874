/* The demo's tour: what a user should see a cluster do, done before his eyes and checked as it is done.
 *
 * A part that fails says what was expected and what was seen, shows the nodes' last lines, and does not keep
 * the later parts from being tried, unless there is no cluster at all. */
#ifndef CORACLE_CLI_DEMO_TOUR_H
#define CORACLE_CLI_DEMO_TOUR_H

#include "cli/demo_cluster.h"

/* True when every part went as it should; then, if the cluster `goes_on`, it ends with the nodes' addresses
 * and lines to try on them. Ends early, false, when the user stops the demo. */
bool demo_tour(struct demo_cluster *, bool goes_on);

#endif
