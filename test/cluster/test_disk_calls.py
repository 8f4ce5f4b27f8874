"""Nodes that are killed, or fail, at one system call after the other that changes their data directory or reads
it: in a first start, in a recovery, and under load. strace sees to it; the call is then not carried out, and
what came before it is all there is.

    CORACLE_CALLS=all    every call of a first start and of a recovery, and more rounds (make torture-processes);
                         a part of them if not set"""

import contextlib
import os
import re
import shutil
import socket
import time
from pathlib import Path

import pytest
import strace
from client import wait_until
from cluster import Cluster
from documents import put_until_accepted, wait_same
from load import Load
from torture import OPTIONS, kill, torture

ALL = os.environ.get("CORACLE_CALLS") == "all"
SEED = int(os.environ.get("CORACLE_TORTURE_SEED", "1"))
STEP = 1 if ALL else 5
ROUNDS = 60 if ALL else 3
CALLS = (*strace.CHANGES, "mkdirat", *strace.READS)
CALLS_MAX = 300  # of one kind, in a start
EFFECTS = {"killed": "signal=KILL", "EIO": "error=EIO"}
FAULT = re.compile(r"(meta-|log|snapshot|lock|data director|the directory).*Input/output error")
COMES_TO_IT_S = 3.0  # a node under load, to the call
FAST = ["--heartbeat-ms", "20", "--election-timeout-ms", "200"]

REASON = strace.why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@contextlib.contextmanager
def holding(port):
    """The election address: a new node cannot found a cluster as long as somebody has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", port))
        yield


def has_disk_thread(node):
    names = [comm.read_text().strip() for comm in Path(f"/proc/{node.pid}/task").glob("*/comm")]
    return "coracle-disk" in names


@contextlib.contextmanager
def from_the_first_call(node, injection):
    """The calls of the main thread, which opens the directory, are what counts here."""
    with strace.started(node, injection, strace.data_paths(node)):
        node.expected_down = True
        yield


@contextlib.contextmanager
def from_the_disk_thread_on(node, injection):
    """The directory is open already; the calls of the disk thread count."""
    with holding(node.election_port):
        node.start()
        node.expected_down = True
        wait_until("it has its disk thread", lambda: has_disk_thread(node), every_s=0.002)
        tracer = strace.attach(node, injection, strace.data_paths(node))
    try:
        yield
    finally:
        node.kill()
        strace.detach(tracer)


def try_to_write(node, document_id):
    """Until it is acknowledged, or the node has ended; true when it was acknowledged."""

    def look():
        if not node.is_running:
            return "ended"
        return node.put(document_id, "{}", timeout_s=5).status in (200, 201) and "written"

    return wait_until(f"{node} writes or ends", look, every_s=0.005) == "written"


def check_ended(node, effect):
    """As the fault has it: killed, or with a message that names the file. False when it runs, since it has not
    come to that call."""
    if node.is_running and not strace.was_injected(node):
        node.kill()
        if not strace.was_injected(node):
            return False
    if effect == "killed":
        assert node.exit_status() == -9, node.log()
        return True
    status = node.exit_status()
    if status == -9:
        return True  # by us, just when it came to the call
    assert status == 1, node.log()
    assert FAULT.search(node.log()), node.log()
    return True


def survivors_documents(cluster):
    """Started again, it leads and takes writes, and has these documents."""
    (node,) = cluster.nodes
    node.start()
    cluster.wait_formed()
    put_until_accepted([node], "after", "{}")
    return wait_same([node])


@pytest.mark.limit_s(900)
@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("call", CALLS)
def test_first_start(make_cluster, call, effect, measured):
    """Goal: a node that dies at any call of its first start can be started again, and has what it acknowledged
    before."""
    count = 0
    for begin in (from_the_first_call, from_the_disk_thread_on):
        for number in range(1, CALLS_MAX, STEP):
            cluster = make_cluster(1, FAST)
            (node,) = cluster.nodes
            strace.without_leak_check([node])
            with begin(node, f"{call}:{EFFECTS[effect]}:when={number}"):
                written = [i for i in ("first", "second") if try_to_write(node, i)]
                if not check_ended(node, effect):
                    break
            found = {document_id for _, document_id in survivors_documents(cluster)}
            assert set(written) <= found, f"{set(written) - found} lost: {call} {number}"
            make_cluster.end(cluster)
            count += 1
    assert count > 0
    measured(f"{count} first starts: {effect} at {call}")


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """What a node left that was killed under load, and the load, which knows what must be in there."""
    cluster = Cluster(tmp_path_factory.mktemp("history"), 1, [*OPTIONS, *FAST])
    (node,) = cluster.nodes
    node.start()
    cluster.wait_formed()
    kept = cluster.folder / "kept"
    try:
        with Load([node], seed=SEED) as load:
            wait_until("segments and snapshots came and went", lambda: (node.data_dir / "log" / f"{3:016x}").exists())
            load.wait_more()
            kill([node], None)
            load.pause()
            shutil.copytree(node.data_dir, kept)
            load.check(survivors_documents(cluster))
        yield kept, load
    finally:
        cluster.kill_all()
        shutil.rmtree(cluster.folder)


@pytest.mark.limit_s(900)
@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("call", [c for c in CALLS if c != "renameat"])
def test_recovery(make_cluster, history, call, effect, measured):
    """Goal: a node that dies at any call of its recovery can be started again, and has lost nothing."""
    kept, load = history
    count = 0
    for begin in (from_the_first_call, from_the_disk_thread_on):
        for number in range(1, CALLS_MAX, STEP):
            cluster = make_cluster(1, [*OPTIONS, *FAST])
            (node,) = cluster.nodes
            shutil.copytree(kept, node.data_dir)
            strace.without_leak_check([node])
            with begin(node, f"{call}:{EFFECTS[effect]}:when={number}"):
                try_to_write(node, "during")
                if not check_ended(node, effect):
                    break
            faults = load.faults(survivors_documents(cluster))
            assert not faults, f"{call} {number}: {faults[:3]}"
            make_cluster.end(cluster)
            count += 1
    assert count > 0
    measured(f"{count} recoveries: {effect} at {call}")


def strike_at_calls(effect):
    """For torture(): each victim's next, or some later, call of one kind."""

    def strike(victims, dice):
        tracers = []
        for node in victims:
            call = dice.choice(strace.CHANGES)
            last = 400 if call in ("pwrite64", "fdatasync") else 2
            node.expected_down = True
            tracers.append(strace.attach(node, f"{call}:{EFFECTS[effect]}:when={dice.randint(1, last)}"))
        end = time.monotonic() + COMES_TO_IT_S
        while any(n.is_running for n in victims) and time.monotonic() < end:
            time.sleep(0.01)
        for node, tracer in zip(victims, tracers):
            check_ended(node, effect)
            strace.detach(tracer)

    strike.__name__ = effect
    return strike


@pytest.mark.limit_s(120 + 20 * ROUNDS)
@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("size", [1, 3])
def test_under_load(make_cluster, size, effect, measured):
    """Goal: nothing acknowledged is lost, whatever call it is that nodes die at or fail at, all of them or
    some. Method: a few dozen calls of a kind that is frequent, or one of a kind that comes with a new segment
    or a snapshot."""
    cluster = make_cluster(size, [*OPTIONS, *FAST])
    strace.without_leak_check(cluster.nodes)
    cluster.start()
    cluster.wait_formed()
    torture(cluster, ROUNDS, SEED, strike_at_calls(effect), measured)
