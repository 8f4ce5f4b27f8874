"""A process restarted again and again, as a deployment or a crash loop does. With memory storage every start is a
new id, and the voters must never be mostly ids that are gone; on disk it is the same member each time."""

import random
import time

import pytest
from client import wait_until
from documents import Writer, wait_same
from node import free_port

RESTARTS = 10


def same_place(node, _):
    pass


def new_port(node, _):
    node.port = free_port()


def new_port_and_name(node, number):
    node.port = free_port()
    node.name = f"{node.name[0]}{number}"


def check_voters(leader):
    """More than half of the voters are alive, and there are never more than three."""
    view = leader.view()
    voters = [m for m in view["members"] if m["role"] == "voter"]
    up = [m for m in voters if m["up"] or m["id"] == view["self"]]
    assert len(voters) <= 3 and 2 * len(up) > len(voters), view["members"]


@pytest.mark.parametrize("wait", ["rejoined", "at once"])
@pytest.mark.parametrize("move", [same_place, new_port, new_port_and_name])
def test_ten_restarts_of_a_follower(stored_trio, move, wait):
    """Goal: the cluster takes writes all the time, before every restart and after, and has three voters at
    the end. Method: SIGKILL and start, either when the node is a voter again or after a moment in which its
    joining may have come to any point."""
    trio = stored_trio
    leader, followers = trio.wait_formed()
    victim = followers[-1]
    dice = random.Random(5)
    for number in range(RESTARTS):
        assert leader.put(f"{number} before", "{}").status == 201
        victim.kill()
        assert leader.put(f"{number} down", "{}").status == 201
        move(victim, number)
        victim.start()
        assert leader.put(f"{number} up", "{}").status == 201
        if wait == "rejoined":
            trio.wait_formed()
        else:
            time.sleep(dice.uniform(0.0, 0.8))
        check_voters(leader)
    assert trio.wait_formed()[0] is leader
    found = wait_same(trio.nodes)
    assert len(found) == 3 * RESTARTS


@pytest.mark.parametrize("move", [same_place, new_port])
def test_ten_restarts_of_whoever_leads(stored_trio, move):
    """Goal: the same with the leader: ten leaders killed, one after the other, each back as a follower before
    the next is killed, and nothing acknowledged lost."""
    trio = stored_trio
    with Writer(trio.nodes) as writer:
        for number in range(RESTARTS):
            leader, _ = trio.wait_formed()
            if number < 3:
                writer.wait_more(5)
            leader.kill()
            move(leader, number)
            leader.start()
            writer.places = [(n.host, n.port) for n in trio.nodes]
        trio.wait_formed()
        writer.wait_more(5)
    writer.check_kept(wait_same(trio.nodes))


def test_each_restarted_in_turn_moves_a_whole_cluster(stored_trio):
    """Goal: nodes restarted one by one on new ports, each after the one before is back, take the documents
    along, although no process is left of those that were written to."""
    trio = stored_trio
    leader, followers = trio.wait_formed()
    assert leader.put("kept", '{"id":"kept"}').status == 201
    cluster_id = leader.view()["cluster_id"]
    for number, node in enumerate([*followers, leader]):
        assert node.stop() == 0
        new_port(node, number)
        node.start()
        trio.wait_formed()
    assert list(wait_same(trio.nodes)) == [("items", "kept")]
    assert {n.view()["cluster_id"] for n in trio.nodes} == {cluster_id}


def test_a_node_killed_while_it_joins(make_cluster):
    """Goal: a learner that vanishes is no hindrance: the change that would add it is cancelled, and the next
    node joins. Method: kill a joining third node at moments spread over its joining, twenty times."""
    cluster = make_cluster(2).start()
    leader, _ = cluster.wait_formed()
    third = cluster.new_node("c")
    cluster.nodes.append(third)
    dice = random.Random(11)
    for number in range(20):
        third.start()
        if number % 2:
            third.wait_logged("step 4: sent ACCEPT")
        time.sleep(dice.uniform(0.0, 0.1))
        third.kill()
        assert wait_until("a write", lambda n=number: leader.put(f"{n}", "{}").status in (200, 201))
    third.start()
    assert cluster.wait_formed()[0] is leader
    assert len(wait_same(cluster.nodes)) == 20


def test_a_live_members_name_is_refused(trio):
    """Goal: a second node of a name that is in use does not push the first out: it is told, and says so."""
    leader, followers = trio.wait_formed()
    double = trio.new_node(followers[0].name, folder=trio.folder / "double")
    trio.nodes.append(double)
    double.start()
    double.wait_logged(rf"name|{followers[0].name}.*(taken|in use)")
    time.sleep(1)
    view = leader.view()
    assert sorted(m["http"] for m in view["members"]) == sorted(n.url for n in trio.nodes if n is not double)
    assert trio.formed([leader, *followers])[0]
    assert double.stop() == 0
