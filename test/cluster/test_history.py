"""What clients see while nodes die, hang and come back is what one copy of each document could have answered."""

import json
import random
import subprocess
import time

import pytest
from history import CHECKER, History, clients, wait_more

TROUBLE_S = 15.0
CLIENTS = 6


def kill_and_restart(cluster, dice):
    """The leader, or any node."""
    leader, followers = cluster.wait_formed()
    victim = dice.choice([leader, *followers])
    victim.kill()
    time.sleep(dice.uniform(0, 0.3))
    victim.start()


def stop_and_wake_the_leader(cluster, dice):
    """For longer than an election timeout, or not. It wakes as one who believes that it leads."""
    leader, _ = cluster.wait_formed()
    leader.pause()
    time.sleep(dice.uniform(0.1, 2.0))
    leader.resume()


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_and_pauses(trio, tmp_path, measured, seed):
    """Goal: every answer of 15 s with nodes killed and leaders stopped fits one order of all requests.
    Method: clients read and write through all nodes and record it; the checker looks for the order."""
    dice = random.Random(seed)
    history = History(tmp_path / "history.jsonl")
    with clients(history, trio.nodes, CLIENTS, seed=seed):
        end = time.monotonic() + TROUBLE_S
        while time.monotonic() < end:
            wait_more(history)
            dice.choice((kill_and_restart, stop_and_wake_the_leader))(trio, dice)
        trio.wait_formed()
        wait_more(history)
    measured(f"history {seed}: {history.check()}; {history.outcomes}")


# The checker is itself tested in test/unit/test_sim_linearize.c; here is what reads the files.

LINES = [
    {"event": "invoke", "op": 0, "client": 1, "time_us": 10, "method": "put", "document": "d/1", "value": 7},
    {"event": "return", "op": 0, "time_us": 20, "outcome": "ok", "revision": 5},
    {"event": "invoke", "op": 1, "client": 2, "time_us": 30, "method": "get", "document": "d/1"},
    {"event": "return", "op": 1, "time_us": 40, "outcome": "ok", "revision": 5, "value": 7},
    {"event": "invoke", "op": 2, "client": 2, "time_us": 50, "method": "delete", "document": "d/1", "if_match": 4},
    {"event": "return", "op": 2, "time_us": 60, "outcome": "precondition_failed", "value": 7, "revision": 5},
]


def run_checker(tmp_path, lines, *options):
    file = tmp_path / "lines"
    file.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return subprocess.run([CHECKER, *options, file], capture_output=True, text=True, timeout=60, check=False)


def changed(number, **members):
    lines = [dict(line) for line in LINES]
    lines[number].update(members)
    return lines


def test_checker_passes_what_is_linearizable(tmp_path):
    result = run_checker(tmp_path, LINES)
    assert (result.returncode, result.stderr) == (0, "")
    assert "3 operations, 0 of them unknown, on 1 documents" in result.stdout
    assert run_checker(tmp_path, LINES[:-1]).returncode == 0  # one that was never answered
    assert run_checker(tmp_path, []).returncode == 0


def test_checker_tells_what_is_not(tmp_path):
    result = run_checker(tmp_path, changed(3, value=8))
    assert result.returncode == 1
    assert "NOT linearizable: d/1\nValue 8 was read, and nobody wrote it:\n" in result.stdout
    assert "0.000030 to 0.000040 s, client 2: GET d/1 -> ok, value 8, revision 5\n" in result.stdout


def test_checker_says_when_it_gave_up(tmp_path):
    result = run_checker(tmp_path, LINES, "--configurations", "1")
    assert result.returncode == 2
    assert "undecided: d/1" in result.stdout


@pytest.mark.parametrize(
    "lines",
    [
        ["nonsense\n"],
        ["[]\n"],
        ['{"event":"invoke","event":"invoke"}\n'],
        changed(0, event="call"),
        changed(0, op=1),
        changed(0, op="0"),
        changed(0, op=-1),
        changed(0, client=None),
        changed(0, method="trace"),
        changed(0, value=0),
        changed(0, value=-7),
        changed(0, document=""),
        changed(0, document=7),
        changed(0, document="d" * 701),
        changed(1, op=3),
        changed(1, time_us=9),
        changed(1, time_us="20"),
        changed(1, outcome="fine"),
        changed(1, outcome="conflict"),
        changed(1, value=7),
        changed(2, value=7),
        changed(2, if_match=7),
        changed(3, op=0),
        changed(3, value=0),
        changed(5, absent=True),
    ],
)
def test_checker_refuses_what_it_cannot_read(tmp_path, lines):
    result = run_checker(tmp_path, lines)
    assert result.returncode == 2, result
    assert ":" in result.stderr and result.stdout == ""


def test_checker_refuses_wrong_arguments(tmp_path):
    assert subprocess.run([CHECKER], capture_output=True, check=False).returncode == 2
    assert subprocess.run([CHECKER, tmp_path / "none"], capture_output=True, check=False).returncode == 2
    for number in ("0", "x", "99999999999"):
        assert run_checker(tmp_path, LINES, "--configurations", number).returncode == 2
