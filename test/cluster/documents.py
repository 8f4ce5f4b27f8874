"""Documents on nodes: reading all of them, comparing nodes, and a writer that remembers what was
acknowledged."""

import http.client
import itertools
import threading
import time
from urllib.parse import quote, urlsplit

import client
from client import DEADLINE_S, document_path, wait_until

LIST_LIMIT = 1000  # the most that one listing gives


def ids_of(connection, collection, query):
    after = ""
    while True:
        path = f"/v1/collections/{collection}?limit={LIST_LIMIT}{query}"
        answer = connection.request("GET", path + (after and f"&after={quote(after, safe='')}"))
        assert answer.status == 200, answer
        ids = [document["id"] for document in answer.json()]
        yield from ids
        if answer.header("link") is None:  # a page of large documents ends before its limit
            return
        after = ids[-1]


def documents(node, stale=False):
    """All of a node's documents: {(collection, id): (bytes, ETag)}."""
    with node.connect() as connection:
        collections = connection.request("GET", "/v1/collections" + ("?consistency=stale" if stale else ""))
        assert collections.status == 200, collections
        keys = [
            (c["name"], document_id)
            for c in collections.json()
            for document_id in ids_of(connection, c["name"], "&consistency=stale" if stale else "")
        ]
        query = "?consistency=stale" if stale else ""
        answers = connection.pipeline([("GET", document_path(*key) + query) for key in keys])
    assert all(a.status == 200 for a in answers), [a for a in answers if a.status != 200][:3]
    return {key: (a.body, a.header("etag")) for key, a in zip(keys, answers)}


def wait_same(nodes, deadline_s=DEADLINE_S):
    """Waits until the nodes have applied equally far and nothing is on its way; then their documents must be
    equal. Returns them."""

    def level():
        views = [n.view() for n in nodes]
        return len({v["applied"] for v in views} | {v["commit"] for v in views}) == 1

    wait_until(f"{nodes} have applied the same", level, deadline_s)
    first, *others = [documents(n, stale=True) for n in nodes]
    for node, other in zip(nodes[1:], others):
        differing = sorted(set(first.items()) ^ set(other.items()))
        assert not differing, f"{node} differs from {nodes[0]} in {len(differing)}: {differing[:4]}"
    return first


def put_until_accepted(nodes, document_id, body, deadline_s=DEADLINE_S):
    """Writes one document through whichever node takes it; the answer, and how long it took to be
    accepted."""
    begin = time.monotonic()
    taker = itertools.cycle(nodes)

    def attempt():
        node = next(taker)
        answer = node.put(document_id, body, timeout_s=5) if node.is_running else None
        return answer if answer and answer.status in (200, 201) else None

    answer = wait_until(f"{nodes} accept a write", attempt, deadline_s, every_s=0.005)
    return answer, time.monotonic() - begin


class Writer:
    """Writes documents one after another from a thread, each under an id of its own, through the leader: it
    follows redirects and goes round the nodes while there is none. `acknowledged` maps ids to (bytes, ETag)
    of the writes that were answered 201; a write with any other outcome may or may not have happened."""

    def __init__(self, nodes, collection="written"):
        self.places = [(n.host, n.port) for n in nodes]  # a test may put others here while it runs
        self.turn = 0
        self.collection = collection
        self.acknowledged = {}
        self.unexpected = []  # answers that a client must never get
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive(), "the writer hangs"

    def _another(self):
        self.turn += 1
        return self.places[self.turn % len(self.places)]

    def _run(self):
        host, port = self._another()
        for number in itertools.count():
            if self.stopping.is_set():
                return
            document_id = f"w{number:06}"
            body = b'{"id":"%s","number":%d}' % (document_id.encode(), number)
            path = document_path(self.collection, document_id)
            try:
                answer = client.request(port, "PUT", path, body, timeout_s=2, host=host)
            except (OSError, http.client.HTTPException):
                host, port = self._another()
                time.sleep(0.01)
                continue
            if answer.status == 201:
                self.acknowledged[document_id] = (body, answer.header("etag"))
            elif answer.status == 307:
                leader = urlsplit(answer.header("location"))
                host, port = leader.hostname, leader.port
            elif answer.status in (503, 504):
                host, port = self._another()
                time.sleep(0.01)
            else:
                self.unexpected.append(answer)

    def wait_more(self, count=20):
        """Waits until so many further writes have been acknowledged."""
        goal = len(self.acknowledged) + count
        wait_until(f"{count} more writes", lambda: len(self.acknowledged) >= goal)

    def check_kept(self, found):
        """Every acknowledged write is in `found`, which documents() gave, with the bytes and the ETag
        acknowledged."""
        assert not self.unexpected, self.unexpected[:3]
        lost = {
            i: (kept, found.get((self.collection, i)))
            for i, kept in self.acknowledged.items()
            if found.get((self.collection, i)) != kept
        }
        assert not lost, f"{len(lost)} of {len(self.acknowledged)} acknowledged lost or changed: {lost}"
