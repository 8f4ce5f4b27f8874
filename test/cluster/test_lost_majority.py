"""Most of the voters gone: what the survivor says, what those say that come back without their data (memory
storage), and the way out. What comes back with its data is test_durable.py's."""

import time

import pytest
from client import wait_until
from documents import documents, wait_same

REASON = "need 2 of 3 voters, reached 1"


@pytest.fixture
def survivor_and_dead(forgetful_trio):
    """One follower of three is left; the leader and the other were killed at the same instant."""
    trio = forgetful_trio
    leader, (survivor, other) = trio.wait_formed()
    assert leader.put("kept", '{"id":"kept"}').status == 201
    kept = wait_same(trio.nodes)
    for node in (leader, other):
        node.expected_down = True
        node.process.kill()
    leader.kill()
    other.kill()
    assert kept and documents(survivor, stale=True) == kept
    return survivor, [leader, other], kept


def wait_refused(node, method, path, body=None):
    """Waits until the node answers 503: it takes an election timeout to miss its leader."""

    def refused():
        answer = node.request(method, path, body)
        return answer if answer.status == 503 else None

    return wait_until(f"{node} refuses {path}", refused)


def test_the_survivor_says_what_it_lacks(survivor_and_dead):
    """Goal: stale reads go on; other reads and all writes are 503 with the reason, whom it misses, and the
    remedy."""
    survivor, dead, kept = survivor_and_dead
    for method, path, body in [
        ("GET", "/v1/collections/items/kept", None),
        ("GET", "/v1/collections", None),
        ("PUT", "/v1/collections/items/kept", b"{}"),
        ("POST", "/v1/collections/items", b"{}"),
        ("DELETE", "/v1/collections/items/kept", None),
    ]:
        refused = wait_refused(survivor, method, path, body)
        assert refused.code == "no_leader"
        assert int(refused.header("retry-after")) > 0
    wait_until("the reason is complete", lambda: REASON in survivor.put("x", "{}").json()["detail"])
    detail = survivor.put("x", "{}").json()["detail"]
    assert all(f"{node.name} silent" in detail for node in dead), detail
    # The remedy with memory storage: what is lost is lost; all must be started anew.
    assert "restart" in detail or "start" in detail, detail
    assert REASON in survivor.get("/readyz").json()["detail"]
    assert survivor.get("/livez").status == 200
    assert survivor.get("/readyz?consistency=stale").status == 200
    read = survivor.get("/v1/collections/items/kept?consistency=stale")
    assert (read.status, read.body) == (200, b'{"id":"kept"}')
    assert documents(survivor, stale=True) == kept
    about = survivor.about()
    assert about["leader"] is None and about["role"] != "leader"


def test_the_restarted_found_nothing_and_say_why(forgetful_trio, survivor_and_dead):
    """Goal: two fresh nodes are a majority of three, and yet must not found a second cluster beside the
    survivor's documents. They say what they wait for, in the log and to clients, for as long as it lasts;
    then all three are killed and started anew, and are one new, empty cluster."""
    survivor, restarted, kept = survivor_and_dead
    for node in restarted:
        node.start()
    for node in [survivor, *restarted]:
        refused = wait_refused(node, "PUT", "/v1/collections/items/new", b"{}")
        assert refused.code == "no_leader"
    old_cluster = survivor.view()["cluster_id"]
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for node in restarted:
            assert not node.logged("founded")
            assert node.view()["cluster_id"] in (None, old_cluster)
            assert node.put("new", "{}").status == 503
            assert node.about()["role"] != "leader"
        assert survivor.put("new", "{}").status == 503
        time.sleep(0.1)
    for node in restarted:
        detail = node.put("new", "{}").json()["detail"]
        assert old_cluster[:8] in detail or survivor.name in detail or REASON in detail, detail
        assert node.logged(rf"(WARN|INFO).*({old_cluster[:8]}|{survivor.name}|{REASON})"), node.log()
    assert documents(survivor, stale=True) == kept

    trio = forgetful_trio
    for node in trio.nodes:
        node.kill()
    leader, _ = trio.start().wait_formed()
    assert leader.view()["cluster_id"] != old_cluster
    assert wait_same(trio.nodes) == {}
    assert leader.put("new", "{}").status == 201


def test_all_killed_and_restarted(forgetful_trio):
    """Goal: three processes killed at the same instant and started again are one new cluster, empty, with a
    new id."""
    trio = forgetful_trio
    leader, _ = trio.wait_formed()
    old_cluster = leader.view()["cluster_id"]
    assert leader.put("lost", "{}").status == 201
    for node in trio.nodes:
        node.expected_down = True
        node.process.kill()
    for node in trio.nodes:
        node.kill()
    trio.start_together()
    trio.wait_formed()
    assert {n.view()["cluster_id"] for n in trio.nodes} != {old_cluster}
    assert wait_same(trio.nodes) == {}
    assert sum("founded cluster" in n.log() for n in trio.nodes) == 1


def test_a_stopped_majority_comes_back(stored_trio):
    """Goal: a majority that only sleeps is not lost: when it wakes, the same cluster goes on with its
    documents."""
    trio = stored_trio
    leader, followers = trio.wait_formed()
    cluster_id = leader.view()["cluster_id"]
    assert leader.put("kept", "{}").status == 201
    wait_same(trio.nodes)
    leader.pause()
    followers[0].pause()
    wait_until("the third misses them", lambda: REASON in followers[1].put("x", "{}").json()["detail"])
    leader.resume()
    followers[0].resume()
    new, _ = trio.wait_formed()
    assert new.view()["cluster_id"] == cluster_id
    assert new.put("more", "{}").status == 201
    assert sorted(wait_same(trio.nodes)) == [("items", "kept"), ("items", "more")]
