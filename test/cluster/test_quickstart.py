"""docs/quickstart.md as it stands: each of its command lines is run, in order, and prints what the page shows.

Its ports are those of the page, so it runs in a network of its own where it can, and is skipped where something else has
them."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from node import BINARY
from pages import Terminal, commands_of, run_page

PAGE = Path(__file__).resolve().parents[2] / "docs/quickstart.md"
PORTS = (8000, 8001, 8002, 8003)
OWN_NETWORK = ["unshare", "--net", "--map-root-user", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
TRIES = 3


def own_network():
    """What to put before a command to have a loopback that nobody else is on; None where there is no such thing."""
    for wrapper in (OWN_NETWORK, [word for word in OWN_NETWORK if word != "--map-root-user"]):
        if shutil.which("unshare") and subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode == 0:
            return wrapper
    return None


def taken(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return True
    return False


@pytest.fixture
def terminal(tmp_path):
    wrapper = own_network()
    if wrapper is None and (used := [port for port in PORTS if taken(port)]):
        pytest.skip(f"no network of our own here, and others use {used}")

    def make(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        return Terminal(folder, Path(BINARY).parent, wrapper or ())

    return make


def leads(terminal, name):
    output, _ = terminal.run("curl -s http://127.0.0.1:8002/")
    return f'"leader":{{"id":"' in output and f'"name":"{name}"' in output.split('"leader"')[1]


def test_quickstart(terminal):
    """Goal: whoever types what the page says sees what the page shows.
    On a machine that is slow at the wrong moment another than `a` may lead when it is killed; then all is done again."""
    shown = commands_of(PAGE)
    kill = next(i for i, one in enumerate(shown) if one.command.startswith("kill -9"))
    assert len(shown) > 30
    for number in range(TRIES):
        with terminal(number) as here:
            run_page(here, shown[:kill])
            if leads(here, "a"):
                run_page(here, shown[kill:])
                return
    pytest.fail(f"a did not lead in {TRIES} tries")
