"""Power cuts on a real file system: a mounted ext4 is cut off from its disk under write load, so that all
that was not synced is lost, mounted again and used again.

    CORACLE_POWER_CUTS=50    (3 if not set; make torture-power)
    CORACLE_TORTURE_SEED=7   (1)"""

import contextlib
import http.client
import os
import random
import signal
import time

import mounts
import pytest
import strace
from documents import put_until_accepted, wait_same
from load import Load
from torture import OPTIONS, torture

CUTS = int(os.environ.get("CORACLE_POWER_CUTS", "3"))
TWICE = 0.4  # of the cuts are followed by another
SEED = int(os.environ.get("CORACLE_TORTURE_SEED", "1"))
REASON = mounts.why_not()

pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@pytest.fixture(scope="module", autouse=True)
def namespace():
    mounts.enter_namespace()


def cut(disks, nodes):
    """The power fails for these nodes, on these disks. The processes go first, by an instant that is too short
    for a sync to end in: one that lived on could be told that a sync has succeeded, since the kernel says so
    (6.18, of a sync that was under way) though what was written stays in memory."""
    for node in nodes:
        node.terminate(signal.SIGKILL)
    for disk in disks:
        disk.cut_power()
    for node in nodes:
        node.kill()
    for disk in disks:
        disk.unmount()
        disk.mount()


def cut_and_cut(disks, nodes, dice):
    """And perhaps once more, when little has been written over what the first cut left."""
    cut(disks, nodes)
    if dice.random() < TWICE:
        for node in nodes:
            node.start()
        time.sleep(dice.uniform(0, 0.7))
        cut(disks, nodes)


def write_for(seconds, nodes):
    """Tries to write for so long; {id: ETag} of what was acknowledged."""
    written, number = {}, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number += 1
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = nodes[number % len(nodes)].put(f"{number}", "{}", timeout_s=0.3)
            if answer.status == 201:
                written[f"{number}"] = answer.header("etag")
        time.sleep(0.002)
    return written


@contextlib.contextmanager
def cluster_on(make_cluster, disks):
    """A cluster whose nodes have their data on these disks, in turn. Its nodes end before the disks do."""
    cluster = make_cluster(3, OPTIONS)
    try:
        for number, node in enumerate(cluster.nodes):
            node.data_dir = disks[number % len(disks)].point / node.name
        cluster.start()
        cluster.wait_formed()
        yield cluster
        make_cluster.end(cluster)
    finally:
        cluster.kill_all()


@pytest.mark.limit_s(120 + 20 * CUTS)
def test_the_power_of_the_room(make_cluster, tmp_path, measured):
    """Goal: no acknowledged write is lost when all three nodes lose their power at once."""
    with mounts.Ext4(tmp_path / "disk", 384) as disk, cluster_on(make_cluster, [disk]) as cluster:

        def power_cut(_, dice):
            cut_and_cut([disk], cluster.nodes, dice)
            return cluster.nodes

        torture(cluster, CUTS - CUTS // 3, SEED, power_cut, measured)


@pytest.mark.limit_s(120 + 20 * CUTS)
def test_the_power_of_one(make_cluster, tmp_path, measured):
    """Goal: the same when one node or two lose it, each on a disk of its own."""
    with contextlib.ExitStack() as stack:
        disks = [stack.enter_context(mounts.Ext4(tmp_path / f"disk{n}", 160)) for n in range(3)]
        cluster = stack.enter_context(cluster_on(make_cluster, disks))

        def power_cut(victims, dice):
            cut_and_cut([disks[cluster.nodes.index(n)] for n in victims], victims, dice)
            return victims

        torture(cluster, CUTS // 3, SEED, power_cut, measured)


@pytest.mark.limit_s(120 + 20 * CUTS)
def test_the_power_at_the_founding(make_cluster, tmp_path, measured):
    """Goal: new nodes whose power fails while they found a cluster and join it are one cluster afterwards, with
    what it had acknowledged. Method: so many clusters, each cut off within its first second."""
    dice = random.Random(SEED)
    acknowledged = 0
    with mounts.Ext4(tmp_path / "disk", 384) as disk:
        for number in range(CUTS):
            cluster = make_cluster(3)
            try:
                for node in cluster.nodes:
                    node.data_dir = disk.point / f"{number}{node.name}"
                cluster.start()
                written = write_for(dice.uniform(0, 1.0), cluster.nodes)
                cut([disk], cluster.nodes)
                cluster.start()
                cluster.wait_formed()
                put_until_accepted(cluster.nodes, "barrier", "{}")
                found = {i: etag for (_, i), (_, etag) in wait_same(cluster.nodes).items()}
                lost = {i for i, etag in written.items() if found.get(i) != etag}
                assert not lost, f"seed {SEED}, cluster {number}: {lost} of {len(written)} are lost"
                acknowledged += len(written)
                make_cluster.end(cluster)
            finally:
                cluster.kill_all()
    measured(f"{CUTS} cuts at a founding: {acknowledged} writes acknowledged before them")


@pytest.mark.limit_s(120)
@pytest.mark.skipif(strace.why_not() is not None, reason=str(strace.why_not()))
def test_without_fsync_it_is_seen(make_cluster, tmp_path, measured):
    """Goal: this test can fail. Method: strace sees to it that no sync of the nodes is carried out from some
    moment on; then acknowledged writes must be missing after the cut."""
    with mounts.Ext4(tmp_path / "disk", 384) as disk, cluster_on(make_cluster, [disk]) as cluster:
        strace.without_leak_check(cluster.nodes)
        with Load(cluster.nodes, seed=SEED) as load:
            load.wait_more()
            tracers = [strace.attach(n, "fdatasync,fsync:retval=0") for n in cluster.nodes]
            load.wait_more(200)
            load.pause()
            cut([disk], cluster.nodes)
            for tracer in tracers:
                strace.detach(tracer)
            cluster.start()
            cluster.wait_formed()
            faults = load.faults(wait_same(cluster.nodes))
    assert faults, "nothing was lost"
    measured(f"without fsync {len(faults)} of {sum(len(c.documents) for c in load.clients)} documents were lost")
