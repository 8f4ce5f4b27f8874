"""Exactly once: the leader dies in the middle of writes with an Idempotency-Key, and their retries, at any
node, do what the first time did not, and nothing that it did.

    CORACLE_TORTURE_ROUNDS=200    (20 if not set; make torture-once)
    CORACLE_TORTURE_SEED=7        (1)"""

import os
import random
import time

import pytest
from documents import wait_same
from keyed import KeyedWork
from torture import count_logged

ROUNDS = int(os.environ.get("CORACLE_TORTURE_ROUNDS", "20"))
SEED = int(os.environ.get("CORACLE_TORTURE_SEED", "1"))
REPLAYED = 300  # keys that are sent again at the end
COMPACT = ["--compact-bytes", "20000"]  # so that keys come back out of snapshots too


def kill_in_mid_request(work, leader, dice):
    """How many writes were under way when it died."""
    while work.under_way == 0:
        time.sleep(0.0005)
    time.sleep(dice.uniform(0, 0.01))
    if dice.random() < 0.2:
        leader.pause()  # it dies in its sleep, and what it has not sent is lost
        leader.expected_down = True
        time.sleep(dice.uniform(0, 0.5))
    under_way = work.under_way
    leader.kill()
    return under_way


@pytest.mark.limit_s(120 + 10 * ROUNDS)
@pytest.mark.parametrize("writes", ["redirect", "forward"])
def test_each_key_takes_effect_once(make_cluster, measured, writes):
    """Goal: whatever the leader's death did to a request, its key has taken effect exactly once when it is
    answered, on all nodes; and a transaction in all its documents or in none, for readers meanwhile too. A
    key that is sent again long after, when all nodes have been killed and are back, does nothing either."""
    dice = random.Random(f"{SEED} {writes}")
    cluster = make_cluster(3, [*COMPACT, "--follower-writes", writes]).start()
    cluster.wait_formed()
    rounds = ROUNDS // 2 if writes == "forward" else ROUNDS - ROUNDS // 2
    struck, begin = 0, time.monotonic()
    work = KeyedWork(cluster.nodes, seed=SEED)
    with work:
        for number in range(1, rounds + 1):
            work.wait_more()
            leader = cluster.wait_leader()
            struck += kill_in_mid_request(work, leader, dice)
            time.sleep(dice.choice((0, dice.uniform(0, 0.5))))
            leader.start()
            cluster.wait_formed()
            work.renew_lists()
            work.check_clients()
        work.wait_more()
    work.check(wait_same(cluster.nodes))
    for node in cluster.nodes:  # and all of them at once
        node.kill()
    cluster.start()
    work.replay(cluster.wait_formed()[0], dice, REPLAYED)
    work.check(wait_same(cluster.nodes))
    measured(
        f"{rounds} leaders killed in {time.monotonic() - begin:.0f} s, seed {SEED}, with {struck} writes "
        f"under way: {work.told()}; {count_logged(cluster, 'snapshot up to')} starts from a snapshot"
    )
    assert struck > 0
