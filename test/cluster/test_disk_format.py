"""docs/disk-format.md, put into Python: the data directory in test/unit/disk_vectors.h, which the unit tests hold against
the nodes' own code, tells the same here; damage of any byte of it is refused, or does no harm; and on directories made
at random, damaged and put together wrongly, this reader and the nodes' own agree."""

import os
import re
import struct
import subprocess
from pathlib import Path

import disk_cases
import diskformat
import pytest
from diskformat import Damaged, NewerVersion, xxh3

VECTORS = Path(__file__).parent.parent / "unit" / "disk_vectors.h"
HEX = r'(?:"[0-9a-f]*"[\s\\]*)+'  # string literals, over several lines of a macro

ID, CLUSTER = 0x1112131415161718, b"cluster of golds"
FIRST, SECOND = "log/0000000000000001", "log/0000000000000002"
END = 592  # of the last frame in it
OLDER, NEWER = "snapshot/0000000000000003", "snapshot/0000000000000014"


@pytest.fixture
def files():
    text = VECTORS.read_text()
    files = {name: bytearray(int(n)) for name, n in re.findall(r'FILE\("([^"]*)", (\d+)\)', text)}
    for name, offset, literals in re.findall(rf'RUN\("([^"]*)", (\d+),[\s\\]*({HEX})\)', text):
        data = bytes.fromhex("".join(re.findall(r"[0-9a-f]+", literals)))
        files[name][int(offset) : int(offset) + len(data)] = data
    assert len(files) == 6
    return {name: bytes(data) for name, data in files.items()}


def told(state):
    """What a node begins with."""
    entries = [(entry.index, entry.term, entry.type, entry.data) for entry in state.entries]
    return state.meta, state.snapshot, entries


def changed(data, at, new):
    return data[:at] + new + data[at + len(new) :]


def flipped(data, at, mask=0x10):
    return changed(data, at, bytes([data[at] ^ mask]))


def test_what_it_tells(files):
    state = diskformat.read(files)
    assert state.meta.stamp == diskformat.Stamp(ID, CLUSTER, 2)
    assert (state.meta.sequence, state.meta.start) == (7, 1795000000000)
    assert (state.meta.term, state.meta.voted_for) == (2, ID + 1)
    assert (state.meta.segment, state.meta.snapshot) == (2, 20)
    snapshot = state.snapshot
    assert (snapshot.index, snapshot.term, snapshot.tag) == (20, 2, 0xE1E2E3E4E5E6E7E8)
    assert snapshot.configuration_index == 6
    assert snapshot.configuration == [(ID, True, b"a"), (ID + 1, False, b"b")]
    assert snapshot.image == b"an image that came in two pieces"
    assert told(state)[2] == [(21, 2, 3, b"twenty-one")]
    assert (state.bad_blocks, state.torn) == (0, None)


def test_what_the_first_segment_tells(files):
    """Before the last snapshot: the records of each type, one after the other."""
    segment, (stamp, number, count) = diskformat.segment_of(files, 1)
    records, at, chain = [], diskformat.FRAMES_OFFSET, segment.checksum
    while frame := diskformat.good_frame(segment.data, at, segment.checksum, chain):
        records += diskformat.records_of(frame[0], FIRST, at)
        at += diskformat.padded(len(frame[0]))
        chain = frame[1]
    configuration = records[0][3][1]
    assert (stamp.generation, number, count, segment.chain, segment.last_index) == (2, 1, 4096, 0, 0)
    assert records == [
        (1, 1, 1, (2, configuration)),
        (1, 2, 1, (1, b"")),
        (1, 3, 1, (3, b"three")),
        (1, 4, 1, (3, b"\0" * 1199 + b"!")),
        (1, 5, 1, (3, b"five")),
        (2, 5, 0, None),
        (1, 5, 2, (3, b"another five")),
        (3, 3, 1, 1),
        (3, 20, 2, 0),
    ]
    assert diskformat.configuration(configuration) == [(ID, True, b"a")]


def test_damage_of_any_byte(files):
    """Refused; or, of a meta file, told; or it is in what is needed no more; or, after the last frame, taken for what is
    left of another one, whose first sector was not written."""
    before = told(diskformat.read(files))
    refused = {name: 0 for name in files}
    for name, data in files.items():
        for at in range(len(data)):
            try:
                state = diskformat.read({**files, name: flipped(data, at)})
            except Damaged:
                refused[name] += 1
                continue
            assert told(state) == before
            assert state.bad_blocks == (1 if name.startswith("meta") else 0)
            assert state.torn == ((SECOND, END) if name == SECOND else None)
            assert name.startswith("meta") or name in (OLDER, FIRST) or (name == SECOND and at >= 1024)
    assert refused == {"meta-1": 0, "meta-2": 0, FIRST: 0, SECOND: 1024, OLDER: 0, NEWER: len(files[NEWER])}


def test_files_of_another_length(files):
    for name in ("meta-1", "meta-2", SECOND, NEWER):
        for n in [*range(0, len(files[name]), 61), len(files[name]) - 1]:
            with pytest.raises(Damaged):
                diskformat.read({**files, name: files[name][:n]})
        with pytest.raises(Damaged):
            diskformat.read({**files, name: files[name] + b"\0"})


def test_missing_files(files):
    before = told(diskformat.read(files))
    for name in ("meta-1", "meta-2", SECOND, NEWER):
        with pytest.raises(Damaged):
            diskformat.read({other: data for other, data in files.items() if other != name})
    for name in (FIRST, OLDER):
        state = diskformat.read({other: data for other, data in files.items() if other != name})
        assert told(state) == before
    assert diskformat.read({"lock": b""}) is None
    with pytest.raises(Damaged):
        diskformat.read({FIRST: files[FIRST]})


def test_torn(files):
    """The one frame of the second segment, without its first sector or its last: it was never acknowledged."""
    segment = files[SECOND]
    state = diskformat.read({**files, SECOND: changed(segment, 512, bytes(512))})
    assert (state.torn, state.entries) == (None, [])  # nothing of it is there
    state = diskformat.read({**files, SECOND: flipped(changed(segment, 512, bytes(512)), 1100)})
    assert (state.torn, state.entries) == ((SECOND, 512), [])


def test_torn_within(files):
    """A frame over several sectors, the first segment's third: any of them may be missing, if it is the last frame."""
    first, at, end = files[FIRST], 704, 704 + 40 + 1248 + 8
    records = {name: data for name, data in files.items() if name not in (SECOND, OLDER, NEWER)}
    records |= {name: without_later(files[name], 1) for name in ("meta-1", "meta-2")}
    last = changed(first, end, bytes(len(first) - end))
    assert [entry.index for entry in diskformat.read({**records, FIRST: last}).entries] == [1, 2, 3, 4, 5]
    for start, stop in diskformat.pieces(at, end):
        torn = changed(last, start, bytes(stop - start))
        state = diskformat.read({**records, FIRST: torn})
        is_written_so = diskformat.is_zero(last[start:stop])
        assert state.torn == (None if is_written_so else (FIRST, at))
        assert len(state.entries) == (5 if is_written_so else 3)
        if is_written_so:
            continue
        with pytest.raises(Damaged):  # there is a later one
            diskformat.read({**records, FIRST: changed(first, start, bytes(stop - start))})


def without_later(data, segment):
    """A meta file that knows of no snapshot."""
    for block in (0, 4096):
        data = changed(data, block + 72, segment.to_bytes(8, "little") + bytes(8))
        data = changed(data, block + 88, xxh3(data[block : block + 88]).to_bytes(8, "little"))
    return data


def test_newer_version(files):
    def newer(data, end):
        data = changed(data, 4, b"\2")
        return changed(data, end, xxh3(data[:end]).to_bytes(8, "little"))

    configuration_bytes = diskformat.u32(files[NEWER], 80)
    for name, end in (("meta-1", 88), ("meta-2", 88), (SECOND, 88), (NEWER, 84 + configuration_bytes)):
        with pytest.raises(NewerVersion):
            diskformat.read({**files, name: newer(files[name], end)})


def test_strangers(files):
    for name in ("log/spare", "snapshot/incoming", "notes.txt", "meta-new", "lock"):
        assert diskformat.read({**files, name: b"anything"}) is not None
    for name in ("log/notes.txt", "log/1", "snapshot/0000000000000000", "snapshot/000000000000001A"):
        with pytest.raises(Damaged):
            diskformat.read({**files, name: b"anything"})


def told_in_words(files):
    """As disk_state.c does."""
    try:
        state = diskformat.read(files)
    except (Damaged, NewerVersion):
        return "refused"
    if state is None:
        return "new"
    meta, snapshot, entries = told(state)
    of_snapshot = "0 0 0 0 "
    if snapshot is not None:
        numbers = (snapshot.index, snapshot.term, snapshot.tag, snapshot.configuration_index)
        of_snapshot = " ".join(str(number) for number in numbers) + " " + snapshot.image.hex()
    words = f"found id {meta.stamp.id:016x} cluster {meta.stamp.cluster.hex()} start {meta.start} term {meta.term}"
    words += f" vote {meta.voted_for:016x} bad {state.bad_blocks} torn {int(state.torn is not None)}"
    words += f" snapshot {of_snapshot}"
    for index, term, type, data in entries:
        words += f" entry {index} {term} {type} {data.hex()}"
    return words


def packed(files):
    parts = [struct.pack("<I", len(files))]
    for name, data in files.items():
        parts += [struct.pack("<I", len(name)), name.encode(), struct.pack("<I", len(data)), data]
    return b"".join(parts)


def test_agrees_with_the_nodes(files):
    program, count = os.environ.get("CORACLE_DISK_STATE"), int(os.environ.get("CORACLE_DISK_CASES", "1000"))
    if not program:
        pytest.skip("set CORACLE_DISK_STATE to coracle-disk-state")
    words = {"refused": 0, "found": 0}
    for first in range(0, count, 1000):
        seeds = range(first, min(first + 1000, count))
        cases = [disk_cases.case(files, seed) for seed in seeds]
        run = subprocess.run([program], input=b"".join(map(packed, cases)), capture_output=True, check=True)
        lines = run.stdout.decode().splitlines()
        assert len(lines) == len(cases)
        for seed, case, line in zip(seeds, cases, lines):
            theirs = "refused" if line.startswith(("damaged ", "newer ")) else line
            assert told_in_words(case) == theirs, f"seed {seed}: {line}"
            words[theirs.split()[0]] += 1
    assert min(words.values()) > count // 5
