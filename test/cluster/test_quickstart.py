"""docs/quickstart.md as it stands: each of its command lines is run, in order, and prints what the page
shows."""

from pathlib import Path

import pytest
from pages import commands_of, open_terminal, run_page

PAGE = Path(__file__).resolve().parents[2] / "docs/quickstart.md"
TRIES = 3


def leads(terminal, name):
    output, _ = terminal.run("curl -s http://127.0.0.1:8002/")
    return f'"leader":{{"id":"' in output and f'"name":"{name}"' in output.split('"leader"')[1]


def test_quickstart(tmp_path):
    """Goal: whoever types what the page says sees what the page shows. On a machine that is slow at the
    wrong moment another than `a` may lead when it is killed; then all is done again."""
    shown = commands_of(PAGE)
    kill = next(i for i, one in enumerate(shown) if one.command.startswith("kill -9"))
    assert len(shown) > 30
    for number in range(TRIES):
        with open_terminal(tmp_path / str(number)) as here:
            run_page(here, shown[:kill])
            if leads(here, "a"):
                run_page(here, shown[kill:])
                return
    pytest.fail(f"a did not lead in {TRIES} tries")
