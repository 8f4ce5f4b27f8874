"""Exports by real clients: what comes out goes in again, as of one revision, to readers fast and slow; and nobody
else notices."""

import threading
from pathlib import Path

from client import DEADLINE_S, document_path, wait_until
from lines import (
    NDJSON,
    ChunkedAnswer,
    Watch,
    check_created,
    collection_path,
    curl,
    export_lines,
    import_lines,
    make_lines,
    memory_bytes,
    open_export,
    wait_settled,
)
from node import BINARY

MANY = 30_000
LARGE = 100_000  # documents; `make bench-export` has a million
SANITIZED = b"__asan_init" in Path(BINARY).read_bytes()
# The address sanitizer keeps what was freed for a while, so that its use would be seen.
MEMORY_BYTES_MAX = 512 << 20 if SANITIZED else 16 << 20
HEARTBEAT_MS = 50
SLACK_MS = 1000 if SANITIZED else 300  # of a busy machine


def test_there_and_back(stored_trio):
    """Goal: what a follower exports is imported into another collection, and exported from there it is the same, byte
    for byte: numbers as they were spelled, escapes, white space; a line break in a document became a space."""
    leader, followers = stored_trio.wait_formed()
    odd = [
        b'{"id":17,"big":12345678901234567890.10e+400,"x":0.1}',
        b'{ "id" : "\\u00e9 a/b?%" , "\\u0000" : "\\n" }',
        '{"id":"ü ☃ \U0001f600","x":[ ]}'.encode(),
    ]
    lines = b"".join(line + b"\n" for line in sorted(odd)) + make_lines(MANY)
    results = import_lines(leader, "a", lines)
    check_created(results, MANY + len(odd))
    assert leader.put("broken", '{\n  "id": "broken",\r\n  "x": 1\n}', collection="a").status == 201
    out = export_lines(followers[0], "a")
    assert sorted(out.splitlines()) == sorted([*lines.splitlines(), b'{   "id": "broken",    "x": 1 }'])
    check_created(import_lines(leader, "b", out), MANY + len(odd) + 1)
    assert export_lines(followers[1], "b") == out
    # Resumed in the middle, and bounded.
    middle = out.splitlines(keepends=True)[:-1][10_000:]
    assert export_lines(leader, "a", "after=009999&limit=100").count(b"\n") == 100
    assert b"".join(middle).startswith(export_lines(leader, "a", "after=009999&limit=100"))


def test_as_of_one_revision(trio):
    """Goal: an export that takes its time, while documents are replaced, created and deleted all the time, is exactly
    what the collection was at its Coracle-Revision."""
    leader, followers = trio.wait_formed()
    check_created(import_lines(leader, "items", make_lines(20_000, filling=200)), 20_000)
    first = dict(zip((f"{i:06d}" for i in range(20_000)), make_lines(20_000, filling=200).splitlines()))
    changes = []  # (revision, id, body or None), as acknowledged
    stopping = threading.Event()

    def write():
        number = 0
        with leader.connect() as connection:
            while not stopping.is_set():
                number += 1
                document_id = f"{number * 7919 % 20_000:06d}" + "y" * (number % 3 == 1)
                body = '{"id":"%s","new":%d}' % (document_id, number)
                answer = connection.request("PUT", document_path("items", document_id), body)
                assert answer.status in (200, 201), answer
                changes.append((int(answer.header("etag").strip('"')), document_id, body.encode()))
                if number % 3 == 0:
                    answer = connection.request("DELETE", document_path("items", document_id))
                    assert answer.status == 204, answer
                    changes.append((int(answer.header("coracle-revision")), document_id, None))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        wait_until("it writes", lambda: len(changes) > 100)
        exports = []
        for node in (leader, followers[0], leader):
            with open_export(node, "items", receive_bytes=1 << 16) as sock:
                answer = ChunkedAnswer(sock)
                assert answer.read_head() == 200
                before = len(changes)
                wait_until("more is written", lambda: len(changes) > before + 300)
                exports.append((answer.headers, answer.read_all()))
    finally:
        stopping.set()
        writer.join(DEADLINE_S)
    for headers, body in exports:
        revision = int(headers["coracle-revision"])
        wanted = dict(first)
        for changed_at, document_id, text in changes:
            if changed_at > revision:
                continue
            if text is None:
                wanted.pop(document_id, None)
            else:
                wanted[document_id] = text
        lines = [wanted[document_id] for document_id in sorted(wanted)]
        assert body == b"".join(line + b"\n" for line in lines), revision
        assert headers["x-total-count"] == str(len(lines))


def test_slow_readers_and_those_that_go(trio):
    """Goal: thirty readers that take almost nothing cost the server little memory and nobody else anything; one more
    than there may be is told so; those that go in the middle make room; one that reads on gets all of it."""
    leader, _ = trio.wait_formed()
    lines = make_lines(LARGE)
    check_created(import_lines(leader, "items", lines), LARGE)
    wait_settled(trio.nodes)
    before = memory_bytes(leader)
    socks = [open_export(leader, "items", receive_bytes=4096) for _ in range(32)]
    answers = [ChunkedAnswer(sock) for sock in socks]
    assert all(answer.read_head() == 200 for answer in answers)
    busy = leader.get(collection_path("items"), headers={"Accept": NDJSON})
    assert (busy.status, busy.code) == (503, "busy")
    for i in range(50):
        assert leader.put(f"new{i}", "{}").status == 201
    grown = memory_bytes(leader) - before
    assert grown < MEMORY_BYTES_MAX, grown
    for sock in socks[1:]:
        sock.close()
    one = collection_path("items", "limit=1")
    wait_until("there is room", lambda: leader.get(one, headers={"Accept": NDJSON}).status == 200)
    assert answers[0].read_all() == lines
    socks[0].close()


def test_nobody_notices(trio, measured):
    """Goal: importing and exporting a hundred thousand documents takes little memory beyond the documents, and no
    heartbeat is late by it: nobody is elected, and while it is exported a follower's state is never older than two
    heartbeats and what a slow machine adds. (While it is imported, followers wait for their disks, too.)"""
    leader, followers = trio.wait_formed()
    terms = trio.leaders_of_terms()
    lines = make_lines(LARGE)
    with Watch(leader, followers) as importing:
        assert import_lines(leader, "items", lines, options=["-H", "Prefer: return=minimal"]) == []
    wait_settled(trio.nodes)
    with Watch(leader, followers) as exporting:
        assert export_lines(leader, "items") == lines
    for what, watch in (("import", importing), ("export", exporting)):
        measured(
            f"{what} of {LARGE} documents: resident memory grew by {watch.memory_growth >> 10} KiB, "
            f"state at most {max(watch.staleness_ms)} ms old in {len(watch.staleness_ms)} looks"
        )
    assert trio.leaders_of_terms() == terms
    assert max(exporting.staleness_ms) <= 2 * HEARTBEAT_MS + SLACK_MS, exporting.staleness_ms
    assert exporting.memory_growth < MEMORY_BYTES_MAX
    # The documents, their log on the way to a snapshot, and what it takes.
    assert importing.memory_growth < 4 * len(lines) + MEMORY_BYTES_MAX


def test_old_clients(trio):
    """Goal: one that speaks HTTP/1.0 gets an export that ends with the connection; HEAD has the headers alone."""
    leader, _ = trio.wait_formed()
    lines = make_lines(5000)
    check_created(import_lines(leader, "items", lines), 5000)
    url = leader.url + collection_path("items")
    assert curl("--http1.0", "-H", f"Accept: {NDJSON}", url) == lines
    head = curl("-I", "-H", f"Accept: {NDJSON}", url).decode().lower()
    assert "x-total-count: 5000\r\n" in head and "transfer-encoding: chunked\r\n" in head
    with leader.connect() as connection:
        connection.send(
            (f"HEAD {collection_path('items')} HTTP/1.1\r\nHost: localhost\r\nAccept: {NDJSON}\r\n\r\n" * 2).encode()
        )
        assert [connection.answer(head_only=True).status for _ in range(2)] == [200, 200]
