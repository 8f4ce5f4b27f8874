"""Documents through the leader, read back from every node: the same bytes and the same ETags."""

import re

import pytest
from client import document_path, request_bytes, wait_until
from documents import documents, wait_same

# Bytes that any parsing and writing back would change: spacing, member order, spelling of numbers, escapes.
SPELLINGS = [
    b'{"id":"x","price":0.10,"big":1.50e+3,"n":-0}',
    b'{ "z" : 1 ,\n\t"a" : [ 1,2 , 3 ], "id" : "x" }',
    '{"id":"x","text":"näin \\u00e4 \\ud83d\\ude00 😀","slash":"\\/"}'.encode(),
    b'{"id":"x","empty":{},"none":null,"deep":' + b"[" * 60 + b"]" * 60 + b"}",
    b'{"id":"x","e":1E5,"tiny":0.1,"long":123456789012345678}',
]
# Ids that need care on the way through a URL.
IDS = ["a b", "ä", "50%", "a/b", "?q=1", "#", "a+b", "..a", "x" * 512, "日本", '"', "\\"]


def read_everywhere(cluster, path, expected):
    """Waits until each node answers GET with these bytes; the one ETag that they all must give."""

    def etag(node):
        answer = node.get(path)
        return answer.header("etag") if (answer.status, answer.body) == (200, expected) else None

    etags = {wait_until(f"{n} has {path}", lambda n=n: etag(n)) for n in cluster.nodes}
    assert len(etags) == 1, etags
    return etags.pop()


def test_create_read_update_delete(trio):
    """Goal: the life of one document, seen from every node."""
    leader, followers = trio.wait_formed()
    created = leader.request("POST", "/v1/collections/items", b'{"name":"oar","price":1.50}')
    assert created.status == 201
    path = created.header("location")
    document_id = created.json()["id"]
    assert path == f"/v1/collections/items/{document_id}"
    # The id goes in front, and the client's own bytes follow.
    assert created.body == b'{"id":"%s","name":"oar","price":1.50}' % document_id.encode()
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", document_id), "a ULID"
    assert re.fullmatch(r'"\d+"', created.header("etag"))
    assert read_everywhere(trio, path, created.body) == created.header("etag")

    replacement = b'{"id":"%s","name":"paddle"}' % document_id.encode()
    replaced = leader.request("PUT", path, replacement)
    assert (replaced.status, replaced.body) == (200, replacement)
    assert int(replaced.header("etag").strip('"')) > int(created.header("etag").strip('"'))
    assert read_everywhere(trio, path, replacement) == replaced.header("etag")

    assert leader.request("DELETE", path).status == 204
    for node in trio.nodes:
        gone = wait_until("it is gone", lambda node=node: (a := node.get(path)).status == 404 and a)
        assert gone.code == "document_not_found"
    assert leader.request("DELETE", path).status == 404
    assert documents(leader) == {}


@pytest.mark.parametrize("body", SPELLINGS, ids=range(len(SPELLINGS)))
def test_bytes_come_back_as_sent(shared_trio, body):
    """Goal: the document is the client's own bytes, on every node."""
    leader, _ = shared_trio.wait_formed()
    put = leader.put("x", body)
    assert put.status in (200, 201) and put.body == body
    assert read_everywhere(shared_trio, "/v1/collections/items/x", body) == put.header("etag")


@pytest.mark.parametrize("document_id", IDS, ids=range(len(IDS)))
def test_ids_with_odd_characters(shared_trio, document_id):
    leader, _ = shared_trio.wait_formed()
    put = leader.put(document_id, "{}", collection="odd")
    assert put.status == 201 and put.json() == {"id": document_id}
    read_everywhere(shared_trio, document_path("odd", document_id), put.body)
    listed = leader.get("/v1/collections/odd?limit=1000").json()
    assert document_id in [d["id"] for d in listed]
    assert leader.request("DELETE", document_path("odd", document_id)).status == 204


def test_conditions(shared_trio):
    """Goal: If-Match, If-None-Match and the create-only POST, decided once and the same for all."""
    leader, _ = shared_trio.wait_formed()
    path = "/v1/collections/conditions/c"
    first = leader.request("PUT", path, '{"id":"c","v":1}', {"If-None-Match": "*"})
    assert first.status == 201
    again = leader.request("PUT", path, '{"id":"c","v":2}', {"If-None-Match": "*"})
    assert (again.status, again.code) == (412, "precondition_failed")
    assert again.json()["current"] == {"id": "c", "v": 1}
    etag = first.header("etag")
    assert leader.request("PUT", path, '{"id":"c","v":3}', {"If-Match": '"999999"'}).status == 412
    second = leader.request("PUT", path, '{"id":"c","v":3}', {"If-Match": etag})
    assert second.status == 200
    assert leader.request("DELETE", path, headers={"If-Match": etag}).status == 412
    posted = leader.request("POST", "/v1/collections/conditions", '{"id":"c"}')
    assert posted.status == 409
    assert leader.request("PUT", path + "x", "{}", {"If-Match": "*"}).status == 412
    assert read_everywhere(shared_trio, path, second.body) == second.header("etag")
    for node in shared_trio.nodes:
        unchanged = node.request("GET", path, headers={"If-None-Match": second.header("etag")})
        assert (unchanged.status, unchanged.body) == (304, b"")
        assert node.request("GET", path, headers={"If-None-Match": etag}).status == 200
    minimal = leader.request("PUT", path, '{"v":4}', {"Prefer": "return=minimal"})
    assert (minimal.status, minimal.body) == (204, b"")
    assert leader.request("DELETE", path, headers={"If-Match": "*"}).status == 204


def test_head_is_get_without_the_body(shared_trio):
    leader, _ = shared_trio.wait_formed()
    assert leader.put("h", '{"id":"h"}', collection="heads").status == 201
    for node in shared_trio.nodes:
        path = "/v1/collections/heads/h"
        wait_until("the document is there", lambda node=node: node.get(path).status == 200)
        with node.connect() as connection:
            for target in (path, "/v1/collections/heads", "/v1/collections", "/v1/cluster", "/", "/livez"):
                got = connection.request("GET", target)
                head = connection.request("HEAD", target)  # were a body sent, the next answer would not parse
                assert head.status == got.status == 200
                assert head.header("content-type") == got.header("content-type")
                assert head.header("etag") == got.header("etag")


def test_listing_by_pages(shared_trio):
    """Goal: all documents in id order, in pages, by following the Link."""
    leader, _ = shared_trio.wait_formed()
    ids = [f"p{i:03}" for i in range(257)]
    with leader.connect() as connection:
        puts = [("PUT", document_path("pages", i), '{"id":"%s"}' % i, {}) for i in reversed(ids)]
        assert {a.status for a in connection.pipeline(puts)} == {201}
    wait_same(shared_trio.nodes)
    for node in shared_trio.nodes:
        assert {"name": "pages", "count": 257} in node.get("/v1/collections").json()
        default = node.get("/v1/collections/pages")
        assert [d["id"] for d in default.json()] == ids[:100]
        seen, path = [], "/v1/collections/pages?limit=50"
        while path:
            page = node.get(path)
            assert page.header("x-total-count") == "257"
            seen += [d["id"] for d in page.json()]
            link = page.header("link")
            path = re.fullmatch(r'<(.*)>; rel="next"', link).group(1) if link else None
        assert seen == ids
        assert node.get("/v1/collections/pages?after=p256").json() == []
        assert node.get("/v1/collections/nothing").json() == []


def test_a_thousand_documents_are_identical_on_all_three(trio, measured):
    """Goal: 1,000 documents written through the leader, pipelined on one connection, are the same on all
    three nodes: ids, bytes, and the ETags that the writes were answered with."""
    leader, followers = trio.wait_formed()
    bodies = {f"d{i:04}": b'{"id":"d%04d","n":%d,"pad":"%s"}' % (i, i, b"x" * (i % 300)) for i in range(1000)}
    with leader.connect() as connection:
        puts = [("PUT", document_path("thousand", i), b, {}) for i, b in bodies.items()]
        answers = connection.pipeline(puts)
    assert {a.status for a in answers} == {201}
    expected = {("thousand", i): (b, a.header("etag")) for (i, b), a in zip(bodies.items(), answers)}
    assert len({etag for _, etag in expected.values()}) == 1000
    wait_same(trio.nodes)
    for node in trio.nodes:
        assert documents(node) == expected
    with leader.connect() as connection:
        answers = connection.pipeline([("DELETE", document_path("thousand", i), None, {}) for i in bodies])
    assert {a.status for a in answers} == {204}
    assert wait_same(trio.nodes) == {}
    assert all(n.get("/v1/collections").json() == [] for n in followers)


def test_what_every_answer_tells(shared_trio):
    """Goal: an answer says how far its node is, in which term, who and what it is; and what may be cached."""
    leader, _ = shared_trio.wait_formed()
    put = leader.put("told", "{}")
    read_everywhere(shared_trio, "/v1/collections/items/told", put.body)
    for node in shared_trio.nodes:
        answer = node.get("/v1/collections/items/told")
        assert int(answer.header("coracle-revision")) > 0
        assert int(answer.header("coracle-term")) == node.about()["term"]
        assert answer.header("coracle-node") == node.name
        assert answer.header("coracle-role") == ("leader" if node is leader else "follower")
        assert answer.header("cache-control") == "no-cache"
        assert node.get("/v1/cluster").header("cache-control") == "no-store"
        assert node.get("/livez").status == 200
        assert node.get("/readyz").status == 200


def test_large_documents(trio):
    """Goal: a document of the full size gets everywhere, one byte more is refused and the connection told."""
    leader, _ = trio.wait_formed()
    limit = 1024 * 1024
    frame = b'{"id":"big","s":""}'
    body = frame[:-2] + b"x" * (limit - len(frame)) + frame[-2:]
    assert len(body) == limit
    put = leader.put("big", body)
    assert put.status == 201
    read_everywhere(trio, "/v1/collections/items/big", body)
    with leader.connect() as connection:
        connection.send(request_bytes("PUT", "/v1/collections/items/big", body + b" ")[:500])
        refused = connection.answer()
        assert (refused.status, refused.code) == (413, "document_too_large")
        assert refused.closes and connection.is_closed()
    assert read_everywhere(trio, "/v1/collections/items/big", body) == put.header("etag")
