"""Disks with no room: small file systems in memory are filled up, and get room again. And --max-data-bytes, the
room that the documents may have."""

import contextlib
import os

import mounts
import pytest
from client import document_path, wait_until
from documents import put_until_accepted, wait_same

REASON = mounts.why_not()
needs_mounts = pytest.mark.skipif(REASON is not None, reason=str(REASON))

MEGABYTES = 96  # of a file system
BALLAST_MEGABYTES = 40  # of it that are taken, and given back later
DOCUMENT_BYTES = 100_000
DOCUMENTS_MAX = 2 * MEGABYTES * 10  # more than fit
RECOVERS_S = 10.0
WRITES = [
    ("PUT", "/v1/collections/items/{id}", "{}"),
    ("POST", "/v1/collections/items", "{}"),
    ("PATCH", "/v1/collections/items/{id}", "{}"),
    ("DELETE", "/v1/collections/items/{id}", None),
    ("DELETE", "/v1/collections/items", None),
    ("POST", "/v1/transactions", '{"operations":[{"method":"delete","path":"items/{id}"}]}'),
]


@pytest.fixture(scope="module", autouse=True)
def namespace():
    if REASON is None:
        mounts.enter_namespace()


class Disk(mounts.Tmpfs):
    """A small file system, part of which is taken by something else."""

    def mount(self):
        super().mount()
        self.ballast = self.point / "ballast"
        self.take(BALLAST_MEGABYTES << 20)

    def take(self, size_bytes):
        with open(self.ballast, "ab") as file:
            os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size_bytes)

    def take_the_rest(self):
        """The node may be trying for some of it, and give it back."""
        while (free := self.free_bytes) > 0:
            with contextlib.suppress(OSError):
                self.take(min(free, 1 << 20))

    def give_back(self):
        self.ballast.unlink()


@contextlib.contextmanager
def cluster_on_disks(make_cluster, folder, numbers):
    """Three nodes that have formed a cluster, those of these numbers on small disks: (cluster, {node: disk}). The
    nodes end before the disks do."""
    cluster = make_cluster(3)
    with contextlib.ExitStack() as stack:
        disks = {}
        for number in numbers:
            node = cluster.nodes[number]
            disks[node] = stack.enter_context(Disk(folder / f"disk{number}", MEGABYTES))
            node.data_dir = disks[node].point / "data"
        stack.callback(cluster.kill_all)
        cluster.start()
        cluster.wait_formed()
        yield cluster, disks
        make_cluster.end(cluster)


def body_of(document_id):
    return b'{"id":"%s","filling":"%s"}' % (document_id.encode(), b"x" * DOCUMENT_BYTES)


def fill(leader, is_enough=lambda: False, first=0):
    """Writes documents until it is enough, or until there is no room; the ids of those acknowledged."""
    acknowledged = []
    with leader.connect() as connection:
        for number in range(first, first + DOCUMENTS_MAX):
            if is_enough():
                return acknowledged
            document_id = f"{number:06}"
            answer = connection.request("PUT", document_path("items", document_id), body_of(document_id))
            if answer.status == 507:
                assert answer.code == "disk_full", answer
                return acknowledged
            assert answer.status == 201, answer
            acknowledged.append(document_id)
    raise AssertionError("it never became full")


def check_reads(nodes, document_ids):
    """Linearizable ones, anywhere."""
    for node in nodes:
        for document_id in (document_ids[0], document_ids[-1]):
            answer = node.get(document_path("items", document_id))
            assert (answer.status, answer.body) == (200, body_of(document_id)), (node, answer)


def check_kept(nodes, acknowledged):
    found = wait_same(nodes)
    lost = [i for i in acknowledged if found.get(("items", i), (None,))[0] != body_of(i)]
    assert not lost, f"{len(lost)} of {len(acknowledged)} lost: {lost[:5]}"


def wait_takes_writes(nodes, document_id="later"):
    return put_until_accepted(nodes, document_id, "{}", RECOVERS_S)[1]


def full_ones(leader):
    return {m["name"] for m in leader.view()["members"] if m["storage"] == "full"}


def lead(cluster, is_wanted):
    """Makes one lead that is wanted; (leader, followers)."""
    leader, followers = cluster.wait_formed()
    while not is_wanted(leader):
        leader.kill()
        cluster.wait_leader()
        leader.start()
        leader, followers = cluster.wait_formed()
    return leader, followers


@needs_mounts
@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
def test_all_are_full(make_cluster, tmp_path, measured, end):
    """Goal: writes answer 507 and say why, reads go on, nothing is lost; it takes writes again as soon as there
    is room. The same when it is restarted while there is none."""
    with cluster_on_disks(make_cluster, tmp_path, (0, 1, 2)) as (cluster, disks):
        leader, _ = cluster.wait_formed()
        acknowledged = fill(leader)
        for disk in disks.values():
            disk.take_the_rest()
        check_reads(cluster.nodes, acknowledged)
        for method, path, body in WRITES:
            answer = leader.request(method, path.replace("{id}", acknowledged[0]), body)
            assert (answer.status, answer.code) == (507, "disk_full"), (method, path, answer)
        wait_until("all say so", lambda: len(full_ones(leader)) == 3)

        for node in cluster.nodes:
            if end == "SIGKILL":
                node.kill()
            else:
                assert node.stop() == 0
        cluster.start()
        leader, _ = cluster.wait_formed()
        check_reads(cluster.nodes, acknowledged)
        assert leader.put("refused", "{}").code == "disk_full"

        for disk in disks.values():
            disk.give_back()
        took = wait_takes_writes(cluster.nodes)
        check_kept(cluster.nodes, acknowledged)
    measured(f"{len(acknowledged)} documents until full; {took:.2f} s from room to the next write")


@needs_mounts
def test_a_follower_is_full(make_cluster, tmp_path):
    """Goal: the others go on without it, and it has everything when it has room again."""
    with cluster_on_disks(make_cluster, tmp_path, (1,)) as (cluster, disks):
        ((small, disk),) = disks.items()
        leader, _ = lead(cluster, lambda node: node is not small)
        acknowledged = fill(leader, lambda: full_ones(leader) == {small.name})
        disk.take_the_rest()
        more = iter(range(100))
        acknowledged += fill(leader, lambda: next(more, None) is None, len(acknowledged))
        check_reads([n for n in cluster.nodes if n is not small], acknowledged)
        disk.give_back()
        check_kept(cluster.nodes, acknowledged)
        wait_until("it is well", lambda: not full_ones(leader))


@needs_mounts
def test_the_leader_is_full(make_cluster, tmp_path):
    """Goal: a leader without room leads on, and refuses writes; reads go on. Another one that leads after it takes
    them, and it has everything when it is back and has room."""
    with cluster_on_disks(make_cluster, tmp_path, (1,)) as (cluster, disks):
        ((small, disk),) = disks.items()
        leader, others = lead(cluster, lambda node: node is small)
        acknowledged = fill(leader)
        disk.take_the_rest()
        check_reads(cluster.nodes, acknowledged)
        assert leader.put("refused", "{}").code == "disk_full"
        assert full_ones(leader) == {small.name} and cluster.wait_leader() is small
        small.kill()
        wait_takes_writes(others)
        small.start()
        assert cluster.wait_formed()[0] is not small
        wait_takes_writes(others)
        disk.give_back()
        check_kept(cluster.nodes, acknowledged)


def test_the_documents_have_no_more_room(make_cluster):
    """Goal: --max-data-bytes: more documents answer 507, deletes are taken, and make room."""
    cluster = make_cluster(3, ["--max-data-bytes", "1000000"]).start()
    leader, _ = cluster.wait_formed()
    taken = []
    while (answer := leader.put(f"{len(taken)}", body_of(f"{len(taken)}"))).status == 201:
        taken.append(f"{len(taken)}")
        assert len(taken) < 10
    assert (answer.status, answer.code) == (507, "store_full"), answer
    assert len(taken) == 9
    assert leader.put("0", '{"id":"0"}').status == 200  # smaller than before
    assert leader.put("0", body_of("0")).status == 200
    assert leader.request("DELETE", document_path("items", "3")).status == 204
    assert leader.put("9", body_of("9")).status == 201
    assert leader.put("10", body_of("10")).code == "store_full"
    assert len(wait_same(cluster.nodes)) == 9
