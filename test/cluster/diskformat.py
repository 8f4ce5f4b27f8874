"""docs/disk-format.md, put into Python: what a data directory holds, or why it is refused. Written after that page and
nothing else, so that the page is known to be enough, and to say what the nodes' own code does.

    state = read(load("/path/to/data"))     # or Damaged, or NewerVersion
"""

import ctypes
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
META_BYTES, META_BLOCK = 8192, 4096
SEGMENT_HEADER, FRAMES_OFFSET, SEGMENT_BYTES_MAX = 96, 512, 1 << 30
FRAME_HEADER, RECORDS_MAX = 40, 8 * 1024 * 1024
END_MARK = b"frameEnd"
ENTRY_BYTES_MAX = 4 * 1024 * 1024
BLOCK = 256 * 1024
IMAGE_BYTES_MAX = 1 << 48
CONFIGURATION_BYTES_MAX = 6578
ENTRY, TRUNCATE, SNAPSHOT = 1, 2, 3
NOOP, CONFIGURATION, COMMAND = 1, 2, 3

_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
_xxhash.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]


def xxh3(data, seed=0):
    return _xxhash.XXH3_64bits_withSeed(bytes(data), len(data), seed % (1 << 64))


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def is_zero(data):
    return not any(data)


class Damaged(Exception):
    """What was acknowledged may be lost, or it is another directory's."""

    def __init__(self, name, offset, why):
        super().__init__(f"{name} at offset {offset}: {why}")


class NewerVersion(Exception):
    pass


@dataclass(frozen=True)
class Stamp:
    id: int
    cluster: bytes
    generation: int


@dataclass
class Meta:
    stamp: Stamp
    sequence: int
    start: int
    term: int
    voted_for: int
    segment: int
    snapshot: int


@dataclass
class Snapshot:
    stamp: Stamp
    index: int
    term: int
    bytes: int
    tag: int
    configuration_index: int
    configuration: list
    image: bytes


@dataclass
class Entry:
    index: int
    term: int
    type: int
    data: bytes


@dataclass
class State:
    meta: Meta
    snapshot: Snapshot = None
    entries: list = field(default_factory=list)  # after the snapshot
    bad_blocks: int = 0  # of the meta files, that did no harm
    torn: tuple = None  # (name, offset) of a frame at the very end, which is left out


def stamp_of(kind, data, name):
    """Of bytes whose checksum is right."""
    if data[:4] != kind or u32(data, 4) == 0:
        raise Damaged(name, 0, f"it is no {kind}")
    if u32(data, 4) > 1:
        raise NewerVersion(f"{name} is of version {u32(data, 4)}")
    return Stamp(u64(data, 8), bytes(data[16:32]), u64(data, 32))


def load(directory):
    """{name: bytes} of the regular files; None: something else is there."""
    root = Path(directory)
    files = {}
    for path in [*root.iterdir(), *(root / "log").glob("*"), *(root / "snapshot").glob("*")]:
        name = str(path.relative_to(root))
        if name not in ("log", "snapshot"):
            files[name] = path.read_bytes() if path.is_file() and not path.is_symlink() else None
    return files


def take(files, name):
    if files[name] is None:
        raise Damaged(name, 0, "it is no regular file")
    return files[name]


def numbers_in(files, folder, others):
    """The numbers that the names of a folder's files are, ascending."""
    numbers = []
    for name in files:
        if not name.startswith(folder + "/"):
            continue
        last = name[len(folder) + 1 :]
        if re.fullmatch("[0-9a-f]{16}", last) and int(last, 16) > 0:
            numbers.append(int(last, 16))
        elif last not in others:
            raise Damaged(name, 0, "it is nothing of ours")
    return sorted(numbers)


# ---- Meta files ----


def meta_block(data, name):
    if u64(data, 88) != xxh3(data[:88]):
        return None
    try:
        stamp = stamp_of(b"CRCM", data, name)
    except Damaged:
        return None
    return Meta(stamp, *struct.unpack_from("<6Q", data, 40)) if is_zero(data[96:META_BLOCK]) else None


def meta_file(data, name):
    """The newest record, and all good ones."""
    blocks = [data[i * META_BLOCK : (i + 1) * META_BLOCK] for i in range(2)]
    records = [meta_block(block, name) for block in blocks if len(block) == META_BLOCK]
    if len(data) != META_BYTES:
        raise Damaged(name, len(data), "it has not 8192 bytes")
    good = [record for record in records if record is not None]
    if not good:
        raise Damaged(name, 0, "neither record is good")
    newest = max(good, key=lambda record: record.sequence)
    turn = "meta-1" if newest.sequence % 2 == 1 else "meta-2"
    if newest.sequence < 1 or (newest.sequence > 1 and turn != name):
        raise Damaged(name, 40, "it was not its turn")
    for other in good:
        apart = 1 if newest.sequence == 2 else 2
        if other != newest and newest.sequence - other.sequence != apart:
            raise Damaged(name, 40, "no write leaves such records")
    return newest, good


def can_follow(before, after):
    if after.sequence != before.sequence + 1 or after.start < before.start:
        return False
    if after.stamp.generation == before.stamp.generation + 1:
        return True
    if after.stamp != before.stamp or after.term < before.term:
        return False
    if after.segment < before.segment or after.snapshot < before.snapshot:
        return False
    return after.term > before.term or before.voted_for in (0, after.voted_for)


def read_meta(files):
    """The newest record and the number of bad blocks; None: the directory is new."""
    there = [name for name in ("meta-1", "meta-2") if name in files]
    if not there:
        return None
    found = {name: meta_file(take(files, name), name) for name in there}
    if there == ["meta-2"]:
        record = found["meta-2"][0]
        if record.sequence == 1 and is_zero(record.stamp.cluster):
            return None
    if len(there) < 2:
        raise Damaged(there[0], 0, "the other meta file is missing")
    older, newer = sorted((found["meta-1"], found["meta-2"]), key=lambda one: one[0].sequence)
    if not (newer[0].sequence == 1 and newer[0] == older[0]) and not can_follow(older[0], newer[0]):
        raise Damaged("meta-1", 0, "it does not belong to meta-2")
    bad = 4 - len(newer[1]) - sum(record == older[0] for record in older[1])
    return newer[0], bad


# ---- Configurations ----


def configuration(data):
    """[(id, voter, data)]; None: it is none."""
    if len(data) < 2 or data[0] != 1 or not 1 <= data[1] <= 16:
        return None
    at, members = 2, []
    for _ in range(data[1]):
        if len(data) - at < 11:
            return None
        id, voter, n = struct.unpack_from("<QBH", data, at)
        at += 11
        if id == 0 or id in [member[0] for member in members] or voter > 1 or n > 400 or len(data) - at < n:
            return None
        members.append((id, voter == 1, bytes(data[at : at + n])))
        at += n
    return members if at == len(data) and any(member[1] for member in members) else None


# ---- Snapshots ----


def snapshot_header(data, name):
    """The snapshot, without its image, and where that begins."""
    if len(data) < 84:
        raise Damaged(name, len(data), "it ends in its header")
    end = 84 + u32(data, 80)
    if u32(data, 80) > CONFIGURATION_BYTES_MAX or len(data) < end + 8:
        raise Damaged(name, 80, "an impossible length")
    if u64(data, end) != xxh3(data[:end]):
        raise Damaged(name, end, "a wrong checksum")
    stamp = stamp_of(b"CRCS", data, name)
    members = configuration(data[84:end])
    index, term, count, tag, configuration_index = struct.unpack_from("<5Q", data, 40)
    if members is None or index == 0 or term == 0 or configuration_index > index or count > IMAGE_BYTES_MAX:
        raise Damaged(name, 40, "it cannot be")
    if name != f"snapshot/{index:016x}":
        raise Damaged(name, 40, "it has another index")
    if len(data) != end + 8 + count + 8 * -(-count // BLOCK):
        raise Damaged(name, len(data), "it has another length")
    return Snapshot(stamp, index, term, count, tag, configuration_index, members, b""), end + 8


def read_image(data, name, snapshot, at):
    seed, number, image = u64(data, at - 8), 0, bytearray()
    while len(image) < snapshot.bytes:
        n = min(BLOCK, snapshot.bytes - len(image))
        block = data[at : at + n]
        if u64(data, at + n) != xxh3(block, seed + number):
            raise Damaged(name, at, "a wrong checksum")
        image += block
        at += n + 8
        number += 1
    return bytes(image)


def read_snapshot(files, meta):
    """The one that counts, and the name of one of the generation to come; or None."""
    found = to_come = None
    for index in reversed(numbers_in(files, "snapshot", ["incoming"])):
        name = f"snapshot/{index:016x}"
        snapshot, at = snapshot_header(take(files, name), name)
        if snapshot.stamp == meta.stamp:
            snapshot.image = read_image(files[name], name, snapshot, at)
            found = snapshot
            break
        if snapshot.stamp.generation == meta.stamp.generation + 1 and to_come is None:
            to_come = name
        elif snapshot.stamp.generation >= meta.stamp.generation:
            raise Damaged(name, 8, "it is of another directory")
    if (found.index if found else 0) < meta.snapshot:
        raise Damaged(f"snapshot/{meta.snapshot:016x}", 0, "it is missing")
    return found, to_come


# ---- Frames ----


def pieces(start, end):
    """Of each sector, the part that lies between the two."""
    while start < end:
        after = min((start // SECTOR + 1) * SECTOR, end)
        yield start, after
        start = after


def frame_header(data, at, seed):
    """n, z, chain, records checksum, header checksum; None: there is no good one."""
    if at + FRAME_HEADER > len(data) or data[at : at + 4] != b"CRF\1" or u32(data, at + 8) != at:
        return None
    n, _, z, chain, records, own = struct.unpack_from("<IIIQQQ", data, at + 4)
    return (n, z, chain, records, own) if own == xxh3(data[at : at + 32], seed) else None


def padded(n):
    return -(-(FRAME_HEADER + n + 8) // 8) * 8


def is_right_so_far(data, at, n, chain):
    """The n bytes of a header that lie in its first sector."""
    records = u32(data, at + 4)
    if data[at : at + 4] != b"CRF\1" or not 1 <= records <= RECORDS_MAX:
        return False
    if n >= 16 and u32(data, at + 8) != at:
        return False
    return n < 24 or (u32(data, at + 12) <= records // SECTOR and u64(data, at + 16) == chain)


def is_header_lost(data, at, chain):
    (first, end), *rest = pieces(at, min(at + 2 * SECTOR, len(data)))
    if is_zero(data[first:end]):
        return True
    if end - first >= FRAME_HEADER or not is_right_so_far(data, at, end - first, chain):
        return False
    return not rest or is_zero(data[rest[0][0] : rest[0][1]])


def end_of_segment(data, name, at, seed, chain):
    """Where no good frame follows: whether there is a torn one."""
    last = len(data.rstrip(b"\0"))  # one past the last byte that is not zero
    if last <= at:
        return False
    header = frame_header(data, at, seed)
    if header is None:
        torn = (
            len(data) - at >= 56
            and is_header_lost(data, at, chain)
            and last - at <= FRAME_HEADER + RECORDS_MAX + 8
            and not any(frame_header(data, other, seed) for other in range(at + 8, len(data), 8))
        )
        if not torn:
            raise Damaged(name, at, "no frame, and not the end")
        return True
    n, z, own_chain, _, _ = header
    end = at + FRAME_HEADER + n + 8
    if own_chain != chain or not 1 <= n <= RECORDS_MAX or at + padded(n) > len(data):
        raise Damaged(name, at, "an impossible frame")
    if sum(is_zero(data[start:stop]) for start, stop in pieces(at, end)) <= z or last > end:
        raise Damaged(name, at, "a bad frame")
    return True


def good_frame(data, at, seed, chain):
    """The records, and the header checksum; None: there is none."""
    header = frame_header(data, at, seed)
    if header is None:
        return None
    n, _, own_chain, checksum, own = header
    if own_chain != chain or not 1 <= n <= RECORDS_MAX or at + padded(n) > len(data):
        return None
    records = data[at + FRAME_HEADER : at + FRAME_HEADER + n]
    rest = data[at + FRAME_HEADER + n : at + padded(n)]
    good = rest[:8] == END_MARK and is_zero(rest[8:]) and checksum == xxh3(records, seed)
    return (records, own) if good else None


def records_of(data, name, offset):
    """(type, index, term, ...) of each."""
    at = 0
    try:
        while at < len(data):
            type, index = struct.unpack_from("<BQ", data, at)
            at += 9
            term, rest = 0, None
            if type != TRUNCATE:
                term = u64(data, at)
                at += 8
            if type == ENTRY:
                entry_type, n = struct.unpack_from("<BI", data, at)
                rest = (entry_type, bytes(data[at + 5 : at + 5 + n]))
                at += 5 + n
            elif type == SNAPSHOT:
                rest = data[at]
                at += 1
            good = type in (ENTRY, TRUNCATE, SNAPSHOT) and index > 0 and (term > 0 or type == TRUNCATE)
            good = good and not (type == ENTRY and n > ENTRY_BYTES_MAX) and not (type == SNAPSHOT and rest > 1)
            if not good or at > len(data):
                raise Damaged(name, offset, "it holds no record")
            yield type, index, term, rest
    except (struct.error, IndexError):
        raise Damaged(name, offset, "a record ends too early") from None


# ---- The log ----


@dataclass
class Segment:
    name: str
    number: int
    data: bytes
    good: bool = False
    chain: int = 0
    last_index: int = 0
    last_term: int = 0
    checksum: int = 0


def segment_of(files, number):
    name = f"log/{number:016x}"
    data = take(files, name)
    segment = Segment(name, number, data)
    if len(data) < SEGMENT_HEADER or u64(data, 88) != xxh3(data[:88]):
        return segment, None
    try:
        stamp = stamp_of(b"CRCL", data, name)
    except Damaged:
        return segment, None
    own, count, segment.chain, segment.last_index, segment.last_term = struct.unpack_from("<5Q", data, 40)
    segment.checksum = u64(data, 88)
    segment.good = own > 0 and FRAMES_OFFSET <= count <= SEGMENT_BYTES_MAX and count % SECTOR == 0
    return segment, (stamp, own, count)


def find_segments(files, meta):
    """Those of this identity, and those that nobody knows of."""
    segments = []
    numbers = numbers_in(files, "log", ["spare"])
    for number in numbers:
        segment, header = segment_of(files, number)
        if segment.good:
            stamp, own, _ = header
            is_to_come = number == numbers[-1] and stamp.generation == meta.stamp.generation + 1
            if stamp.generation < meta.stamp.generation or is_to_come:
                continue
            if stamp != meta.stamp:
                raise Damaged(segment.name, 8, "it is of another directory")
            if own != number:
                raise Damaged(segment.name, 40, "it is another one's copy")
        segments.append(segment)
    return segments


def choose(segments, meta, snapshot_index):
    """Those that are needed."""
    if segments and not segments[-1].good:
        raise Damaged(segments[-1].name, 0, "a bad header")
    if meta.segment > (segments[-1].number if segments else 0):
        raise Damaged(f"log/{meta.segment:016x}", 0, "it is missing")
    i = len(segments) - 1
    while i >= 0:
        segment = segments[i]
        if segment.last_index < snapshot_index:
            break
        if segment.last_index == snapshot_index and (snapshot_index == 0 or segment.last_term != 0):
            break
        before = segments[i - 1] if i > 0 else None
        if before is None or not before.good or before.number + 1 != segment.number:
            raise Damaged(segment.name, 64, "what is before it is missing")
        i -= 1
    return segments[max(i, 0) :]


class Log:
    """What the records tell, one after the other."""

    def __init__(self, snapshot):
        self.snapshot_index = snapshot.index if snapshot else 0
        self.snapshot_term = snapshot.term if snapshot else 0
        self.base, self.base_term = self.snapshot_index, self.snapshot_term
        self.last_index, self.last_term = self.base, self.base_term
        self.recorded = 0  # index of the latest SNAPSHOT record
        self.entries = []

    def begin(self, segment):
        self.base = self.last_index = segment.last_index
        self.base_term = self.last_term = segment.last_term

    def term_at(self, index):
        if index == self.base:
            return self.base_term
        at = index - self.base - 1
        return self.entries[at].term if 0 <= at < len(self.entries) else 0

    def entry(self, index, term, rest):
        if index != self.last_index + 1 or term < self.last_term:
            return "an entry that does not follow"
        if rest[0] not in (NOOP, CONFIGURATION, COMMAND):
            raise NewerVersion(f"entry {index} is of type {rest[0]}")
        self.entries.append(Entry(index, term, *rest))
        self.last_index, self.last_term = index, term
        return None

    def truncate(self, index, _term, _rest):
        if index > self.last_index + 1 or index <= self.recorded:
            return "a truncation that cannot be"
        if index == self.last_index + 1:
            return None
        self.entries = [entry for entry in self.entries if entry.index < index]
        self.last_index = index - 1
        if self.last_index < self.base:
            self.base, self.base_term = self.last_index, 0
        self.last_term = self.term_at(self.last_index)
        return None

    def snapshot(self, index, term, keep):
        if index < self.recorded or index > self.snapshot_index or (keep and index > self.last_index):
            return "a snapshot that cannot be"
        if index == self.snapshot_index and term != self.snapshot_term:
            return "a snapshot of another term"
        if keep and self.term_at(index) not in (0, term):
            return "an entry of another term than its snapshot"
        self.recorded = index
        if not keep:
            self.entries = []
            self.base, self.base_term = index, term
        if not keep or index == self.last_index:
            self.last_index, self.last_term = index, term
        return None

    def settle(self):
        """Figure 5.3, where the newest snapshot has no record."""
        if self.snapshot_index > 0 and self.term_at(self.snapshot_index) != self.snapshot_term:
            self.entries = []


def read_segment(segment, log):
    """Its last chain, and where a torn frame is, or None."""
    data, name = segment.data, segment.name
    if u64(data, 48) != len(data):
        raise Damaged(name, len(data), "it has another length")
    if not is_zero(data[SEGMENT_HEADER:FRAMES_OFFSET]):
        raise Damaged(name, SEGMENT_HEADER, "it is not zero")
    take_record = {ENTRY: log.entry, TRUNCATE: log.truncate, SNAPSHOT: log.snapshot}
    at, chain = FRAMES_OFFSET, segment.checksum
    while (frame := good_frame(data, at, segment.checksum, chain)) is not None:
        for type, index, term, rest in records_of(frame[0], name, at):
            wrong = take_record[type](index, term, rest)
            if wrong:
                raise Damaged(name, at, wrong)
        at += padded(len(frame[0]))
        chain = frame[1]
    return chain, at if end_of_segment(data, name, at, segment.checksum, chain) else None


def read_log(files, meta, snapshot, state):
    log = Log(snapshot)
    needed = choose(find_segments(files, meta), meta, log.snapshot_index)
    chain = None
    for segment in needed:
        if chain is None:
            log.begin(segment)
        else:
            terms = (segment.last_term, log.last_term)
            if segment.chain != chain or segment.last_index != log.last_index:
                raise Damaged(segment.name, 56, "it does not follow")
            if 0 not in terms and terms[0] != terms[1]:
                raise Damaged(segment.name, 72, "it does not follow")
        chain, torn = read_segment(segment, log)
        state.torn = (segment.name, torn) if torn is not None else None
    log.settle()
    state.entries = [entry for entry in log.entries if entry.index > log.snapshot_index]
    newest = max([log.snapshot_term, *(entry.term for entry in log.entries[-1:])])
    if newest > meta.term:
        raise Damaged("meta-1", 56, f"it does not know of term {newest}")


def read(files):
    """The State of a directory; None: it is new."""
    meta = read_meta(files)
    if meta is None:
        for name in files:
            if name.startswith(("log/", "snapshot/")):
                raise Damaged(name, 0, "the meta files are missing")
        return None
    state = State(*meta[:1], bad_blocks=meta[1])
    state.snapshot, to_come = read_snapshot(files, state.meta)
    read_log(files, state.meta, state.snapshot, state)
    last = state.snapshot.index if state.snapshot else 0
    last = state.entries[-1].index if state.entries else last
    if to_come is not None and to_come != f"snapshot/{last + 1:016x}":
        raise Damaged(to_come, 8, "it is of another directory")
    return state
