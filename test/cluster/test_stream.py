"""The replication stream's door: only the leader, with the follower's write token, gets a stream.

The token is a secret of the two nodes, so what is tried here is what must be refused; what a stream does with
bad frames is tested in the rooms that read them."""

import os
import random

import pytest
from client import Connection, request_bytes
from documents import documents, wait_same

UPGRADE = {"Connection": "Upgrade", "Upgrade": "coracle-replication/1"}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


REFUSED = {
    "no token": (UPGRADE, 401),
    "wrong token": (UPGRADE | bearer("ab" * 32), 403),
    "token of zeros": (UPGRADE | bearer("00" * 32), 403),
    "short token": (UPGRADE | bearer("ab"), 403),
    "long token": (UPGRADE | bearer("ab" * 3000), 403),
    "empty token": (UPGRADE | bearer(""), 401),
    "other scheme": (UPGRADE | {"Authorization": "Basic YTpi"}, 401),
    "no upgrade": (bearer("ab" * 32), 426),
    "nothing": ({}, 426),
    "other protocol": (UPGRADE | {"Upgrade": "websocket"} | bearer("ab" * 32), 426),
    "no connection header": ({"Upgrade": "coracle-replication/1"} | bearer("ab" * 32), 426),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_stranger_gets_no_stream(shared_trio, case):
    """Goal: every node refuses, as http.md says, and is undisturbed: leader, term and documents stay."""
    headers, expected = REFUSED[case]
    leader, _ = shared_trio.wait_formed()
    leader.put("kept", '{"id":"kept"}')
    before = wait_same(shared_trio.nodes), leader.about()["term"]
    for node in shared_trio.nodes:
        answer = node.get("/v1/replication", headers=headers)
        assert answer.status == expected, answer
        assert answer.header("content-type") == "application/problem+json"
        if answer.status == 426:
            assert answer.header("upgrade") == "coracle-replication/1"
        if answer.status == 401:
            assert answer.header("www-authenticate").startswith("Bearer")
    after_leader, _ = shared_trio.wait_formed()
    assert after_leader is leader
    assert (wait_same(shared_trio.nodes), leader.about()["term"]) == before


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_only_get_upgrades(shared_trio, method):
    for node in shared_trio.nodes:
        answer = node.request(method, "/v1/replication", b"{}", UPGRADE | bearer("ab" * 32))
        assert answer.status == 405
        assert "GET" in answer.header("allow")


def test_frames_after_a_refusal_are_not_read_as_frames(shared_trio):
    """Goal: bytes sent right behind a refused upgrade reach no parser of frames: the connection is closed, or
    they are taken for the next request, which they are not."""
    leader, _ = shared_trio.wait_formed()
    before = wait_same(shared_trio.nodes)
    dice = random.Random(7)
    for node in shared_trio.nodes:
        for headers in (UPGRADE, UPGRADE | bearer("ab" * 32)):
            hello = b"\x10\0\0\0\x01\0\0\0" + dice.randbytes(24)
            for tail in (b"\xff" * 64, b"\0" * 16, dice.randbytes(5000), hello):
                with Connection(node.port) as connection:
                    connection.send(request_bytes("GET", "/v1/replication", None, headers) + tail)
                    assert connection.answer().status in (401, 403)
                    while not connection.is_closed(within_s=0.05):
                        answer = connection.answer()
                        assert answer.status == 400
    assert shared_trio.wait_formed()[0] is leader
    assert wait_same(shared_trio.nodes) == before


def test_a_token_does_not_make_a_client_a_leader(shared_trio):
    """Goal: a write with a made-up token, or one that claims to be forwarded, is no more than a client's
    write: a follower does not take it for the leader's."""
    leader, followers = shared_trio.wait_formed()
    before = wait_same(shared_trio.nodes)
    for node in followers:
        headers = bearer(os.urandom(32).hex()) | {"Coracle-Forwarded-By": leader.name}
        answer = node.put("forged", "{}", headers=headers)
        assert answer.status in (307, 401, 403), answer
    assert documents(leader) == before
