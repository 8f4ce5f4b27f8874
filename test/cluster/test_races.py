"""Many starts at the same instant: the bind race always ends in one cluster of all three, also when its
winner is killed in its first moments and comes back.

By hand, the long runs: CORACLE_RACES=100 python3 -B -m pytest test/cluster/test_races.py
CORACLE_SEED=N repeats the moments of a run that printed it, CORACLE_KILL_MS=200-350 aims at the founding."""

import os
import random
import statistics
import time

import pytest
from client import wait_until
from documents import documents, put_until_accepted, wait_same

RACES = int(os.environ.get("CORACLE_RACES", "10"))
SEED = int(os.environ.get("CORACLE_SEED", "0")) or random.randrange(1, 1 << 32)
ROUND_LIMIT_S = 40
KILL_MS = [int(ms) for ms in os.environ.get("CORACLE_KILL_MS", "0-300").split("-")]
BACK_AFTER_S = 1.0


def check_documents_everywhere(cluster):
    """Writes a few documents and waits until all nodes have the same; how long that took after the last was
    acknowledged."""
    written = [put_until_accepted(cluster.nodes, f"{i}", '{"n":%d}' % i)[0] for i in range(3)]
    begin = time.monotonic()
    expected = {("items", f"{i}"): (a.body, a.header("etag")) for i, a in enumerate(written)}

    def same():
        return all(documents(n) == expected for n in cluster.nodes)

    wait_until("all have the documents", same, every_s=0.002)
    return time.monotonic() - begin


def spread(times_s):
    return f"{statistics.median(times_s):.3f} s in the median, {max(times_s):.3f} s at worst"


def check_one_cluster(cluster):
    leader, followers = cluster.wait_formed()
    assert leader.holds_election_port
    assert not any(n.holds_election_port for n in followers)
    return leader


@pytest.mark.limit_s(ROUND_LIMIT_S * RACES)
def test_races(make_cluster, measured):
    """Goal: one leader every time, one cluster, all three with the same documents."""
    formed_s, same_s = [], []
    for number in range(RACES):
        cluster = make_cluster(3)
        cluster.start_together()
        begin = time.monotonic()
        check_one_cluster(cluster)
        formed_s.append(time.monotonic() - begin)
        same_s.append(check_documents_everywhere(cluster))
        check_one_cluster(cluster)
        founded = [n for n in cluster.nodes if n.logged("founded cluster")]
        assert len(founded) == 1, f"race {number}: {founded} founded"
        make_cluster.end(cluster)
    measured(
        f"{RACES} races: three voters after {spread(formed_s)}; the same documents on all of them "
        f"{spread(same_s)} after the last write"
    )


@pytest.mark.limit_s(ROUND_LIMIT_S * RACES)
def test_races_with_the_winner_killed(make_cluster, measured):
    """Goal: one cluster in the end, every time, all three in it. Method: whoever holds the election address
    at a random moment of the first 300 ms (or is the first to hold it after that) is killed, and started
    again a second later."""
    print(f"CORACLE_SEED={SEED}")
    dice = random.Random(SEED)
    formed_s, clusters_seen = [], 0
    for number in range(RACES):
        moment_s = dice.uniform(*KILL_MS) / 1000
        cluster = make_cluster(3)
        cluster.start_together()
        begin = time.monotonic()
        time.sleep(moment_s)

        def holder():
            return next((n for n in cluster.nodes if n.holds_election_port), None)

        winner = wait_until("somebody holds the address", holder, every_s=0.001)
        print(f"race {number}: {winner} killed {1000 * (time.monotonic() - begin):.0f} ms after the start")
        winner.kill()
        clusters_seen += bool(winner.logged("founded cluster"))
        time.sleep(BACK_AFTER_S)
        winner.start()
        begin = time.monotonic()
        check_one_cluster(cluster)
        formed_s.append(time.monotonic() - begin)
        check_documents_everywhere(cluster)
        check_one_cluster(cluster)
        make_cluster.end(cluster)
    measured(
        f"{RACES} races with the winner killed ({clusters_seen} of them had founded): three voters "
        f"{spread(formed_s)} after its return (CORACLE_SEED={SEED})"
    )


def test_storm_of_restarts(make_cluster, storage):
    """Goal: every node killed and started three times within about one election timeout, at the very
    beginning, and there is one cluster in the end."""
    dice = random.Random(SEED)
    cluster = make_cluster(3, storage)
    cluster.start_together()
    for _ in range(9):
        time.sleep(dice.uniform(0.0, 0.12))
        node = dice.choice(cluster.nodes)
        node.kill()
        node.start()
    # A majority of voters may be gone for good now, which no cluster with memory storage survives: then all
    # are restarted, as the reason that they give tells to.
    try:
        cluster.wait_formed(deadline_s=10)
    except AssertionError as error:
        if not cluster.forgets:
            raise
        reasons = [n.get("/readyz").body.decode() for n in cluster.nodes]
        if not any("voters, reached" in reason for reason in reasons):
            raise AssertionError(reasons) from error
        for node in cluster.nodes:
            node.kill()
        cluster.start_together()
        cluster.wait_formed()
    check_documents_everywhere(cluster)
    wait_same(cluster.nodes)
