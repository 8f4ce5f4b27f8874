"""Whole collections in and out, a document a line (NDJSON): with curl, which reads while it sends, and over bare
connections for clients that do not."""

import json
import socket
import subprocess
import threading
import time

from client import DEADLINE_S, wait_until

NDJSON = "application/x-ndjson"
CURL_LIMIT_S = 120


def collection_path(collection, query=""):
    return f"/v1/collections/{collection}" + (f"?{query}" if query else "")


def curl(*arguments, stdin=None):
    """What it printed; it must end well."""
    done = subprocess.run(
        ["curl", "-sS", "--fail-with-body", "--max-time", str(CURL_LIMIT_S), *arguments],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr, done.stdout[:500])
    return done.stdout


def export_lines(node, collection, query=""):
    """The body of an export, as bytes."""
    return curl("-H", f"Accept: {NDJSON}", node.url + collection_path(collection, query))


def import_file(node, collection, file, query="", options=()):
    """Imports a file of lines, and gives one result a line."""
    printed = curl(
        "-L", "-X", "POST", "-T", str(file), "-H", f"Content-Type: {NDJSON}", *options,
        node.url + collection_path(collection, query),
    )  # fmt: skip
    return results_of(printed)


def import_lines(node, collection, lines, query="", options=()):
    """The same of bytes, in chunks (their number is not known to curl when it begins). The node must lead: what
    comes in by a pipe cannot be sent twice."""
    printed = curl(
        "-X", "POST", "-T", "-", "-H", f"Content-Type: {NDJSON}", *options,
        node.url + collection_path(collection, query),
        stdin=lines,
    )  # fmt: skip
    return results_of(printed)


def results_of(body):
    return [json.loads(line) for line in body.splitlines()]


def make_document(number, width=6, filling=100):
    return b'{"id":"%0*d","number":%d.10,"filling":"%s"}' % (width, number, number, b"x" * filling)


def make_lines(count, filling=100):
    return b"".join(make_document(number, filling=filling) + b"\n" for number in range(count))


def check_created(results, count):
    """One result a line, in order, all of them 201."""
    assert [r["line"] for r in results] == list(range(1, count + 1))
    bad = [r for r in results if r["status"] != 201]
    assert not bad, (len(bad), bad[:3])


def import_head(collection, length=None, query="", headers=()):
    """The head of an import, for a bare connection. Without a length the body comes in chunks."""
    framing = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    fields = ["Host: localhost", f"Content-Type: {NDJSON}", framing, *headers]
    return ("\r\n".join([f"POST {collection_path(collection, query)} HTTP/1.1", *fields]) + "\r\n\r\n").encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class ChunkedAnswer:
    """Reads an answer in chunks from a socket as it comes."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b""
        self.headers = None
        self.ended = False

    def _fill(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise ConnectionError("closed in the middle of an answer")
        self.rest += data

    def _line(self):
        while b"\r\n" not in self.rest:
            self._fill()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def read_head(self):
        """The status. Whatever it says of 100 Continue is passed over."""
        while True:
            status = int(self._line().split()[1])
            self.headers = {}
            while line := self._line():
                name, _, value = line.decode("latin-1").partition(":")
                self.headers[name.lower()] = value.strip()
            if status != 100:
                return status

    def read_chunk(self):
        """The next one; empty at the end of the answer."""
        size = int(self._line(), 16)
        while len(self.rest) < size + 2:
            self._fill()
        data, self.rest = self.rest[:size], self.rest[size + 2 :]
        self.ended = size == 0
        return data

    def read_all(self):
        parts = []
        while part := self.read_chunk():
            parts.append(part)
        return b"".join(parts)


def open_export(node, collection, query="", receive_bytes=None):
    """A connection that has asked for an export and reads nothing yet; `receive_bytes` bounds what the kernel takes
    in for it."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(DEADLINE_S)
    sock.connect((node.host, node.port))
    sock.sendall(
        f"GET {collection_path(collection, query)} HTTP/1.1\r\nHost: localhost\r\nAccept: {NDJSON}\r\n\r\n".encode()
    )
    return sock


def memory_bytes(node, what="VmRSS"):
    with open(f"/proc/{node.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(what + ":"))


class Watch:
    """Looks at a node's resident memory, and at how old a follower says that its state is, all the time.

    `staleness_ms` has every answer; `memory_peak` the most that was seen."""

    def __init__(self, node, followers, every_s=0.005):
        self.node, self.followers, self.every_s = node, followers, every_s
        self.memory_before = self.memory_peak = memory_bytes(node)
        self.staleness_ms = []
        self.worst_answer_s = 0.0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(DEADLINE_S)

    @property
    def memory_growth(self):
        return self.memory_peak - self.memory_before

    def _run(self):
        connections = [f.connect() for f in self.followers]
        while not self.stopping.wait(self.every_s):
            for connection in connections:
                begin = time.monotonic()
                answer = connection.request("GET", "/v1/collections/none?consistency=stale&limit=1")
                self.worst_answer_s = max(self.worst_answer_s, time.monotonic() - begin)
                self.staleness_ms.append(int(answer.header("coracle-staleness-ms")))
            self.memory_peak = max(self.memory_peak, memory_bytes(self.node))
        for connection in connections:
            connection.socket.close()


def wait_settled(nodes):
    """Until all of them have applied what is committed, and nothing is on its way."""

    def level():
        views = [n.view() for n in nodes]
        return len({v["applied"] for v in views} | {v["commit"] for v in views}) == 1

    wait_until(f"{nodes} have applied the same", level)
