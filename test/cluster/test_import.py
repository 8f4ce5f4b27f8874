"""Imports by real clients: what curl sends, what a careless client sends, and what becomes of the lines when the
client or the leader goes in the middle."""

import http.client
import json
import socket
import threading
import time

import pytest

from client import DEADLINE_S, document_path, wait_until
from documents import wait_same
from lines import (
    NDJSON,
    ChunkedAnswer,
    check_created,
    chunk,
    collection_path,
    export_lines,
    import_file,
    import_head,
    import_lines,
    make_document,
    make_lines,
    results_of,
)

MANY = 30_000
LARGE = 100_000


def test_curl_imports_a_file(stored_trio, tmp_path, measured):
    """Goal: tens of thousands of lines in one request, over 100 Continue (curl waits for it, the file is large), each
    with its result in order and in little time; the documents are on every node, byte for byte."""
    leader, followers = stored_trio.wait_formed()
    lines = make_lines(MANY)
    file = tmp_path / "lines"
    file.write_bytes(lines)
    begin = time.monotonic()
    check_created(import_file(leader, "items", file), MANY)
    took_s = time.monotonic() - begin
    measured(f"import: {MANY} documents, {len(lines) >> 10} KiB in {took_s:.2f} s")
    for node in [leader, *followers]:
        assert export_lines(node, "items") == lines
    results = import_file(leader, "items", file, options=["-H", "Prefer: return=minimal"])
    assert len(results) == MANY and {r["status"] for r in results} == {409}
    assert import_file(leader, "items", file, "existing=replace", ["-H", "Prefer: return=minimal"]) == []
    assert {r["status"] for r in import_file(leader, "items", file, "existing=replace")} == {200}


def test_a_follower_sends_it_to_the_leader(make_cluster, tmp_path):
    """Goal: `curl -L` with any node imports at the leader, whatever --follower-writes says but for reject, and the
    body goes over the wire once: the follower answers before it comes."""
    for writes in ("redirect", "forward"):
        trio = make_cluster(3, [f"--follower-writes={writes}"]).start()
        leader, followers = trio.wait_formed()
        file = tmp_path / "lines"
        file.write_bytes(make_lines(20_000))
        check_created(import_file(followers[0], "items", file), 20_000)
        with followers[0].connect() as connection:
            connection.send(import_head("items", 1 << 20))
            answer = connection.answer()
            assert (answer.status, answer.closes) == (307, True)
            assert answer.header("location") == leader.url + collection_path("items")
            assert connection.is_closed()
        # One without a body has nothing to be redirected for: it is forwarded, or redirected, as any write.
        empty = followers[0].request("POST", collection_path("items"), b"", {"Content-Type": NDJSON})
        assert empty.status == (200 if writes == "forward" else 307)
        assert empty.status == 307 or empty.body == b""


def test_lines_in_any_pieces(trio):
    """Goal: pieces that end anywhere, in chunks or not, make no difference; nor do CRLF, empty lines and a last line
    without an end. Each result comes when there is one, while the body is still on its way."""
    leader, _ = trio.wait_formed()
    with leader.connect() as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.send(import_head("items"))
        answer = ChunkedAnswer(connection.socket)
        for piece in (b'{"id"', b':"a"}\r', b"\n", b"\r\n\n ", b'\n{"id":"b"}', b"\n{"):
            connection.send(chunk(piece))
            time.sleep(0.02)
        assert answer.read_head() == 200
        first = answer.read_chunk()
        while b'"b"' not in first:
            first += answer.read_chunk()
        connection.send(chunk(b'"id":"c"}') + b"0\r\n\r\n")
        results = results_of(first + answer.read_all())
        found = [(r["line"], r["status"], r["id"]) for r in results]
        assert found == [(1, 201, "a"), (5, 201, "b"), (6, 201, "c")]
        # The connection is as good as before.
        assert connection.request("GET", document_path("items", "c")).body == b'{"id":"c"}'


def test_what_follows_on_the_connection(trio):
    """Goal: requests that were sent right behind an import, without waiting, are answered after it."""
    leader, _ = trio.wait_formed()
    lines = make_lines(2000)
    with leader.connect() as connection:
        connection.send(
            import_head("items", len(lines)) + lines + b"GET /v1/collections HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        answer = ChunkedAnswer(connection.socket)
        assert answer.read_head() == 200
        check_created(results_of(answer.read_all()), 2000)
        connection.received = answer.rest
        assert connection.answer().json() == [{"name": "items", "count": 2000}]


def test_bad_lines_and_long_ones(trio):
    """Goal: a line that is no document, or far over the limit of one, fails alone; one at the limit is stored."""
    leader, _ = trio.wait_formed()
    limit = 1 << 20
    fitting = make_document(1)
    fitting = fitting[:-2] + b"x" * (limit - len(fitting)) + fitting[-2:]
    too_long = fitting[:-2] + b"x" + fitting[-2:]
    far_too_long = b'{"x":"%s"}' % (b"y" * 20 * limit)
    lines = [fitting, too_long, b"{", make_document(2), far_too_long, make_document(3), b"[1]"]
    results = import_lines(leader, "items", b"\n".join(lines))
    assert [(r["line"], r["status"]) for r in results] == [
        (1, 201), (2, 413), (3, 400), (4, 201), (5, 413), (6, 201), (7, 400),
    ]  # fmt: skip
    assert results[2]["code"] == "invalid_json" and results[2]["offset"] == 1
    assert leader.get(document_path("items", "000001")).body == fitting


def test_a_client_that_sends_before_it_reads(trio):
    """Goal: a client that reads its answer only when it has sent everything, as most libraries do, is served, up to
    what the kernel and the server keep for it; with return=minimal that is any number of lines."""
    leader, _ = trio.wait_formed()
    connection = http.client.HTTPConnection(leader.host, leader.port, timeout=DEADLINE_S)
    connection.request("POST", collection_path("items"), make_lines(LARGE), {"Content-Type": NDJSON})
    response = connection.getresponse()
    assert response.status == 200
    check_created(results_of(response.read()), LARGE)  # five megabytes
    many = {"Content-Type": NDJSON, "Prefer": "return=minimal"}
    connection.request("POST", collection_path("more"), make_lines(LARGE, filling=300), many)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"")
    assert leader.get(collection_path("more", "limit=1")).header("x-total-count") == str(LARGE)
    connection.close()


def test_a_client_that_goes(trio):
    """Goal: when the client goes in the middle, whole lines are there or not, a part of a line is not, and nothing of
    it is left behind: a hundred of them in a row, more than there may be at a time, and the next one is served."""
    leader, _ = trio.wait_formed()
    for round_number in range(100):
        lines = b"".join(make_document(round_number * 100 + i) + b"\n" for i in range(50))
        with leader.connect() as connection:
            connection.send(import_head("gone", 1 << 20) + lines + b'{"id":"part"')
            if round_number % 3 == 0:
                ChunkedAnswer(connection.socket).read_head()
            elif round_number % 3 == 1:
                connection.socket.shutdown(socket.SHUT_WR)
                while connection.socket.recv(1 << 16):
                    pass

    def is_quiet():
        return leader.get(collection_path("gone", "limit=1")).header("x-total-count")

    count = wait_until("the last lines are there", lambda: int(is_quiet()) >= 50 and is_quiet())
    assert int(count) % 50 == 0 or int(count) <= 5000
    assert leader.get(document_path("gone", "part")).status == 404
    for line in export_lines(leader, "gone").splitlines():
        document = json.loads(line)
        assert line == make_document(int(document["id"]))
    check_created(import_lines(leader, "items", make_lines(1000)), 1000)


def test_old_clients(trio, tmp_path):
    """Goal: one that speaks HTTP/1.0 gets results that end with the connection."""
    leader, _ = trio.wait_formed()
    file = tmp_path / "lines"
    file.write_bytes(make_lines(5000))
    check_created(import_file(leader, "items", file, options=["--http1.0"]), 5000)


def test_refused_at_the_head(trio):
    """Goal: what cannot be an import is refused before its body comes, and the connection closes."""
    leader, _ = trio.wait_formed()
    for head, status in (
        (import_head("items", 1 << 20, headers=["If-None-Match: *"]), 400),
        (import_head("items", 1 << 20, headers=["Idempotency-Key: k"]), 400),
        (import_head("items", 1 << 20, query="existing=perhaps"), 400),
        (import_head("items/a", 1 << 20), 405),
        (import_head("items/a", 1 << 20).replace(b"POST", b"PUT"), 415),
        (import_head("items", headers=["Expect: 100-continue"], query="limit=1"), 400),
    ):
        with leader.connect() as connection:
            connection.send(head)
            answer = connection.answer()
            assert (answer.status, answer.closes) == (status, True), answer
            assert connection.is_closed()


class Importer:
    """Sends lines to the leader for as long as it is told, at some speed, and keeps the results."""

    def __init__(self, node, collection, first):
        self.connection = node.connect()
        self.collection, self.number = collection, first
        self.results = {}  # by id
        self.sent = []  # ids in the order of their lines
        self.stopping = threading.Event()
        self.broken = False
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self._send, self._read)]

    def __enter__(self):
        self.connection.send(import_head(self.collection))
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
        self.connection.socket.close()

    def _send(self):
        try:
            while not self.stopping.is_set():
                documents = [make_document(self.number + i, width=8) for i in range(20)]
                self.number += len(documents)
                self.sent += [json.loads(d)["id"] for d in documents]
                self.connection.send(chunk(b"\n".join(documents) + b"\n"))
                time.sleep(0.001)
            self.connection.send(b"0\r\n\r\n")
        except OSError:
            self.broken = True

    def _read(self):
        answer = ChunkedAnswer(self.connection.socket)
        try:
            assert answer.read_head() == 200
            while part := answer.read_chunk():
                for result in results_of(part):
                    self.results[self.sent[result["line"] - 1]] = result
        except OSError:
            self.broken = True


def wait_told(importer):
    """Until lines fail for it."""
    results = importer.results
    wait_until("it is told of", lambda: any(r["status"] >= 500 for r in list(results.values())))
    time.sleep(0.1)


def kill(trio, leader, importer):
    leader.kill()


def pause(trio, leader, importer):
    leader.pause()
    trio.wait_leader([n for n in trio.nodes if n is not leader])
    leader.resume()
    wait_told(importer)


def leave_alone(trio, leader, importer):
    followers = [n for n in trio.nodes if n is not leader]
    for node in followers:
        node.pause()
    wait_told(importer)
    for node in followers:
        node.resume()
    trio.wait_leader()  # if it is the same again, it tries no line of this import all the same
    time.sleep(0.1)


def check_not_tried_again(importer):
    """First lines that are there, then those on their way when the lead was lost, then no more. Returns how many that
    were."""
    assert not importer.broken
    assert len(importer.results) == len(importer.sent)
    statuses = [importer.results[i]["status"] for i in importer.sent]
    assert statuses == sorted(statuses, key=(201, 504, 503).index)
    codes = {importer.results[i].get("code") for i in importer.sent}
    assert codes <= {None, "outcome_unknown", "not_leader", "no_leader"}, codes
    return statuses.count(503)


@pytest.mark.parametrize("trouble", [kill, pause, leave_alone])
def test_the_lead_is_lost(make_cluster, trouble):
    """Goal: when the leader is killed, or stops for longer than an election takes, or loses both followers, in the
    middle of imports, every line that was answered 201 is there afterwards, on all nodes; a leader that lives on
    says of each further line that it does not lead, or that the outcome is unknown, and tries none."""
    trio = make_cluster(3).start()
    answered, not_tried = {}, 0
    for round_number in range(3):
        leader, _ = trio.wait_formed()
        with Importer(leader, "items", round_number * 1_000_000) as importer:
            wait_until("results come", lambda: len(importer.results) > 2000)
            trouble(trio, leader, importer)
        if leader.is_running:
            not_tried += check_not_tried_again(importer)
        else:
            assert importer.broken
            leader.start()
        answered |= {i: r for i, r in importer.results.items() if r["status"] == 201}
    trio.wait_formed()
    found = wait_same(trio.nodes)
    lost = [i for i in answered if ("items", i) not in found]
    assert not lost, (len(lost), lost[:5], len(answered))
    wanted = {i: (make_document(int(i), width=8), f'"{r["revision"]}"') for i, r in answered.items()}
    wrong = [i for i, document in wanted.items() if found["items", i] != document]
    assert not wrong, (len(wrong), wrong[:3])
    assert len(answered) > 6000
    assert trouble is kill or not_tried > 0
