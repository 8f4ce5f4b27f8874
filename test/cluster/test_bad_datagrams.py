"""Datagrams from strangers on every UDP port of a cluster: dropped, never answered, and the cluster
undisturbed."""

import random
import socket
import struct
import time

import pytest
from cluster import Cluster
from documents import Writer, wait_same

DATAGRAM_BYTES_MAX = 1200
FIXED_BYTES = 56  # magic, version, scheme, seal, type and what is reserved, in src/wire/datagram.h
TYPE_OFFSET, CLUSTER_OFFSET = 48, 56
ACCEPT, CREDENTIALS, SAVED, NOT_YET, REFUSED = 1, 2, 3, 4, 5
VOTE_REQUEST, VOTE_REPLY, HEARTBEAT, HEARTBEAT_REPLY = 17, 18, 19, 20
HUGE = (1 << 64) - 1
STRANGER = 0x5757575757575757


def datagram(kind, body=b"", cluster=b"\0" * 16, sender=STRANGER, to=0, start=1, counter=1, term=0, round_=0,
             magic=b"CRCL", version=1, scheme=0, reserved=0):  # fmt: skip
    head = struct.pack("<4sBBH40sB7s", magic, version, scheme, reserved, b"\0" * 40, kind, b"\0" * 7)
    return head + cluster + struct.pack("<6Q", sender, to, start, counter, term, round_) + body


class Stranger:
    """A socket that sends to all UDP ports of a cluster and wants no answer."""

    def __init__(self, cluster):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        ports = [cluster.election_port, *(n.own_udp_port() for n in cluster.nodes)]
        self.targets = [("127.0.0.1", port) for port in ports]

    def send(self, data):
        for target in self.targets:
            self.socket.sendto(data, target)

    def heard(self, within_s=0.3):
        """The first answer, or None."""
        self.socket.settimeout(within_s)
        try:
            return self.socket.recvfrom(65536)
        except TimeoutError:
            return None


@pytest.fixture
def stranger(shared_trio):
    """Undisturbed means: the same leader, term, members and documents, and the log not flooded."""
    leader, _ = shared_trio.wait_formed()
    leader.put("kept", "{}")

    def state():
        view = leader.view()
        members = [(m["id"], m["name"], m["http"], m["role"]) for m in view["members"]]
        return view["term"], view["cluster_id"], members, wait_same(shared_trio.nodes)

    before = state()
    logged = {n: len(n.log()) for n in shared_trio.nodes}
    stranger = Stranger(shared_trio)
    yield stranger
    stranger.socket.close()
    assert shared_trio.wait_formed()[0] is leader
    assert state() == before
    lines = [line for n in shared_trio.nodes for line in n.log()[logged[n] :].splitlines()]
    assert len(lines) < 30 and all("dropped a datagram" in line for line in lines), lines
    assert leader.put("kept", "{}").status == 200


@pytest.fixture(scope="module")
def real_accept(tmp_path_factory):
    """An ACCEPT as a node sends it, caught by holding the election address that it wants. The node is gone by
    the time the datagram is used: it is an old one, from nobody."""
    cluster = Cluster(tmp_path_factory.mktemp("accept"), 1)
    (node,) = cluster.nodes
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", cluster.election_port))
        holder.settimeout(30)
        try:
            node.start()
            data, _ = holder.recvfrom(65536)
        finally:
            node.kill()
    assert data[TYPE_OFFSET] == ACCEPT and data[CLUSTER_OFFSET : CLUSTER_OFFSET + 16] == b"\0" * 16
    return data


@pytest.mark.parametrize("size", [0, 1, 4, 55, 119, 120, 121, 1199, 1200, 1201, 1500, 9000, 60000])
def test_sizes(stranger, size):
    """Goal: no size is a problem, whether random bytes, zeros, or the start of something valid."""
    dice = random.Random(size)
    valid = datagram(ACCEPT)
    for data in (dice.randbytes(size), b"\0" * size, b"\xff" * size, (valid + b"\0" * size)[:size]):
        stranger.send(data)
    assert stranger.heard() is None


HEADERS = {
    "magic": datagram(ACCEPT, magic=b"CRCK"),
    "version 0": datagram(ACCEPT, version=0),
    "version 2": datagram(ACCEPT, version=2),
    "sealing scheme": datagram(ACCEPT, scheme=1),
    "reserved": datagram(ACCEPT, reserved=1),
    "sender zero": datagram(ACCEPT, sender=0),
    "type 0": datagram(0),
    "type 6": datagram(6),
    "type 16": datagram(16),
    "type 21": datagram(21),
    "type 255": datagram(255),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers(stranger, case):
    stranger.send(HEADERS[case])
    assert stranger.heard() is None


def test_every_bit_of_the_fixed_part(stranger, real_accept):
    """Goal: a real ACCEPT with any one bit of its fixed fields wrong is dropped."""
    for byte in range(FIXED_BYTES):
        for bit in range(8):
            data = bytearray(real_accept)
            data[byte] ^= 1 << bit
            stranger.send(bytes(data))
    assert stranger.heard() is None


def test_cut_and_lengthened(stranger, real_accept):
    """Goal: a real ACCEPT cut at any byte, or with anything behind it, is dropped."""
    for length in range(len(real_accept)):
        stranger.send(real_accept[:length])
    for tail in (b"\0", b"x", b"\0" * 100, b"\0" * (DATAGRAM_BYTES_MAX - len(real_accept)), b"\0" * 2000):
        stranger.send(real_accept + tail)
    assert stranger.heard() is None


BODIES = {
    "no card": b"",
    "length past the end": b"\0\xff" + b"a" * 10,
    "empty name": b"\0\0" + b"\x04\x7f\0\0\x01" + b"\0" * 12 + b"\x41\x1f",
    "name too long": b"\0\x41" + b"a" * 65 + b"\x04\x7f\0\0\x01" + b"\0" * 12 + b"\x41\x1f",
    "unknown family": b"\0\x01a" + b"\x07\x7f\0\0\x01" + b"\0" * 12 + b"\x41\x1f",
    "no address": b"\0\x01a",
    "unknown flags": b"\xff\x01a" + b"\x04\x7f\0\0\x01" + b"\0" * 12 + b"\x41\x1f",
    "newline in the name": b"\0\x03a\nb" + b"\x04\x7f\0\0\x01" + b"\0" * 12 + b"\x41\x1f",
    "NUL in the name": b"\0\x03a\0b" + b"\x04\x7f\0\0\x01" + b"\0" * 12 + b"\x41\x1f",
    "random": random.Random(3).randbytes(300),
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies(stranger, case):
    """Goal: a valid header with a body that is none of its type's is dropped, whatever the type."""
    for kind in (ACCEPT, CREDENTIALS, NOT_YET, VOTE_REQUEST, VOTE_REPLY, HEARTBEAT):
        stranger.send(datagram(kind, BODIES[case]))
    assert stranger.heard() is None


@pytest.mark.parametrize("cluster_is_known", [False, True])
@pytest.mark.parametrize("term", [0, 1, 2, 1 << 32, 1 << 63, HUGE])
def test_raft_messages_of_a_stranger(shared_trio, stranger, term, cluster_is_known):
    """Goal: who is no member has no say: its votes, heartbeats and terms near 2^64 move nobody."""
    view = shared_trio.nodes[0].view()
    cluster = bytes.fromhex(view["cluster_id"]) if cluster_is_known else b"\x57" * 16
    for to in [0, *(int(m["id"], 16) for m in view["members"])]:
        for kind, body in [
            (VOTE_REQUEST, struct.pack("<BQQ", 1, HUGE, HUGE)),
            (VOTE_REQUEST, struct.pack("<BQQ", 0, HUGE, HUGE)),
            (VOTE_REPLY, b"\0\1"),
            (HEARTBEAT, struct.pack("<QQ", HUGE, HUGE)),
            (HEARTBEAT_REPLY, b""),
            (SAVED, b""),
            (REFUSED, b"\x05go on"),
        ]:
            stranger.send(
                datagram(kind, body, cluster, to=to, term=term, round_=term, start=HUGE, counter=HUGE)
            )
    assert stranger.heard() is None


def test_a_flood(shared_trio, stranger, measured):
    """Goal: 50,000 random datagrams, as fast as they can be sent, depose nobody and stop no write. Method: a
    third is random bytes, a third carries the magic, a third a valid header; a client writes meanwhile."""
    dice = random.Random(50)
    kinds = [dice.randbytes(dice.randrange(0, 1400)) for _ in range(200)]
    kinds += [b"CRCL\x01\0\0\0" + dice.randbytes(dice.randrange(0, 1192)) for _ in range(200)]
    kinds += [datagram(dice.randrange(1, 25), dice.randbytes(dice.randrange(60, 300)), b"\x57" * 16,
                       sender=dice.randrange(1, HUGE)) for _ in range(200)]  # fmt: skip
    with Writer(shared_trio.nodes, collection="flooded") as writer:
        begin = time.monotonic()
        for number in range(50000 // len(stranger.targets)):
            stranger.send(kinds[number % len(kinds)])
        took_s = time.monotonic() - begin
        writer.wait_more()
    measured(f"a flood of 50,000 datagrams in {took_s:.2f} s deposed nobody")
    assert stranger.heard() is None
    leader, _ = shared_trio.wait_formed()
    found = wait_same(shared_trio.nodes)
    writer.check_kept(found)
    for collection, document_id in found:  # as it was, for the check of the fixture
        if collection == "flooded":
            assert leader.request("DELETE", f"/v1/collections/flooded/{document_id}").status == 204
