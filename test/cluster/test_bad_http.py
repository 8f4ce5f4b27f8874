"""Malformed and hostile HTTP: the status and the problem code, whether the connection stays, and that nothing
changes."""

import pytest
from client import Connection, request_bytes
from documents import wait_same

DOCUMENT = b"/v1/collections/items/kept"
BODY = b'{"id":"kept","changed":true}'


def head(line, *headers, host=b"Host: localhost\r\n"):
    return line + b"\r\n" + host + b"".join(h + b"\r\n" for h in headers) + b"\r\n"


def put(*headers, body=BODY):
    return head(b"PUT " + DOCUMENT + b" HTTP/1.1", b"Content-Type: application/json", *headers) + body


def get(target, *headers):
    return head(b"GET " + target + b" HTTP/1.1", *headers)


LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"

# What breaks a connection's framing, or was ever used to smuggle requests past a proxy.
MALFORMED = {
    "length and chunked": (put(LENGTH, CHUNKED), 400, "malformed_request"),
    "chunked and length": (put(CHUNKED, LENGTH), 400, "malformed_request"),
    "two lengths": (put(LENGTH, b"Content-Length: 3"), 400, "malformed_request"),
    "the same length twice": (put(LENGTH, LENGTH), 400, "malformed_request"),
    "list of lengths": (put(b"Content-Length: 28, 28"), 400, "malformed_request"),
    "signed length": (put(b"Content-Length: +28"), 400, "malformed_request"),
    "negative length": (put(b"Content-Length: -1"), 400, "malformed_request"),
    "hexadecimal length": (put(b"Content-Length: 0x1c"), 400, "malformed_request"),
    "empty length": (put(b"Content-Length:"), 400, "malformed_request"),
    "overflowing length": (put(b"Content-Length: 18446744073709551644"), (400, 413), None),
    "length over the limit": (put(b"Content-Length: 99999999"), 413, "document_too_large"),
    "coding that is not chunked": (put(b"Transfer-Encoding: gzip"), (400, 501), None),
    "chunked not last": (put(b"Transfer-Encoding: chunked, gzip"), 400, "malformed_request"),
    "chunked twice": (put(b"Transfer-Encoding: chunked, chunked"), 400, "malformed_request"),
    "two codings in two headers": (put(CHUNKED, b"Transfer-Encoding: identity"), 400, "malformed_request"),
    "unknown coding": (put(b"Transfer-Encoding: gzip, chunked"), 501, "not_implemented"),
    "misspelt coding": (put(b"Transfer-Encoding: xchunked"), (400, 501), None),
    "chunked with HTTP/1.0": (put(CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0"), 400, "malformed_request"),
    "bad chunk size": (put(CHUNKED, body=b"zz\r\n"), 400, "malformed_request"),
    "signed chunk size": (put(CHUNKED, body=b"-1\r\n"), 400, "malformed_request"),
    "overflowing chunk size": (put(CHUNKED, body=b"fffffffffffffffff\r\n"), (400, 413), None),
    "chunk over the limit": (put(CHUNKED, body=b"ffffff\r\n"), 413, "document_too_large"),
    "chunk longer than its size": (put(CHUNKED, body=b"2\r\n{}}\r\n0\r\n\r\n"), 400, "malformed_request"),
    "chunk ended by LF": (put(CHUNKED, body=b"2\n{}\r\n0\r\n\r\n"), 400, "malformed_request"),
    "endless trailers": (put(CHUNKED, body=b"0\r\n" + b"a: b\r\n" * 5000), (400, 431), None),
    "bare LF": (b"GET / HTTP/1.1\nHost: x\n\n", 400, "malformed_request"),
    "bare LF after a header": (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400, "malformed_request"),
    "bare CR": (b"GET / HTTP/1.1\rHost: x\r\r", 400, "malformed_request"),
    "bare CR in a value": (get(b"/", b"A: b\rc"), 400, "malformed_request"),
    "NUL in a value": (get(b"/", b"A: b\0c"), 400, "malformed_request"),
    "NUL in a name": (get(b"/", b"A\0: b"), 400, "malformed_request"),
    "NUL in the target": (get(b"/\0"), 400, "malformed_request"),
    "space before the colon": (get(b"/", b"A : b"), 400, "malformed_request"),
    "space before a length's colon": (put(b"Content-Length : 28"), 400, "malformed_request"),
    "no name": (get(b"/", b": b"), 400, "malformed_request"),
    "no colon": (get(b"/", b"A"), 400, "malformed_request"),
    "folded header": (get(b"/", b"A: b", b" c"), 400, "malformed_request"),
    "folded first header": (head(b"GET / HTTP/1.1", host=b" Host: x\r\n"), 400, "malformed_request"),
    "no host": (head(b"GET / HTTP/1.1", host=b""), 400, "malformed_request"),
    "two hosts": (get(b"/", b"Host: y"), 400, "malformed_request"),
    "host with a space": (head(b"GET / HTTP/1.1", host=b"Host: a b\r\n"), 400, "malformed_request"),
    "no version": (b"GET /\r\n\r\n", 400, "malformed_request"),
    "two spaces": (head(b"GET  / HTTP/1.1"), 400, "malformed_request"),
    "space at the end": (head(b"GET / HTTP/1.1 "), 400, "malformed_request"),
    "no target": (head(b"GET HTTP/1.1"), 400, "malformed_request"),
    "tab for a space": (head(b"GET\t/ HTTP/1.1"), (400, 501), None),
    "HTTP/2.0": (head(b"GET / HTTP/2.0"), 505, "http_version_not_supported"),
    "HTTP/3": (head(b"GET / HTTP/3"), (400, 505), None),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 501, 505), None),
    "lower-case version": (head(b"GET / http/1.1"), (400, 505), None),
    "unknown method": (head(b"BREW / HTTP/1.1"), 501, "not_implemented"),
    "method in lower case": (head(b"get / HTTP/1.1"), 501, "not_implemented"),
    "a TLS hello": (b"\x16\x03\x01\2\0\1\0\1\xfc\3\3" + b"\0" * 40 + b"\r\n\r\n", (400, 501), None),
    "no HTTP": (b"hello, is this coracle?\r\n\r\n", (400, 501), None),
    "relative target": (get(b"v1"), 400, "malformed_request"),
    "encoded NUL": (get(b"/v1/collections/a/%00"), 400, "malformed_request"),
    "bad escape": (get(b"/v1/collections/a/%zz"), 400, "malformed_request"),
    "cut escape": (get(b"/v1/collections/a/%4"), 400, "malformed_request"),
    "dots": (get(b"/v1/../livez"), 400, "malformed_request"),
    "encoded dots": (get(b"/v1/%2e%2e/livez"), 400, "malformed_request"),
    "one dot": (get(b"/./livez"), 400, "malformed_request"),
    "empty segment": (get(b"//livez"), 400, "malformed_request"),
    "too many segments": (get(b"/a" * 9), 400, "malformed_request"),
    "too many parameters": (get(b"/?" + b"&".join([b"a=1"] * 17)), 400, "malformed_request"),
    "long target": (get(b"/" + b"a" * 9000), 414, "uri_too_long"),
    "long request line without end": (b"GET /" + b"a" * 20000, 414, "uri_too_long"),
    "large headers": (get(b"/", *[b"A%d: " % i + b"b" * 3000 for i in range(6)]), 431, "headers_too_large"),
    "one header without end": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20000, 431, "headers_too_large"),
    "many headers": (get(b"/", *[b"A%d: b" % i for i in range(101)]), 431, "headers_too_large"),
    "unknown expectation": (put(LENGTH, b"Expect: miracles"), 417, "expectation_failed"),
}

# Requests that are whole and wrong: answered, and the connection goes on.
REFUSED = {
    "no such path": ("GET", "/nothing", None, {}, 404, "not_found"),
    "no such version": ("GET", "/v2/collections", None, {}, 404, "not_found"),
    "deeper than documents": ("GET", "/v1/collections/a/b/c", None, {}, 404, "not_found"),
    "no such document": ("GET", "/v1/collections/items/none", None, {}, 404, "document_not_found"),
    "POST to a document": ("POST", "/v1/collections/items/kept", "{}", {}, 405, "method_not_allowed"),
    "PUT to a collection": ("PUT", "/v1/collections/items", "{}", {}, 405, "method_not_allowed"),
    "DELETE of the cluster": ("DELETE", "/v1/cluster", None, {}, 405, "method_not_allowed"),
    "POST to the root": ("POST", "/", "{}", {}, 405, "method_not_allowed"),
    "TRACE": ("TRACE", "/", None, {}, (405, 501), None),
    "limit of 0": ("GET", "/v1/collections/items?limit=0", None, {}, 400, "invalid_parameter"),
    "limit too high": ("GET", "/v1/collections/items?limit=1001", None, {}, 400, "invalid_parameter"),
    "limit no number": ("GET", "/v1/collections/items?limit=x", None, {}, 400, "invalid_parameter"),
    "unknown consistency": ("GET", "/v1/collections?consistency=none", None, {}, 400, "invalid_parameter"),
    "unknown parameter": ("GET", "/v1/collections/items?foo=1", None, {}, 400, "invalid_parameter"),
    "bad If-None-Match": ("GET", "/v1/collections/items/kept", None, {"If-None-Match": "x"}, 400, None),
}


@pytest.fixture(autouse=True)
def undisturbed(shared_trio):
    """Whatever was sent: the same leader, the same term, the same one document on every node."""
    leader, _ = shared_trio.wait_formed()
    leader.put("kept", '{"id":"kept"}', headers={"If-None-Match": "*"})
    before = wait_same(shared_trio.nodes), leader.about()["term"]
    assert len(before[0]) == 1
    yield
    assert shared_trio.wait_formed()[0] is leader
    assert (wait_same(shared_trio.nodes), leader.about()["term"]) == before


def check_status(answer, status, code):
    assert answer.status in (status if isinstance(status, tuple) else (status,)), answer
    assert answer.header("content-type") == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()
    assert problem["status"] == answer.status
    assert code is None or problem["code"] == code, answer


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_is_answered_and_closed(shared_trio, case):
    """Goal: the right answer, then the end of the connection; a request hidden behind is not read."""
    data, status, code = MALFORMED[case]
    hidden = request_bytes("DELETE", "/v1/collections/items/kept")
    for node in shared_trio.nodes:
        with node.connect() as connection:
            connection.send(data + hidden)
            answer = connection.answer()
            check_status(answer, status, code)
            assert answer.closes
            assert connection.is_closed()


@pytest.mark.parametrize("case", REFUSED)
def test_refused_is_answered_and_kept(shared_trio, case):
    method, path, body, headers, status, code = REFUSED[case]
    for node in shared_trio.nodes:
        with node.connect() as connection:
            answer = connection.request(method, path, body, headers)
            check_status(answer, status, code)
            if answer.status == 405:
                assert "GET" in answer.header("allow")
            assert not answer.closes
            assert connection.request("GET", "/livez").status == 200


def test_malformed_behind_good_ones(shared_trio):
    """Goal: what came before a malformed request on the connection is answered first, in order."""
    for node in shared_trio.nodes:
        with node.connect() as connection:
            connection.send(request_bytes("GET", "/livez") * 3 + b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert [connection.answer().status for _ in range(4)] == [200, 200, 200, 501]
            assert connection.is_closed()


@pytest.mark.parametrize("case", ["length and chunked", "folded header", "many headers", "bad escape"])
def test_malformed_in_single_bytes(shared_trio, case):
    """Goal: the same answer when the bytes come one at a time."""
    data, status, code = MALFORMED[case]
    with shared_trio.nodes[0].connect() as connection:
        try:
            for i in range(len(data)):
                connection.send(data[i : i + 1])
        except OSError:
            pass  # answered and closed before the end
        check_status(connection.answer(), status, code)
        assert connection.is_closed()


def test_too_large_is_refused_before_the_body_is_read(shared_trio):
    """Goal: 413 from the head alone, and no 100 Continue; while a body that is allowed gets one."""
    leader, _ = shared_trio.wait_formed()
    for node in shared_trio.nodes:
        with node.connect() as connection:
            connection.send(put(b"Content-Length: 1048577", b"Expect: 100-continue", body=b""))
            check_status(connection.answer(), 413, "document_too_large")
            assert connection.is_closed()
    with leader.connect() as connection:
        connection.send(put(LENGTH, b"Expect: 100-continue", b'If-Match: "1"', body=b""))
        assert connection.answer().status == 100
        connection.send(BODY)
        check_status(connection.answer(), 412, "precondition_failed")


def test_a_request_cut_off_changes_nothing(shared_trio):
    """Goal: a write is done when all of it has come, and not before. Method: the connection ends at every
    tenth byte."""
    leader, _ = shared_trio.wait_formed()
    data = put(LENGTH)
    for cut in [*range(1, len(data) - 1, 10), len(data) - 1]:
        with leader.connect() as connection:
            connection.send(data[:cut])


def test_http_1_0(shared_trio):
    """Goal: an old client is served, and its connection closed after the answer as it expects."""
    for node in shared_trio.nodes:
        with Connection(node.port) as connection:
            connection.send(b"GET /livez HTTP/1.0\r\n\r\n")
            assert connection.answer().status == 200
            assert connection.is_closed()


def test_connection_close_is_honoured(shared_trio):
    for node in shared_trio.nodes:
        with Connection(node.port) as connection:
            answer = connection.request("GET", "/livez", headers={"Connection": "close"})
            assert answer.status == 200 and answer.closes
            assert connection.is_closed()


def test_413_reaches_a_client_that_goes_on_sending(shared_trio):
    """Goal: a client that sends a whole body that is too large, as most do, still gets to read why it was
    refused."""
    for node in shared_trio.nodes:
        with node.connect() as connection:
            connection.send(put(b"Content-Length: 3000000", body=b""))
            try:
                for _ in range(30):
                    connection.send(b" " * 100_000)
            except OSError:
                pass  # it may close before all has come
            check_status(connection.answer(), 413, "document_too_large")
