"""Bodies that are no documents and names that are no names: the status, the problem code, and nothing
changed. The connection stays open throughout: such a request is whole, and only its content is wrong."""

import pytest
from client import request_bytes
from documents import wait_same

# Body: problem code, byte offset where it can be told.
BODIES = {
    "empty": (b"", "invalid_json"),
    "blank": (b"  \n", "invalid_json"),
    "cut": (b'{"a":1', "invalid_json"),
    "cut string": (b'{"a":"b', "invalid_json"),
    "no quotes": (b"{a:1}", "invalid_json"),
    "single quotes": (b"{'a':1}", "invalid_json"),
    "comma at the end": (b'{"a":1,}', "invalid_json"),
    "no comma": (b'{"a":1 "b":2}', "invalid_json"),
    "comment": (b'{"a":1/*b*/}', "invalid_json"),
    "something behind": (b'{"a":1}x', "invalid_json"),
    "two documents": (b'{"a":1}{"a":1}', "invalid_json"),
    "duplicate key": (b'{"a":1,"b":2,"a":3}', "invalid_json"),
    "duplicate key inside": (b'{"a":{"b":1,"b":1}}', "invalid_json"),
    "duplicate key by escape": (b'{"a":1,"\\u0061":2}', "invalid_json"),
    "duplicate id": (b'{"id":"x","id":"x"}', "invalid_json"),
    "NaN": (b'{"a":NaN}', "invalid_json"),
    "infinity": (b'{"a":Infinity}', "invalid_json"),
    "leading zero": (b'{"a":01}', "invalid_json"),
    "plus": (b'{"a":+1}', "invalid_json"),
    "no digit behind the point": (b'{"a":1.}', "invalid_json"),
    "byte order mark": (b'\xef\xbb\xbf{"a":1}', "invalid_json"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "invalid_json"),
    "bad UTF-8": (b'{"a":"\xff"}', "invalid_json"),
    "overlong UTF-8": (b'{"a":"\xc0\x80"}', "invalid_json"),
    "surrogate in UTF-8": (b'{"a":"\xed\xa0\x80"}', "invalid_json"),
    "lone surrogate": (b'{"a":"\\ud800"}', "invalid_json"),
    "control character": (b'{"a":"\x01"}', "invalid_json"),
    "NUL": (b'{"a":"\0"}', "invalid_json"),
    "bad escape": (b'{"a":"\\x"}', "invalid_json"),
    "65 levels": (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "too_deep"),
    "100,000 levels": (b"[" * 100000, "too_deep"),
    "4097 keys": (b"{" + b",".join(b'"%d":0' % i for i in range(4097)) + b"}", "too_many_keys"),
    "array": (b"[]", "not_an_object"),
    "string": (b'"a"', "not_an_object"),
    "number": (b"1", "not_an_object"),
    "null": (b"null", "not_an_object"),
    "other id": (b'{"id":"other"}', "id_mismatch"),
}

# The id in the body is not one. (method, path, body) -> code
NAMES = {
    "collection with a space": ("PUT", "/v1/collections/a%20b/x", "{}", "invalid_collection"),
    "collection not ASCII": ("PUT", "/v1/collections/%C3%A4/x", "{}", "invalid_collection"),
    "collection with a slash": ("PUT", "/v1/collections/a%2Fb/x", "{}", "invalid_collection"),
    "collection too long": ("PUT", f"/v1/collections/{'c' * 129}/x", "{}", "invalid_collection"),
    "id too long": ("PUT", f"/v1/collections/items/{'i' * 513}", "{}", "invalid_id"),
    "id with a newline": ("PUT", "/v1/collections/items/a%0Ab", "{}", "invalid_id"),
    "id with DEL": ("PUT", "/v1/collections/items/a%7F", "{}", "invalid_id"),
    "id not UTF-8": ("PUT", "/v1/collections/items/%FF", "{}", "invalid_id"),
    "id overlong": ("PUT", "/v1/collections/items/%C0%AF", "{}", "invalid_id"),
    "posted id a fraction": ("POST", "/v1/collections/items", '{"id":1.0}', "invalid_id"),
    "posted id with an exponent": ("POST", "/v1/collections/items", '{"id":1e2}', "invalid_id"),
    "posted id -0": ("POST", "/v1/collections/items", '{"id":-0}', "invalid_id"),
    "posted id true": ("POST", "/v1/collections/items", '{"id":true}', "invalid_id"),
    "posted id null": ("POST", "/v1/collections/items", '{"id":null}', "invalid_id"),
    "posted id empty": ("POST", "/v1/collections/items", '{"id":""}', "invalid_id"),
    "posted id dots": ("POST", "/v1/collections/items", '{"id":".."}', "invalid_id"),
    "posted id with a tab": ("POST", "/v1/collections/items", '{"id":"a\\tb"}', "invalid_id"),
    "posted id too long": ("POST", "/v1/collections/items", '{"id":"%s"}' % ("i" * 513), "invalid_id"),
    "DELETE in no collection": ("DELETE", "/v1/collections/a%20b/x", None, "invalid_collection"),
}

CONTENT_TYPES = [
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
    "application/merge-patch+json", "text/json", "json", "",
]  # fmt: skip


@pytest.fixture(autouse=True)
def undisturbed(shared_trio):
    """Nothing enters the log, let alone the documents: leader, term and commit index stay."""
    leader, _ = shared_trio.wait_formed()
    leader.put("kept", '{"id":"kept"}', headers={"If-None-Match": "*"})

    def state():
        found = wait_same(shared_trio.nodes)
        view = leader.view()
        return found, view["term"], view["commit"], view["applied"]

    before = state()
    yield
    assert shared_trio.wait_formed()[0] is leader
    assert state() == before


def check_refused(answer, status, code):
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.json()["detail"].endswith(".")
    assert not answer.closes


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_document(shared_trio, case):
    body, code = BODIES[case]
    leader, _ = shared_trio.wait_formed()
    with leader.connect() as connection:
        for method, path in [("PUT", "/v1/collections/items/kept"), ("POST", "/v1/collections/items")]:
            if method == "POST" and code == "id_mismatch":
                continue  # a POST's URL has no id
            answer = connection.request(method, path, body)
            assert (answer.status, answer.code) == (400, code), answer
            if code == "invalid_json":
                assert 0 <= answer.json()["offset"] <= len(body)
        assert connection.request("GET", "/livez").status == 200


@pytest.mark.parametrize("case", NAMES)
def test_a_name_that_is_none(shared_trio, case):
    method, path, body, code = NAMES[case]
    leader, _ = shared_trio.wait_formed()
    with leader.connect() as connection:
        check_refused(connection.request(method, path, body), 400, code)
        assert connection.request("GET", "/livez").status == 200


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_another_content_type(shared_trio, content_type):
    """Goal: a page of another origin can send none but a form without asking, so nothing else is taken; and
    the detail shows what to do."""
    leader, _ = shared_trio.wait_formed()
    with leader.connect() as connection:
        for method, path in [("PUT", "/v1/collections/items/kept"), ("POST", "/v1/collections/items")]:
            answer = connection.request(method, path, b'{"a":1}', {"Content-Type": content_type})
            assert (answer.status, answer.code) == (415, "unsupported_media_type"), answer
            assert "--json" in answer.json()["detail"]
        assert connection.request("GET", "/livez").status == 200


def test_no_content_type(shared_trio):
    leader, _ = shared_trio.wait_formed()
    with leader.connect() as connection:
        connection.send(b"PUT /v1/collections/items/kept HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        assert connection.answer().status == 415
        doubled = request_bytes("PUT", "/v1/collections/items/kept", "{}").replace(
            b"Content-Type: application/json", b"Content-Type: application/json\r\nContent-Type: text/plain"
        )
        connection.send(doubled)
        assert connection.answer().status == 415


@pytest.mark.parametrize(
    "headers",
    [{"If-Match": "17"}, {"If-Match": '"17'}, {"If-Match": '"1" "2"'}, {"If-None-Match": '"17"'}],
    ids=str,
)
def test_a_condition_that_is_none(shared_trio, headers):
    leader, _ = shared_trio.wait_formed()
    for method, body in [("PUT", "{}"), ("DELETE", None)]:
        answer = leader.request(method, "/v1/collections/items/kept", body, headers)
        assert (answer.status, answer.code) == (400, "invalid_precondition"), answer


def test_a_smaller_limit(make_cluster):
    """Goal: --max-document-bytes is the limit, to the byte; beyond it 413 names it and the connection is
    closed."""
    cluster = make_cluster(1, ["--max-document-bytes", "1024"]).start()
    (node,) = cluster.nodes
    cluster.wait_formed()
    body = b'{"id":"x","s":"' + b"y" * (1024 - 17) + b'"}'
    assert len(body) == 1024
    assert node.put("x", body).status == 201
    with node.connect() as connection:
        connection.send(request_bytes("PUT", "/v1/collections/items/x", body + b" "))
        answer = connection.answer()
        assert (answer.status, answer.code) == (413, "document_too_large")
        assert answer.closes and connection.is_closed()
    assert node.get("/v1/collections/items/x").body == body
