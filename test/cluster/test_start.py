"""Starting: in any order, seconds apart or at the same instant, with and without options, and ending on
SIGTERM."""

import itertools
import re
import signal
import socket
import subprocess
import time

import pytest
from client import request_bytes, wait_until
from documents import wait_same
from node import BINARY, clean_environment, die_with_parent


@pytest.mark.parametrize("pause_s", [0.0, 0.1, 0.25, 1.5])
def test_started_one_after_the_other(make_cluster, pause_s):
    """Goal: the first founds, the others join, and receive what was written before they came."""
    cluster = make_cluster(3)
    for node in cluster.nodes:
        node.start()
        time.sleep(pause_s)
    first = cluster.nodes[0]
    wait_until("a write is taken", lambda: first.put("early", '{"n":1}').status in (200, 201, 307))
    leader, _ = cluster.wait_formed()
    assert leader.put("late", '{"n":2}').status == 201
    found = wait_same(cluster.nodes)
    assert ("items", "late") in found


@pytest.mark.parametrize("order", itertools.permutations("abc"), ids="".join)
def test_started_in_any_order(make_cluster, order):
    """Goal: names and ports do not decide anything."""
    cluster = make_cluster(3)
    for name in order:
        next(n for n in cluster.nodes if n.name == name).start()
    cluster.wait_formed()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_started_at_the_same_instant(make_cluster, size):
    """Goal: whoever wins the address founds, the others join it, whatever their number; each holds what was
    written."""
    cluster = make_cluster(size)
    cluster.start_together()
    leader, _ = cluster.wait_formed()
    assert leader.put("one", "{}").status == 201
    assert list(wait_same(cluster.nodes)) == [("items", "one")]
    founded = [n for n in cluster.nodes if n.logged("founded cluster")]
    assert founded == [leader]


def test_without_options(make_cluster, tmp_path):
    """Goal: `coracle serve` in three terminals is a cluster: each takes the first free port from 8001, a name
    and a data directory made from it. Only the election address is given, so that no other cluster is met;
    port 8001 is held by the test if nobody has it."""
    cluster = make_cluster(0)
    home = tmp_path / "home"
    home.mkdir()
    blocker = socket.socket()
    try:
        blocker.bind(("127.0.0.1", 8001))
        blocker.listen()
    except OSError:
        pass  # somebody else's; as good
    processes = []
    try:
        for i in range(3):
            log = open(home / f"log{i}", "wb")
            command = [BINARY, "serve", "--election", f"127.0.0.1:{cluster.election_port}"]
            processes.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home,
                    env=clean_environment(home), preexec_fn=die_with_parent,
                )  # fmt: skip
            )
            log.close()

        def port_of(i):
            found = re.search(r"step 8: HTTP open on 127\.0\.0\.1:(\d+)", (home / f"log{i}").read_text())
            return found and int(found.group(1))

        ports = [wait_until(f"process {i} opens its port", lambda i=i: port_of(i)) for i in range(3)]
        assert len(set(ports)) == 3 and 8001 not in ports and min(ports) > 8001
        nodes = [cluster.new_node("x", port=port, folder=home / "unused") for port in ports]

        def names():
            views = [n.view() for n in nodes]
            assert len({v["cluster_id"] for v in views}) == 1
            members = [{(m["name"], m["http"], m["role"]) for m in v["members"]} for v in views]
            return members[0] if members[0] == members[1] == members[2] and len(members[0]) == 3 else None

        host = socket.gethostname()
        expected = {(f"{host}-{port}", f"http://127.0.0.1:{port}", "voter") for port in ports}
        wait_until("three voters with default names", lambda: names() == expected)
        folders = sorted(p.name for p in (home / ".local/share/coracle").iterdir())
        assert folders == sorted(f"{host}-{port}" for port in ports)
        for i, port in enumerate(ports):  # each says at the start where its data is
            assert str(home / ".local/share/coracle" / f"{host}-{port}") in (home / f"log{i}").read_text()
        for process in processes:
            process.terminate()
        assert [process.wait(30) for process in processes] == [0, 0, 0]
    finally:
        blocker.close()
        for process in processes:
            process.kill()
            process.wait(30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_each_node_with_0(trio, number):
    """Goal: SIGTERM and SIGINT are a clean end: exit status 0 (a sanitizer that found a leak would change
    it), for followers and for the leader, with clients connected and half-way through a request."""
    leader, followers = trio.wait_formed()
    for node in [*followers, leader]:
        with node.connect() as idle, node.connect() as half:
            assert idle.request("GET", "/livez").status == 200
            half.send(request_bytes("PUT", "/v1/collections/items/1", '{"n":1}')[:-3])
            assert node.stop(number) == 0
            assert idle.is_closed()
    assert trio.complaints() == []


def test_a_signal_before_the_handshake_ends_with_0(make_cluster):
    """Goal: the same for a node that waits for a leader, and for one that has only just started."""
    cluster = make_cluster(1)
    (node,) = cluster.nodes
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", cluster.election_port))
        for wait_s in (0.2, 0.6, 1.5):
            node.start()
            node.wait_logged("step 4: sent ACCEPT")
            time.sleep(wait_s)
            assert node.stop() == 0
    node.start()
    node.wait_logged("step 1:")
    assert node.stop() == 0
