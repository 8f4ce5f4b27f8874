"""Nodes with an election address each (--peers), as on several hosts: who founds and when, who joins, what
keeps them from it and where that is said, and from when on writes are taken."""

import itertools
import socket
import subprocess
import time

import kernel
import pytest
from client import request, wait_until
from documents import put_until_accepted, wait_same
from node import clean_environment, free_port
from peers import PeerCluster, text

HOSTS = {
    "three": ["127.0.0.1"] * 3,
    "five": ["127.0.0.1"] * 5,
    "hosts": ["127.0.0.1", "127.0.0.2", "127.0.0.3"],
    "ipv6": ["::1"] * 3,
}
QUIET_S = 1.5  # two election timeouts and more: what has not happened by then does not happen


@pytest.fixture
def make_peers(make_cluster, tmp_path):
    """make_peers(hosts, options) is a PeerCluster whose nodes are not started yet."""
    numbers = itertools.count()

    def make(hosts="three", options=()):
        return make_cluster.adopt(PeerCluster(tmp_path / f"peers{next(numbers)}", HOSTS[hosts], options))

    return make


def reason(node):
    """Why it is not ready; None: it is, or it does not answer yet."""
    answer = node.get("/readyz", timeout_s=2)
    return answer.json()["detail"] if answer.status == 503 else None


# ---- Founding


@pytest.mark.parametrize("hosts", HOSTS)
def test_started_at_the_same_instant(make_peers, hosts):
    """Goal: the lowest founds, and all are voters of its cluster: on one host, on several, with IPv6. Each has
    one UDP socket only."""
    cluster = make_peers(hosts)
    cluster.start_together()
    leader, _ = cluster.wait_formed()
    assert cluster.founders() == ["a"]
    wait_until("it takes a write", lambda: leader.put("one", "{}").status == 201)
    assert list(wait_same(cluster.nodes)) == [("items", "one")]
    if hosts != "ipv6":
        for node in cluster.nodes:
            assert kernel.udp_ports_of(node.pid) == [node.election_port]


@pytest.mark.parametrize("order", itertools.permutations("abc"), ids="".join)
def test_one_after_the_other(make_peers, order):
    """Goal: nobody founds before all are there, whichever is the last; until then each says whom it waits for.
    """
    cluster = make_peers()
    by_name = {n.name: n for n in cluster.nodes}
    nodes = [by_name[name] for name in order]
    for node in nodes[:2]:
        node.start()
    for node in nodes[:2]:
        wait_until(f"{node} says why", lambda node=node: nodes[2].election in reason(node))
    assert cluster.founders() == []
    nodes[2].start()
    cluster.wait_formed()
    assert cluster.founders() == ["a"]


def test_a_list_of_one(make_peers):
    """Goal: a cluster of one across hosts founds itself too."""
    cluster = make_peers()
    (node,) = cluster.nodes = cluster.nodes[:1]
    node.peers = [node.election]
    node.start()
    wait_until("it takes a write", lambda: node.put("one", "{}").status == 201)


# ---- Lists that differ


def test_lists_that_differ_found_nothing(make_peers):
    """Goal: with another list on one node nobody founds, and both sides name the other and what differs;
    mended, they are a cluster."""
    cluster = make_peers()
    a, b, c = cluster.nodes
    stranger = text("127.0.0.1", free_port())
    c.peers = [a.election, c.election, stranger]
    cluster.start()
    a.wait_logged(rf"c at {c.election} has another --peers: {stranger} is not in this node's")
    c.wait_logged(rf"a at {a.election} has another --peers: {b.election} is not in this node's")
    wait_until("a says it", lambda: f"c at {c.election} has another --peers" in reason(a))
    wait_until("c says it", lambda: f"a at {a.election} has another --peers" in reason(c))
    wait_until("b says it", lambda: "which alone may found" in reason(b))
    time.sleep(QUIET_S)
    assert cluster.founders() == []
    assert c.stop() == 0
    c.peers = a.peers
    c.start()
    cluster.wait_formed()
    assert cluster.founders() == ["a"]


def test_a_node_without_a_list(make_peers):
    """Goal: one that was started without --peers is no peer, and is named."""
    cluster = make_peers()
    a, b, c = cluster.nodes
    a.start()
    b.start()
    single = cluster.new_node("c", port=c.port, folder=c.folder)
    single.election_port = c.election_port
    cluster.nodes[2] = single
    # Alone at its address it founds a cluster of its own; the peers see that, and found none.
    single.start()
    a.wait_logged("not founding|joining cluster")
    time.sleep(QUIET_S)
    assert cluster.founders() == ["c"]


# ---- Comings and goings


@pytest.mark.parametrize("hosts", ["three", "hosts", "ipv6"])
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_wiped_node_comes_back(make_peers, who, hosts, storage):
    """Goal: the rest go on, and the one that has lost everything joins them again at its old address, the
    lowest too, which founds nothing beside them; nothing acknowledged is lost."""
    cluster = make_peers(hosts, storage).start()
    leader, followers = cluster.wait_formed()
    wait_until("it takes a write", lambda: leader.put("before", "{}").status == 201)
    victim = leader if who == "leader" else followers[0]
    victim.kill()
    rest = [n for n in cluster.nodes if n is not victim]
    put_until_accepted(rest, "meanwhile", "{}")
    victim.wipe()
    victim.start()
    cluster.wait_formed()
    assert sorted(wait_same(cluster.nodes)) == [("items", "before"), ("items", "meanwhile")]
    assert cluster.founders() == ["a"]


def test_one_node_after_the_other_is_wiped(make_peers, storage):
    """Goal: the same, once round and once more, under the eyes of clients who write."""
    cluster = make_peers(options=storage).start()
    cluster.wait_formed()
    written = []
    for number, node in enumerate(2 * cluster.nodes):
        node.kill()
        rest = [n for n in cluster.nodes if n is not node]
        put_until_accepted(rest, str(number), "{}")
        written.append(("items", str(number)))
        node.wipe()
        node.start()
        cluster.wait_formed()
    assert sorted(wait_same(cluster.nodes)) == sorted(written)
    assert cluster.founders() == ["a"]


def test_a_lost_majority_founds_nothing(make_peers, storage):
    """Goal: two of three have lost everything, one still has it: no second cluster, and everybody says why.
    When the third has lost it too, they begin anew."""
    cluster = make_peers(options=storage).start()
    cluster.wait_formed()
    a, b, c = cluster.nodes
    for victim in (b, a):  # the leader last: b might yet have voted for c
        victim.kill()
    for victim in (a, b):
        victim.wipe()
        victim.start()
    wait_until("c says why", lambda: "need 2 of 3 voters" in reason(c))
    wait_until("a says why", lambda: "which c belongs to" in reason(a))
    time.sleep(QUIET_S)
    assert cluster.founders() == ["a"]
    assert c.stop() == 0
    c.wipe()
    c.start()
    cluster.wait_formed()
    assert cluster.founders() == ["a", "a"]


def test_leaders_fall_and_follow(make_peers, measured):
    """Goal: without a port to be won a fallen leader is replaced within a heartbeat or two; a stopped one
    follows when it goes on."""
    cluster = make_peers("five").start()
    leader, followers = cluster.wait_formed()
    for number in range(3):
        leader.kill()
        killed = time.monotonic()
        rest = [n for n in cluster.nodes if n is not leader]
        put_until_accepted(rest, f"fallen {number}", "{}")
        measured(f"--peers, kill -9 of the leader to a write taken: {time.monotonic() - killed:.3f} s")
        leader.start()
        leader, followers = cluster.wait_formed()
    leader.pause()
    put_until_accepted(followers, "paused", "{}")
    leader.resume()
    cluster.wait_formed()
    assert cluster.founders() == ["a"]


# ---- Expecting voters


def test_writes_wait_for_the_voters_that_are_expected(make_peers):
    """Goal: with --expect 4 a cluster of three reads and does not write, and says why; a fourth node, which has
    a longer list, makes it write; and when one is gone again, and no member any more, it goes on."""
    cluster = make_peers(options=["--expect", "4", "--storage=memory"]).start()
    leader, _ = cluster.wait_formed()
    answer = leader.put("early", "{}")
    assert (answer.status, answer.code) == (503, "writes_stopped")
    assert "3 of the 4 voters" in answer.json()["detail"]
    wait_until("it reads", lambda: leader.get("/readyz").status == 200)
    fourth = cluster.new_peer("d", "127.0.0.1")
    fourth.peers = [*leader.peers, fourth.election]
    cluster.nodes.append(fourth)
    fourth.start()
    leader, followers = cluster.wait_formed()
    leader.wait_logged("4 voters are in, 4 were waited for: taking writes")
    assert leader.put("late", "{}").status == 201
    followers[0].kill()
    wait_until("it is removed", lambda: len(leader.view()["members"]) == 3)
    assert leader.put("later", "{}").status == 201
    leader.kill()
    put_until_accepted([n for n in cluster.running], "another leader", "{}")


def test_expecting_fewer_than_there_are(make_peers):
    """Goal: --expect 1 lets the founder write alone."""
    cluster = make_peers(options=["--expect", "1"]).start()
    put_until_accepted(cluster.nodes, "one", "{}")
    cluster.wait_formed()


def test_expecting_on_one_host(make_cluster):
    """Goal: the same option without --peers: the first of three waits for the others."""
    cluster = make_cluster(3, options=["--expect", "3"])
    first, *others = cluster.nodes
    first.start()
    first.wait_logged("founded")
    assert wait_until("it refuses", lambda: first.put("early", "{}").code) == "writes_stopped"
    for node in others:
        node.start()
    leader, _ = cluster.wait_formed()
    wait_until("it writes", lambda: leader.put("late", "{}").status == 201)


# ---- Addresses


def test_a_taken_election_address(make_peers):
    """Goal: with --peers it is this node's alone, so who does not get it says so and ends with 1."""
    cluster = make_peers()
    node = cluster.lowest
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((node.host, node.election_port))
        result = subprocess.run(
            node.arguments(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
            env=clean_environment(node.folder),
        )  # fmt: skip
    assert result.returncode == 1 and result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("coracle serve: ")]
    assert f"{node.election} (udp) is taken by another process" in line


def test_an_election_address_of_another_host(make_peers, make_cluster):
    """Goal: the error names the address, and without --peers what is missing (192.0.2.0/24 is nobody's)."""
    cluster = make_peers()
    node = cluster.lowest
    for peers in ([], ["--peers", "192.0.2.1:9,192.0.2.2:9"]):
        command = [
            *node.arguments()[:2], "--election", "192.0.2.1:9", *peers, "--http", f"0.0.0.0:{node.port}",
            "--advertise", "192.0.2.1", "--data-dir", str(node.data_dir), *cluster.options,
        ]  # fmt: skip
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
            env=clean_environment(node.folder),
        )  # fmt: skip
        assert result.returncode == 1
        assert "192.0.2.1:9 is not an address of this host" in result.stderr
        assert ("nodes on several hosts need --peers" in result.stderr) == (peers == [])


@pytest.mark.parametrize("wildcard, hosts", [("0.0.0.0", ["127.0.0.1"]), ("[::]", ["127.0.0.1", "::1"])])
def test_a_wildcard_and_what_is_advertised(make_peers, wildcard, hosts):
    """Goal: nodes that listen everywhere are known by the address they advertise: to each other, and to
    clients who are sent to the leader. [::] is IPv4's wildcard too."""
    cluster = make_peers("hosts")
    for node in cluster.nodes:
        node.port = free_port()
        node.http = f"{wildcard}:{node.port}"
        node.options = [*node.options, "--advertise", node.host]
    last = cluster.nodes[-1]
    last.options[-1] = f"{last.host}:{last.port}"  # with its port, too
    cluster.start()
    leader, followers = cluster.wait_formed()
    for host in hosts:
        assert request(leader.port, "GET", "/livez", host=host).status == 200
    answer = followers[0].put("one", "{}")
    assert answer.status == 307 and answer.header("location").startswith(leader.url)
    wait_until("it takes a write", lambda: leader.put("one", "{}").status == 201)
    wait_same(cluster.nodes)
