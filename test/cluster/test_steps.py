"""The eight steps of the handshake, each asserted from what the nodes log and from what they do."""

import re
import socket
import time

import kernel
from client import request_bytes, wait_until

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (ERROR|WARN |INFO |DEBUG) \w+: \S.*")


def position(node, pattern):
    found = node.logged(pattern)
    assert found, f"{node} never logged {pattern!r}"
    return found.start()


def test_three_processes_take_the_eight_steps(make_cluster):
    """Goal: what the brief asks of three services, in the order that it asks for. Method: three processes at
    once; the steps of each are found in its log in order, and each leaves the trace it must."""
    cluster = make_cluster(3)
    cluster.start_together()
    leader, followers = cluster.wait_formed()
    election = re.escape(f"127.0.0.1:{cluster.election_port}")

    # 1 and 2: all try to bind, one wins, and the kernel agrees that one process alone has the address.
    for node in cluster.nodes:
        position(node, rf"step 1: .*bind.*{election}")
    position(leader, rf"step 2: won the election address {election}")
    position(leader, r"step 2: founded cluster [0-9a-f]{32} in term 1; leading")
    assert len(kernel.udp_inodes(cluster.election_port)) == 1
    assert leader.holds_election_port

    for node in followers:
        name, http = re.escape(node.name), re.escape(node.address)
        steps = [
            rf"step 1: .*{election}",
            rf"step 3: {election} is taken; following",
            rf"step 4: sent ACCEPT to {election}",
            rf"step 5: CREDENTIALS from {leader.name}: http {re.escape(leader.address)}, term 1",
            rf"step 6: sent CREDENTIALS to {leader.name}",
            rf"step 7: {leader.name} saved our credentials",
            rf"step 8: HTTP open on {http}",
        ]
        places = [position(node, step) for step in steps]
        assert places == sorted(places), f"{node} took the steps out of order"
        leaders_steps = [
            rf"step 4: ACCEPT from {name} ",
            rf"step 5: sent CREDENTIALS to {name}",
            rf"step 6: CREDENTIALS from {name}: http {http}",
            rf"step 7: saved {name}'s credentials",
        ]
        places = [position(leader, step) for step in leaders_steps]
        assert places == sorted(places), f"{leader} took the steps with {node} out of order"
    # 8: a founder accepts at once, before it has heard of anybody.
    opened = position(leader, rf"step 8: HTTP open on {re.escape(leader.address)}")
    assert opened < position(leader, "step 4: ACCEPT from")

    # 7: the peer table is what /v1/cluster shows, and its credentials are good: the stream carries a write.
    view = leader.view()
    assert view["leader"]["id"] == view["self"]
    others = [m for m in view["members"] if m["id"] != view["self"]]
    assert sorted(m["http"] for m in others) == sorted(n.url for n in followers)
    assert all(m["up"] for m in others)
    revision = leader.put("one", b'{"id":"one"}').header("etag")
    for node in followers:
        wait_until("the write arrives", lambda n=node: n.get("/v1/collections/items/one").status == 200)
        read = node.get("/v1/collections/items/one")
        assert (read.body, read.header("etag")) == (b'{"id":"one"}', revision)


def test_log_lines_have_one_form_and_tell_no_token(trio):
    """Goal: the log can be parsed, and no write token is in it: 64 hex digits would be one, a cluster id has
    32."""
    for node in trio.nodes:
        lines = node.log().splitlines()
        assert lines
        assert [line for line in lines if not LOG_LINE.fullmatch(line)] == []
        assert not re.search(r"[0-9a-f]{64}", node.log(), re.IGNORECASE)


def test_http_waits_for_the_handshake(make_cluster):
    """Goal: steps 4 to 8 of a follower in slow motion: its port is bound from the start, but a connection is
    accepted only after SAVED. Method: the leader is stopped, so that it holds the address and answers
    nothing; the kernel shows that the follower has left the connection in its backlog."""
    cluster = make_cluster(2, ["--election-timeout-ms", "8000"])
    leader, follower = cluster.nodes
    leader.start()
    cluster.wait_leader([leader])
    leader.pause()
    follower.start()
    follower.wait_logged("step 4: sent ACCEPT")
    with wait_until("the port is bound", follower.connect) as connection:
        client_port = connection.socket.getsockname()[1]
        connection.send(request_bytes("GET", "/livez"))
        assert connection.is_quiet(0.5)
        assert kernel.is_unaccepted(follower.port, client_port)
        assert not follower.logged("step [5678]:")
        leader.resume()
        assert connection.answer().status == 200
        assert not kernel.is_unaccepted(follower.port, client_port)
    places = [position(follower, f"step {n}:") for n in (4, 5, 6, 7, 8)]
    assert places == sorted(places)
    cluster.wait_formed()


def test_accept_is_resent_until_answered(make_cluster):
    """Goal: step 4 survives loss. Method: the test holds the election address and answers nothing."""
    cluster = make_cluster(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", cluster.election_port))
        holder.settimeout(10)
        (node,) = cluster.start().nodes
        senders = set()
        for _ in range(5):
            data, sender = holder.recvfrom(65536)
            assert data[:5] == b"CRCL\x01" and len(data) <= 1200
            senders.add(sender)
        # From the one socket that it has for life.
        assert senders == {("127.0.0.1", node.own_udp_port())}


def test_http_opens_without_a_leader_and_says_why(make_cluster):
    """Goal: a node that finds no leader is not mute. Method: the test holds the election address; after two
    election timeouts the node answers: alive, stale reads, and the reason for everything else. The address
    comes free, and it founds a cluster."""
    cluster = make_cluster(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", cluster.election_port))
        (node,) = cluster.start().nodes
        with wait_until("the port is bound", node.connect) as connection:
            assert connection.request("GET", "/livez").status == 200
            assert connection.request("GET", "/v1/collections?consistency=stale").json() == []
            about = connection.request("GET", "/").json()
            assert about["leader"] is None and about["role"] != "leader"
            for refused in (
                connection.request("GET", "/v1/collections"),
                connection.request("PUT", "/v1/collections/items/1", "{}"),
                connection.request("DELETE", "/v1/collections/items/1"),
            ):
                assert (refused.status, refused.code) == (503, "no_leader")
                assert int(refused.header("retry-after")) >= 0
                assert str(cluster.election_port) in refused.json()["detail"]
            ready = connection.request("GET", "/readyz")
            # A clear hint at what may hold the address.
            assert ready.status == 503
            assert "a hung process, another secret, or another program" in ready.json()["detail"]
        assert not node.logged("founded")
    cluster.wait_formed()
    assert node.put("1", "{}").status == 201


def test_the_election_address_moves_with_the_lead(trio):
    """Goal: steps 1 to 7 again with a new leader. Method: kill the leader; the new one holds the address,
    alone, and has the credentials of the remaining follower."""
    leader, followers = trio.wait_formed()
    leader.kill()
    begin = time.monotonic()
    new = trio.wait_leader(followers)
    wait_until("the address is the new leader's", lambda: new.holds_election_port)
    assert len(kernel.udp_inodes(trio.election_port)) == 1
    (other,) = [n for n in followers if n is not new]
    new.wait_logged(rf"step 7: saved {other.name}'s credentials")
    other.wait_logged(rf"following {new.name} in term")
    assert time.monotonic() - begin < 30
