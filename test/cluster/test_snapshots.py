"""A node that comes after the log was compacted: it gets an image of the documents instead, over a real
stream, and nothing else stands still for that."""

from client import document_path, wait_until
from documents import Writer, wait_same

DOCUMENTS = 30
SMALL = 500
LARGE_BYTES = 950_000  # just below the limit of a document
ROUNDS = 3  # together more than 64 MiB, from which on a log is compacted


def large(document_id, round_number):
    padding = chr(ord("a") + round_number) * LARGE_BYTES
    return '{"id":"%s","round":%d,"padding":"%s"}' % (document_id, round_number, padding)


def overwrite(leader):
    """The same documents over and over, and some small ones among them."""
    with leader.connect() as connection:
        for round_number in range(ROUNDS):
            for i in range(DOCUMENTS):
                answer = connection.request("PUT", document_path("large", f"{i}"), large(f"{i}", round_number))
                assert answer.status in (200, 201), answer
        puts = [("PUT", document_path("small", f"{i:03}"), '{"id":"%03d"}' % i, {}) for i in range(SMALL)]
        assert {a.status for a in connection.pipeline(puts)} == {201}


def check_documents(node):
    """All of them are there as they were written last. (A listing ends where it becomes long.)"""
    with node.connect() as connection:
        for i in range(DOCUMENTS):
            answer = connection.request("GET", document_path("large", f"{i}") + "?consistency=stale")
            assert answer.body == large(f"{i}", ROUNDS - 1).encode(), (i, answer.status, answer.body[:60])
        collections = connection.request("GET", "/v1/collections?consistency=stale").json()
        assert {"name": "small", "count": SMALL} in collections, collections


def wait_removed(cluster, leader):
    """Memory storage: whoever is dead cannot come back as what it was."""
    if cluster.forgets:
        wait_until("the dead one is out", lambda: len(leader.view()["members"]) == 2)


def test_a_late_node_gets_an_image(stored_trio, measured):
    """Goal: a follower that is killed and started again (with memory storage as a new node) after the others have
    compacted their logs has the same documents soon, by an image of some tens of megabytes; meanwhile writes go
    on, and no election is held for it. With disks it has them still when it is killed and started once more."""
    trio = stored_trio
    leader, followers = trio.wait_formed()
    late = followers[0]
    late.kill()
    wait_removed(trio, leader)
    overwrite(leader)
    terms = trio.leaders_of_terms()
    with Writer([leader, followers[1]]) as writer:
        writer.wait_more()
        late.start()
        trio.wait_formed()
        writer.wait_more()
    documents = wait_same(trio.nodes)
    writer.check_kept(documents)
    check_documents(late)
    assert late.logged("installed the leader's snapshot of index"), late.log()
    assert trio.leaders_of_terms() == terms
    measured(late.logged("installed the leader's snapshot of .*").group())
    if trio.forgets:
        return
    late.kill()
    late.start()
    trio.wait_formed()
    late.wait_logged("recovered in .* a snapshot up to [1-9]")
    assert not late.logged("installed the leader's snapshot")
    assert wait_same(trio.nodes) == documents
    check_documents(late)


def test_the_leader_dies_in_mid_transfer(stored_trio):
    """Goal: whoever leads next gives the late node its documents, from the log or by an image of its own."""
    trio = stored_trio
    leader, followers = trio.wait_formed()
    late = followers[0]
    late.kill()
    wait_removed(trio, leader)
    rest = [followers[1]]
    if trio.forgets:
        rest.append(trio.new_node("d").start())  # so that two of three are left when the leader dies
        trio.wait_formed([leader, *rest])
    overwrite(leader)
    late.start()
    wait_until("the late one is back", lambda: late.logged(f"following {leader.name}|joining cluster"))
    leader.kill()
    if trio.forgets:
        trio.wait_formed([late, *rest])
    else:
        trio.wait_leader([late, *rest])
    wait_same([late, *rest])
    for node in [late, *rest]:
        check_documents(node)
