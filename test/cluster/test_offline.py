"""What is done to data directories that no node uses: `coracle inspect` tells what is in them and changes nothing,
`coracle recover` makes the survivor of a lost majority a cluster of its own."""

import hashlib
import json
import os
import pty
import shutil
import signal
import subprocess

import pytest
import strace
from client import DEADLINE_S, wait_until
from documents import documents, wait_same
from node import BINARY, clean_environment

SECTOR_BYTES = 512


def coracle(node, *arguments, stdin=subprocess.DEVNULL):
    return subprocess.run(
        [BINARY, *map(str, arguments)],
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env=clean_environment(node.folder),
    )


def inspect(node, *options, status=0):
    done = coracle(node, "inspect", node.data_dir, *options)
    assert done.returncode == status, done
    return done


def inspect_json(node, status=0):
    return json.loads(inspect(node, "--json", status=status).stdout)


def inspect_log(node, *options):
    return [json.loads(line) for line in inspect(node, "--log", "--json", *options).stdout.splitlines()]


def digest(folder):
    """Of every name, and of what is in the files."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        whole.update(str(path).encode() + b"\0" + (path.read_bytes() if path.is_file() else b""))
    return whole.hexdigest()


def write_some(leader, rounds=1):
    """Twenty documents, so many times: from ten rounds on the log is larger than 4096 bytes and the documents."""
    for number in range(20 * rounds):
        body = json.dumps({"number": number, "price": 0.10})
        assert leader.put(f"d{number % 20}", body).status == (201 if number < 20 else 200)
    assert leader.put("d0", '{"changed":true}').status == 200
    assert leader.request("DELETE", "/v1/collections/items/d1").status in (200, 204)


@pytest.fixture
def stopped(make_cluster):
    """(node, its documents): one node that had a cluster of its own, with entries and a snapshot."""
    cluster = make_cluster(1, ["--compact-bytes", "4096"]).start()
    leader = cluster.wait_leader()
    write_some(leader, rounds=10)
    wait_until("a snapshot", lambda: any((leader.data_dir / "snapshot").glob("0*")))
    assert leader.put("last", "{}").status == 201
    kept = documents(leader)
    assert leader.stop() == 0
    return leader, kept


# ---- inspect


def test_inspect_tells_what_is_there(stopped):
    """Goal: identity, segments, snapshots and usage, for people and for programs; not a byte changes."""
    node, kept = stopped
    before = digest(node.data_dir)
    found = inspect_json(node)
    assert found["sound"] and found["damage"] == [] and not found["in_use"]
    assert found["format_version"] == 1 and len(found["node"]) == 16 and len(found["cluster"]) == 32
    assert found["term"] >= 1 and found["voted_for"] == found["node"]
    assert [m["file"] for m in found["meta"]] == ["meta-1", "meta-2"]
    assert all(s["end"] == "clean" for s in found["segments"])
    (snapshot,) = found["snapshots"]
    assert snapshot["index"] > 4 and snapshot["documents"] > 0 and len(snapshot["state_hash"]) == 32
    assert snapshot["members"] == [{"node": found["node"], "name": node.name, "voter": True}]
    last = int(kept[("items", "last")][1].strip('"'))
    assert found["next_start"]["last_index"] >= last and not found["next_start"]["refused"]
    files = [path for path in node.data_dir.rglob("*") if path.is_file()]
    assert (found["files"], found["bytes"]) == (len(files), sum(path.stat().st_size for path in files))

    text = inspect(node).stdout
    assert found["node"] in text and found["cluster"] in text and snapshot["state_hash"] in text
    assert text.rstrip().endswith("sound") and "DAMAGE" not in text
    assert digest(node.data_dir) == before


def test_inspect_prints_the_log(stopped):
    """Goal: each entry with what it does, and of commands everything but the body; --from and --to choose."""
    node, kept = stopped
    before = digest(node.data_dir)
    entries = inspect_log(node)
    commands = {e["index"]: e for e in entries if e["type"] == "command"}
    last = commands[int(kept[("items", "last")][1].strip('"'))]
    assert (last["operation"], last["collection"], last["id"]) == ("put", "items", "last")
    assert last["body_bytes"] >= 2 and last["condition"] == "always"
    assert any(e["type"] == "snapshot" for e in entries)
    some = inspect_log(node, "--from", last["index"], "--to", last["index"])
    assert [e for e in some if e["type"] == "command"] == [last]
    text = inspect(node, "--log").stdout
    assert f"{last['index']}  term {last['term']}  put          items/last, {last['body_bytes']} bytes\n" in text
    assert digest(node.data_dir) == before


def test_inspect_of_a_node_that_runs(trio):
    """Goal: it works, says so, and does not disturb the node."""
    leader, followers = trio.wait_formed()
    write_some(leader)
    wait_same(trio.nodes)
    for node in trio.nodes:
        found = inspect_json(node)
        assert found["in_use"] and found["sound"]
        assert "running process" in inspect(node).stdout
        (configuration,) = [e for e in inspect_log(node) if e["type"] == "configuration"][-1:]
        assert sorted(m["name"] for m in configuration["members"]) == ["a", "b", "c"]
    assert leader.put("more", "{}").status == 201


def test_inspect_of_a_torn_write(stopped):
    """Goal: what a power cut leaves is no damage; the next start cuts it off, as inspect says."""
    node, kept = stopped
    segment = inspect_json(node)["segments"][-1]
    with open(node.data_dir / segment["file"], "r+b") as file:
        file.seek((segment["end_offset"] // SECTOR_BYTES + 1) * SECTOR_BYTES)
        file.write(b"torn" * 10)
    before = digest(node.data_dir)
    found = inspect_json(node)
    assert found["sound"] and found["next_start"]["cuts_torn_frame"]
    assert found["segments"][-1]["end"] == "torn" and found["segments"][-1]["torn_bytes"] > 0
    assert "torn" in inspect(node).stdout
    assert digest(node.data_dir) == before
    node.start().wait_logged("torn write")
    wait_until("it leads", lambda: node.get("/readyz").status == 200)
    assert documents(node) == kept


def test_inspect_lists_all_damage(stopped):
    """Goal: damage in one file does not hide that in another; each is named with file and offset, and a start
    refuses, as inspect says."""
    node, _ = stopped
    sound = inspect_json(node)
    segment, snapshot = sound["segments"][-1], sound["snapshots"][-1]
    for name, offset in [(segment["file"], SECTOR_BYTES + 60), (snapshot["file"], 300), ("meta-1", 50)]:
        with open(node.data_dir / name, "r+b") as file:
            file.seek(offset)
            (byte,) = file.read(1)
            file.seek(offset)
            file.write(bytes([byte ^ 16]))
    before = digest(node.data_dir)
    found = inspect_json(node, status=1)
    assert not found["sound"] and found["next_start"]["refused"]
    for name in (segment["file"], snapshot["file"], "meta-1"):
        assert any(name in damage and "offset" in damage for damage in found["damage"]), (name, found["damage"])
    text = inspect(node, status=1).stdout
    assert all(damage in text for damage in found["damage"]) and "would refuse" in text
    on_stderr = coracle(node, "inspect", node.data_dir, "--log")
    assert on_stderr.returncode == 1 and segment["file"] in on_stderr.stderr
    assert digest(node.data_dir) == before

    recover = coracle(node, "recover", node.data_dir, "--yes")
    assert recover.returncode == 1 and "offset" in recover.stderr
    assert digest(node.data_dir) == before
    node.start()
    node.expected_down = True
    assert node.exit_status() != 0
    assert found["next_start"]["sentence"].removeprefix("would refuse: ") in node.log()


def test_one_bad_copy_of_a_meta_record_is_told(stopped):
    """Goal: damage that does no harm is damage too: the disk is going bad."""
    node, kept = stopped
    with open(node.data_dir / "meta-2", "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 16)
    found = inspect_json(node, status=1)
    assert not found["next_start"]["refused"] and "no harm" in found["damage"][0]
    node.start()
    wait_until("it leads", lambda: node.get("/readyz").status == 200)
    assert documents(node) == kept
    assert node.stop() == 0
    assert inspect_json(node)["sound"]


def test_what_cannot_be_inspected(stopped):
    """Goal: exit status 2 and one line, and nothing is made."""
    node, _ = stopped
    missing = node.folder / "nowhere"
    for arguments in [
        ["inspect"],
        ["inspect", missing],
        ["inspect", node.data_dir, "--what"],
        ["inspect", node.data_dir, "--from", "3", "--to", "2"],
        ["inspect", node.data_dir, node.data_dir],
    ]:
        done = coracle(node, *arguments)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1, done
    assert not missing.exists()
    empty = node.folder / "empty"
    empty.mkdir()
    done = coracle(node, "inspect", empty)
    assert done.returncode == 0 and "would make a new node" in done.stdout
    assert list(empty.iterdir()) == []


# ---- recover


def lose_majority(cluster, survivor):
    """All processes end at once, and the disks of all but one with them."""
    for node in cluster.nodes:
        node.expected_down = True
        node.process.kill()
    for node in cluster.nodes:
        node.kill()
        if node is not survivor:
            node.wipe()


@pytest.mark.parametrize("options", [[], ["--compact-bytes", "4096"]], ids=["log", "snapshot"])
def test_the_survivor_goes_on(make_cluster, options):
    """Goal: a cluster of three loses two nodes with their disks. The third is recovered: it leads a new cluster
    with every document and every ETag, takes writes, and new nodes in the lost ones' places join it."""
    cluster = make_cluster(3, options).start()
    leader, (survivor, _) = cluster.wait_formed()
    write_some(leader, rounds=10)
    kept = wait_same(cluster.nodes)
    if options:
        wait_until("a snapshot", lambda: any((survivor.data_dir / "snapshot").glob("0*")))
    old = survivor.view()
    old_id = survivor.about()["id"]
    lose_majority(cluster, survivor)

    done = coracle(survivor, "recover", survivor.data_dir, "--yes")
    assert done.returncode == 0, done
    assert old["cluster_id"] in done.stdout and "lost" in done.stdout
    assert all(f"{n.name} (" in done.stdout for n in cluster.nodes), done.stdout
    found = inspect_json(survivor)
    assert found["sound"] and found["segments"] == [] and found["other_files"] == []
    assert found["cluster"] != old["cluster_id"] and found["node"] != old_id

    survivor.start()
    wait_until("it leads", lambda: survivor.get("/readyz").status == 200)
    view = survivor.view()
    assert view["cluster_id"] == found["cluster"] and len(view["members"]) == 1
    assert documents(survivor) == kept
    changed = survivor.put("d5", '{"after":1}', headers={"If-Match": kept[("items", "d5")][1]})
    assert changed.status == 200, changed
    newest = max(int(etag.strip('"')) for _, etag in kept.values())
    assert int(changed.header("etag").strip('"')) > newest

    for node in cluster.nodes:
        if node is not survivor:
            node.start()
    leader, _ = cluster.wait_formed()
    assert leader is survivor
    after = wait_same(cluster.nodes)
    assert after.keys() == kept.keys()
    assert [k for k in kept if after[k] != kept[k]] == [("items", "d5")]

    # It is a cluster like any other: it lives through a failover, and a restart of all.
    survivor.kill()
    new_leader = cluster.wait_leader()
    assert new_leader.put("later", "{}").status == 201
    survivor.start()
    cluster.wait_formed()
    assert ("items", "later") in wait_same(cluster.nodes)


def test_the_other_survivor_does_not_mix(make_cluster):
    """Goal: a node of the old cluster that is started beside the recovered one is told so, by both ids; it keeps
    what it has and gives nothing; and the recovered one takes no writes while it is there."""
    cluster = make_cluster(3).start()
    leader, (survivor, other) = cluster.wait_formed()
    write_some(leader)
    kept = wait_same(cluster.nodes)
    old = survivor.view()["cluster_id"]
    for node in cluster.nodes:
        node.kill()
    leader.wipe()
    log = inspect_log(other)
    assert coracle(survivor, "recover", survivor.data_dir, "--yes").returncode == 0
    survivor.start()
    wait_until("it leads", lambda: survivor.get("/readyz").status == 200)
    new = survivor.view()["cluster_id"]
    other.start()
    for node in (survivor, other):
        node.wait_logged(rf"two established clusters.*({old}.*{new}|{new}.*{old})")
    refused = wait_until(
        "the sole voter stops",
        lambda: (answer := survivor.put("new", "{}")).status == 503 and answer,
    )
    assert refused.code == "writes_stopped", refused
    assert other.view()["cluster_id"] == old and other.put("new", "{}").status == 503
    other.kill()
    assert inspect_log(other) == log and inspect_json(other)["cluster"] == old

    other.wipe()
    other.start()
    leader.start()
    cluster.wait_formed()
    wait_until("writes go on", lambda: survivor.put("on", "{}").status in (200, 201))
    assert {k: v for k, v in wait_same(cluster.nodes).items() if k in kept} == kept


@pytest.fixture
def left_alone(make_cluster):
    """(node, documents) of three whose two others are gone for good."""
    cluster = make_cluster(3).start()
    leader, (survivor, _) = cluster.wait_formed()
    write_some(leader)
    kept = wait_same(cluster.nodes)
    lose_majority(cluster, survivor)
    return survivor, kept


def answer_on_terminal(node, answer):
    """(exit status, what it printed) of a recovery whose standard input is a terminal."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        done = coracle(node, "recover", node.data_dir, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    return done.returncode, done.stdout


def test_nothing_happens_without_yes(left_alone):
    """Goal: no terminal, or another answer than yes: not a byte changes. Then yes."""
    node, kept = left_alone
    before = digest(node.data_dir)
    refused = coracle(node, "recover", node.data_dir)
    assert refused.returncode == 1 and "--yes" in refused.stderr
    for answer in (b"no\n", b"y\n", b"\n", b"yes please, go on\n", b"\x04"):
        status, printed = answer_on_terminal(node, answer)
        assert status == 1 and "Nothing was changed" in printed, (answer, printed)
        assert digest(node.data_dir) == before
    status, printed = answer_on_terminal(node, b"yes\n")
    assert status == 0 and "only voter" in printed
    node.start()
    wait_until("it leads", lambda: node.get("/readyz").status == 200)
    assert documents(node) == kept


def recover_killed_at(node, call, number):
    """Recovers its directory, and is killed at so many of these system calls. False: there were not so many."""
    trace = strace.trace_file(node)
    done = subprocess.run(
        strace.arguments(f"{call}:{strace.KILL}:when={number}", [], trace)
        + [BINARY, "recover", str(node.data_dir), "--yes"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_S,
        env=clean_environment(node.folder) | {"LSAN_OPTIONS": "detect_leaks=0"},  # which cannot be traced
    )
    assert done.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), done
    return done.returncode != 0


@pytest.mark.skipif(bool(strace.why_not()), reason=str(strace.why_not()))
def test_a_kill_at_any_step_leaves_one_or_the_other(left_alone):
    """Goal: whatever call it is killed in, the directory is sound, and holds what it held or what it is to hold;
    asked again, the recovery is finished, or says that it is."""
    node, kept = left_alone
    old = inspect_json(node)["cluster"]
    whole = node.folder / "whole"
    node.data_dir.rename(whole)
    outcomes = {"old": 0, "new": 0}
    for call in strace.CHANGES:
        number = 1
        while True:
            shutil.rmtree(node.data_dir, ignore_errors=True)
            shutil.copytree(whole, node.data_dir)
            if not recover_killed_at(node, call, number):
                break
            found = inspect_json(node)
            assert found["sound"], (call, number, found)
            is_old = found["cluster"] == old
            outcomes["old" if is_old else "new"] += 1
            again = coracle(node, "recover", node.data_dir, "--yes")
            assert again.returncode == (0 if is_old else 1), (call, number, again)
            found = inspect_json(node)
            assert found["cluster"] != old and found["snapshots"][0]["documents"] == len(kept)
            number += 1
    assert outcomes["old"] > 5 and outcomes["new"] > 1, outcomes
    node.start()
    wait_until("it leads", lambda: node.get("/readyz").status == 200)
    assert documents(node) == kept


def test_what_is_not_recovered(trio):
    """Goal: a directory in use, one that is none, one that holds nothing, and a second time: one line, exit status
    1, nothing changed."""
    leader, followers = trio.wait_formed()
    node = followers[0]
    for folder, word in [
        (node.data_dir, "in use"),
        (node.folder / "nowhere", "No such file"),
        (node.folder, "no node's data"),
    ]:
        done = coracle(node, "recover", folder, "--yes")
        assert done.returncode == 1 and word in done.stderr and done.stderr.count("\n") == 1, done
    assert not (node.folder / "nowhere").exists() and not (node.folder / "lock").exists()
    assert leader.put("still", "{}").status == 201
    for member in trio.nodes:
        member.kill()
    assert coracle(node, "recover", node.data_dir, "--yes").returncode == 0
    before = digest(node.data_dir)
    again = coracle(node, "recover", node.data_dir, "--yes")
    assert again.returncode == 1 and "only voter of its cluster already" in again.stderr
    assert digest(node.data_dir) == before
