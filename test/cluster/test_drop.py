"""A large collection is dropped: gone at once for whoever reads, on every node that knows of it, while it is taken out a
little at a time; nobody's leadership suffers, and whoever dies in the middle comes back with the same."""

import threading
import time

from client import document_path
from documents import documents, wait_same
from lines import check_created, collection_path, export_lines, import_file, make_lines

MANY = 100_000


def fill(cluster, folder):
    """MANY documents in "large", and three elsewhere."""
    leader, followers = cluster.wait_formed()
    file = folder / "lines"
    file.write_bytes(make_lines(MANY))
    check_created(import_file(leader, "large", file), MANY)
    for collection in ("larg", "large-", "other"):
        assert leader.put("1", '{"kept":true}', collection).status == 201
    return leader, followers


def names_of(node, query=""):
    return {c["name"]: c["count"] for c in node.get("/v1/collections" + query).json()}


KEPT = {"larg": 1, "large-": 1, "other": 1}


def timed_put(leader, seconds):
    begin = time.monotonic()
    assert leader.put("1", '{"kept":"too"}', "other").status == 200
    seconds.append(time.monotonic() - begin)


def test_it_is_gone_at_once(stored_trio, tmp_path, measured):
    """Goal: as soon as the drop is answered no node shows a document of it, in any way there is to read; who writes
    waits a moment; what is written to that name is the beginning of a new one; and the leader stays the leader."""
    cluster = stored_trio
    leader, followers = fill(cluster, tmp_path)
    terms = [node.view()["term"] for node in cluster.nodes]
    assert names_of(leader) == {**KEPT, "large": MANY}
    begin, put_s = time.monotonic(), []
    dropped = leader.request("DELETE", collection_path("large"))
    drop_s = time.monotonic() - begin
    writer = threading.Thread(target=timed_put, args=(leader, put_s))
    writer.start()
    assert dropped.status == 204
    for node in [leader, *followers]:
        assert names_of(node) == KEPT
        assert node.get(document_path("large", "000000")).status == 404
        assert node.get(document_path("large", f"{MANY - 1:06d}")).status == 404
        listed = node.get(collection_path("large"))
        assert (listed.json(), listed.header("x-total-count")) == ([], "0")
        assert export_lines(node, "large") == b""
    writer.join()
    measured(
        f"drop of {MANY} documents: answered in {drop_s * 1000:.1f} ms, and a write after it in {put_s[0] * 1000:.0f} ms"
    )
    assert leader.put("new", "{}", "large").status == 201
    assert set(wait_same(cluster.nodes)) == {(name, "1") for name in KEPT} | {("large", "new")}
    assert [node.view()["term"] for node in cluster.nodes] == terms


def test_it_is_gone_for_good(make_cluster, tmp_path):
    """Goal: who is killed while it takes the documents out, and who was away, comes to the same; so do all of them when
    they were killed together."""
    cluster = make_cluster(3).start()
    leader, (killed, away) = fill(cluster, tmp_path)
    away.kill()
    assert leader.request("DELETE", collection_path("large")).status == 204
    killed.kill()
    killed.start()
    away.start()
    cluster.wait_formed()
    assert set(wait_same(cluster.nodes)) == {(name, "1") for name in KEPT}
    for node in cluster.nodes:
        node.kill()
    for node in cluster.nodes:
        node.start()
    leader, _ = cluster.wait_formed()
    assert set(documents(leader)) == {(name, "1") for name in KEPT}
