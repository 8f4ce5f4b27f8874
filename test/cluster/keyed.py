"""Clients whose every write has an Idempotency-Key and is sent again, at any node, until it is answered; and
the account of what must have come of it: each key has taken effect once, or was refused once and has not.

    work = KeyedWork(nodes, seed=1)
    with work:                     # they write, and read
        ...                        # trouble
    work.check(documents)          # what documents.wait_same() gave

What they write tells on itself when it is done twice, or in part: a POST makes a document with the key in
it under an id that nobody chose; a PATCH appends the key to a list that all clients append to; a PUT of a
document of its own is at the revision that it was answered with; a transaction takes one from an account,
gives it to another, and leaves a receipt."""

import http.client
import itertools
import json
import random
import threading
from urllib.parse import urlsplit

import client
from client import DEADLINE_S, document_path, wait_until

ANSWER_LIMIT_S = 3.0
REDIRECTS_MAX = 3
HASTY, HASTE_S = 0.1, (0.0002, 0.003)  # of the requests; they are given up so soon, and sent again
RETRY_S = 0.02  # before the same is sent again
RETRIES_MAX = 1000  # of one request; then something is wrong with the cluster
LISTS, LIST_KEYS_MAX = 4, 100  # appended to at a time, and until another takes its place
ACCOUNTS, BALANCE = 5, 1000
KINDS = (("post", 20), ("put", 15), ("append", 30), ("transfer", 25), ("sum", 10))  # and their share
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
FAILURES = (OSError, http.client.HTTPException)


class Wrong(AssertionError):
    """A node said what cannot be."""


class Outcomes:
    """What became of the keys: {kind: {key: answer}}. Any thread may call any method."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answers = {"post": {}, "put": {}, "append": {}, "transfer": {}}
        self.refused = {}
        self.sent = {}  # key: method, path, body, headers
        self.replayed = self.retried = self.in_flight = self.sums = 0

    def note(self, kind, key, sent, answer, tries):
        with self.lock:
            self.sent[key] = sent
            self.retried += tries > 1
            self.replayed += answer.header("idempotency-replayed") == "true"
            if answer.status in (200, 201, 204):
                self.answers[kind][key] = answer
            else:
                self.refused[key] = answer

    def count(self):
        with self.lock:
            return sum(map(len, self.answers.values()))

    def all(self):
        return {**self.refused, **{key: a for answers in self.answers.values() for key, a in answers.items()}}


class KeyedClient:
    """A thread that does one write after another."""

    def __init__(self, work, number, seed):
        self.work = work
        self.name = f"c{number}"
        self.dice = random.Random(seed)
        self.numbers = itertools.count()
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self.work.stopping.is_set():
                getattr(self, self.dice.choices(*zip(*KINDS))[0])()
        except Exception as error:  # for the test's thread to raise
            self.failure = error

    def new_key(self):
        return f"{self.name}-{next(self.numbers)}"

    # ---- what they do

    def post(self):
        key = self.new_key()
        self._write("post", key, "POST", "/v1/collections/posted", {"key": key})

    def put(self):
        key = self.new_key()
        self._write("put", key, "PUT", document_path("put", key), {"key": key})

    def append(self):
        key = self.new_key()
        path = document_path("lists", self.work.list_for(self.dice))
        patch = [{"op": "add", "path": "/keys/-", "value": key}]
        self._write("append", key, "PATCH", path, patch, JSON_PATCH)

    def transfer(self):
        """Reads two accounts, and moves one from the first to the second if they are still so."""
        key = self.new_key()
        names = self.dice.sample([f"account{i}" for i in range(ACCOUNTS)], 2)
        operations = []
        for name, change in zip(names, (-1, 1)):
            path, found = f"accounts/{name}", self._read(document_path("accounts", name))
            body = {"id": name, "n": found.json()["n"] + change}
            etag = found.header("etag")
            operations.append({"method": "put", "path": path, "if_match": etag, "body": body})
        receipt = {"from": names[0], "to": names[1]}
        operations.append({"method": "put", "path": f"receipts/{key}", "if_none_match": "*", "body": receipt})
        self.dice.shuffle(operations)
        self._write("transfer", key, "POST", "/v1/transactions", {"operations": operations})

    def sum(self):
        """Money is neither made nor lost, at no revision of no node."""
        query = self.dice.choice(("", "?consistency=stale"))
        found = self._read("/v1/collections/accounts" + query)
        balances = [account["n"] for account in found.json()]
        if len(balances) == ACCOUNTS and sum(balances) != ACCOUNTS * BALANCE:
            raise Wrong(f"accounts have {balances} at {found.headers}")
        self.work.outcomes.sums += 1

    # ---- how

    def _write(self, kind, key, method, path, body, headers=None):
        sent = (method, path, json.dumps(body), {"Idempotency-Key": f'"{key}"', **(headers or {})})
        with self.work.in_flight():
            answer, tries = self._until_answered(*sent)
        refusals = (409, 412) if kind == "transfer" else ()
        if answer.status not in (200, 201, *refusals):
            raise Wrong(f"{method} {path} {body} with the key {key}, try {tries}: {answer}")
        if tries == 1 and answer.header("idempotency-replayed"):
            raise Wrong(f"{key} was sent once, and is answered as a retry: {answer}")
        self.work.outcomes.note(kind, key, sent, answer, tries)

    def _read(self, path):
        return self._until_answered("GET", path, None, {})[0]

    def _until_answered(self, method, path, body, headers):
        for number in range(1, RETRIES_MAX + 1):
            is_hasty = number == 1 and self.dice.random() < HASTY
            limit_s = self.dice.uniform(*HASTE_S) if is_hasty else ANSWER_LIMIT_S
            answer = self._once(method, path, body, headers, limit_s)
            if answer is not None and answer.status not in (307, 500, 503, 504) and not self._waits(answer):
                return answer, number
            if not is_hasty:
                self.work.pausing.wait(RETRY_S)
        raise Wrong(f"{method} {path} {headers}: no answer in {RETRIES_MAX} tries")

    def _waits(self, answer):
        """The first time is still under way at that node."""
        if answer.status == 409 and answer.code == "idempotency_key_in_flight":
            self.work.outcomes.in_flight += 1
            return True
        return False

    def _once(self, method, path, body, headers, limit_s):
        node = self.dice.choice(self.work.nodes)
        host, port = node.host, node.port
        for _ in range(1 + REDIRECTS_MAX):
            try:
                answer = client.request(port, method, path, body, headers, limit_s, host)
            except FAILURES:
                return None
            if answer.status != 307:
                return answer
            leader = urlsplit(answer.header("location"))
            host, port = leader.hostname, leader.port
        return answer


class KeyedWork:
    """So many clients at work, until the block ends: then each has had its answer."""

    def __init__(self, nodes, clients=6, seed=1):
        self.nodes = nodes
        self.outcomes = Outcomes()
        self.stopping = threading.Event()
        self.pausing = threading.Event()  # never set: for waiting
        self.lock = threading.Lock()
        self.under_way = 0
        self.appended = 0
        self.lists_made = 0
        self.clients = [KeyedClient(self, n, seed * 1000 + n) for n in range(clients)]

    def __enter__(self):
        for number in range(ACCOUNTS):
            self._make("accounts", f"account{number}", {"n": BALANCE})
        self._make_lists()
        for one in self.clients:
            one.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        for one in self.clients:
            one.thread.join(DEADLINE_S)
        if kind is None:
            self.check_clients()
            assert not any(one.thread.is_alive() for one in self.clients), "a client hangs"

    def _make(self, collection, document_id, body):
        def put():
            answers = [node.put(document_id, json.dumps(body), collection) for node in self.nodes]
            return any(answer.status in (200, 201) for answer in answers)

        wait_until(f"{document_id} is made", put)

    def _make_lists(self):
        for _ in range(LISTS):
            self._make("lists", f"list{self.lists_made}", {"keys": []})
            self.lists_made += 1

    def renew_lists(self):
        """New lists when the old ones have grown long; the old ones stay for check()."""
        if len(self.outcomes.answers["append"]) > self.lists_made * LIST_KEYS_MAX:
            self._make_lists()

    def list_for(self, dice):
        return f"list{self.lists_made - 1 - dice.randrange(LISTS)}"

    def in_flight(self):
        return Counted(self)

    def replay(self, leader, dice, count):
        """Sends so many of all that were answered once more: they do nothing, and are answered as before."""
        before = self.outcomes.all()
        for key in dice.sample(sorted(before), min(count, len(before))):
            answer = leader.request(*self.outcomes.sent[key])
            told = f"{key}: {answer}, and first {before[key]}"
            etag = before[key].header("etag") if answer.status < 400 else None
            assert (answer.status, answer.header("etag")) == (before[key].status, etag), told
            assert answer.header("idempotency-replayed") == "true", told

    def check_clients(self):
        failures = [one.failure for one in self.clients if one.failure]
        assert not failures, failures

    def wait_more(self, count=30):
        goal = self.outcomes.count() + count

        def enough():
            return self.outcomes.count() >= goal or any(one.failure for one in self.clients)

        wait_until(f"{count} more writes answered", enough)
        self.check_clients()

    def check(self, found):
        """Everything is there that was answered, once, and nothing else. `found` is {(collection, id):
        (bytes, ETag)}."""
        documents = {name: json.loads(body) for name, (body, _) in found.items()}
        answers, etags = self.outcomes.answers, {name: etag for name, (_, etag) in found.items()}
        posted = sorted(d["key"] for (collection, _), d in documents.items() if collection == "posted")
        assert posted == sorted(answers["post"]), "POSTs: " + difference(posted, answers["post"])
        for key, answer in answers["post"].items():
            place = answer.header("location").rsplit("/", 1)[1]
            assert documents["posted", place]["key"] == key, (key, answer)
            assert etags["posted", place] == answer.header("etag"), (key, answer)
        for key, answer in answers["put"].items():
            assert etags.get(("put", key)) == answer.header("etag"), (key, etags.get(("put", key)), answer)
        lists = [d["keys"] for (collection, _), d in documents.items() if collection == "lists"]
        appended = sorted(itertools.chain(*lists))
        assert appended == sorted(answers["append"]), "appended: " + difference(appended, answers["append"])
        self._check_transfers(documents)

    def _check_transfers(self, documents):
        receipts = {i: d for (collection, i), d in documents.items() if collection == "receipts"}
        transfers = self.outcomes.answers["transfer"]
        assert receipts.keys() == transfers.keys(), "transfers: " + difference(sorted(receipts), transfers)
        for number in range(ACCOUNTS):
            name = f"account{number}"
            expected = BALANCE + sum((r["to"] == name) - (r["from"] == name) for r in receipts.values())
            assert documents["accounts", name]["n"] == expected, (name, documents["accounts", name], expected)

    def told(self):
        o = self.outcomes
        counts = {kind: len(answers) for kind, answers in o.answers.items()}
        return (
            f"{counts} took effect, {len(o.refused)} refused, {o.retried} retried of which {o.replayed} were "
            f"replayed, {o.in_flight} found the first in flight; {o.sums} sums of accounts"
        )


class Counted:
    """A write that is under way."""

    def __init__(self, work):
        self.work = work

    def __enter__(self):
        with self.work.lock:
            self.work.under_way += 1

    def __exit__(self, *_):
        with self.work.lock:
            self.work.under_way -= 1


def difference(found, expected):
    """In words, of two lists of keys."""
    twice = sorted({key for key in found if found.count(key) > 1})
    missing, foreign = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    return f"twice or more {twice[:5]}, answered and not there {missing[:5]}, there and refused {foreign[:5]}"
