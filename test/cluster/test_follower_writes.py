"""Writes sent to a follower: sent to the leader with 307, forwarded or refused, as --follower-writes says."""

import pytest
from client import request, request_bytes, wait_until
from documents import documents, wait_same

WRITES = [
    ("POST", "/v1/collections/items", b'{"id":"n"}'),
    ("PUT", "/v1/collections/items/n", b'{"id":"n"}'),
    ("PUT", "/v1/collections/items/a%20b%2Fc", b"{}"),
    ("DELETE", "/v1/collections/items/n", None),
]


@pytest.fixture
def formed(make_cluster):
    """formed(option) is (cluster, leader, followers) with all nodes at that --follower-writes."""

    def make(follower_writes):
        cluster = make_cluster(3, ["--follower-writes", follower_writes]).start()
        return cluster, *cluster.wait_formed()

    return make


def test_redirect_is_the_default(trio):
    """Goal: a follower answers a write with 307 and the same target at the leader, and changes nothing."""
    leader, followers = trio.wait_formed()
    before = wait_same(trio.nodes)
    for node in followers:
        for method, target, body in WRITES:
            answer = node.request(method, target, body)
            assert answer.status == 307, (method, target, answer)
            assert answer.header("location") == leader.url + target
            if answer.body:
                assert answer.code == "not_leader"
    assert wait_same(trio.nodes) == before
    # Followed as a client would, method and body kept, it succeeds.
    answer = followers[0].request("PUT", "/v1/collections/items/n", b'{"id":"n"}')
    port = int(answer.header("location").split(":")[2].split("/")[0])
    assert request(port, "PUT", "/v1/collections/items/n", b'{"id":"n"}').status == 201


def test_reject(formed):
    """Goal: 403, naming the leader, on a connection that stays open."""
    cluster, leader, followers = formed("reject")
    for node in followers:
        with node.connect() as connection:
            for method, target, body in WRITES[:2] + WRITES[3:]:
                answer = connection.request(method, target, body)
                assert (answer.status, answer.code) == (403, "not_leader")
                assert answer.json()["leader"]["http"] == leader.url
                assert leader.url in answer.json()["detail"]
            assert connection.request("GET", "/v1/collections").json() == []
    assert leader.put("n", "{}").status == 201


def test_forward(formed):
    """Goal: a client of any node need not know the leader: answers are the leader's own, and reads on the
    same connection keep their place among them."""
    cluster, leader, followers = formed("forward")
    for node in followers:
        posted = node.request("POST", "/v1/collections/items", b'{"name":"oar"}')
        assert posted.status == 201
        path = posted.header("location")
        assert posted.header("etag") and posted.json()["name"] == "oar"
        assert leader.get(path).body == posted.body
        replaced = node.request("PUT", path, posted.body.replace(b"oar", b"sail"))
        assert replaced.status == 200 and replaced.header("etag") != posted.header("etag")
        assert leader.get(path).header("etag") == replaced.header("etag")
        # Conditions are carried along, and so are refusals.
        assert node.request("PUT", path, posted.body, {"If-Match": posted.header("etag")}).status == 412
        conflict = node.request("POST", "/v1/collections/items", posted.body)
        assert conflict.status == 409 and conflict.header("content-type") == "application/problem+json"
        assert node.request("PUT", path, b"{").code == "invalid_json"
        assert node.request("DELETE", path).status == 204
        assert node.request("DELETE", path).code == "document_not_found"
        assert leader.get(path).status == 404
    assert wait_same(cluster.nodes) == {}


def test_forward_pipelined(formed):
    """Goal: forwarded writes and local reads, pipelined on one connection to a follower, are answered in
    order."""
    cluster, leader, followers = formed("forward")
    with followers[0].connect() as connection:
        requests = []
        for i in range(40):
            requests.append(("PUT", f"/v1/collections/items/{i}", '{"n":%d}' % i, {}))
            requests.append(("GET", "/livez", None, {}))
        answers = connection.pipeline(requests)
    for i in range(40):
        assert answers[2 * i].status == 201 and answers[2 * i].json() == {"id": str(i), "n": i}
        assert answers[2 * i + 1].status == 200
    assert len(wait_same(cluster.nodes)) == 40


def test_forward_large_body(formed):
    cluster, leader, followers = formed("forward")
    body = b'{"id":"big","s":"' + b"x" * 1_000_000 + b'"}'
    put = followers[0].put("big", body)
    assert (put.status, put.body) == (201, body)
    assert wait_same(cluster.nodes)[("items", "big")] == (body, put.header("etag"))


def test_forward_when_the_leader_dies(formed):
    """Goal: a forwarded write whose leader is dead or dies meanwhile gets an honest answer: 503, or 504 if
    the leader may have acted on it, never a success that is not kept; and forwarding goes on with the next
    leader."""
    cluster, leader, followers = formed("forward")
    node = followers[0]
    assert node.put("before", "{}").status == 201
    leader.pause()
    with node.connect() as connection:
        connection.send(request_bytes("PUT", "/v1/collections/items/during", "{}"))
        leader.kill()
        during = connection.answer()
        assert during.status in (201, 503, 504), during
        if during.status == 504:
            assert during.json()["outcome"] == "unknown"
    wait_until("forwarding works again", lambda: node.put("after", "{}").status in (200, 201))
    found = wait_same(cluster.running)
    assert ("items", "before") in found and ("items", "after") in found
    assert during.status != 201 or ("items", "during") in found


def test_reads_on_followers_and_the_same_refusals(trio):
    """Goal: what is wrong with a request is the same on a follower as on the leader, where it does not depend
    on who leads: a follower sends nobody to the leader to learn that there is no such path."""
    leader, followers = trio.wait_formed()
    assert leader.put("n", "{}").status == 201
    wait_same(trio.nodes)
    for method, path in [("GET", "/nothing"), ("GET", "/v1/collections/items/none"), ("PUT", "/v1/cluster"),
                         ("GET", "/v1/collections/items?limit=x")]:  # fmt: skip
        expected = leader.request(method, path, b"{}" if method == "PUT" else None)
        for node in followers:
            answer = node.request(method, path, b"{}" if method == "PUT" else None)
            assert (answer.status, answer.code) == (expected.status, expected.code)
            assert 400 <= answer.status < 500
    assert documents(followers[0]) == documents(leader)
