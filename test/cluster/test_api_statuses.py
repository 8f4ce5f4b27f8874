"""Statuses that take more to see than a request (test_api_matrix.py has those): a limit that is met, a
leader without its followers, bodies and headers that are refused by every path. With the suites of
test/clients it sees to it that each status of docs/openapi.json is seen (test/clients/statuses.js)."""

import itertools
import threading

import pytest
from client import request_bytes, wait_until
from load import FAILURES

COLLECTION, DOCUMENT = "/v1/collections/statuses", "/v1/collections/statuses/d"
TRANSACTIONS = "/v1/transactions"
OF_THE_NODE = ["/", "/livez", "/readyz", "/openapi.json", "/v1/cluster"]
OF_DATA = ["/v1/collections", COLLECTION, DOCUMENT]
NDJSON = {"Content-Type": "application/x-ndjson"}
BIG = '{"v":"%s"}' % ("x" * 2000)
TRANSACTION = '{"operations":[{"method":"put","path":"statuses/%s","body":%s}]}'
WRITES = {  # some write of each kind: method, path, body
    "POST": lambda body="{}", name=None: ("POST", COLLECTION, body),
    "PUT": lambda body="{}", name="d": ("PUT", f"{COLLECTION}/{name}", body),
    "PATCH": lambda body="{}", name="d": ("PATCH", f"{COLLECTION}/{name}", body),
    "DELETE": lambda body=None, name="d": ("DELETE", f"{COLLECTION}/{name}", None),
    "drop": lambda body=None, name=None: ("DELETE", "/v1/collections/empty", None),
    "transaction": lambda body="{}", name="d": ("POST", TRANSACTIONS, TRANSACTION % (name, body)),
}


@pytest.mark.parametrize("path", OF_THE_NODE + OF_DATA)
def test_what_every_path_refuses(shared_trio, path):
    """Goal: unknown parameters, hosts, and types are refused alike everywhere."""
    leader, _ = shared_trio.wait_formed()
    leader.put("d", "{}", "statuses")
    for method in ("GET", "HEAD"):
        assert leader.request(method, path).status == 200
        assert leader.request(method, path + "?unknown=1").status == 400
        assert leader.request(method, path, headers={"Host": "example.org"}).status == 403
        assert leader.request(method, path, headers={"Accept": "image/png"}).status == 406
    assert leader.request("OPTIONS", path).status == 204
    for every in (path, TRANSACTIONS):
        assert leader.request("OPTIONS", every, headers={"Host": "example.org"}).status == 403


def test_conditions_of_reads(shared_trio):
    leader, _ = shared_trio.wait_formed()
    leader.put("d", "{}", "statuses")
    for method in ("GET", "HEAD"):
        assert leader.request(method, DOCUMENT, headers={"If-None-Match": "*"}).status == 304
        assert leader.request(method, DOCUMENT, headers={"If-Match": '"1"'}).status == 412
        assert leader.request(method, COLLECTION + "/none").status == 404


@pytest.mark.parametrize("path", OF_DATA)
def test_a_revision_that_does_not_come(shared_trio, path):
    leader, _ = shared_trio.wait_formed()
    for method in ("GET", "HEAD"):
        answer = leader.request(method, path + "?min_revision=1000000000&wait_ms=0")
        assert answer.status == 504 and (method == "HEAD" or answer.code == "revision_not_reached")


def test_replication_is_for_nodes(shared_trio):
    leader, _ = shared_trio.wait_formed()
    upgrade = {"Connection": "Upgrade", "Upgrade": "coracle-replication/1"}
    path = "/v1/replication"
    for method in ("GET", "HEAD"):
        assert leader.request(method, path).status == 426
        assert leader.request(method, path, headers={"Host": "example.org"}).status == 403
        assert leader.request(method, path + "?unknown=1").status == 400
    assert leader.request("GET", path, headers=upgrade).code == "token_missing"
    wrong = {"Authorization": "Bearer " + "0" * 64}
    assert leader.request("GET", path, headers={**upgrade, **wrong}).code == "token_wrong"
    assert leader.request("OPTIONS", path).status == 204
    assert leader.request("OPTIONS", path, headers={"Host": "example.org"}).status == 403


@pytest.mark.parametrize("write", WRITES)
def test_what_every_write_refuses(shared_trio, write):
    """Goal: a wrong parameter, a page of another origin, and the key of another request."""
    leader, _ = shared_trio.wait_formed()
    leader.put("d", "{}", "statuses")
    method, path, body = WRITES[write]()
    assert leader.request(method, path + "?unknown=1", body).status == 400
    assert leader.request(method, path, body, {"Origin": "https://example.org"}).status == 403
    key = {"Idempotency-Key": f"{write}-refused"}
    assert leader.request("PUT", "/v1/collections/keys/k", "{}", key).status in (200, 201)
    reused = leader.request(method, path, body, key)
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    if body is not None:
        assert leader.request(method, path, body, {"Content-Type": "text/plain"}).status == 415


def test_too_large(make_cluster):
    """Goal: --max-document-bytes and --max-data-bytes hold for every way of writing."""
    limits = ["--max-document-bytes", "1500", "--max-data-bytes", "4000"]
    node = make_cluster(1, limits).start().wait_leader()
    assert node.put("d", '{"v":"%s"}' % ("x" * 1000), "statuses").status == 201
    for write in ("POST", "PUT", "PATCH", "transaction"):
        answer = node.request(*WRITES[write](BIG))
        assert answer.status == 413, (write, answer)
    # The result alone is too large.
    half = '{"w":"%s"}' % ("x" * 700)
    assert node.request("PATCH", DOCUMENT, half).code == "document_too_large"
    number = itertools.count()
    wait_until("it is full", lambda: node.put(f"more{next(number)}", half, "statuses").status == 507)
    for write in ("POST", "PUT", "PATCH", "transaction"):
        name = "d" if write == "PATCH" else "new"
        body = '{"z":"%s"}' % ("x" * 300) if write == "PATCH" else half
        answer = node.request(*WRITES[write](body, name))
        assert (answer.status, answer.code) == (507, "store_full"), (write, answer)
    assert node.request("DELETE", DOCUMENT).status == 204


class Hammer:
    """A thread that sends one kind of write to a node until it is told to stop."""

    def __init__(self, node, write, stopping):
        self.node, self.write, self.stopping = node, write, stopping
        self.answers = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopping.is_set():
            try:
                self.answers.append(self.node.request(*WRITES[self.write](name=self.write)))
            except FAILURES:
                pass


def test_followers_that_hang(make_cluster):
    """Goal: while the followers of a leader do not answer, the same key is refused as under way; and what
    was proposed has an unknown outcome when the leader gives up."""
    cluster = make_cluster(3).start()
    leader, followers = cluster.wait_formed()
    leader.put("PATCH", "{}", "statuses")
    seen = {write: set() for write in WRITES}
    for number in itertools.count():
        stopping = threading.Event()
        hammers = [Hammer(leader, write, stopping) for write in WRITES for _ in range(3)]
        wait_until("they are at work", lambda: all(len(h.answers) > 3 for h in hammers))
        for follower in followers:
            follower.pause()
        wait_until("it gives up", lambda: all(h.answers[-1].status in (503, 504) for h in hammers))
        stopping.set()
        for follower in followers:
            follower.resume()
        for hammer in hammers:
            hammer.thread.join()
            seen[hammer.write] |= {(answer.status, answer.code) for answer in hammer.answers}
        leader, followers = cluster.wait_formed()
        if all((504, "outcome_unknown") in found for found in seen.values()):
            break
        assert number < 10, seen


@pytest.mark.parametrize("write", WRITES)
def test_a_key_under_way(make_cluster, write):
    """Goal: the same key again, at the same node, before the first is answered: 409, whatever the write."""
    cluster = make_cluster(3).start()
    leader, followers = cluster.wait_formed()
    leader.put("d", "{}", "statuses")
    for follower in followers:
        follower.pause()
    method, path, body = WRITES[write]()
    key = {"Idempotency-Key": "under-way"}
    with leader.connect() as first, leader.connect() as second:
        first.send(request_bytes(method, path, body, key))
        wait_until("it has begun", lambda: (a := second.request(method, path, body, key)).status == 409 and a)
    for follower in followers:
        follower.resume()
