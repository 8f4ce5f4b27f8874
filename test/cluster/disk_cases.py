"""Data directories to try readers with: each seed gives one. It is the one of the vectors, or one with a log and
snapshots of its own, which mostly go together; and then up to three things about it are changed, with the checksums made
to fit or not."""

import random
import struct

import diskformat
from diskformat import ENTRY, SNAPSHOT, TRUNCATE, u32, u64, xxh3

SEGMENT_BYTES = 4096
META = ("meta-1", "meta-2")
META_FIELDS = {"sequence": 40, "start": 48, "term": 56, "vote": 64, "segment": 72, "snapshot": 80}


def p64(value):
    return (value % (1 << 64)).to_bytes(8, "little")


def entry(index, term, type, data):
    return struct.pack("<BQQBI", ENTRY, index, term, type, len(data)) + data


def truncate(index):
    return struct.pack("<BQ", TRUNCATE, index)


def snapshot_record(index, term, keep):
    return struct.pack("<BQQB", SNAPSHOT, index, term, keep)


# ---- Well made ----


def stamp(kind, vectors, generation):
    return kind + (1).to_bytes(4, "little") + vectors["meta-1"][8:32] + p64(generation)


def frame(at, records, chain, seed):
    whole = [piece for piece in diskformat.pieces(at + 40, at + 40 + len(records)) if piece[1] - piece[0] == 512]
    zeros = sum(diskformat.is_zero(records[start - at - 40 : stop - at - 40]) for start, stop in whole)
    head = b"CRF\1" + struct.pack("<III", len(records), at, zeros) + p64(chain) + p64(xxh3(records, seed))
    head += p64(xxh3(head, seed))
    return (head + records + b"frameEnd").ljust(diskformat.padded(len(records)), b"\0")


def segment(rng, vectors, number, chain, last, frames):
    """Its bytes, and the chain of the one after it. last: index and term of the entry before it."""
    head = stamp(b"CRCL", vectors, 2) + struct.pack("<6Q", number, SEGMENT_BYTES, chain, *last, rng.getrandbits(64))
    seed = chain = xxh3(head)
    data = bytearray((head + p64(seed)).ljust(512, b"\0"))
    for records in frames:
        if len(data) + diskformat.padded(len(records)) > SEGMENT_BYTES:
            break
        data += frame(len(data), records, chain, seed)
        chain = xxh3(data[-diskformat.padded(len(records)) :][:32], seed)
    return data.ljust(SEGMENT_BYTES, b"\0"), chain


def tear(rng, data, records):
    """A frame more, of which some sectors were not written."""
    at, chain = 512, u64(data, 88)
    for at in frames_in(data):
        chain = u64(data, at + 32)
    at = at + diskformat.padded(u32(data, at + 4)) if data[at : at + 3] == b"CRF" else at
    torn = frame(at, records, chain, u64(data, 88))
    if at + len(torn) > len(data):
        return
    data[at : at + len(torn)] = torn
    for start, stop in diskformat.pieces(at, at + len(torn)):
        if rng.random() < 0.4:
            data[start:stop] = bytes(stop - start)


def snapshot_file(rng, vectors, index, term, generation):
    configuration = b"\1\1" + struct.pack("<QBH", 5, 1, 0)
    image = rng.randbytes(rng.randint(0, 50))
    head = stamp(b"CRCS", vectors, generation) + struct.pack("<5Q", index, term, len(image), 9, 1)
    head += struct.pack("<I", len(configuration)) + configuration
    seed = xxh3(head)
    return bytearray(head + p64(seed) + (image + p64(xxh3(image, seed)) if image else b""))


class Story:
    """A log, record by record."""

    def __init__(self, rng, last, snapshots):
        self.rng, self.snapshots = rng, snapshots
        self.index, self.term = last
        self.now = max(self.term, 1)

    def data(self, *sizes):
        return bytes(self.rng.choice((0, 0, 1)) for _ in range(self.rng.choice(sizes)))

    def next_entry(self):
        self.now = min(2, self.now + (self.rng.random() < 0.2))
        self.index, self.term = self.index + 1, self.now
        return entry(self.index, self.term, self.rng.choice((1, 3)), self.data(0, 3, 9, 700))

    def next_truncation(self):
        index = self.rng.randint(1, self.index + 1)
        if index <= self.index:
            self.index, self.term = index - 1, 0
        return truncate(index)

    def next_snapshot(self):
        index, term = self.rng.choice(self.snapshots)
        keep = self.rng.randint(0, 1)
        if not keep:
            self.index, self.term = index, term
        return snapshot_record(index, term, keep)

    def anything(self):
        index, term = self.rng.choice((1, 2, 3, 4, 5, 6, 7, 20, 21, 22)), self.rng.choice((1, 1, 2, 2, 3))
        type = self.rng.choice((1, 2, 3, 4))
        records = [entry(index, term, type, self.data(0, 3, 700, 1100)), truncate(index)]
        return self.rng.choice([*records, snapshot_record(index, term, self.rng.randint(0, 1))])

    def record(self):
        what = self.rng.random()
        if what < 0.6 or self.index == 0:
            return self.next_entry()
        if what < 0.75:
            return self.next_truncation()
        return self.next_snapshot() if what < 0.95 and self.snapshots else self.anything()

    def frames(self):
        for _ in range(self.rng.randint(0, 4)):
            yield b"".join(self.record() for _ in range(self.rng.randint(1, 3)))


def set_meta(files, **fields):
    for name in META:
        for block in (0, 4096):
            for field, value in fields.items():
                at = block + META_FIELDS[field]
                files[name][at : at + 8] = p64(value)
            files[name][block + 88 : block + 96] = p64(xxh3(files[name][block : block + 88]))


def other_contents(rng, vectors, files):
    for name in [name for name in files if name not in META]:
        del files[name]
    snapshots = [(index, rng.choice((1, 2))) for index in rng.sample(range(1, 9), rng.choice((0, 1, 1, 2)))]
    for index, term in snapshots:
        generation = rng.choice((2, 2, 2, 2, 2, 1, 3))
        files[f"snapshot/{index:016x}"] = snapshot_file(rng, vectors, index, term, generation)
    begin = rng.choice([(0, 0), (0, 0), *snapshots])
    story, number, numbers = Story(rng, begin, snapshots), rng.choice((1, 1, 3)), []
    chain = 0 if begin[0] == 0 else rng.getrandbits(64)
    for _ in range(rng.randint(1, 3)):
        last = (story.index, story.term if rng.random() < 0.9 else 0)
        data, chain = segment(rng, vectors, number, chain, last, list(story.frames()))
        if rng.random() < 0.2:
            tear(rng, data, entry(story.index + 1, 2, 3, story.data(0, 9, 600, 1500)))
        files[f"log/{number:016x}"] = data
        numbers.append(number)
        number += 1 if rng.random() < 0.97 else 2
    newest = max([index for index, _ in snapshots], default=0)
    set_meta(
        files,
        segment=rng.choice((0, numbers[-1], numbers[-1], numbers[0])),
        snapshot=rng.choice((0, newest)),
        term=rng.choice((2, 2, 2, 3, 1)),
    )
    if rng.random() < 0.1:
        files["snapshot/incoming"] = snapshot_file(rng, vectors, 5, 2, 2)


# ---- Changed ----


def change_meta(rng, data):
    if len(data) < 8192:
        return
    block, other = rng.choice(((0, 4096), (4096, 0)))
    at = block + rng.choice((0, 4, 8, 16, 32, *META_FIELDS.values()))
    data[at] = (data[at] + rng.choice((1, 255, 2))) % 256
    data[block + 88 : block + 96] = p64(xxh3(data[block : block + 88]))
    if rng.random() < 0.7:
        data[other : other + 96] = data[block : block + 96]


def frames_in(data):
    at, seed, found = 512, u64(data, 88), []
    while (header := diskformat.frame_header(data, at, seed)) and at + diskformat.padded(header[0]) <= len(data):
        found.append(at)
        at += diskformat.padded(header[0])
    return found


def mend_frames(data):
    """Chains and checksums fit again."""
    seed = chain = u64(data, 88)
    at = 512
    while at + 48 <= len(data) and data[at : at + 4] == b"CRF\1":
        n = u32(data, at + 4)
        if at + diskformat.padded(n) > len(data):
            break
        data[at + 16 : at + 32] = p64(chain) + p64(xxh3(data[at + 40 : at + 40 + n], seed))
        chain = xxh3(data[at : at + 32], seed)
        data[at + 32 : at + 40] = p64(chain)
        at += diskformat.padded(n)


def change_segment(rng, data):
    if len(data) < 1024:
        return
    frames = frames_in(data)
    if rng.random() < 0.4:
        at = rng.choice((0, 4, 8, 16, 32, 40, 48, 56, 64, 72, 80))
        data[at] = (data[at] + rng.choice((1, 255))) % 256
        data[88:96] = p64(xxh3(data[:88]))
        if rng.random() < 0.5:
            mend_frames(data)
    elif frames:
        at = rng.choice(frames)
        at += rng.randrange(40 + u32(data, at + 4) + 16)
        if at < len(data):
            data[at] = rng.choice((0, 1, data[at] ^ 1))
            mend_frames(data)


def change_snapshot(rng, data):
    if len(data) < 100:
        return
    at = rng.choice((0, 4, 8, 32, 40, 48, 56, 72, 80, 84, 85, 90))
    data[at] = (data[at] + rng.choice((1, 255))) % 256
    end = 84 + u32(data, 80)
    if end + 8 <= len(data):
        data[end : end + 8] = p64(xxh3(data[:end]))


def change(rng, files):
    name = rng.choice(list(files))
    data, what = files[name], rng.random()
    if not data:
        return
    at = rng.randrange(len(data))
    if what < 0.25:
        data[at] ^= 1 << rng.randrange(8)
    elif what < 0.35:
        at -= at % 512
        data[at : at + 512] = bytes(len(data[at : at + 512]))
    elif what < 0.4:
        data[at:] = bytes(len(data) - at)
    elif what < 0.45:
        del data[at:]
    elif what < 0.48:
        data.append(0)
    elif what < 0.52:
        del files[name]
    elif name in META:
        change_meta(rng, data)
    elif name.startswith("log/"):
        change_segment(rng, data)
    else:
        change_snapshot(rng, data)


def case(vectors, seed):
    """{name: bytes}"""
    rng = random.Random(seed)
    files = {name: bytearray(data) for name, data in vectors.items()}
    if rng.random() < 0.6:
        other_contents(rng, vectors, files)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        change(rng, files)
    return {name: bytes(data) for name, data in files.items()}
