"""Losing nodes: the leader or a follower killed, and the leader stopped and woken. Nothing acknowledged is
lost, and there is one leader to a term."""

import time
from collections import Counter

import kernel
from client import document_path, request_bytes, wait_until
from documents import Writer, documents, put_until_accepted, wait_same

ELECTION_TIMEOUT_S = 0.5  # the default


def check_one_leader_per_term(cluster):
    terms = Counter(term for term, _, _ in cluster.leaders_of_terms())
    assert all(count == 1 for count in terms.values()), cluster.leaders_of_terms()


def test_kill_the_leader_with_a_thousand_documents(trio, measured):
    """Goal: after `kill -9` of the leader a write through the new one succeeds and every document is still
    there; the old one, started again on its old port, is a follower with the same documents."""
    leader, followers = trio.wait_formed()
    with leader.connect() as connection:
        puts = [("PUT", document_path("kept", f"{i:04}"), '{"id":"%04d"}' % i, {}) for i in range(1000)]
        answers = connection.pipeline(puts)
    expected = {("kept", f"{i:04}"): (puts[i][2].encode(), a.header("etag")) for i, a in enumerate(answers)}
    assert {a.status for a in answers} == {201}
    leader.kill()
    answer, took_s = put_until_accepted(followers, "after", '{"id":"after"}')
    measured(f"kill -9 of the leader to the next accepted write: {1000 * took_s:.0f} ms")
    expected["items", "after"] = (b'{"id":"after"}', answer.header("etag"))
    assert wait_same(followers) == expected

    leader.start()
    new, others = trio.wait_formed()
    assert leader in others
    assert wait_same(trio.nodes) == expected
    assert new.put("once more", "{}").status == 201
    assert len(wait_same(trio.nodes)) == 1002
    check_one_leader_per_term(trio)


def test_kill_each_leader_in_turn_under_load(trio):
    """Goal: nothing acknowledged is lost over three failovers with a client that writes all the time."""
    with Writer(trio.nodes) as writer:
        for _ in range(3):
            writer.wait_more()
            leader, _ = trio.wait_formed()
            leader.kill()
            writer.wait_more()
            leader.start()
            trio.wait_formed()
        writer.wait_more()
    trio.wait_formed()
    writer.check_kept(wait_same(trio.nodes))
    check_one_leader_per_term(trio)


def test_kill_a_follower_under_load(trio):
    """Goal: writes go on with two of three and no new election; the follower comes back and catches up."""
    leader, followers = trio.wait_formed()
    term = leader.about()["term"]
    with Writer([leader]) as writer:
        for victim in followers:
            writer.wait_more()
            victim.kill()
            writer.wait_more(100)
            victim.start()
            trio.wait_formed()
        writer.wait_more()
    assert trio.wait_formed()[0] is leader
    assert leader.about()["term"] == term
    writer.check_kept(wait_same(trio.nodes))


def test_a_dead_follower_is_shown_as_down(stored_trio):
    """Goal: whoever can come back stays a member; whoever cannot is removed."""
    leader, followers = stored_trio.wait_formed()
    dead = followers[0]
    dead.kill()

    def seen():
        members = [m for m in leader.view()["members"] if m["name"] == dead.name]
        return not members if stored_trio.forgets else members[0]["up"] is False

    wait_until("the leader sees it is down", seen)
    time.sleep(3 * ELECTION_TIMEOUT_S)
    assert seen()


def test_stop_and_wake_the_leader(trio):
    """Goal: a leader that hangs is replaced after the election timeout although it still holds the address;
    when it wakes it steps down, follows, and no write that anyone was told is done is lost. Method: SIGSTOP
    for more than two election timeouts, with a writer at work and a write waiting inside the sleeping
    leader."""
    old, followers = trio.wait_formed()
    with Writer(trio.nodes) as writer, old.connect() as sleeping:
        writer.wait_more()
        old.pause()
        sleeping.send(request_bytes("PUT", "/v1/collections/items/asleep", '{"id":"asleep"}'))
        begin = time.monotonic()
        new = trio.wait_leader(followers)
        writer.wait_more()
        time.sleep(max(0.0, 3 * ELECTION_TIMEOUT_S - (time.monotonic() - begin)))
        old.resume()
        slept = sleeping.answer()
        leader, others = trio.wait_formed()
        assert leader is new and old in others
        writer.wait_more()
    found = wait_same(trio.nodes)
    writer.check_kept(found)
    if slept.status == 201:
        assert ("items", "asleep") in found
    else:
        assert slept.status in (307, 503, 504), slept
    # A follower does not hold the address.
    wait_until("the address is the new leader's", lambda: leader.holds_election_port)
    assert len(kernel.udp_inodes(trio.election_port)) == 1
    check_one_leader_per_term(trio)


def test_stop_and_wake_a_follower(trio):
    """Goal: a follower that hangs disturbs nobody, not even when it wakes and has heard no leader for
    long."""
    leader, followers = trio.wait_formed()
    term = leader.about()["term"]
    followers[0].pause()
    time.sleep(3 * ELECTION_TIMEOUT_S)
    assert leader.put("meanwhile", "{}").status == 201
    followers[0].resume()
    assert trio.wait_formed()[0] is leader
    assert ("items", "meanwhile") in wait_same(trio.nodes)
    assert leader.about()["term"] == term


def test_short_stops_of_the_leader_lose_nothing(trio):
    """Goal: pauses around the election timeout, where a leader may or may not have been replaced, keep one
    leader per term and all acknowledged writes."""
    with Writer(trio.nodes) as writer:
        for pause_s in (0.2, 0.45, 0.55, 0.7, 0.9, 1.1):
            leader = trio.wait_leader()
            writer.wait_more()
            leader.pause()
            time.sleep(pause_s)
            leader.resume()
        trio.wait_formed()
        writer.wait_more()
    writer.check_kept(wait_same(trio.nodes))
    check_one_leader_per_term(trio)


def test_five_nodes_lose_two_at_once(make_cluster):
    """Goal: five nodes carry on without the leader and a follower killed at the same instant."""
    cluster = make_cluster(5)
    cluster.start_together()
    leader, followers = cluster.wait_formed()
    with Writer(cluster.nodes) as writer:
        writer.wait_more()
        for node in (leader, followers[0]):
            node.expected_down = True
            node.process.kill()
        writer.wait_more()
        leader.kill()
        followers[0].kill()
        leader.start()
        followers[0].start()
        cluster.wait_formed()
        writer.wait_more()
    writer.check_kept(wait_same(cluster.nodes))
    assert len(documents(leader)) == len(documents(followers[0]))
    check_one_leader_per_term(cluster)
