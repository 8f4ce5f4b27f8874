"""The examples of docs/api.md and of the README: each command line is run, in order, on a cluster of three at
the pages' ports, and prints what is shown."""

import re
from pathlib import Path

import pytest
from pages import ULID, commands_of, open_terminal, run_page

ROOT = Path(__file__).resolve().parents[2]
TRIES = 3
START = [
    "coracle serve --name a --http 127.0.0.1:8001 2>a.log &",
    "curl -fs -o /dev/null --retry 20 --retry-connrefused http://127.0.0.1:8001/readyz",
    "coracle serve --name b --http 127.0.0.1:8002 2>b.log &",
    "coracle serve --name c --http 127.0.0.1:8003 2>c.log &",
    """until [ "$(curl -s http://127.0.0.1:8001/v1/cluster | grep -o '"voter"' | wc -l)" = 3 ]; do :; done""",
    "curl -fs -o /dev/null --retry 20 http://127.0.0.1:8002/readyz http://127.0.0.1:8003/readyz",
]


def leads(terminal):
    return '"role":"leader"' in terminal.run("curl -s http://127.0.0.1:8001/")[0]


def test_api_page(tmp_path):
    """Goal: whoever types what the page of the API says sees what it shows, with `a` as the leader; where a
    slow machine has made another one lead, all is done again."""
    shown = commands_of(ROOT / "docs/api.md")
    assert len(shown) > 20
    for number in range(TRIES):
        with open_terminal(tmp_path / str(number)) as terminal:
            for command in START:
                terminal.run(command)
            try:
                run_page(terminal, shown)
                return
            except AssertionError:
                if leads(terminal):
                    raise
    pytest.fail(f"a did not lead in {TRIES} tries")


def prints(output, shown):
    """What is shown, with any id for an id; no line: no output is shown."""
    lines = "\n".join(ULID.sub("ID", line) for line in shown)
    pattern = re.escape(lines).replace("…", ".*") + "\n?"
    return not shown or re.fullmatch(pattern, ULID.sub("ID", output)) is not None


def test_readme(tmp_path):
    """Goal: the same of the first session in the README, which leaves some answers out."""
    shown = [one for one in commands_of(ROOT / "README.md") if one.command.startswith("curl ")]
    assert len(shown) > 5
    with open_terminal(tmp_path / "here") as terminal:
        for command in START:
            terminal.run(command)
        for one in shown:
            output, status = terminal.run(one.command)
            told = f"{one}\nprints\n{output}\nand the page has\n" + "\n".join(one.output)
            assert status == 0 and prints(output, one.output), told
