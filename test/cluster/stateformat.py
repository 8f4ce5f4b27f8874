"""The sections "Images" and "Commands" of docs/disk-format.md, put into Python: what a snapshot's image holds, what the commands
of a log do to it, and the image of what has come of that. Written after that page and nothing else, as diskformat.py is.

    state = State.of_image(snapshot.image)    # or Damaged
    state.apply(index, entry.data)            # or Unknown
    state.image()                             # bytes
"""

import ctypes
import re
import struct
from dataclasses import dataclass, field

from diskformat import Damaged, u64, xxh3

IMAGE_VERSION, HEADER, DOCUMENT_HEAD, KEY = 2, 64, 15, 60
KEYS_MAX, JSON_BYTES_MAX = 1000000, 4 * 1024 * 1024
PUT, DELETE, TRANSACTION, BATCH, DROP, ONCE = 1, 2, 3, 4, 5, 6
NONE, ABSENT, PRESENT, REVISION, CREATE, BASE = range(6)
CREATED, REPLACED, DELETED, EXISTS, NOT_FOUND, PRECONDITION_FAILED, BASE_MOVED, DROPPED, DONE, REFUSED, REUSED = range(11)
FAILURES = (EXISTS, NOT_FOUND, PRECONDITION_FAILED)


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_128bits_withSeed.restype = Hash128
_xxhash.XXH3_128bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]


def xxh3_128(data, seed=0):
    found = _xxhash.XXH3_128bits_withSeed(bytes(data), len(data), seed)
    return found.high << 64 | found.low


class Unknown(Exception):
    """No command."""


def is_collection(name):
    return re.fullmatch(rb"[A-Za-z0-9_.-]{1,128}", name) is not None and name not in (b".", b"..")


def is_id(name):
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return False
    return 1 <= len(name) <= 512 and name not in (b".", b"..") and all(c >= " " and c != "\x7f" for c in text)


# ---- Commands


@dataclass
class Command:
    type: int
    condition: int = 0
    revision: int = 0
    collection: bytes = b""
    id: bytes = b""
    json: bytes = b""
    operations: list = field(default_factory=list)
    once: tuple = None  # (key, request, note)


def command(data):
    """What an entry's bytes say; or Unknown."""
    try:
        return _command(bytes(data), (PUT, DELETE, TRANSACTION, BATCH, DROP, ONCE))
    except (struct.error, IndexError):
        raise Unknown("it is cut off") from None


def _command(data, types):
    type = data[0]
    if type not in types:
        raise Unknown(f"type {type}")
    if type == ONCE:
        found = _command(data[49:], (PUT, DELETE, TRANSACTION, BATCH, DROP))
        found.once = (data[1:17], data[17:33], data[33:49])
        return found
    if type == DROP:
        if not is_collection(data[1:]):
            raise Unknown("a name that is none")
        return Command(type, collection=data[1:])
    return _several(data) if type in (TRANSACTION, BATCH) else _of_document(data)


def _several(data):
    (k,) = struct.unpack_from("<H", data, 1)
    if not 1 <= k <= (128 if data[0] == TRANSACTION else 256):
        raise Unknown(f"{k} operations")
    at, operations = 3, []
    for _ in range(k):
        (b,) = struct.unpack_from("<I", data, at)
        at += 4 + b
        operations.append(_command(data[at - b : min(at, len(data))], (PUT, DELETE)))
    if at != len(data):
        raise Unknown("another length")
    return Command(data[0], operations=operations)


def _of_document(data):
    type, condition, revision, n = struct.unpack_from("<BBQB", data)
    collection = data[11 : 11 + n]
    (m,) = struct.unpack_from("<H", data, 11 + n)
    id, json = data[13 + n : 13 + n + m], data[13 + n + m :]
    good = len(collection) == n and len(id) == m and is_collection(collection) and is_id(id)
    good = good and condition <= (BASE if type == PUT else REVISION) and (len(json) > 0) == (type == PUT)
    if not good or (revision != 0 and condition not in (REVISION, BASE)):
        raise Unknown("it cannot be")
    return Command(type, condition, revision, collection, id, json)


# ---- The state


@dataclass
class Key:
    request: bytes
    note: bytes
    revision: int
    outcome: int
    failed_outcome: int = 0
    failed: int = 0


@dataclass
class State:
    revision: int = 0
    documents: dict = field(default_factory=dict)  # (collection, id): (revision, JSON)
    keys: dict = field(default_factory=dict)  # digest: Key, in their order

    # Applying

    def apply(self, index, data):
        """The outcome, and whether it is a replay's."""
        c = command(data)
        self.revision = index
        if c.once and c.once[0] in self.keys:
            known = self.keys[c.once[0]]
            return (known.outcome, True) if known.request == c.once[1] else (REUSED, False)
        outcome, failed_outcome, failed = self._apply_new(index, c)
        if c.once and outcome != BASE_MOVED:
            if len(self.keys) == KEYS_MAX:
                del self.keys[next(iter(self.keys))]
            self.keys[c.once[0]] = Key(c.once[1], c.once[2], index, outcome, failed_outcome, failed)
        return outcome, False

    def _apply_new(self, index, c):
        if c.type == TRANSACTION:
            return self._transaction(index, c.operations)
        if c.type == BATCH:
            for operation in c.operations:
                self._carry_out(index, operation)
            return DONE, 0, 0
        if c.type == DROP:
            self.documents = {at: document for at, document in self.documents.items() if at[0] != c.collection}
            return DROPPED, 0, 0
        return self._carry_out(index, c), 0, 0

    def _transaction(self, index, operations):
        if len({(o.collection, o.id) for o in operations}) < len(operations):
            raise Unknown("two operations on one document")
        outcomes = [self._judge(operation) for operation in operations]
        failed = [i for i, outcome in enumerate(outcomes) if outcome in FAILURES]
        if failed:
            return REFUSED, outcomes[failed[0]], failed[0]
        if BASE_MOVED in outcomes:
            return BASE_MOVED, 0, 0
        for operation in operations:
            self._carry_out(index, operation)
        return DONE, 0, 0

    def _judge(self, c):
        revision = self.documents.get((c.collection, c.id), (0, b""))[0]
        holds = {
            NONE: True,
            ABSENT: revision == 0,
            CREATE: revision == 0,
            PRESENT: revision != 0,
            REVISION: revision != 0 and revision == c.revision,
            BASE: revision != 0 and revision == c.revision,
        }
        if not holds[c.condition]:
            return {CREATE: EXISTS, BASE: BASE_MOVED}.get(c.condition, PRECONDITION_FAILED)
        if c.type == PUT:
            return REPLACED if revision else CREATED
        return DELETED if revision else NOT_FOUND

    def _carry_out(self, index, c):
        outcome = self._judge(c)
        if outcome in (CREATED, REPLACED):
            self.documents[c.collection, c.id] = (index, c.json)
        elif outcome == DELETED:
            del self.documents[c.collection, c.id]
        return outcome

    # Images

    def image(self):
        documents, keys, size, hash = b"", b"", 0, 0
        for (collection, id), (revision, json) in sorted(self.documents.items()):
            head = struct.pack("<QIHB", revision, len(json), len(id), len(collection))
            hash += xxh3_128(collection + id + json, xxh3(head))
            size += len(collection + id + json)
            documents += head + collection + id + json
        for digest, key in self.keys.items():
            rest = struct.pack("<QBBH", key.revision, key.outcome, key.failed_outcome, key.failed)
            keys += digest + key.request + key.note + rest
            hash += xxh3_128(digest + key.request + key.note + rest)
        head = struct.pack("<4sIQQQ", b"CRCI", IMAGE_VERSION, self.revision, len(self.documents), size)
        head += (hash % (1 << 128)).to_bytes(16, "little") + struct.pack("<Q", len(self.keys))
        return head + struct.pack("<Q", xxh3(head)) + documents + keys

    @staticmethod
    def of_image(data):
        if len(data) < HEADER or data[:8] != b"CRCI" + struct.pack("<I", IMAGE_VERSION):
            raise Damaged("image", 0, "it is none")
        revision, documents, size = struct.unpack_from("<QQQ", data, 8)
        keys = u64(data, 48)
        if u64(data, 56) != xxh3(data[:56]) or keys > KEYS_MAX:
            raise Damaged("image", 56, "a wrong header")
        if len(data) != HEADER + DOCUMENT_HEAD * documents + size + KEY * keys:
            raise Damaged("image", len(data), "another length")
        state = State(revision)
        at = state._read_documents(data, documents)
        state._read_keys(data, at, keys)
        if state.image() != data:  # other sums, another order, or something twice
            raise Damaged("image", 32, "it is not what its header says")
        return state

    def _read_documents(self, data, n):
        at = HEADER
        for _ in range(n):
            try:
                revision, k, m, n_name = struct.unpack_from("<QIHB", data, at)
            except struct.error:
                raise Damaged("image", at, "it ends too early") from None
            name, id = data[at + 15 : at + 15 + n_name], data[at + 15 + n_name : at + 15 + n_name + m]
            json = data[at + 15 + n_name + m : at + 15 + n_name + m + k]
            good = is_collection(name) and is_id(id) and 1 <= k <= JSON_BYTES_MAX and len(json) == k
            if not good or not 1 <= revision <= self.revision:
                raise Damaged("image", at, "no document")
            self.documents[name, id] = (revision, json)
            at += 15 + n_name + m + k
        return at

    def _read_keys(self, data, at, n):
        last = 0
        for i in range(n):
            digest, request, note, *rest = struct.unpack_from("<16s16s16sQBBH", data, at + KEY * i)
            key = Key(request, note, *rest)
            good = key.outcome <= REFUSED and key.outcome != BASE_MOVED and last < key.revision <= self.revision
            if key.outcome == REFUSED:
                good = good and key.failed_outcome in FAILURES and key.failed <= 127
            else:
                good = good and (key.failed_outcome, key.failed) == (0, 0)
            if not good or digest in self.keys:
                raise Damaged("image", at + KEY * i, "no key")
            self.keys[digest] = key
            last = key.revision
