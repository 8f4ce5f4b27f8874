"""Disks that hang, or say that there is no room, as the nodes see it: strace delays or refuses their calls."""

import contextlib
import time

import pytest
import strace
from client import document_path, wait_until
from documents import Writer, put_until_accepted, wait_same

HANGS_S = 9.0  # well over the five seconds after which a leader gives up
RECOVERS_S = 10.0
NO_ROOM = "pwrite64,fallocate:error=ENOSPC"

REASON = strace.why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@pytest.fixture
def traced_trio(make_cluster):
    """Three nodes that have formed a cluster, and that strace may be attached to."""
    cluster = make_cluster(3)
    strace.without_leak_check(cluster.nodes)
    cluster.start()
    cluster.wait_formed()
    return cluster


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_the_leaders_disk_hangs(traced_trio, measured, call):
    """Goal: a leader whose log makes no progress gives up its place, writes go on with another, and when the
    disk goes on the node is a follower. Nothing acknowledged is lost. Method: the next sync, or the next write,
    takes nine seconds."""
    leader, others = traced_trio.wait_formed()
    with Writer(traced_trio.nodes) as writer:
        writer.wait_more()
        hangs = f"{call}:delay_enter={int(HANGS_S * 1e6)}:when=1"
        with strace.tampering(leader, hangs, strace.log_paths(leader)):
            begin = time.monotonic()
            new = wait_until(
                "another leads", lambda: next((n for n in others if n.about()["role"] == "leader"), None), HANGS_S
            )
            took = time.monotonic() - begin
            writer.wait_more()
            assert leader.about()["role"] != "leader"
            assert leader.get("/livez").status == 200
            time.sleep(max(0.0, begin + HANGS_S - time.monotonic()))
            assert traced_trio.wait_formed()[0] is new
        writer.wait_more()
    writer.check_kept(wait_same(traced_trio.nodes))
    measured(f"{call} of the leader hangs: another leads after {took:.1f} s")


def test_a_followers_disk_hangs(traced_trio):
    """Goal: nobody waits for it, and no election is held."""
    leader, (slow, _) = traced_trio.wait_formed()
    terms = traced_trio.leaders_of_terms()
    with Writer([leader]) as writer:
        writer.wait_more()
        hangs = f"fdatasync:delay_enter={int(HANGS_S * 1e6)}:when=1"
        with strace.tampering(slow, hangs, strace.log_paths(slow)):
            begin = time.monotonic()
            while time.monotonic() < begin + HANGS_S:
                writer.wait_more()
                time.sleep(0.5)
        writer.wait_more()
    writer.check_kept(wait_same(traced_trio.nodes))
    assert traced_trio.leaders_of_terms() == terms


def answer_of(node, document_id):
    """Of a write; None when none comes soon."""
    with contextlib.suppress(OSError):
        return node.put(document_id, "{}", timeout_s=1)
    return None


def test_no_room_for_the_log(traced_trio):
    """Goal: where the system has no room for what was promised to have some (a thin disk), writes are taken no
    more and told why, stale reads go on, and all goes on by itself when there is room."""
    leader, _ = traced_trio.wait_formed()
    assert leader.put("before", "{}").status == 201
    tracers = [strace.attach(n, NO_ROOM, strace.log_paths(n)) for n in traced_trio.nodes]
    pending = answer_of(leader, "pending")  # it was taken before anybody knew
    assert pending is None or pending.status in (504, 507), pending
    answers = [answer_of(leader, f"{n}") for n in range(10)]
    assert any(a is not None and a.code == "disk_full" for a in answers), answers
    time.sleep(HANGS_S)
    for node in traced_trio.nodes:
        assert node.get(document_path("items", "before") + "?consistency=stale").status == 200
    for tracer in tracers:
        strace.detach(tracer)
    put_until_accepted(traced_trio.nodes, "after", "{}", RECOVERS_S)
    found = {document_id for _, document_id in wait_same(traced_trio.nodes)}
    assert {"before", "after"} <= found <= {"before", "after", "pending"}
