"""Reads of real processes: by default they see everything that was answered before, on every node and from a
leader that does not know yet that it was deposed; with a revision, what the client has written; stale ones say
how old they are."""

import json
import os
import time

import pytest
from client import Connection, wait_until

ROUNDS = int(os.environ.get("CORACLE_READ_ROUNDS", "100"))
ITEM = "/v1/collections/items/x"


def put_number(node, number, timeout_s=5):
    answer = node.put("x", b'{"id":"x","n":%d}' % number, timeout_s=timeout_s)
    assert answer.status in (200, 201), answer
    return int(answer.header("etag").strip('"'))


def number_of(answer):
    assert answer.status == 200, answer
    return answer.json()["n"]


def test_every_node_sees_what_was_answered(trio, measured):
    """Goal: a write answered by the leader is in the very next read of every node, every time."""
    leader, followers = trio.wait_formed()
    connections = [node.connect() for node in [leader, *followers]]
    slowest = 0
    for n in range(ROUNDS):
        put_number(leader, n)
        for connection in connections:
            begin = time.monotonic()
            assert number_of(connection.request("GET", ITEM)) == n
            slowest = max(slowest, time.monotonic() - begin)
            listing = connection.request("GET", "/v1/collections/items")
            assert [d["n"] for d in listing.json()] == [n]
    for connection in connections:
        connection.socket.close()
    measured(f"linearizable reads, {ROUNDS * 3}: the slowest {slowest * 1000:.1f} ms")


@pytest.mark.limit_s(600)
def test_a_stopped_leader_that_wakes(trio, measured):
    """Goal: a leader is stopped, the others go on without it and write; it wakes and is read from at once, on a
    connection from before and on a new one. It must never answer what was overwritten."""
    number = 0
    kinds = {}
    rounds = max(1, ROUNDS // 5)  # each takes an election timeout or two
    for _ in range(rounds):
        old, others = trio.wait_formed()
        put_number(old, number)
        before = old.connect()
        assert number_of(before.request("GET", ITEM)) == number
        old.pause()
        new = trio.wait_leader(others)
        number += 1
        put_number(new, number)
        waiting = old.connect()  # in its backlog
        waiting.send(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % ITEM.encode())
        before.send(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % ITEM.encode())
        old.resume()
        fresh = old.connect()
        fresh.send(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % ITEM.encode())
        for connection in (fresh, before, waiting):
            answer = connection.answer()
            kinds[answer.status] = kinds.get(answer.status, 0) + 1
            if answer.status == 200:
                assert answer.json()["n"] == number, f"stale: {answer}"
            else:
                assert answer.status in (503, 504), answer
            connection.socket.close()
        number += 1
    measured(f"a stopped leader that wakes, {rounds} rounds: answers {kinds}")


def test_read_your_writes_on_a_follower(trio):
    """Goal: with the revision of one's own write, any follower's stale read includes it."""
    leader, followers = trio.wait_formed()
    for n in range(ROUNDS):
        revision = put_number(leader, n)
        for follower in followers:
            answer = follower.get(f"{ITEM}?consistency=stale&min_revision={revision}")
            assert number_of(answer) == n
            assert int(answer.header("coracle-revision")) >= revision
            assert int(answer.header("coracle-staleness-ms")) >= 0
    begin = time.monotonic()
    answer = followers[0].get(f"{ITEM}?consistency=stale&min_revision={revision + 1000}&wait_ms=300")
    assert (answer.status, answer.code) == (504, "revision_not_reached")
    assert 0.29 <= time.monotonic() - begin < 3  # the node counts whole milliseconds


def test_how_old(trio):
    """Goal: a stale read says how old it is: little while the leader is heard, more and more when it is not;
    too much is refused."""
    leader, (follower, other) = trio.wait_formed()
    put_number(leader, 1)
    time.sleep(0.3)
    assert int(leader.get(f"{ITEM}?consistency=stale").header("coracle-staleness-ms")) == 0
    answer = follower.get(f"{ITEM}?consistency=stale&max_stale_ms=5000")
    assert number_of(answer) == 1
    assert leader.get(ITEM).header("coracle-staleness-ms") is None
    leader.pause()
    other.pause()
    wait_until(
        "it has grown old",
        lambda: int(follower.get(f"{ITEM}?consistency=stale").header("coracle-staleness-ms")) > 1500,
    )
    refused = follower.get(f"{ITEM}?consistency=stale&max_stale_ms=1000")
    assert (refused.status, refused.code) == (503, "too_stale")
    assert int(refused.header("retry-after")) > 0
    assert follower.get(ITEM).code == "no_leader"
    assert follower.get("/readyz").status == 503
    assert follower.get("/readyz?consistency=stale").status == 200
    assert follower.get("/v1/cluster").status == 200
    leader.resume()
    other.resume()
    trio.wait_formed()
    wait_until("it is fresh", lambda: follower.get(f"{ITEM}?consistency=stale&max_stale_ms=500").status == 200)


def test_a_read_waits_for_the_next_leader(trio):
    """Goal: a read that is under way when the leader stops is answered by the next one, within its wait."""
    leader, (follower, _) = trio.wait_formed()
    put_number(leader, 1)
    leader.pause()
    begin = time.monotonic()
    assert number_of(follower.get(f"{ITEM}?wait_ms=30000")) == 1
    assert time.monotonic() - begin < 10
    leader.resume()


def test_without_a_majority_a_read_ends(trio):
    """Goal: a leader that has lost the others answers within the wait, and says what it lacks."""
    leader, followers = trio.wait_formed()
    put_number(leader, 1)
    for follower in followers:
        follower.pause()
    begin = time.monotonic()
    answer = leader.get(f"{ITEM}?wait_ms=300")
    assert answer.status in (503, 504), answer
    assert time.monotonic() - begin < 3
    wait_until("it steps down", lambda: leader.get(ITEM).code == "no_leader")
    assert "need 2 of 3 voters, reached 1" in leader.get(ITEM).json()["detail"]
    assert number_of(leader.get(f"{ITEM}?consistency=stale")) == 1
    for follower in followers:
        follower.resume()
    trio.wait_formed()
    assert number_of(leader.get(ITEM)) == 1


def test_clients_that_go_away(trio):
    """Goal: many clients that ask for what does not come, and go, hold nobody up. (Leaks are seen when the
    nodes end.)"""
    leader, (follower, _) = trio.wait_formed()
    put_number(leader, 1)
    for _ in range(200):
        connection = Connection(follower.port)
        connection.send(
            b"GET %s?consistency=stale&min_revision=999999&wait_ms=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n" % ITEM.encode()
            + b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % ITEM.encode()
        )
        connection.socket.close()
    assert number_of(follower.get(ITEM)) == 1


def test_reads_and_writes_of_one_connection(trio):
    """Goal: pipelined reads and writes of one connection are each answered as if one came after the other."""
    leader, _ = trio.wait_formed()
    requests, expected = [], []
    put_number(leader, -1)
    current = -1
    for n in range(ROUNDS):
        if n % 3 == 0:
            current = n
            requests.append(("PUT", ITEM, json.dumps({"id": "x", "n": n}), {}))
        else:
            requests.append(("GET", ITEM, None, {}))
        expected.append(current)
    with leader.connect() as connection:
        answers = connection.pipeline(requests)
    assert [a.json()["n"] for a in answers] == expected
