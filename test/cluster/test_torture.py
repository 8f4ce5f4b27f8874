"""Nodes with disks killed under write load, some of them or all, at any moment.

    CORACLE_TORTURE_ROUNDS=300    (20 if not set; make torture-processes)
    CORACLE_TORTURE_SEED=7        (1)"""

import os

import pytest
from torture import OPTIONS, torture

ROUNDS = int(os.environ.get("CORACLE_TORTURE_ROUNDS", "20"))
SEED = int(os.environ.get("CORACLE_TORTURE_SEED", "1"))


@pytest.mark.limit_s(120 + 20 * ROUNDS)
@pytest.mark.parametrize("writes", ["redirect", "forward"])
def test_killed_under_load(make_cluster, measured, writes):
    """Goal: no acknowledged write is lost, nothing is half there, and the nodes are who they were and equal."""
    cluster = make_cluster(3, [*OPTIONS, "--follower-writes", writes]).start()
    cluster.wait_formed()
    share = ROUNDS // 2 if writes == "forward" else ROUNDS - ROUNDS // 2
    torture(cluster, share, SEED, measured=measured)
