"""Clients that write a few documents all the time and remember what each of them must be.

    load = Load(nodes, clients=4, seed=1)
    with load:                 # they write
        ...                    # trouble
        load.pause()           # each has had its answer, or will have none
        load.check(documents)  # what documents.wait_same() gave
        load.resume()

A document is one client's alone, and a client does one thing at a time, so there is little that a document
can be: what was last acknowledged, or seen by a linearizable read; or, at a later revision, what a write of
unknown outcome would have made of it. A client that does not know how a write ended reads the document before
it does anything else with it; that the read does not show the write does not mean that it never will. Each
body is made of a number of its own, over and over, so that a part of one in another is seen."""

import http.client
import random
import threading
from urllib.parse import urlsplit

from client import DEADLINE_S, Connection, document_path, wait_until

COLLECTION = "torture"
ANSWER_LIMIT_S = 3.0
REDIRECTS_MAX = 3
SIZES = (((60, 600), 70), ((1_000, 20_000), 26), ((100_000, 500_000), 4))  # of bodies in bytes, and their share
METHODS = (("PUT", 45), ("PUT if", 20), ("POST", 12), ("DELETE", 6), ("DELETE if", 6), ("GET", 11))
FAILURES = (OSError, http.client.HTTPException)


class Wrong(AssertionError):
    """A node said, or has, what cannot be."""


def drawn(dice, weighted):
    values, weights = zip(*weighted)
    return dice.choices(values, weights)[0]


def brief(body):
    return "no document" if body is None else f"{len(body)} bytes beginning {body[:60]!r}"


def make_body(document_id, number, size_bytes):
    unit = b"%07d," % number
    return b'{"id":"%s","filling":"%s"}' % (document_id.encode(), unit * max(1, size_bytes // len(unit)))


class Document:
    """What is known of one document. A state is (revision, body), with None as the body of none: then the
    revision is one that it must be after if it is there again."""

    def __init__(self, document_id):
        self.id = document_id
        self.revision, self.body = 0, None  # acknowledged, or seen
        self.unknown = []  # bodies (None: a deletion) of writes that may have taken effect, or may yet
        self.doubtful = False  # to be read before anything else

    def fault(self, revision, body):
        """None when the document can be so; else why it cannot."""
        if body == self.body and (body is None or revision == self.revision):
            return None
        if body in self.unknown and (body is None or revision > self.revision):
            return None
        expected = [f"revision {self.revision}, {brief(self.body)}"]
        expected += [f"of unknown outcome: {brief(unknown)}" for unknown in self.unknown]
        seen = f"revision {revision}, {brief(body)}"
        return f"{self.id} is {seen}; it could be: {'; '.join(expected)}"

    def observe(self, revision, body):
        """It was seen so by someone who must see what was acknowledged."""
        fault = self.fault(revision, body)
        if fault:
            raise Wrong(fault)
        if body != self.body and body in self.unknown:
            self.unknown.remove(body)
        self.settle(revision, body)

    def settle(self, revision, body):
        """It is known to be so."""
        self.revision, self.body = revision if body is not None else self.revision, body
        self.doubtful = False

    @property
    def path(self):
        return document_path(COLLECTION, self.id)


class Client:
    """A thread with documents of its own."""

    def __init__(self, load, number, nodes, documents, seed):
        self.load = load
        self.nodes = nodes
        self.dice = random.Random(seed)
        self.documents = [Document(f"{number}-{i:03}") for i in range(documents)]
        self.connections = {}  # by (host, port)
        self.acknowledged = 0
        self.idle = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self.load.stopping.is_set():
                if not self.load.running.is_set():
                    self.idle.set()
                    self.load.running.wait(0.1)
                    continue
                self.idle.clear()
                self._act(self.dice.choice(self.documents))
        except Exception as error:  # for the test's thread to raise
            self.failure = error
        finally:
            self.idle.set()
            for connection in self.connections.values():
                connection.socket.close()

    def _act(self, document):
        method = "GET" if document.doubtful else drawn(self.dice, METHODS)
        body = None
        if method in ("PUT", "PUT if", "POST"):
            body = make_body(document.id, self.load.new_number(), self.dice.randint(*drawn(self.dice, SIZES)))
        headers = {}
        if method.endswith(" if"):
            headers = self._condition(method, document)
        answer = self._send(document, method.split()[0], body, headers)
        if answer is None or answer.status == 504:
            if method != "GET":
                document.unknown.append(body)
                document.doubtful = True
        elif answer.status in (503, 507):
            self.load.refused[answer.code] = self.load.refused.get(answer.code, 0) + 1
            self.load.stopping.wait(0.01)
        else:
            self._learn(document, method, body, answer)

    def _condition(self, method, document):
        """One that holds, as far as is known."""
        if document.body is not None:
            return {"If-Match": f'"{document.revision}"'}
        return {"If-None-Match": "*"} if method == "PUT if" else {}

    def _learn(self, document, method, body, answer):
        """What a definite answer says."""
        revision = int((answer.header("etag") or '"0"').strip('"'))
        if answer.status in (200, 201) and method != "GET":
            if answer.body != body or revision <= document.revision:
                raise Wrong(f"{method} {document.id}: {answer}")
            document.settle(revision, body)
            self.acknowledged += 1
        elif answer.status == 204:
            document.settle(0, None)
            self.acknowledged += 1
        elif answer.status in (200, 404):
            document.observe(revision, answer.body if answer.status == 200 else None)
        elif answer.status in (409, 412):
            # Nobody else writes it and nothing is sent twice; its bytes are looked at by the next GET.
            if revision != (document.revision if document.body is not None else 0) and not document.unknown:
                raise Wrong(f"{method} {document.id} at revision {document.revision}: {answer}")
        else:
            raise Wrong(f"{method} {document.id}: {answer}")

    def _send(self, document, method, body, headers):
        """The answer; None when there is none and the outcome is unknown."""
        path = f"/v1/collections/{COLLECTION}" if method == "POST" else document.path
        node = self.dice.choice(self.nodes)
        place = (node.host, node.port)
        answer = None
        for _ in range(1 + REDIRECTS_MAX):
            answer = self._ask(place, method, path, body, headers)
            if answer is None or answer.status != 307:
                return answer
            leader = urlsplit(answer.header("location"))
            place = (leader.hostname, leader.port)
        return REFUSED

    def _ask(self, place, method, path, body, headers):
        try:
            if place not in self.connections:
                self.connections[place] = Connection(place[1], ANSWER_LIMIT_S, place[0])
        except FAILURES:
            return REFUSED  # nobody there to be asked
        try:
            return self.connections[place].request(method, path, body, headers)
        except FAILURES:
            self.connections.pop(place).socket.close()
            return None


class Refused:
    """In place of an answer: nothing was asked for."""

    status, code = 503, "nobody there"


REFUSED = Refused()


class Load:
    """So many clients, each with so many documents. Any thread may read the counts."""

    def __init__(self, nodes, clients=4, documents=25, seed=1):
        self.numbers = 0
        self.lock = threading.Lock()
        self.refused = {}  # how often, by the problem's code
        self.running = threading.Event()
        self.stopping = threading.Event()
        self.clients = [Client(self, n, nodes, documents, seed * 1000 + n) for n in range(clients)]

    def new_number(self):
        with self.lock:
            self.numbers += 1
            return self.numbers

    @property
    def acknowledged(self):
        return sum(c.acknowledged for c in self.clients)

    def __enter__(self):
        self.running.set()
        for client in self.clients:
            client.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for client in self.clients:
            client.thread.join(DEADLINE_S)
        assert not any(c.thread.is_alive() for c in self.clients), "a client hangs"

    def raise_failures(self):
        for client in self.clients:
            if client.failure:
                raise client.failure

    def wait_more(self, count=20, deadline_s=DEADLINE_S):
        """Waits until so many further writes were acknowledged."""
        goal = self.acknowledged + count

        def look():
            if any(c.failure for c in self.clients):
                return True
            return self.acknowledged >= goal

        wait_until(f"{count} more writes", look, deadline_s)
        self.raise_failures()

    def pause(self):
        """When it returns, nothing that was asked for is without an answer for ANSWER_LIMIT_S already."""
        self.running.clear()
        for client in self.clients:
            client.idle.clear()
        for client in self.clients:
            assert client.idle.wait(DEADLINE_S), "a client hangs"
        self.raise_failures()

    def resume(self):
        self.running.set()

    def faults(self, found):
        """What is wrong with all documents of one node, as documents.documents() gives them."""
        known = {(COLLECTION, d.id): d for client in self.clients for d in client.documents}
        states = {key: (int(etag.strip('"')), body) for key, (body, etag) in found.items() if key[0] == COLLECTION}
        revisions = [revision for revision, _ in states.values()]
        faults = [f"{key} was never written" for key in states if key not in known]
        if len(set(revisions)) != len(revisions):
            faults.append("two documents have one revision")
        faults += [d.fault(*states.get(key, (0, None))) for key, d in known.items()]
        return [fault for fault in faults if fault]

    def check(self, found):
        """Call it when the load is paused and a later write has been acknowledged, so that nothing of unknown
        outcome can take effect any more: from then on each document is known to be as it was found."""
        faults = self.faults(found)
        if faults:
            raise Wrong(f"{len(faults)} wrong after {self.acknowledged} acknowledged writes: " + "\n".join(faults[:5]))
        for client in self.clients:
            for document in client.documents:
                body, etag = found.get((COLLECTION, document.id), (None, '"0"'))
                document.settle(int(etag.strip('"')), body)
                document.unknown.clear()
