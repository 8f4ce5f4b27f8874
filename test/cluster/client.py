"""HTTP for the tests: one request at a time through http.client, and a Connection for everything that a
well-behaved client would not do: half a request, a hundred at once, or no HTTP at all."""

import http.client
import json
import os
import socket
import time
from pathlib import Path
from urllib.parse import quote

DEADLINE_S = 30.0  # for what must happen at all; far above what it takes, so that a slow machine passes
LOOPBACK = "127.0.0.1"
PIPELINE_DEPTH = 50  # requests that Connection.pipeline() has under way at most

JSON = {"Content-Type": "application/json"}


class Answer:
    """One response: status, headers (looked up without case) and the body's bytes."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name):
        return self.headers.get(name.lower())

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The stable code of a problem document (RFC 9457), None for any other answer."""
        if self.header("content-type") != "application/problem+json" or not self.body:
            return None
        return self.json()["code"]

    @property
    def closes(self):
        return (self.header("connection") or "").lower() == "close"

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


def observe(method, target, status, seen=set()):
    """With CORACLE_OBSERVED=FOLDER: notes in a file there that this was answered so (test/clients/lib/observed.js)."""
    folder = os.environ.get("CORACLE_OBSERVED")
    line = f"{method} {target.partition('?')[0]} {status}\n"
    if folder and line not in seen:
        seen.add(line)
        with open(Path(folder) / f"python-{os.getpid()}", "a", encoding="utf-8") as file:
            file.write(line)


def document_path(collection, document_id):
    return f"/v1/collections/{quote(collection, safe='')}/{quote(document_id, safe='')}"


def request(port, method, path, body=None, headers=None, timeout_s=DEADLINE_S, host=LOOPBACK):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        sent = dict(JSON) if body is not None else {}
        sent.update(headers or {})
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        observe(method, path, response.status)
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def request_bytes(method, path, body=None, headers=None):
    """The bytes of a request, for Connection.send()."""
    if isinstance(body, str):
        body = body.encode()
    fields = {"Host": "localhost"}
    if body is not None:
        fields.update(JSON)
        fields["Content-Length"] = str(len(body))
    fields.update(headers or {})
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
    return head.encode("latin-1") + (body or b"")


class Connection:
    """A TCP connection to a node's HTTP port. Bytes go out as they are; answers are read one by one."""

    def __init__(self, port, timeout_s=DEADLINE_S, host=LOOPBACK):
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, path, body=None, headers=None):
        self.send(request_bytes(method, path, body, headers))
        answer = self.answer(head_only=method == "HEAD")
        observe(method, path, answer.status)
        return answer

    def pipeline(self, requests):
        """Sends (method, path, body, headers) tuples without waiting for each answer; the answers, in
        order."""
        answers = []
        for start in range(0, len(requests), PIPELINE_DEPTH):
            batch = requests[start : start + PIPELINE_DEPTH]
            self.send(b"".join(request_bytes(*r) for r in batch))
            answers += [self.answer(head_only=r[0] == "HEAD") for r in batch]
        return answers

    def _fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"closed with {self.received[:200]!r} unread")
        self.received += data

    def answer(self, head_only=False):
        """The next response; ConnectionError when the connection ends first, TimeoutError when none comes."""
        while b"\r\n\r\n" not in self.received:
            self._fill()
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ", 2)[:2]
        assert version == "HTTP/1.1", lines[0]
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"{name} came twice"
            headers[name.lower()] = value.strip()
        length = 0 if head_only or int(status) < 200 else int(headers.get("content-length", 0))
        while len(self.received) < length:
            self._fill()
        body, self.received = self.received[:length], self.received[length:]
        return Answer(int(status), headers, body)

    def is_quiet(self, for_s):
        """True when nothing arrives, not even the end of the connection, for so long."""
        self.socket.settimeout(for_s)
        try:
            self._fill()
            return False
        except TimeoutError:
            return True
        except ConnectionError:
            return False
        finally:
            self.socket.settimeout(DEADLINE_S)

    def is_closed(self, within_s=DEADLINE_S):
        """True when the other side ends the connection in time and has nothing more to say."""
        self.socket.settimeout(within_s)
        try:
            data = self.received or self.socket.recv(1)
            return data == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True  # a reset: it had not read all that we sent
        finally:
            self.socket.settimeout(DEADLINE_S)


def wait_until(what, look, deadline_s=DEADLINE_S, every_s=0.02):
    """Calls look() until it returns something true, and returns that. Connection errors and unexpected
    answers count as "not yet": a node may be starting, or dying."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            last = look()
            if last:
                return last
        except (OSError, http.client.HTTPException, ValueError, KeyError, AssertionError) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline_s:.0f} s; the last look gave {last!r}")
        time.sleep(every_s)
