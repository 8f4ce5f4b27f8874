"""What clients asked and were answered, recorded for coracle-linearize, which says whether it is linearizable
(test/sim/linearize.h; the format is in test/sim/coracle_linearize.c).

    history = History(tmp_path / "history.jsonl")
    with clients(history, nodes, 6):
        ...                      # trouble
    history.check()

The order of the lines is the order of events: a request is written down before it is sent, an answer after it
came, both under one lock. Times are of one monotonic clock, and for the reader only."""

import contextlib
import http.client
import json
import random
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import client
from client import DEADLINE_S, document_path, wait_until
from node import BINARY

CHECKER = str(Path(BINARY).with_name("coracle-linearize"))
CHECK_LIMIT_S = 120
ANSWER_LIMIT_S = 3.0  # a client waits no longer; what it asked for has an unknown outcome
REDIRECTS_MAX = 3  # a client then takes the write as refused
UNKNOWN, REFUSED = {"outcome": "unknown"}, {"outcome": "refused"}


class History:
    """The file, and what it holds so far. Any thread may call any method."""

    def __init__(self, path):
        self.path = Path(path)
        self.lock = threading.Lock()
        self.file = open(self.path, "w", encoding="ascii")
        self.ops = 0
        self.values = 0
        self.outcomes = {}

    def new_value(self):
        """A value that was never written before."""
        with self.lock:
            self.values += 1
            return self.values

    def invoke(self, number, method, document, **rest):
        """Client `number` is about to send this; the op for answer()."""
        with self.lock:
            op = self.ops
            self.ops += 1
            self._write("invoke", op, client=number, method=method, document=document, **rest)
            return op

    def answer(self, op, outcome, **rest):
        with self.lock:
            self._write("return", op, outcome=outcome, **rest)
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def _write(self, event, op, **rest):
        line = {"event": event, "op": op, "time_us": time.monotonic_ns() // 1000, **rest}
        self.file.write(json.dumps(line) + "\n")

    def check(self):
        """Fails unless what was recorded is linearizable; an undecided check is no pass. Returns the checker's
        words."""
        with self.lock:
            self.file.flush()
        command = [CHECKER, str(self.path)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_LIMIT_S, check=False)
        assert result.returncode == 0, f"{self.path}: {result.stdout}{result.stderr}"
        return result.stdout.strip()


def revision_of(answer):
    etag = answer.header("etag")
    return int(etag.strip('"')) if etag else 0


def current_of(answer):
    """The document that a 409 or 412 shows."""
    current = answer.json()["current"]
    return {"value": current["n"], "revision": revision_of(answer)} if current else {"absent": True}


def result_of(method, answer):
    """What an answer says, in the words of the checker."""
    if answer.status == 200 and method == "get":
        return {"outcome": "ok", "value": answer.json()["n"], "revision": revision_of(answer)}
    if answer.status in (200, 201):
        return {"outcome": "ok", "revision": revision_of(answer)}
    if answer.status == 204:
        return {"outcome": "ok"}
    if answer.status == 404:
        return {"outcome": "not_found"}
    if answer.status == 409:
        return {"outcome": "conflict", **current_of(answer)}
    if answer.status == 412:
        return {"outcome": "precondition_failed", **current_of(answer)}
    if answer.status == 503:
        return REFUSED
    assert answer.status == 504, answer
    return UNKNOWN


class Client:
    """A thread that reads and writes a few documents through any node, one request after another."""

    def __init__(self, history, nodes, number, documents, seed):
        self.history = history
        self.nodes = nodes
        self.number = number
        self.documents = documents
        self.dice = random.Random(seed)
        self.revisions = dict.fromkeys(documents, 1)  # as last seen, for conditions
        self.stopping = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self.stopping.is_set():
                self._ask_once()
        except Exception as error:  # for the test's thread to raise
            self.failure = error

    def _ask_once(self):
        method = self.dice.choices(("get", "put", "create", "delete"), (50, 34, 8, 8))[0]
        document = self.dice.choice(self.documents)
        details, headers = {}, {}
        if method in ("put", "create"):
            details["value"] = self.history.new_value()
        if method in ("put", "delete") and self.dice.random() < 0.4:
            kind = self.dice.choices(("if_match", "if_match_any", "if_none_match_any"), (80, 10, 10))[0]
            details[kind] = self.revisions[document] if kind == "if_match" else True
            headers = {
                "if_match": {"If-Match": f'"{self.revisions[document]}"'},
                "if_match_any": {"If-Match": "*"},
                "if_none_match_any": {"If-None-Match": "*"},
            }[kind]
        op = self.history.invoke(self.number, method, document, **details)
        result = self._send(method, document, details.get("value"), headers)
        self.history.answer(op, **result)
        self.revisions[document] = result.get("revision") or self.revisions[document]
        if result["outcome"] == "refused":
            self.stopping.wait(0.01)

    def _send(self, method, document, value, headers):
        collection, document_id = document.split("/")
        verb, path, body = method.upper(), document_path(collection, document_id), None
        if value is not None:
            body = json.dumps({"id": document_id, "n": value})
        if method == "create":
            verb, path = "POST", f"/v1/collections/{collection}"
        node = self.dice.choice(self.nodes)
        host, port = node.host, node.port
        for _ in range(1 + REDIRECTS_MAX):
            try:
                answer = client.request(port, verb, path, body, headers, ANSWER_LIMIT_S, host)
            except ConnectionRefusedError:
                return REFUSED  # nobody there to be asked
            except (OSError, http.client.HTTPException):
                return UNKNOWN
            if answer.status != 307:
                return result_of(method, answer)
            leader = urlsplit(answer.header("location"))
            host, port = leader.hostname, leader.port
        return REFUSED


@contextlib.contextmanager
def clients(history, nodes, count, documents=4, seed=1):
    """So many clients at work on so many documents, until the block ends."""
    names = [f"history/{i}" for i in range(documents)]
    working = [Client(history, nodes, n, names, seed * 1000 + n) for n in range(count)]
    for one in working:
        one.thread.start()
    try:
        yield
    finally:
        for one in working:
            one.stopping.set()
        for one in working:
            one.thread.join(DEADLINE_S)
    assert not any(one.thread.is_alive() for one in working), "a client hangs"
    failures = [one.failure for one in working if one.failure]
    assert not failures, failures


def wait_more(history, count=50):
    """Waits until so many further requests were answered with ok."""
    goal = history.outcomes.get("ok", 0) + count
    wait_until(f"{count} more operations", lambda: history.outcomes.get("ok", 0) >= goal)
