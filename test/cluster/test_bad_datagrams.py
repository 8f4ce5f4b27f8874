"""Datagrams from strangers on every UDP port of a cluster: dropped, never answered, and the cluster
undisturbed. Most strangers do not have the cluster's secret; here some do, for what it keeps out is no test of
what stands behind it."""

import random
import socket
import struct
import time

import pytest
import sealing
from cluster import Cluster
from documents import Writer, wait_same
from sealing import (
    ACCEPT,
    CREDENTIALS,
    DATAGRAM_BYTES_MAX,
    HEARTBEAT,
    HEARTBEAT_REPLY,
    NOT_YET,
    REFUSED,
    SAVED,
    VOTE_REPLY,
    VOTE_REQUEST,
)

HUGE = (1 << 64) - 1
STRANGER = 0x5757575757575757


class Stranger:
    """A socket that sends to all UDP ports of a cluster and wants no answer."""

    def __init__(self, cluster):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        ports = [cluster.election_port, *(n.own_udp_port() for n in cluster.nodes)]
        self.targets = [("127.0.0.1", port) for port in ports]
        self.secret = cluster.secret
        self.counter = 0

    def send(self, data):
        for target in self.targets:
            self.socket.sendto(data, target)

    def sealed(self, kind, body=b"", secret=None, counter=None, **fields):
        """A datagram of this stranger's, the next of its counter, under the cluster's secret."""
        self.counter += 1
        outside = {k: fields.pop(k) for k in ("magic", "version", "scheme", "reserved") if k in fields}
        fields = {"sender": STRANGER, "counter": counter or self.counter} | fields
        return sealing.seal(secret or self.secret, sealing.plain(kind, body, **fields), **outside)

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
    content = sealing.unseal(cluster.secret, data)
    assert content[0] == ACCEPT and content[8:24] == b"\0" * 16
    return cluster.secret, data


@pytest.mark.parametrize("size", [0, 1, 4, 55, 119, 120, 121, 1199, 1200, 1201, 1500, 9000, 60000])
def test_sizes(stranger, size):
    """Goal: no size is a problem, whether random bytes, zeros, or the start of something valid."""
    dice = random.Random(size)
    valid = stranger.sealed(ACCEPT)
    for data in (dice.randbytes(size), b"\0" * size, b"\xff" * size, (valid + b"\0" * size)[:size]):
        stranger.send(data)
    assert stranger.heard() is None


HEADERS = {
    "magic": (ACCEPT, {"magic": b"CRCK"}),
    "version 0": (ACCEPT, {"version": 0}),
    "version 2": (ACCEPT, {"version": 2}),
    "no sealing scheme": (ACCEPT, {"scheme": 0}),
    "another sealing scheme": (ACCEPT, {"scheme": 2}),
    "reserved": (ACCEPT, {"reserved": 1}),
    "sender zero": (ACCEPT, {"sender": 0}),
    "type 0": (0, {}),
    "type 15": (15, {}),
    "type 16": (16, {}),
    "type 21": (21, {}),
    "type 255": (255, {}),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers(stranger, case):
    """Goal: who has the secret, and writes nonsense with it, is dropped as well."""
    kind, fields = HEADERS[case]
    stranger.send(stranger.sealed(kind, **fields))
    assert stranger.heard() is None


def test_without_the_secret(stranger, real_accept):
    """Goal: a whole ACCEPT, of a node that is in order, under another secret; and one without a seal."""
    secret, data = real_accept
    assert secret != stranger.secret
    stranger.send(data)
    content = sealing.unseal(secret, data)
    stranger.send(b"CRCL\1\0\0\0" + b"\0" * 40 + content)
    stranger.send(b"CRCL\1\1\0\0" + b"\0" * 40 + content)
    assert stranger.heard() is None


def accept_of(stranger, real_accept):
    """The real one, had its node had the cluster's secret."""
    return sealing.seal(stranger.secret, sealing.unseal(*real_accept))


def test_every_bit(stranger, real_accept):
    """Goal: an ACCEPT with any one bit wrong is dropped."""
    accept = accept_of(stranger, real_accept)
    for byte in range(len(accept)):
        for bit in range(8):
            data = bytearray(accept)
            data[byte] ^= 1 << bit
            stranger.send(bytes(data))
        if byte % 16 == 0:
            time.sleep(0.01)  # sockets hold only so many
    assert stranger.heard() is None


def test_cut_and_lengthened(stranger, real_accept):
    """Goal: an ACCEPT cut at any byte, or with anything behind it, is dropped."""
    accept = accept_of(stranger, real_accept)
    for length in range(len(accept)):
        stranger.send(accept[:length])
    for tail in (b"\0", b"x", b"\0" * 100, b"\0" * (DATAGRAM_BYTES_MAX - len(accept)), b"\0" * 2000):
        stranger.send(accept + tail)
    assert stranger.heard() is None


def test_sealed_cut_short(stranger, real_accept):
    """Goal: the same under a right seal: what is missing of a body is missed."""
    content = sealing.unseal(*real_accept)
    for length in range(len(content)):
        stranger.send(sealing.seal(stranger.secret, content[:length]))
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
        stranger.send(stranger.sealed(kind, BODIES[case]))
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
                stranger.sealed(kind, body, cluster=cluster, to=to, term=term, round_=term, start=HUGE)
            )
    assert stranger.heard() is None


def test_a_flood(shared_trio, stranger, measured):
    """Goal: 50,000 random datagrams, as fast as they can be sent, depose nobody and stop no write. Method: a
    third is random bytes, a third has a header but no right seal, a third is sealed and nonsense inside; a
    client writes meanwhile."""
    dice = random.Random(50)
    kinds = [dice.randbytes(dice.randrange(0, 1400)) for _ in range(200)]
    kinds += [b"CRCL\x01\x01\0\0" + dice.randbytes(dice.randrange(0, 1192)) for _ in range(200)]
    kinds += [stranger.sealed(dice.randrange(1, 25), dice.randbytes(dice.randrange(60, 300)),
                              cluster=b"\x57" * 16, sender=dice.randrange(1, HUGE)) for _ in range(200)]  # fmt: skip
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
