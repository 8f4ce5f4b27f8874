"""Every row of the API, asked of the leader, of followers of each kind, and of a node without a leader:
status, headers and code. The rows are in api_rows.py."""

import re

import pytest
from api_rows import ROWS, Place
from client import wait_until
from conftest import Maker
from documents import put_until_accepted, wait_same

KINDS = ("redirect", "reject", "forward")


@pytest.fixture(scope="module", params=KINDS)
def formed(request, tmp_path_factory):
    """(the option, cluster, leader, followers)."""
    maker = Maker(tmp_path_factory.mktemp(request.param))
    cluster = maker(3, ["--follower-writes", request.param]).start()
    yield request.param, cluster, *cluster.wait_formed()
    maker.close()


def ask(node, row, place):
    row = row.at(place)
    return node.request(row.method, row.path, row.body, row.headers)


def check_common(node, answer):
    """What every answer says (docs/api.md, "Headers of every answer")."""
    assert answer.header("coracle-node") == node.name
    assert answer.header("coracle-role") in ("leader", "follower", "candidate")
    assert answer.header("coracle-term").isdigit() and answer.header("coracle-revision").isdigit()
    assert answer.header("date") and answer.header("cache-control") in ("no-cache", "no-store")
    assert answer.header("server").startswith("coracle")
    if answer.status >= 400 and answer.body:
        problem = answer.json()
        assert answer.header("content-type") == "application/problem+json"
        assert problem["status"] == answer.status
        assert problem["title"] and problem["detail"] and problem["code"]


def check(row, place, answer):
    told = f"{row.name}: {row.at(place).method} {row.at(place).path} is {answer}"
    assert (answer.status, answer.code) == (row.status, row.code), told
    for name, pattern in row.expected.items():
        value = answer.header(name)
        assert (value is None) if pattern is None else re.fullmatch(pattern, value or ""), f"{name}: {told}"
    if row.shows is not None:
        assert re.search(row.shows.replace("{id}", place.id), answer.body.decode()), f"{row.shows}: {told}"


def prepared(leader, row, number):
    place = Place(f"{row.name}-{number}")
    place.prepare(leader, row)
    return place


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(formed, row):
    """Goal: the leader does it; a follower reads by itself, and sends a write to the leader, refuses it,
    or has it done, as its option says."""
    kind, cluster, leader, followers = formed
    place = prepared(leader, row, kind + "-leader")
    answer = ask(leader, row, place)
    check_common(leader, answer)
    check(row, place, answer)
    for follower in followers:
        place = prepared(leader, row, f"{kind}-{follower.name}")
        answer = ask(follower, row, place)
        if not row.is_write or row.is_refused_anywhere:
            check_common(follower, answer)
            check(row, place, answer)
        elif kind == "redirect" or (kind == "forward" and row.streams):
            check_common(follower, answer)
            assert (answer.status, answer.code) == (307, "not_leader"), answer
            assert answer.header("location") == leader.url + row.at(place).path
            assert answer.json()["leader"]["http"] == leader.url and answer.json()["term"] > 0
        elif kind == "reject":
            check_common(follower, answer)
            assert (answer.status, answer.code) == (403, "not_leader"), answer
            assert answer.json()["leader"]["name"] == leader.name
        else:
            check_common(leader, answer)  # it is the leader's own
            check(row, place, answer)


@pytest.fixture(scope="module")
def survivor(tmp_path_factory):
    """A node that has lost both others, and what was there."""
    maker = Maker(tmp_path_factory.mktemp("survivor"))
    cluster = maker(3).start()
    leader, (node, other) = cluster.wait_formed()
    for number, row in enumerate(ROWS):
        if number % 40 == 0:
            put_until_accepted([leader], "barrier", "{}")
        Place(f"{row.name}-none").prepare(leader, row)
    wait_same(cluster.nodes)
    leader.kill()
    other.kill()
    wait_until("it misses both", lambda: "reached 1" in node.put("x", "{}").json()["detail"])
    yield node
    maker.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_without_a_leader(survivor, row):
    """Goal: stale reads are answered; other reads, and writes, are 503 with the reason."""
    place = Place(f"{row.name}-none")
    answer = ask(survivor, row, place)
    check_common(survivor, answer)
    is_local = row.is_refused_anywhere if row.is_write else not row.is_read or row.is_stale
    if not is_local:
        assert answer.status == 503 and int(answer.header("retry-after")) > 0, answer
        if row.method == "HEAD":
            return
        assert answer.code == "no_leader", answer
        assert "need 2 of 3 voters, reached 1" in answer.json()["detail"]
    else:
        check(row, place, answer)


def test_not_ready_without_a_leader(survivor):
    """Goal: whoever spreads requests over the nodes is told to leave this one out."""
    assert survivor.get("/readyz").code == "no_leader"
    assert survivor.request("HEAD", "/readyz").status == 503


def test_too_stale_without_a_leader(survivor):
    """Goal: whoever says how old his data may be is not given older."""
    path = "/v1/collections?consistency=stale&max_stale_ms="
    wait_until("it is older", lambda: survivor.get(path + "1").code == "too_stale")
    assert survivor.get(path + "3600000").status == 200
    assert survivor.get("/v1/collections?consistency=stale&min_revision=1").status == 200
    beyond = survivor.get("/v1/collections?consistency=stale&min_revision=1000000000&wait_ms=1")
    assert (beyond.status, beyond.code) == (504, "revision_not_reached")
