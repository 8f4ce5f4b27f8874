"""Bodies that nobody wants, or that come while the server ends: a client that is still sending gets the answer that
there is, and no reset in its place; and nothing keeps a node from stopping in time."""

import http.client
import json
import random
import subprocess
import threading
import time

from client import DEADLINE_S, wait_until
from lines import NDJSON, ChunkedAnswer, check_created, chunk, collection_path, import_head, import_lines, make_lines

LARGE = 64 << 20
STOP_LIMIT_S = 5


def test_refused_in_the_middle_of_an_upload(trio, tmp_path):
    """Goal: a refusal reaches curl, which watches for it while it sends, and a library, which sends all of its body
    first; the body has 64 MiB and is sent without asking for leave."""
    leader, followers = trio.wait_formed()
    file = tmp_path / "large"
    file.write_bytes(b"\n" * LARGE)
    for node, path, content_type, status in (
        (leader, "/v1/collections/items/a", NDJSON, 415),
        (leader, "/v1/collections/items/a", "application/json", 413),
        (followers[0], collection_path("items"), NDJSON, 307),
    ):
        method = "PUT" if path.endswith("/a") else "POST"
        for _ in range(3):
            done = subprocess.run(
                ["curl", "-sS", "-o", tmp_path / "answer", "-w", "%{http_code}", "-X", method, "-T", file,
                 "-H", f"Content-Type: {content_type}", "-H", "Expect:", node.url + path],
                capture_output=True, text=True, timeout=DEADLINE_S, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stdout) == (0, str(status)), (done.stdout, done.stderr)
            assert json.loads((tmp_path / "answer").read_bytes())["status"] == status
        answer = node.request(method, path, b"\n" * LARGE, {"Content-Type": content_type})
        assert answer.status == status and answer.closes


def test_refused_while_it_comes_slowly(trio):
    """Goal: for many times as long as a connection lingers, as long as bytes come: the answer is read behind them."""
    leader, _ = trio.wait_formed()
    connection = http.client.HTTPConnection(leader.host, leader.port, timeout=DEADLINE_S)

    def slowly():
        for _ in range(12):
            yield b"x" * 100_000
            time.sleep(0.5)

    connection.request("PUT", "/v1/collections/items/a", slowly(), {"Content-Type": NDJSON})
    response = connection.getresponse()
    assert response.status == 415 and json.loads(response.read())["code"]
    connection.close()


def test_a_node_that_stops(make_cluster):
    """Goal: with readers that read nothing, and imports that go on and on, a node ends within the second that
    SIGTERM gives it (and with status 0, which the fixture looks at); who is cut off sees that."""
    trio = make_cluster(3).start()
    leader, _ = trio.wait_formed()
    check_created(import_lines(leader, "items", make_lines(30_000, filling=500)), 30_000)
    stopping = threading.Event()
    readers = [leader.connect() for _ in range(5)]
    senders = [leader.connect() for _ in range(5)]
    answers = [ChunkedAnswer(sender.socket) for sender in senders]

    def send(sender, number):
        dice = random.Random(number)
        try:
            while not stopping.is_set():
                sender.send(chunk(b'{"x":%d}\n' % dice.randrange(1 << 30) * dice.randrange(1, 200)))
        except OSError:
            pass

    for reader in readers:
        reader.send(f"GET {collection_path('items')} HTTP/1.1\r\nHost: x\r\nAccept: {NDJSON}\r\n\r\n".encode())
    for sender in senders:
        sender.send(import_head("sent"))
    threads = [threading.Thread(target=send, args=(s, i), daemon=True) for i, s in enumerate(senders)]
    for thread in threads:
        thread.start()
    for answer in answers:
        assert answer.read_head() == 200
    begin = time.monotonic()
    leader.stop()
    assert time.monotonic() - begin < STOP_LIMIT_S
    stopping.set()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    for answer in answers:
        try:
            while answer.read_chunk():
                pass
            raise AssertionError("an import that was cut off has an end")
        except OSError:
            pass
    for connection in readers + senders:
        connection.socket.close()
    leader.start()
    trio.wait_formed()


def test_many_at_once(trio):
    """Goal: more imports than a node takes at a time are refused with 503 and can be sent again; no more are counted
    as under way than there are."""
    leader, _ = trio.wait_formed()
    for _ in range(3):
        connections = [leader.connect() for _ in range(20)]
        for connection in connections:
            connection.send(import_head("items") + chunk(b"{}\n"))
        statuses = [ChunkedAnswer(connection.socket).read_head() for connection in connections]
        assert statuses.count(200) == 16 and statuses.count(503) == 4
        for connection in connections:
            connection.socket.close()
        wait_until("they are forgotten", lambda: import_lines_or_none(leader) is not None)


def import_lines_or_none(leader):
    answer = leader.request("POST", collection_path("items"), b"{}\n", {"Content-Type": NDJSON})
    return answer if answer.status == 200 else None
