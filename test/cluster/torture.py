"""Three nodes with disks, killed again and again under write load: after every round all that was acknowledged
is there, on every node, and nothing is there that nobody wrote. How they are killed is a table; test_torture.py
and test_power.py run it."""

import random
import time

from documents import put_until_accepted, wait_same
from load import Load

LOAD_S = (0.05, 1.0)  # of writing before the blow, drawn anew for each round
RESTART_GAP_S = (0.0, 0.3)  # between the starts of two nodes
OPTIONS = ["--compact-bytes", "4000000"]  # so that there are many snapshots


def kill(victims, _):
    """All at the same instant, as far as one process can."""
    for node in victims:
        node.terminate(9)
    for node in victims:
        node.process.wait()


def terminate(victims, _):
    """SIGTERM, and time to end well."""
    for node in victims:
        node.terminate()
    for node in victims:
        assert node.exit_status() == 0, node


def terminate_and_kill(victims, dice):
    for node in victims:
        node.terminate()
    time.sleep(dice.uniform(0, 0.02))
    kill(victims, dice)


def stop_and_kill(victims, dice):
    for node in victims:
        node.pause()
        node.expected_down = True
    time.sleep(dice.choice((0, dice.uniform(0, 2.0))))
    kill(victims, dice)


def kill_while_starting(victims, dice):
    """Once more while it recovers."""
    kill(victims, dice)
    for node in victims:
        node.start()
    time.sleep(dice.uniform(0, 0.15))
    kill(victims, dice)


BLOWS = ((kill, 50), (terminate, 8), (terminate_and_kill, 12), (stop_and_kill, 12), (kill_while_starting, 18))


def some_of(nodes, dice):
    """All of them in every second round."""
    return nodes if len(nodes) == 1 or dice.random() < 0.5 else dice.sample(nodes, dice.randint(1, len(nodes) - 1))


def identities(nodes):
    """Who they are, which no crash changes."""
    return {node.name: (node.about()["id"], node.view()["cluster_id"]) for node in nodes}


def count_logged(cluster, words):
    """In so many starts of nodes."""
    return sum(words in node.log(start) for node in cluster.nodes for start in range(1, node.starts + 1))


def check_round(cluster, load, known):
    """The cluster is one again and takes writes; then everything is as it must be."""
    cluster.wait_formed()
    load.wait_more()
    load.pause()
    assert identities(cluster.nodes) == known
    put_until_accepted(cluster.nodes, "barrier", "{}")
    load.check(wait_same(cluster.nodes))
    load.resume()


def torture(cluster, rounds, seed, blow=None, measured=print):
    """So many rounds on a cluster that has formed. blow(victims, dice) ends these nodes, or those that it
    returns; None: drawn."""
    dice = random.Random(seed)
    known = identities(cluster.nodes)
    blows = {}
    begin = time.monotonic()
    with Load(cluster.nodes, seed=seed) as load:
        load.wait_more()
        for number in range(rounds):
            time.sleep(dice.uniform(*LOAD_S))
            strike = blow or dice.choices(*zip(*BLOWS))[0]
            victims = some_of(cluster.nodes, dice)
            victims = strike(victims, dice) or victims
            time.sleep(dice.choice((0, dice.uniform(0, 1.0))))
            for node in dice.sample(victims, len(victims)):
                time.sleep(dice.uniform(*RESTART_GAP_S))
                node.start()
            try:
                check_round(cluster, load, known)
            except AssertionError as error:
                error.add_note(f"round {number} of seed {seed}: {strike.__name__} {victims}")
                raise
            blows[strike.__name__] = blows.get(strike.__name__, 0) + 1
    took = time.monotonic() - begin
    measured(
        f"{rounds} rounds in {took:.0f} s, seed {seed}: {blows}; {load.acknowledged} writes acknowledged, refused "
        f"{load.refused}; {count_logged(cluster, 'snapshot up to')} starts from a snapshot, "
        f"{count_logged(cluster, 'torn write')} torn writes cut off"
    )
