"""Disk storage: what was acknowledged is there after whatever ended the processes, under the same ids; and a data
directory that cannot be trusted is refused before anything is sent."""

import ctypes
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest
import strace
from client import document_path, request_bytes, wait_until
from documents import Writer, documents, put_until_accepted, wait_same
from node import clean_environment, die_with_parent

KILLED_EARLY = 30
META_CHECKSUM_AT = 88
XXHASH = ctypes.CDLL("libxxhash.so.0")
XXHASH.XXH3_64bits.restype = ctypes.c_uint64


# ---- Meta files: see docs/disk-format.md


def newest_meta(node):
    """(id, start number, term) of the newest record."""
    records = [(node.data_dir / name).read_bytes() for name in ("meta-1", "meta-2")]
    newest = max(records, key=lambda r: struct.unpack_from("<Q", r, 40))
    node_id, start, term = (struct.unpack_from("<Q", newest, at)[0] for at in (8, 48, 56))
    return f"{node_id:016x}", start, term


def write_version(path, version):
    """As if a later version of the program had written the file."""
    data = bytearray(path.read_bytes())
    for block in (0, 4096):
        struct.pack_into("<I", data, block + 4, version)
        record = bytes(data[block : block + META_CHECKSUM_AT])
        checksum = XXHASH.XXH3_64bits(record, len(record))
        struct.pack_into("<Q", data, block + META_CHECKSUM_AT, checksum)
    path.write_bytes(data)


def put_many(leader, count):
    with leader.connect() as connection:
        puts = [("PUT", document_path("kept", f"{i:04}"), '{"id":"%04d"}' % i, {}) for i in range(count)]
        assert {a.status for a in connection.pipeline(puts)} == {201}


def kill_at_once(nodes):
    for node in nodes:
        node.expected_down = True
        node.process.kill()
    for node in nodes:
        node.kill()


def ids(cluster):
    return {n.name: n.about()["id"] for n in cluster.nodes}


# ---- Coming back


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_all_end_and_come_back(trio, number):
    """Goal: three processes that end at the same moment are the same cluster when they are started again: ids,
    documents and ETags, and a start number that has grown."""
    leader, _ = trio.wait_formed()
    put_many(leader, 500)
    assert leader.request("DELETE", document_path("kept", "0007")).status == 204
    kept = wait_same(trio.nodes)
    before, cluster_id = ids(trio), leader.view()["cluster_id"]
    metas = {n.name: newest_meta(n) for n in trio.nodes}
    if number == signal.SIGKILL:
        kill_at_once(trio.nodes)
    else:
        assert trio.shut_down() == []
    trio.start()
    new, _ = trio.wait_formed()
    assert wait_same(trio.nodes) == kept and len(kept) == 499
    assert ids(trio) == before
    assert {n.view()["cluster_id"] for n in trio.nodes} == {cluster_id}
    for node in trio.nodes:
        node_id, start, term = newest_meta(node)
        assert node_id == metas[node.name][0] == before[node.name]
        assert start > metas[node.name][1] and term >= metas[node.name][2]
        assert not node.logged("founded")
    assert new.put("more", "{}").status == 201


def test_killed_together_under_load(trio):
    """Goal: the same while clients write: whatever was acknowledged is there, with its bytes and its ETag."""
    dice = random.Random(4)
    with Writer(trio.nodes) as writer:
        for _ in range(5):
            writer.wait_more(30)
            time.sleep(dice.uniform(0.0, 0.3))
            kill_at_once(dice.sample(trio.nodes, dice.choice((2, 3, 3))))
            for node in trio.nodes:
                if not node.is_running:
                    node.start()
            trio.wait_formed()
        writer.wait_more()
    writer.check_kept(wait_same(trio.nodes))


def test_a_member_stays_one_while_it_is_away(trio):
    """Goal: whoever may come back is not removed, and takes its place again under its id; meanwhile the others go
    on."""
    leader, followers = trio.wait_formed()
    away, before = followers[0], ids(trio)
    away.kill()
    time.sleep(2)
    assert leader.put("meanwhile", "{}").status == 201
    members = {m["name"]: (m["id"], m["role"]) for m in leader.view()["members"]}
    assert members[away.name] == (before[away.name], "voter")
    away.start()
    trio.wait_formed()
    assert ids(trio) == before
    assert ("items", "meanwhile") in wait_same(trio.nodes)


def test_a_lost_majority_comes_back(trio):
    """Goal: a survivor that cannot decide anything goes on when the others are back."""
    leader, followers = trio.wait_formed()
    put_many(leader, 20)
    kept = wait_same(trio.nodes)
    kill_at_once([leader, followers[0]])
    survivor = followers[1]
    wait_until("it misses them", lambda: survivor.put("x", "{}").code == "no_leader")
    assert documents(survivor, stale=True) == kept
    leader.start()
    followers[0].start()
    trio.wait_formed()
    assert wait_same(trio.nodes) == kept


def test_one_alone_comes_back(make_cluster):
    """Goal: a cluster of one needs nobody."""
    cluster = make_cluster(1).start()
    (node,) = cluster.nodes
    cluster.wait_formed()
    put_many(node, 100)
    kept = documents(node)
    for _ in range(3):
        node.kill()
        node.start()
        cluster.wait_formed()
        assert documents(node) == kept


def test_on_other_ports_under_another_name(trio):
    """Goal: a data directory is who a node is; where it runs and what it is called may change."""
    leader, followers = trio.wait_formed()
    put_many(leader, 20)
    kept, before = wait_same(trio.nodes), set(ids(trio).values())
    kill_at_once(trio.nodes)
    ports = [n.port for n in trio.nodes]
    for node, port in zip(trio.nodes, ports[1:] + ports[:1]):
        node.port = port
        node.name += "2"
    trio.start()
    trio.wait_formed()
    assert wait_same(trio.nodes) == kept and set(ids(trio).values()) == before


def test_killed_early_at_its_first_start(make_cluster, measured):
    """Goal: a directory whose making was interrupted at any point is made, or gone on with, at the next start.
    Method: SIGKILL at a random moment of the first 50 ms, each time on a new directory, and then a start."""
    cluster = make_cluster(1)
    (node,) = cluster.nodes
    dice = random.Random(8)
    found = set()
    for _ in range(KILLED_EARLY):
        shutil.rmtree(node.data_dir, ignore_errors=True)
        node.start()
        time.sleep(dice.uniform(0.0, 0.05))
        node.kill()
        found.add(tuple(sorted(str(p.relative_to(node.data_dir)) for p in node.data_dir.rglob("*"))))
        node.start()
        node.wait_logged("step 1:")
        node.kill()
    node.start()
    cluster.wait_formed()
    assert node.put("one", "{}").status == 201
    measured(f"first starts killed early: {len(found)} different states of the directory in {KILLED_EARLY}")


def test_killed_again_and_again_while_it_starts(make_cluster):
    """Goal: a start that is interrupted harms nothing. Method: the same on a directory with documents."""
    cluster = make_cluster(1).start()
    (node,) = cluster.nodes
    cluster.wait_formed()
    put_many(node, 200)
    kept = documents(node)
    dice = random.Random(9)
    for _ in range(KILLED_EARLY):
        node.kill()
        node.start()
        time.sleep(dice.uniform(0.0, 0.05))
    cluster.wait_formed()
    assert documents(node) == kept


# ---- A slow disk

needs_strace = pytest.mark.skipif(strace.why_not() is not None, reason=str(strace.why_not()))


@needs_strace
def test_a_long_recovery_tells_how_far_it_is(make_cluster):
    """Goal: nobody has to guess whether a node that reads its log is alive. Method: each read of a segment takes
    half a second."""
    cluster = make_cluster(1).start()
    (node,) = cluster.nodes
    cluster.wait_formed()
    for i in range(55):
        assert node.put(f"{i}", '{"padding":"%s"}' % ("x" * 950_000)).status == 201
    assert node.stop() == 0
    with strace.started(node, "pread64:delay_enter=500000", strace.log_paths(node)):
        node.wait_logged(r"reading the log: \d+ % of \d+\.\d MB")
        node.wait_logged(r"recovered in \d{4,} ms: no snapshot, and \d+ entries in")
        cluster.wait_formed()
        told = [int(percent) for percent in re.findall(r"reading the log: (\d+) %", node.log())]
        assert told == sorted(set(told)) and all(0 < percent <= 100 for percent in told)
        node.kill()


@needs_strace
def test_the_end_does_not_wait_for_a_disk_that_hangs(make_cluster):
    """Goal: SIGTERM waits for what is being written, but not for ever. Method: a sync takes twelve seconds."""
    cluster = make_cluster(1)
    strace.without_leak_check(cluster.nodes)
    (node,) = cluster.start().nodes
    cluster.wait_formed()
    tracer = strace.attach(node, "fdatasync:delay_enter=12000000", strace.log_paths(node))
    with node.connect() as connection:
        connection.send(request_bytes("PUT", document_path("items", "hangs"), "{}"))
        time.sleep(0.5)
        node.terminate()
        begin = time.monotonic()
        node.wait_logged("ERROR .* ends: the disk has not written for 5 s")
        assert time.monotonic() - begin < 9
    assert node.exit_status() == 1
    strace.detach(tracer)


# ---- Memory


def test_memory_leaves_nothing_behind(make_cluster):
    """Goal: with memory storage there is nothing in the directory but the lock, and another id at every start."""
    cluster = make_cluster(1, ["--storage=memory"]).start()
    (node,) = cluster.nodes
    cluster.wait_formed()
    assert node.put("lost", "{}").status == 201
    before = ids(cluster)
    assert [p.name for p in node.data_dir.iterdir()] == ["lock"]
    assert node.stop() == 0
    node.start()
    cluster.wait_formed()
    assert ids(cluster) != before and documents(node) == {}


@pytest.mark.parametrize("forgetful", [1, 2])
def test_disks_and_memory_in_one_cluster(make_cluster, forgetful):
    """Goal: nodes of both kinds are one cluster; those with a disk keep their place, the others come back as new
    members. (It is as safe as its kind that loses more: a majority that forgets at once is lost.)"""
    cluster = make_cluster(3)
    for node in cluster.nodes[:forgetful]:
        node.options.append("--storage=memory")
    leader, _ = cluster.start().wait_formed()
    put_many(leader, 20)
    kept, before = wait_same(cluster.nodes), ids(cluster)
    for node in cluster.nodes:
        node.kill()
        put_until_accepted(cluster.nodes, "meanwhile", "{}")
        node.start()
        cluster.wait_formed()
    after = ids(cluster)
    same = {name for name in after if after[name] == before[name]}
    assert same == {n.name for n in cluster.nodes[forgetful:]}
    found = wait_same(cluster.nodes)
    assert {key: found[key] for key in kept} == kept


def test_back_to_a_disk_that_was_left(trio):
    """Goal: a node that ran without its disk has been replaced by itself. With its old directory it is told so, does
    no harm and says what to do; emptied, it joins."""
    _, followers = trio.wait_formed()
    node = followers[0]
    assert node.stop() == 0
    node.options.append("--storage=memory")
    node.start()
    trio.wait_formed()
    assert node.stop() == 0
    node.options.pop()
    node.start()
    node.wait_logged("(?i)removed")
    wait_until("it says what to do", lambda: "data directory" in node.get("/readyz", timeout_s=2).json()["detail"])
    assert node.stop() == 0
    node.wipe()
    node.start()
    trio.wait_formed()
    assert trio.nodes[0].get("/readyz").status == 200


# ---- What is refused


def start_refused(node):
    """Its one line on stderr; it must end by itself with status 1."""
    result = subprocess.run(
        node.arguments(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        env=clean_environment(node.folder), preexec_fn=die_with_parent,
    )  # fmt: skip
    assert result.returncode == 1, result
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("coracle serve: ") and str(node.data_dir) in line, line
    return line


@pytest.fixture
def stopped(make_cluster):
    """A node that has run and is stopped, with a document."""
    cluster = make_cluster(1).start()
    (node,) = cluster.nodes
    cluster.wait_formed()
    assert node.put("kept", "{}").status == 201
    assert node.stop() == 0
    return node


def test_a_second_process(trio):
    """Goal: one process at a time; the first goes on."""
    node = trio.nodes[0]
    double = trio.new_node("double", folder=trio.folder / "double")
    double.data_dir = node.data_dir
    assert "is in use by another process" in start_refused(double)
    trio.wait_formed()


def test_a_newer_format(stopped):
    """Goal: a directory of a later version is left alone, and the line says so."""
    for name in ("meta-1", "meta-2"):
        write_version(stopped.data_dir / name, 2)
    before = {p: p.read_bytes() for p in stopped.data_dir.rglob("*") if p.is_file()}
    line = start_refused(stopped)
    assert "version 2" in line, line
    assert {p: p.read_bytes() for p in stopped.data_dir.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name", ["meta-1", "meta-2", "log/0000000000000001"])
@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "folder"])
def test_no_regular_file(stopped, name, kind):
    """Goal: something else in the place of a file is refused at once, and a link is not followed."""
    path = stopped.data_dir / name
    elsewhere = stopped.folder / "elsewhere"
    path.rename(elsewhere)
    before = elsewhere.read_bytes()
    if kind in ("symlink", "dangling"):
        path.symlink_to(elsewhere if kind == "symlink" else stopped.folder / "nothing")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert name in start_refused(stopped)
    assert elsewhere.read_bytes() == before


@pytest.mark.parametrize("name", ["meta-1", "meta-2"])
def test_a_lost_meta_file(stopped, name):
    """Goal: a vote may have been in the one that is missing or damaged: refused, with what to do."""
    path = stopped.data_dir / name
    good = path.read_bytes()
    path.unlink()
    assert name in start_refused(stopped)
    path.write_bytes(bytes(len(good)))
    assert name in start_refused(stopped)
    path.write_bytes(good)
    stopped.start()
    wait_until("it has the document", lambda: stopped.get(document_path("items", "kept")).status == 200)


def test_a_damaged_twin_does_no_harm(stopped):
    """Goal: each record is there twice; the loss of one copy is told, and mended by the next write."""
    for name in ("meta-1", "meta-2"):
        with open(stopped.data_dir / name, "r+b") as file:
            file.seek(60)
            file.write(b"\xff\xff")
    stopped.start()
    stopped.wait_logged("WARN .* damaged .* did no harm")
    wait_until("it has the document", lambda: stopped.get(document_path("items", "kept")).status == 200)


def test_leftovers_are_replaced(stopped):
    """Goal: what an interrupted write has left under a temporary name is no hindrance."""
    (stopped.data_dir / "meta-new").write_bytes(b"x" * 100)
    (stopped.data_dir / "log/spare").write_bytes(b"y" * 100)
    (stopped.data_dir / "snapshot/incoming").write_bytes(b"z" * 100)
    for _ in range(2):
        stopped.start()
        wait_until("it has the document", lambda: stopped.get(document_path("items", "kept")).status == 200)
        assert stopped.stop() == 0
    assert not (stopped.data_dir / "snapshot/incoming").exists()


def test_a_directory_that_cannot_be_written(make_cluster):
    """Goal: the line names the directory and the system's reason. Method: a mount of its own, read-only."""
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    (node,) = make_cluster(1).nodes
    node.data_dir.mkdir()
    command = ["unshare", "--mount", "sh", "-c", 'mount --bind -o ro "$0" "$0" && exec "$@"', str(node.data_dir)]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs mounts of its own")
    own = node.arguments()
    node.arguments = lambda: [*command, *own]
    assert "Read-only file system" in start_refused(node)


def test_somebody_elses_folder(make_cluster, tmp_path):
    """Goal: data without the meta files is no new node's."""
    (node,) = make_cluster(1).nodes
    (node.data_dir / "log").mkdir(parents=True)
    (node.data_dir / "log/0000000000000001").write_bytes(b"data")
    assert "meta-1 and meta-2 are missing" in start_refused(node)
