"""The sections "Images" and "Commands" of docs/disk-format.md, put into Python in stateformat.py: the vectors in
test/unit/store_vectors.h, which the unit tests hold against the nodes' own code, tell the same here; on commands made at
random, right and wrong, this and the nodes' own code agree, to the last byte of the image; and a data directory that a
node has written holds, read in this way, what the node has answered."""

import os
import random
import re
import struct
import subprocess
from pathlib import Path

import diskformat
import pytest
import stateformat
from client import wait_until
from diskformat import Damaged
from documents import documents
from stateformat import State, Unknown

VECTORS = Path(__file__).parent.parent / "unit" / "store_vectors.h"
COMMANDS = 3000  # of each seed


@pytest.fixture(scope="module")
def vectors():
    """{name: bytes}"""
    text = VECTORS.read_text().replace("\\\n", " ")
    found = {}
    for name, value in re.findall(r"#define VECTOR_(\w+) (.*)", text):
        for other, data in found.items():
            value = re.sub(rf"\bVECTOR_{other}\b", f'"{data.hex()}"', value)
        found[name] = bytes.fromhex("".join(re.findall(r'"([^"]*)"', value)))
    assert len(found) == 9
    return found


def test_what_commands_tell(vectors):
    put = stateformat.command(vectors["PUT"])
    assert (put.type, put.condition, put.revision) == (stateformat.PUT, stateformat.REVISION, 0x1122334455667788)
    assert (put.collection, put.id, put.json) == (b"items", "abé".encode(), b"{}")
    delete = stateformat.command(vectors["DELETE"])
    assert (delete.type, delete.condition, delete.collection, delete.id) == (stateformat.DELETE, 0, b"c", b"d")
    for name, type in (("TRANSACTION", stateformat.TRANSACTION), ("BATCH", stateformat.BATCH)):
        several = stateformat.command(vectors["ONCE"] + vectors[name])
        key, request, note = several.once
        assert several.type == type and key[8] == 2 and request[0] == 1 and note.rstrip(b"\0") == b"a note"
        first, second = several.operations
        assert (first.condition, first.revision, first.json) == (stateformat.BASE, 7, b"{}")
        assert (second.type, second.id) == (stateformat.DELETE, b"e")
    assert stateformat.command(vectors["DROP"]).collection == b"ab"


def test_commands_cut_short(vectors):
    whole = vectors["ONCE"] + vectors["TRANSACTION"]
    for n in range(len(whole)):
        with pytest.raises(Unknown):
            stateformat.command(whole[:n])
    with pytest.raises(Unknown):
        stateformat.command(whole + b"\0")


def test_what_an_image_tells(vectors):
    state = State.of_image(vectors["IMAGE"])
    assert state.revision == 7
    assert state.documents == {
        (b"items", "é".encode()): (3, '{"id":"é"}'.encode()),
        (b"notes", b"a"): (6, b"{}"),
        (b"notes", b"b"): (1, b'{"n":2}'),
    }
    first, second = state.keys.values()
    assert (first.revision, first.outcome, first.failed) == (6, stateformat.REPLACED, 0)
    assert (second.outcome, second.failed_outcome, second.failed) == (stateformat.REFUSED, stateformat.NOT_FOUND, 1)
    assert State().image() == vectors["EMPTY_IMAGE"]


def test_damage_of_an_image(vectors):
    image = vectors["IMAGE"]
    for at in range(len(image)):
        with pytest.raises(Damaged):
            State.of_image(image[:at] + bytes([image[at] ^ 0x10]) + image[at + 1 :])
        with pytest.raises(Damaged):
            State.of_image(image[:at])
    with pytest.raises(Damaged):
        State.of_image(image + b"\0")


# ---- The nodes' own code


class Commands:
    """Random ones, few of them wrong, that often come to something on the state there is."""

    def __init__(self, seed, state):
        self.dice, self.state = random.Random(seed), state

    def next(self):
        data = self._command()
        if self.dice.random() < 0.3:
            digests = [self.dice.randrange(200), self.dice.randrange(2), self.dice.randrange(9)]
            data = bytes([stateformat.ONCE]) + b"".join(n.to_bytes(16, "little") for n in digests) + data
        if self.dice.random() < 0.05:
            at = self.dice.randrange(len(data))
            data = data[:at] + bytes([self.dice.randrange(256)]) + data[at + 1 :]
        return data[: self.dice.randrange(len(data))] if self.dice.random() < 0.01 else data

    def _command(self):
        kind = self.dice.random()
        if kind < 0.02:
            return bytes([stateformat.DROP]) + self._collection()
        if kind < 0.6:
            return self._of_document(*self._name())
        transaction = kind < 0.85
        names = [self._name() for _ in range(self.dice.choice([1, 2, 3, 9]))]
        if transaction and self.dice.random() < 0.95:
            names = list(dict.fromkeys(names))
        operations = [self._of_document(*name) for name in names]
        type = stateformat.TRANSACTION if transaction else stateformat.BATCH
        parts = [struct.pack("<I", len(operation)) + operation for operation in operations]
        return struct.pack("<BH", type, len(parts)) + b"".join(parts)

    def _collection(self):
        return self.dice.choice([b"a", b"a-", b"b"])

    def _name(self):
        return self._collection(), self.dice.choice([b"1", b"10", b"2", "é".encode(), b"x" * 300])

    def _of_document(self, collection, id):
        type = self.dice.choice([stateformat.PUT, stateformat.PUT, stateformat.DELETE])
        condition = self.dice.choice([0, 0, 0, *range(6 if type == stateformat.PUT else 4)])
        revision = 0
        if condition in (stateformat.REVISION, stateformat.BASE):
            revision = self.dice.choice([self.state.documents.get((collection, id), (1,))[0], 1])
        json = b"" if type == stateformat.DELETE else b"%d" % self.dice.randrange(10**9)
        head = struct.pack("<BBQB", type, condition, revision, len(collection))
        return head + collection + struct.pack("<H", len(id)) + id + json


def told_of(seed):
    """The commands, as store_state.c wants them, and the lines it is to print."""
    state, index, sent, lines = State(), 0, [], []
    commands = Commands(seed, state)
    for _ in range(COMMANDS):
        index += commands.dice.choice([1, 1, 3])
        data, before = commands.next(), state.revision
        sent.append(struct.pack("<QI", index, len(data)) + data)
        try:
            outcome, replayed = state.apply(index, data)
            lines.append(f"{outcome} {int(replayed)}")
        except Unknown:
            state.revision = before
            lines.append("unknown")
    sent.append(struct.pack("<QI", 0, 0))
    return b"".join(sent), [*lines, state.image().hex()]


def test_agrees_with_the_nodes():
    program, count = os.environ.get("CORACLE_STORE_STATE"), int(os.environ.get("CORACLE_STATE_CASES", "5"))
    if not program:
        pytest.skip("set CORACLE_STORE_STATE to coracle-store-state")
    seen = set()
    for seed in range(count):
        sent, expected = told_of(seed)
        run = subprocess.run([program], input=sent, capture_output=True, check=True)
        lines = run.stdout.decode().splitlines()[:-1]  # the last one is of a store that has just begun
        assert len(lines) == len(expected)
        for number, (theirs, ours) in enumerate(zip(lines, expected)):
            assert theirs == ours, f"seed {seed}, command {number}"
        seen |= set(lines[:-1])
        assert lines[-1] and State.of_image(bytes.fromhex(lines[-1]))
    assert {line.split()[0] for line in seen} == {"unknown", *map(str, range(11))}


def test_what_a_node_has_written(make_cluster):
    """Goal: snapshot and log of a stopped node come to the documents that it has answered with."""
    cluster = make_cluster(1, ["--compact-bytes", "4096"]).start()
    leader = cluster.wait_leader()
    for number in range(300):
        assert leader.put(f"d{number % 30}", '{"number":%d}' % number).status in (200, 201)
        if number % 7 == 0:
            assert leader.request("DELETE", f"/v1/collections/items/d{number % 30}").status == 204
    wait_until("a snapshot", lambda: any((leader.data_dir / "snapshot").glob("0*")))
    assert leader.put("last", '{"id":"last"}').status == 201
    kept = documents(leader)
    assert leader.stop() == 0
    found = diskformat.read(diskformat.load(leader.data_dir))
    state = State.of_image(found.snapshot.image)
    for entry in found.entries:
        if entry.type == diskformat.COMMAND:
            state.apply(entry.index, entry.data)
    told = {(collection.decode(), id.decode()): document for (collection, id), document in state.documents.items()}
    assert told.keys() == kept.keys()
    for name, (revision, json) in told.items():
        assert (json, f'"{revision}"') == kept[name]
