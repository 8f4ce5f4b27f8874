"""Clusters across hosts: five nodes with --peers, each in a network namespace of its own. They found
themselves, lose two, live through partitions that nftables makes, and keep their leader while a third of
the datagrams is lost."""

import random
import time

import pytest

import hosts
from client import document_path
from documents import Writer, put_until_accepted, wait_same
from history import History, clients, wait_more

pytestmark = pytest.mark.skipif(hosts.why_not() is not None, reason=str(hosts.why_not()))

ELECTION_TIMEOUT_S = 0.5  # the default
TROUBLE_S = 20.0


@pytest.fixture(scope="module")
def network():
    network = hosts.Network(5)
    yield network
    network.close()


@pytest.fixture
def five(network, make_cluster, tmp_path):
    """Five nodes on five hosts that have formed a cluster."""
    network.heal()
    cluster = make_cluster.adopt(hosts.HostCluster(tmp_path / "hosts", network)).start()
    cluster.wait_formed()
    yield cluster
    network.heal()


def check_one_leader_per_term(cluster):
    terms = [term for term, _, _ in cluster.leaders_of_terms()]
    assert len(terms) == len(set(terms)), cluster.leaders_of_terms()


def test_they_found_one_cluster_and_survive_the_loss_of_two(five):
    """Goal: with the leader and a follower killed at once, three of five go on, nothing acknowledged is
    lost, and the two come back."""
    with Writer(five.nodes) as writer:
        writer.wait_more(100)
        leader, followers = five.wait_formed()
        leader.kill()
        followers[0].kill()
        writer.wait_more(100)
        leader.start()
        followers[0].start()
        five.wait_formed()
        writer.wait_more(100)
    writer.check_kept(wait_same(five.nodes))
    check_one_leader_per_term(five)


def test_a_minority_with_the_leader_is_cut_off(five, network):
    """Goal: the majority elects another leader and goes on; the old one stops taking writes and reads; after
    the healing all five are one cluster again and nothing acknowledged is missing."""
    leader, followers = five.wait_formed()
    minority = [leader, followers[0]]
    majority = followers[1:]
    with Writer(majority) as writer:
        writer.wait_more(50)
        known = document_path("written", min(writer.acknowledged))
        network.partition([n.place for n in minority], [n.place for n in majority])
        writer.wait_more(50)
        assert leader.put("lost", "{}", timeout_s=20).status in (503, 504)
        assert leader.get(known, timeout_s=20).status in (503, 504)
        assert leader.get(f"{known}?consistency=stale").status == 200
        assert sum(n.place.dropped() for n in five.nodes) > 0
        network.heal()
        five.wait_formed()
        writer.wait_more(50)
    found = wait_same(five.nodes)
    writer.check_kept(found)
    check_one_leader_per_term(five)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_one_protocol_is_cut_and_healed(five, network, protocol):
    """Goal: a leader that a majority hears over one protocol only is replaced or goes on, but writes are
    accepted again in the end, and nothing acknowledged is lost."""
    leader, followers = five.wait_formed()
    with Writer(five.nodes) as writer:
        writer.wait_more(50)
        network.partition([leader.place], [n.place for n in followers], protocols=(protocol,))
        time.sleep(6 * ELECTION_TIMEOUT_S)
        network.heal()
        five.wait_formed()
        writer.wait_more(50)
    writer.check_kept(wait_same(five.nodes))
    check_one_leader_per_term(five)


def test_the_leader_stays_while_a_third_of_the_datagrams_is_lost(five, network, measured):
    """Goal: 30 % loss of datagrams in every direction costs no election within 20 election timeouts, while
    writes go on."""
    leader, _ = five.wait_formed()
    term = leader.about()["term"]
    for host in network.hosts:
        host.lose(30)
    with Writer(five.nodes) as writer:
        end = time.monotonic() + 20 * ELECTION_TIMEOUT_S
        while time.monotonic() < end:
            writer.wait_more(10)
    lost = sum(host.dropped() for host in network.hosts)
    measured(f"30 % loss: {lost} datagrams dropped, {len(writer.acknowledged)} writes acknowledged")
    assert lost > 100
    assert (leader.about()["role"], leader.about()["term"]) == ("leader", term)
    network.heal()
    put_until_accepted(five.nodes, "after", "{}")
    writer.check_kept(wait_same(five.nodes))


def cut_a_minority(five, network, dice):
    """Two of five, the leader among them or not; one protocol or both, one way or both ways."""
    hosts_in_disorder = dice.sample(network.hosts, len(network.hosts))
    few, many = hosts_in_disorder[:2], hosts_in_disorder[2:]
    protocols = dice.choice((("",), ("udp",), ("tcp",)))
    if dice.random() < 0.7:
        network.partition(few, many, protocols=protocols)
    else:
        for host in few:
            host.cut(many, protocols)
    time.sleep(dice.uniform(0.2, 4 * ELECTION_TIMEOUT_S))
    network.heal()


def kill_and_restart(five, network, dice):
    victim = dice.choice(five.nodes)
    victim.kill()
    time.sleep(dice.uniform(0, 2 * ELECTION_TIMEOUT_S))
    victim.start()


@pytest.mark.parametrize("seed", [1, 2])
def test_what_clients_see_is_linearizable(five, network, tmp_path, measured, seed):
    """Goal: every answer given during partitions and kills fits one order of all requests. Method: clients read
    and write through all nodes and record it; the checker looks for the order."""
    dice = random.Random(seed)
    history = History(tmp_path / "history.jsonl")
    with clients(history, five.nodes, 6, seed=seed):
        end = time.monotonic() + TROUBLE_S
        while time.monotonic() < end:
            wait_more(history)
            dice.choice((cut_a_minority, cut_a_minority, kill_and_restart))(five, network, dice)
            five.wait_formed()
        wait_more(history)
    measured(f"history across hosts {seed}: {history.check()}; {history.outcomes}")
    wait_same(five.nodes)
    check_one_leader_per_term(five)
