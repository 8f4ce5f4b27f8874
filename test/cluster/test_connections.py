"""Connections: pipelining in order, the limit on their number, and deadlines on slow ones."""

import socket
import threading
import time

from client import Connection, document_path, request_bytes, wait_until
from documents import wait_same

HEADER_DEADLINE_S = 10


def test_a_hundred_pipelined_requests_in_order(trio):
    """Goal: writes and reads mixed, sent in one go, are answered in order, and each read sees the writes
    before it on the connection."""
    leader, _ = trio.wait_formed()
    requests, expected = [], []
    for i in range(20):
        path, body = f"/v1/collections/items/{i}", '{"id":"%d","n":%d}' % (i, i)
        requests += [("GET", path), ("PUT", path, body), ("GET", path), ("DELETE", path), ("GET", path)]
        expected += [(404, None), (201, body), (200, body), (204, ""), (404, None)]
    with leader.connect() as connection:
        connection.send(b"".join(request_bytes(*r) for r in requests))
        answers = [connection.answer() for _ in requests]
    assert [a.status for a in answers] == [status for status, _ in expected]
    assert all(body is None or a.body.decode() == body for a, (_, body) in zip(answers, expected))
    assert wait_same(trio.nodes) == {}


def test_pipelined_overwrites_of_one_document(trio):
    """Goal: a hundred writes of one document, each read back at once: revisions grow, each read sees the
    newest."""
    leader, _ = trio.wait_formed()
    path = "/v1/collections/items/one"
    requests = [r for i in range(50) for r in (("PUT", path, '{"id":"one","n":%d}' % i), ("GET", path))]
    with leader.connect() as connection:
        connection.send(b"".join(request_bytes(*r) for r in requests))
        answers = [connection.answer() for _ in requests]
    revisions = [int(a.header("etag").strip('"')) for a in answers]
    assert revisions[::2] == sorted(set(revisions[::2])) and revisions[::2] == revisions[1::2]
    assert [a.json()["n"] for a in answers[1::2]] == list(range(50))


def test_pipelined_reads_on_a_follower(trio):
    leader, followers = trio.wait_formed()
    assert leader.put("one", '{"id":"one"}').status == 201
    wait_same(trio.nodes)
    with followers[0].connect() as connection:
        connection.send(request_bytes("GET", "/v1/collections/items/one") * 100)
        assert [connection.answer().body for _ in range(100)] == [b'{"id":"one"}'] * 100


def test_many_connections_at_once(trio):
    """Goal: writes from 50 connections at the same time all succeed, and all nodes agree on the outcome."""
    leader, _ = trio.wait_formed()
    connections = [leader.connect() for _ in range(50)]
    try:
        for round_ in range(10):
            for i, connection in enumerate(connections):
                connection.send(request_bytes("PUT", document_path("many", f"{i}"), '{"n":%d}' % round_))
            assert {c.answer().status for c in connections} <= {200, 201}
    finally:
        for connection in connections:
            connection.socket.close()
    found = wait_same(trio.nodes)
    assert len(found) == 50 and all(b'"n":9' in body for body, _ in found.values())


def test_a_client_that_does_not_read(trio):
    """Goal: answers that nobody reads pile up for one client only, within bounds: others are served, and the
    cluster replicates. Method: pipeline requests for a large document until the node takes no more, and leave
    them."""
    leader, _ = trio.wait_formed()
    assert leader.put("big", b'{"s":"' + b"x" * 900_000 + b'"}').status == 201
    wait_same(trio.nodes)
    with leader.connect() as greedy:
        greedy.socket.settimeout(1)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += greedy.socket.send(request_bytes("GET", "/v1/collections/items/big") * 100)
        except TimeoutError:
            pass
        assert sent < 64 << 20, "the node buffered requests without a bound"
        resident = next(line for line in open(f"/proc/{leader.pid}/status") if line.startswith("VmRSS"))
        assert int(resident.split()[1]) < 512 << 10, resident
        assert leader.put("other", "{}").status == 201
        assert trio.wait_formed()[0] is leader
    assert leader.put("another", "{}").status == 201
    assert len(wait_same(trio.nodes)) == 3


def test_connections_over_the_limit(make_cluster):
    """Goal: beyond --max-connections a connection is closed or told 503, those within go on, and when one
    goes another may come. A cluster at its limit keeps its leader and replicates."""
    cluster = make_cluster(3, ["--max-connections", "8"]).start()
    leader, followers = cluster.wait_formed()
    for node in cluster.nodes:
        held = []
        try:
            refused = 0
            while refused < 5:
                assert len(held) <= 8
                connection = node.connect()
                try:
                    answer = connection.request("GET", "/livez")
                except OSError:
                    answer = None
                if answer and answer.status == 200:
                    held.append(connection)
                    continue
                assert answer is None or answer.status == 503
                connection.socket.close()
                refused += 1
            assert len(held) >= 6  # a follower's stream from the leader may count as one
            assert all(c.request("GET", "/livez").status == 200 for c in held)
            # The log still flows to a node whose clients have taken all places.
            writer = held[0] if node is leader else None
            revision = (
                writer.request("PUT", "/v1/collections/items/x", "{}") if writer else leader.put("x", "{}")
            ).header("etag").strip('"')
            wait_until(
                "the write arrives",
                lambda: int(held[0].request("GET", "/livez").header("coracle-revision")) >= int(revision),
            )
            held.pop().socket.close()
            wait_until("a place is free", lambda: node.get("/livez").status == 200)
        finally:
            for connection in held:
                connection.socket.close()
    wait_until("all places are free", lambda: cluster.wait_formed()[0] is leader)


def test_slow_headers_meet_a_deadline(make_cluster):
    """Goal: a request line that never ends is answered 408 or closed after about ten seconds; a trickle of
    bytes does not renew the deadline; an idle connection is not meant."""
    cluster = make_cluster(1).start()
    (node,) = cluster.nodes
    cluster.wait_formed()
    with node.connect() as silent, node.connect() as trickle, node.connect() as idle:
        assert idle.request("GET", "/livez").status == 200
        begin = time.monotonic()
        silent.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        trickle.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        trickling = threading.Event()

        def drip():
            while not trickling.wait(0.5):
                try:
                    trickle.socket.send(b"a")
                except OSError:
                    return

        dripper = threading.Thread(target=drip, daemon=True)
        dripper.start()
        try:
            for connection in (silent, trickle):
                try:
                    assert connection.answer().status == 408
                except ConnectionError:
                    pass
                else:
                    assert connection.is_closed()
                assert time.monotonic() - begin > HEADER_DEADLINE_S / 2
        finally:
            trickling.set()
            dripper.join()
        assert time.monotonic() - begin < 2.5 * HEADER_DEADLINE_S
        assert idle.request("GET", "/livez").status == 200


def test_a_client_that_half_closes(trio):
    """Goal: a client may end its sending side when it has asked; its answers still come."""
    leader, _ = trio.wait_formed()
    with Connection(leader.port) as connection:
        put = request_bytes("PUT", "/v1/collections/items/1", "{}")
        connection.send(put + request_bytes("GET", "/livez"))
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.answer().status == 201
        assert connection.answer().status == 200
        assert connection.is_closed()


def test_a_client_that_vanishes(trio):
    """Goal: a connection reset while its writes are under way harms nobody; the writes take effect or do
    not."""
    leader, _ = trio.wait_formed()
    for i in range(50):
        with leader.connect() as connection:
            linger = b"\x01\0\0\0\0\0\0\0"  # on, 0 s: close() resets
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.send(request_bytes("PUT", f"/v1/collections/items/{i}", "{}") * 5)
    assert leader.put("after", "{}").status == 201
    assert ("items", "after") in wait_same(trio.nodes)
