"""docs/wire-format.md, put into Python: every datagram and frame made here, byte for byte, is the one in
test/unit/wire_vectors.h, which the unit tests hold against the nodes' own code; and what a real node sends is
read here."""

import re
import socket
import struct
from pathlib import Path

import pytest
import sealing
from node import LOOPBACK

VECTORS = Path(__file__).parent.parent / "unit" / "wire_vectors.h"
HEX = r'(?:"[0-9a-f]*"[\s\\]*)+'  # string literals, over several lines of a macro

SECRET = bytes(range(32))
NONCE = bytes(range(0x40, 0x58))
LEADER_RANDOM = bytes(range(0x60, 0x80))
FOLLOWER_RANDOM = bytes(range(0x80, 0xA0))
CLUSTER = bytes(range(0xC0, 0xD0))
TOKEN = bytes(range(0xA0, 0xC0))
FROM, TO = 0x0102030405060708, 0x1112131415161718
START, COUNTER, TERM, ROUND = 1795000000000, 7, 3, 9
IP4, IP6 = 4, 6
ESTABLISHED, LEADER, MEMORY_STORAGE, WAS_MEMBER = 1, 2, 4, 8


def string8(text):
    return bytes([len(text)]) + text.encode()


def address(family, ip, port):
    return bytes([family]) + ip + b"\0" * (16 - len(ip)) + struct.pack("<H", port)


def card(flags, name, http):
    return bytes([flags]) + string8(name) + http


LOOPBACK4 = address(IP4, bytes([127, 0, 0, 1]), 8001)
LOOPBACK6 = address(IP6, b"\0" * 15 + b"\1", 8002)
PEERS = bytes([2]) + address(IP4, bytes([10, 0, 0, 1]), 8000) + address(IP4, bytes([10, 0, 0, 2]), 8000)

# type, body
DATAGRAMS = {
    "ACCEPT": (1, card(MEMORY_STORAGE, "b", LOOPBACK4)),
    "CREDENTIALS": (2, card(ESTABLISHED | LEADER, "a-node", LOOPBACK6) + b"\1" + TOKEN),
    "CREDENTIALS_ANNOUNCED": (2, card(LEADER | MEMORY_STORAGE, "a", LOOPBACK4) + b"\0"),
    "SAVED": (3, b""),
    "NOT_YET": (4, card(WAS_MEMBER, "c", LOOPBACK4) + string8("listening")),
    "REFUSED": (5, string8("name_taken: b")),
    "PROBE": (6, card(0, "d", LOOPBACK4) + struct.pack("<Q", 5) + PEERS),
    "PROBED": (7, card(0, "e", LOOPBACK4) + struct.pack("<Q", 5) + b"\0"),
    "REMOVED": (8, b""),
    "VOTE_REQUEST": (17, struct.pack("<BBQQ", 1, 0, 12, 2)),
    "VOTE_REPLY": (18, struct.pack("<BB", 0, 1)),
    "HEARTBEAT": (19, struct.pack("<QQ", 10, 11)),
    "HEARTBEAT_REPLY": (20, b""),
}

MEMBER_DATA = bytes([1, MEMORY_STORAGE]) + string8("a") + LOOPBACK4 + address(IP4, bytes([127, 0, 0, 1]), 9001)
CONFIGURATION = bytes([1, 1]) + struct.pack("<QBH", FROM, 1, len(MEMBER_DATA)) + MEMBER_DATA
NOOP, CONFIGURATION_ENTRY, COMMAND = 1, 2, 3
STORAGE_FULL = 1


def entry(term, kind, data):
    return struct.pack("<QBI", term, kind, len(data)) + data


ENTRIES = entry(3, NOOP, b"") + entry(3, COMMAND, b"hello") + entry(3, CONFIGURATION_ENTRY, CONFIGURATION)

# (type, payload), and whether it goes from the leader to the follower
FRAMES = {
    "HELLO_OF_FOLLOWER": (1, struct.pack("<H", 1) + CLUSTER + struct.pack("<QQQ", TO, 0, 2), False),
    "HELLO_OF_LEADER": (1, struct.pack("<H", 1) + CLUSTER + struct.pack("<QQQ", FROM, TO, TERM), True),
    "APPEND": (2, struct.pack("<QQQQI", TERM, 8, 2, 7, 3) + ENTRIES, True),
    "APPEND_REPLY": (3, struct.pack("<QBQQQQ", TERM, 0, 0, 8, 5, 1), False),
    "READ_REQUEST": (4, struct.pack("<QQ", TERM, 77), False),
    "READ_REPLY": (5, struct.pack("<QQQ", TERM, 77, 11), True),
    "TIMEOUT_NOW": (6, struct.pack("<Q", TERM), True),
    "SNAPSHOT": (
        7,
        struct.pack("<QQQQQQQ", TERM, ROUND, 6, 2, 1000, 0xDEADBEEF, 4)
        + struct.pack("<I", len(CONFIGURATION)) + CONFIGURATION + struct.pack("<Q", 500) + b"the chunk",
        True,
    ),  # fmt: skip
    "SNAPSHOT_REPLY": (8, struct.pack("<QQQQQQ", TERM, ROUND, 6, 2, 0xDEADBEEF, 509), False),
    "STORAGE": (9, struct.pack("<B", STORAGE_FULL), False),
    "STATE": (10, struct.pack("<QQQ", 2048, 0x1122334455667788, 0x99AABBCCDDEEFF00), True),
}


def all_vectors():
    """{name: (plain, sealed)} of datagrams' bodies and of frames' payloads. The frames are those of one
    stream: each is the next of its direction."""
    vectors = {}
    for name, (kind, body) in DATAGRAMS.items():
        round_ = ROUND if kind >= 16 else 0
        content = sealing.plain(kind, body, CLUSTER, FROM, TO, START, COUNTER, TERM, round_)
        vectors[name] = body, sealing.seal(SECRET, content, nonce=NONCE)
    to_follower, to_leader = sealing.stream_keys(SECRET, LEADER_RANDOM, FOLLOWER_RANDOM)
    numbers = {True: 0, False: 0}
    for name, (kind, payload, is_leaders) in FRAMES.items():
        key = to_follower if is_leaders else to_leader
        vectors[name] = payload, sealing.seal_frame(key, numbers[is_leaders], kind, payload)
        numbers[is_leaders] += 1
    return vectors


def pinned_vectors():
    text = VECTORS.read_text()
    found = re.findall(rf"VECTOR\((\w+),[\s\\]*({HEX}),[\s\\]*({HEX})\)", text)
    hexes = {name: [bytes.fromhex("".join(re.findall(r'"(.*?)"', part))) for part in rest] for name, *rest in found}
    return {name: tuple(parts) for name, parts in hexes.items()}


@pytest.mark.parametrize("name", all_vectors())
def test_the_page_says_what_the_nodes_do(name):
    """Goal: every layout, made after the page, has the bytes that the nodes' code is held to."""
    assert pinned_vectors()[name] == all_vectors()[name]


def test_no_vector_is_left_out():
    assert pinned_vectors().keys() == all_vectors().keys()


def test_what_a_node_sends_is_read(make_cluster, storage):
    """Goal: an ACCEPT of a real node is the one of the page, with its name and address, each with a nonce of
    its own and the next counter. Method: the test holds the election address that the node wants."""
    cluster = make_cluster(1, storage)
    (node,) = cluster.nodes
    flags = MEMORY_STORAGE if cluster.forgets else 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((LOOPBACK, cluster.election_port))
        holder.settimeout(30)
        node.start()
        seen, nonces = [], set()
        while len(seen) < 5:
            datagram, _ = holder.recvfrom(65536)
            assert datagram[:8] == b"CRCL\1\1\0\0"
            nonces.add(datagram[8:32])
            seen.append(sealing.unseal(cluster.secret, datagram))
    assert len(nonces) == 5
    counters = []
    for content in seen:
        assert content[0] == sealing.ACCEPT and content[1:24] == b"\0" * 23
        sender, to, start, counter, term, round_ = struct.unpack_from("<6Q", content, 24)
        assert sender != 0 and start > 0 and (to, term, round_) == (0, 0, 0)
        counters.append(counter)
        expected = card(flags, node.name, address(IP4, bytes([127, 0, 0, 1]), node.port))
        assert content[72:] == expected
    assert counters == list(range(1, 6))
